"""A chat model in place of a decision model: by log probabilities where there are any, else by JSON."""

from __future__ import annotations

import json
import math
from decimal import Decimal

import pytest

from lfm_adapter import errors
from lfm_adapter.testing import ScriptedOpenRouter, completion, error, token_usage

MODEL = "liquid/lfm-3-1.7b"
URGENT = {"urgent": "Is it urgent?"}
TEAM = {
    "type": "choice",
    "instructions": "Which team?",
    "criteria": {"billing": "payments", "shipping": None, "technical": "bugs"},
}
ANGER = {"type": "score", "instructions": "How angry?", "criteria": ["calm", "annoyed", "furious"]}
ALL = {**URGENT, "team": TEAM, "anger": ANGER}


def labels(*, cost=1e-6, reasoning=None, **probabilities):
    """A reply whose first token had these probabilities; keys with an underscore begin with a space."""
    top = [{"token": token.replace("_", " "), "logprob": math.log(p)} for token, p in probabilities.items()]
    logprobs = {"content": [{"token": "x", "logprob": -1.0, "top_logprobs": top}]}
    usage = token_usage(40, 1, cost=cost)
    return completion("x", choice={"logprobs": logprobs}, usage=usage, reasoning=reasoning, finish_reason="length")


@pytest.fixture
def server():
    with ScriptedOpenRouter() as server:
        yield server
    server.check()


def decide(make, server, *replies, questions=URGENT, model=MODEL, state="Help now!", **parameters):
    server.add(*replies)
    return make(server, max_retries=0, max_output_retries=0).decide(
        state, questions, model=model, via="chat", **parameters
    )


class TestLogProbabilities:
    def test_spellings_of_a_label_count_together_and_relative_to_the_others(self, make, server):
        reply = decide(make, server, labels(Yes=0.3, _yes=0.2, YES=0.1, No=0.15, Maybe=0.25))
        answer = reply.nouls["urgent"]
        assert answer.noul == pytest.approx(0.6 / 0.75)
        assert answer.extra == {"method": "logprobs", "label_mass": pytest.approx(0.75), "orders": 1}
        assert reply.calibrated is False

    def test_each_question_is_asked_for_one_token(self, make, server):
        replies = (labels(Yes=0.9), labels(A=0.2, B=0.6, _C=0.2), labels(**{"0": 0.5, "_2": 0.5}))
        # The first alone, then the others at once, which may come in any order.
        server.default = lambda request: replies[1 if "Which" in request.body["messages"][-1]["content"] else 2]
        reply = decide(make, server, replies[0], questions=ALL)
        assert (reply.choices["team"].choice, reply.choices["team"].confidence) == ("shipping", pytest.approx(0.4))
        assert reply.choices["team"].probabilities == pytest.approx({"billing": 0.2, "shipping": 0.6, "technical": 0.2})
        assert reply.scores["anger"].score == pytest.approx(1.0)
        assert reply.scores["anger"].legend == {0: "calm", 1: "annoyed", 2: "furious"}
        for request in server.requests:
            assert (
                request.body.items() >= {"max_tokens": 1, "logprobs": True, "top_logprobs": 20, "model": MODEL}.items()
            )
        question = server.requests[0].body["messages"][-1]["content"]
        assert question == "STATE:\nHelp now!\n\nQUESTION: Is it urgent?\nYes\nNo\nAnswer with Yes or No only."

    def test_usage_and_cost_are_those_of_all_requests(self, make, server):
        server.default = lambda _: labels(A=1.0, cost=0.25)
        reply = decide(make, server, labels(Yes=1.0, cost=0.5), questions={**URGENT, "team": TEAM})
        assert (reply.cost.total, reply.usage["prompt_tokens"]) == (Decimal("0.75"), 80)

    def test_options_are_asked_in_several_orders_on_wish(self, make, server):
        server.default = lambda _: labels(A=0.9, B=0.1)  # a model that always likes the first
        reply = decide(make, server, questions={"team": TEAM}, orders=3)
        answer = reply.choices["team"]
        assert answer.probabilities == pytest.approx(dict.fromkeys(TEAM["criteria"], 1 / 3))
        assert answer.extra["orders"] == 3
        shown = sorted(request.body["messages"][-1]["content"].split("team?\n")[1] for request in server.requests)
        assert [text.split("\n")[0] for text in shown] == [
            "A: billing (payments)", "A: shipping", "A: technical (bugs)",
        ]  # fmt: skip

    def test_yes_and_no_change_places_too_and_levels_do_not(self, make, server):
        server.default = lambda request: (
            labels(**{"0": 1.0}) if "angry" in request.body["messages"][-1]["content"] else labels(Yes=0.8, No=0.2)
        )
        reply = decide(make, server, questions={**URGENT, "anger": ANGER}, orders=5)
        assert (reply.nouls["urgent"].extra["orders"], reply.scores["anger"].extra["orders"]) == (2, 1)
        endings = {request.body["messages"][-1]["content"].split("\n")[-1] for request in server.requests}
        assert endings >= {"Answer with Yes or No only.", "Answer with No or Yes only."}

    def test_special_tokens_in_a_state_are_escaped(self, make, server):
        decide(make, server, labels(Yes=1.0), state="Hi<|im_end|>")
        assert "<|im_end|>" not in server.requests[0].content.decode()

    def test_images_are_parts_of_the_message(self, make, server):
        image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
        decide(make, server, labels(Yes=1.0), state=["Look:", image])
        parts = server.requests[0].body["messages"][-1]["content"]
        assert [part["type"] for part in parts] == ["text", "image_url", "text"]


JSON = json.dumps({"urgent": True, "team": "shipping", "anger": 2})


class TestJson:
    @pytest.mark.parametrize(
        "first",
        [
            completion("Yes"),  # log probabilities were dropped silently
            labels(Maybe=0.99, Yes=0.01),  # the first token is no answer
            labels(Yes=1.0, reasoning="The customer …"),  # the first token is a thought
            error(400, "logprobs is not supported"),
            error(404, "No endpoints found that support the requested parameters"),
        ],
        ids=["dropped", "other words", "reasoning", "refused", "no endpoint"],
    )
    def test_without_log_probabilities_the_answers_are_asked_for_as_json(self, make, server, first):
        reply = decide(make, server, first, completion(JSON), questions=ALL)
        assert (reply.nouls["urgent"].yes, reply.nouls["urgent"].noul) == (True, None)
        assert (reply.choices["team"].choice, reply.choices["team"].probabilities) == ("shipping", {})
        assert (reply.scores["anger"].score, reply.scores["anger"].confidence) == (2.0, None)
        assert {answer.extra["method"] for answer in reply.answers.values()} == {"json"}
        assert reply.calibrated is False
        assert len(server.requests) == 2

    def test_a_model_that_always_reasons_is_asked_for_json_at_once(self, make, server):
        reply = decide(make, server, completion(JSON), questions=ALL, model="liquid/lfm-2.5-2.6b:free")
        assert reply.choices["team"].choice == "shipping"
        schema = server.requests[0].body["response_format"]["json_schema"]["schema"]
        assert schema["properties"]["anger"] == {"enum": [0, 1, 2]}

    def test_a_choice_with_more_options_than_labels_is_asked_for_as_json(self, make, server):
        many = {"type": "choice", "instructions": "Which?", "criteria": {f"o{n}": None for n in range(30)}}
        reply = decide(make, server, labels(Yes=1.0), completion('{"many": "o29"}'), questions={**URGENT, "many": many})
        assert (reply.nouls["urgent"].noul, reply.choices["many"].choice) == (1.0, "o29")

    def test_an_answer_that_is_not_among_the_options_is_an_error(self, make, server):
        with pytest.raises(errors.OutputValidationError):
            decide(make, server, completion("Yes"), completion('{"urgent": "perhaps"}'))

    def test_nothing_is_written_as_a_probability(self, make, server):
        reply = decide(make, server, completion("Yes"), completion(JSON), questions=ALL)
        assert reply.to_wire()["answers"]["urgent"] == {"type": "noul", "yes": True, "method": "json"}


class TestErrors:
    @pytest.mark.parametrize(
        ("arguments", "problem"),
        [
            ({"model": "liquid/d1.2"}, r"is a decision model, not a chat model\. Use `client\.decide"),
            ({"orders": 0}, "`orders` must be an integer >= 1, got 0"),
            (
                {"questions": {"cat": {"type": "box", "instructions": "Where?"}}},
                "Chat models cannot answer box questions",
            ),
            ({"state": ""}, "`state` is empty"),
        ],
    )
    def test_an_invalid_call_sends_nothing(self, make, server, arguments, problem):
        with pytest.raises(errors.ConfigurationError, match=problem):
            decide(make, server, **arguments)
        assert server.requests == []

    def test_via_has_two_values(self, make, server):
        with pytest.raises(errors.ConfigurationError, match="`via` must be 'decisions' or 'chat', got 'magic'"):
            make(server).decide("Hi", URGENT, via="magic")

    @pytest.mark.parametrize("reply", [error(401, "User not found."), error(429, "Slow down"), error(500, "Broken")])
    def test_other_failures_are_not_asked_around(self, make, server, reply):
        with pytest.raises(errors.APIError):
            decide(make, server, reply)
        assert len(server.requests) == 1
