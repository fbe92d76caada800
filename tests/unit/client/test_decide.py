"""Decisions: what is sent, what comes back, and how they fail, in both clients."""

from __future__ import annotations

import json
import pickle
from decimal import Decimal

import pytest

from lfm_adapter import errors
from lfm_adapter.ledger import Budget, Ledger
from lfm_adapter.testing import Break, ScriptedOpenRouter, decisions, error, json_reply
from lfm_adapter.types import Box, NoulAnswer

QUESTIONS = {
    "refund": "Is the customer asking for a refund?",
    "team": {
        "type": "choice",
        "instructions": "Which team?",
        "criteria": {"billing": "payments", "shipping": None, "technical": "bugs"},
    },
    "anger": {"type": "score", "instructions": "How angry?", "criteria": ["calm", "annoyed", "furious"]},
}
MAIL = "I was charged twice for my order. Please refund me."
ANSWERS = {
    "refund": 0.97,
    "team": {"billing": 0.9, "shipping": 0.02, "technical": 0.08},
    "anger": [0.1, 0.6, 0.3],
}
ALPHA, SYSTEMONE = "/alpha/decisions", "/systemone"
PNG = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}


@pytest.fixture
def server():
    with ScriptedOpenRouter() as server:
        yield server
    server.check()


def decide(make, server, reply=None, state=MAIL, questions=QUESTIONS, *, model=None, client=None, **parameters):
    if reply is not None:
        server.add(reply, path=ALPHA)
    return make(server, model="liquid/d1.2", **(client or {})).decide(state, questions, model=model, **parameters)


class TestRequest:
    def test_openrouter_gets_state_and_questions_at_its_alpha_address(self, make, server):
        decide(make, server, decisions(ANSWERS))
        (request,) = server.requests
        assert (request.method, request.path) == ("POST", ALPHA)
        assert request.body == {
            "model": "liquid/d1.2",
            "state": MAIL,
            "questions": {**QUESTIONS, "refund": {"type": "noul", "instructions": QUESTIONS["refund"]}},
        }

    def test_key_and_attribution_go_along_as_for_chats(self, make, server):
        decide(make, server, client={"api_key": "test-key", "app_url": "https://example.com", "app_title": "Mail"})
        headers = server.requests[0].headers
        assert headers["authorization"] == "Bearer test-key"
        assert (headers["http-referer"], headers["x-openrouter-title"]) == ("https://example.com", "Mail")

    def test_fields_of_openrouter_are_sent(self, make, server):
        given = {"provider": {"order": ["Liquid"]}, "user": "u1", "session_id": "s1", "trace": {"trace_id": "t"}}
        decide(make, server, **given, extra_body={"assets": {}})
        assert server.requests[0].body.items() >= {**given, "assets": {}}.items()

    def test_the_other_route_is_a_setting(self, make, server):
        decide(make, server, route="systemone")
        assert server.requests[0].path == SYSTEMONE

    def test_an_alias_is_written_out(self, make, server):
        decide(make, server, model="d1-ultra")
        assert server.requests[0].body["model"] == "liquid/d1-ultra"

    def test_a_client_for_chats_decides_with_the_default_model(self, make, server):
        reply = make(server, model="liquid/lfm-3-1.7b").decide(MAIL, QUESTIONS)
        assert reply.model == "liquid/d1.2"

    @pytest.mark.parametrize(
        ("arguments", "problem"),
        [
            ({"state": ""}, "`state` is empty"),
            ({"questions": {}}, "`questions` must be a dict"),
            ({"model": "liquid/lfm-3-1.7b"}, r"is a chat model, not a decision model\. Use `client\.chat"),
            ({"temperature": 0.5}, "`decide` has no parameter `temperature`"),
            ({"route": "beta"}, "`route` must be"),
            ({"state": {"x": float("nan")}}, "cannot be encoded as JSON"),
            ({"questions": {"cat": {"type": "box", "instructions": "Where?"}}}, "A box question needs an image"),
            ({"state": {"x": object()}}, "cannot be encoded as JSON"),
        ],
    )
    def test_an_invalid_call_sends_nothing(self, make, server, arguments, problem):
        with pytest.raises(errors.ConfigurationError, match=problem):
            decide(make, server, **arguments)
        assert server.requests == []

    def test_counter_of_tokens_must_return_a_count(self, make, server):
        with pytest.raises(errors.ConfigurationError, match=r"`token_counter` must return an integer >= 0, got None\."):
            decide(make, server, client={"token_counter": lambda _: None})

    def test_a_state_that_is_too_long_is_refused_with_its_least_tokens(self, make, server):
        with pytest.raises(errors.ContextWindowExceededError) as caught:
            decide(make, server, state="so long " * 40_000)
        assert (caught.value.estimated_tokens, caught.value.context_length) == (80_000, 65_536)
        assert server.requests == []

    def test_images_do_not_count_as_text(self, make, server):
        image = {"type": "image", "base64": "iVBO" * 100_000, "mime_type": "image/png"}
        assert decide(make, server, state=["What is it?", image]).answers


class TestReply:
    def test_reply_has_typed_answers_with_cost_and_provider(self, make, server):
        reply = decide(make, server, decisions(ANSWERS, input_tokens=476, cost=0.00000952))
        assert reply.answers["refund"] == NoulAnswer(0.97, yes=True)
        assert (reply.choices["team"].choice, reply.scores["anger"].score) == ("billing", pytest.approx(1.2))
        assert reply.scores["anger"].legend == {0: "calm", 1: "annoyed", 2: "furious"}
        assert (reply.nouls.keys(), reply.boxes) == ({"refund"}, {})
        assert (reply.model, reply.provider, reply.id[:4]) == ("liquid/d1.2", "Liquid", "gen-")
        assert reply.usage == {"input_tokens": 476, "output_tokens": 0, "cost": 0.00000952}
        assert (reply.cost.total, reply.cost.source) == (Decimal("0.00000952"), "openrouter")
        assert reply.calibrated is True

    def test_a_box_is_a_place_in_the_image(self, make, server):
        edges = {"top": 0.1, "left": 0.2, "bottom": 0.5, "right": 0.6}
        asked = {"cat": {"type": "box", "instructions": "Where is the cat?"}}
        reply = decide(make, server, decisions({"cat": {"type": "box", "box": edges}}), [PNG], asked)
        assert reply.boxes["cat"].box == Box(**edges)

    def test_cost_comes_from_the_catalogue_if_the_reply_has_none(self, make, server):
        reply = decide(make, server, decisions(ANSWERS, usage={"input_tokens": 1000, "output_tokens": 0}))
        assert (reply.cost.total, reply.cost.source) == (Decimal("0.00002"), "catalog")

    def test_dated_model_is_kept_and_missing_id_is_none(self, make, server):
        answers = decisions(ANSWERS, id=None, model="liquid/d1.2-20261120", headers={"x-generation-id": "gen-dec-7"})
        reply = decide(make, server, answers)
        assert (reply.model, reply.id, reply.headers["x-generation-id"]) == (
            "liquid/d1.2-20261120",
            "gen-dec-7",
            "gen-dec-7",
        )

    def test_further_fields_of_a_reply_are_kept(self, make, server):
        reply = decide(make, server, decisions(ANSWERS, diagnostics={"label_mass": 0.9}))
        assert reply.extra == {"diagnostics": {"label_mass": 0.9}}
        assert reply.to_wire()["diagnostics"] == {"label_mass": 0.9}

    def test_a_reply_can_be_written_as_it_came(self, make, server):
        whole = {
            "refund": {"type": "noul", "noul": 0.97},
            "team": {"type": "choice", "choice": "billing", "confidence": 0.85,
                     "probabilities": {"billing": 0.9, "shipping": 0.02, "technical": 0.08}},
            "anger": {"type": "score", "score": 1.2, "confidence": 0.4, "probabilities": {"0": 0.1, "1": 0.6, "2": 0.3},
                      "legend": {"0": "calm", "1": "annoyed", "2": "furious"}},
            "more": {"type": "span", "start": 3},
        }  # fmt: skip
        sent = decisions(whole)
        reply = decide(make, server, sent)
        assert reply.to_wire() == json.loads(sent.body) | {"model": "liquid/d1.2"}


class TestOtherServers:
    def test_llama_cpp_is_asked_without_a_key_and_costs_nothing(self, make):
        reply = json_reply({"model": "my-model", "answers": {"q": {"type": "noul", "noul": 0.6258209567027758}},
                            "usage": {"input_tokens": 147, "output_tokens": 0}})  # fmt: skip
        with ScriptedOpenRouter(path="/v1") as server:
            server.add(reply, path=SYSTEMONE)
            found = make(server, model="my-model", api_key=None).decide(["Hi", PNG], {"q": "Is it urgent?"})
        assert "authorization" not in server.requests[0].headers
        assert server.requests[0].body["files"] == [PNG["image_url"]["url"]]
        assert (found.answers["q"].noul, found.id, found.cost, found.calibrated) == (
            0.6258209567027758,
            None,
            None,
            None,
        )

    def test_liquids_own_api_has_its_own_key_and_names(self, make, monkeypatch):
        monkeypatch.setenv("LIQUID_API_KEY", "liquid_0123456789abcdef")
        monkeypatch.setenv("OPENROUTER_API_KEY", "sk-or-v1-0123456789abcdef")
        with ScriptedOpenRouter(path="/api.liquid.ai/decisions/v1") as server:
            server.add(decisions({"q": 0.9}, usage={"input_tokens": 84, "output_tokens": 0}), path=SYSTEMONE)
            monkeypatch.setenv("OPENROUTER_BASE_URL", server.base_url)
            reply = make(api_key=None).decide("Hi", {"q": "Is it urgent?"}, model="d1")
        (request,) = server.requests
        assert (request.body["model"], request.headers["authorization"]) == ("d1", "Bearer liquid_0123456789abcdef")
        assert reply.answers["q"].noul == 0.9

    def test_vllm_tells_more_of_a_noul(self, make):
        answer = {"type": "noul", "noul": 0.9, "probabilities": {"yes": 0.9, "no": 0.1}, "confidence": 0.8}
        with ScriptedOpenRouter(path="/v1") as server:
            server.add(json_reply({"id": "decision-1", "object": "structured_decision", "answers": {"q": answer}}),
                       path=SYSTEMONE)  # fmt: skip
            reply = make(server, model="my-model").decide("Hi", {"q": "Is it urgent?"})
        assert reply.answers["q"] == NoulAnswer(
            0.9, extra={"probabilities": {"yes": 0.9, "no": 0.1}, "confidence": 0.8}
        )
        assert (reply.id, reply.model, reply.usage) == ("decision-1", "my-model", None)


class TestErrors:
    @pytest.mark.parametrize("status", [400, 422])
    def test_a_refused_question_is_a_bad_request(self, make, server, status):
        with pytest.raises(errors.BadRequestError, match="at most 255 options") as caught:
            decide(make, server, error(status, "choice: at most 255 options"))
        assert (caught.value.status_code, caught.value.model) == (status, "liquid/d1.2")
        assert len(server.requests) == 1

    @pytest.mark.parametrize(
        "reply",
        [
            error(413, "request body too large"),
            json_reply({"error": {"code": 413, "message": "no", "type": "request_too_large_error"}}, status=413),
            json_reply({"error": {"code": 400, "message": "the prompt is too long", "type": "exceed_context_size_error",
                                  "n_prompt_tokens": 9000, "n_ctx": 2048}}, status=400),
        ],
    )  # fmt: skip
    def test_too_large_request_raises_context_window_exceeded(self, make, server, reply):
        with pytest.raises(errors.ContextWindowExceededError):
            decide(make, server, reply)

    def test_a_failure_is_retried_as_in_chats(self, make, server, waits):
        server.add(error(429, "Slow down", headers={"Retry-After": "3"}), error(503, "Down"), path=ALPHA)
        assert decide(make, server, decisions(ANSWERS)).nouls["refund"].yes
        assert (len(server.requests), waits[0]) == (3, 3)

    def test_a_reply_that_breaks_off_is_not_paid_for_twice(self, make, server):
        with pytest.raises(errors.StreamInterruptedError):
            decide(make, server, decisions(ANSWERS).in_pieces(40).broken(2, Break.CUT))
        assert len(server.requests) == 1

    def test_an_error_in_a_200_has_its_class(self, make, server, waits):
        server.add(error(200, "Slow down", code=429), path=ALPHA)
        assert decide(make, server, decisions(ANSWERS)).answers

    @pytest.mark.parametrize(
        ("answers", "problem"),
        [
            ({**ANSWERS, "refund": {"type": "refusal"}}, "the answer to 'refund' is a 'refusal', not a 'noul'"),
            ({"refund": 0.97, "team": ANSWERS["team"]}, "the answer to 'anger' is missing"),
            ({**ANSWERS, "team": {"type": "choice", "choice": "billing"}}, "the answer to 'team' has no probabilities"),
        ],
    )
    def test_an_answer_that_does_not_fit_raises_with_what_came(self, make, server, answers, problem):
        with pytest.raises(errors.InvalidDecisionError, match=problem) as caught:
            decide(make, server, decisions(answers, cost=0.5))
        reply = caught.value.reply
        assert (reply.cost.total, reply.provider, caught.value.provider) == (Decimal("0.5"), "Liquid", "Liquid")
        assert len(reply.answers) == len(answers)
        assert len(server.requests) == 1
        assert pickle.loads(pickle.dumps(caught.value)).reply == reply  # noqa: S301 # our own

    @pytest.mark.parametrize("body", [{}, {"answers": {}}, {"answers": None}, {"id": "gen-1", "choices": []}])
    def test_a_response_without_answers_is_an_error(self, make, server, body):
        with pytest.raises(errors.ResponseError, match="The response has no `answers`"):
            decide(make, server, json_reply(body))


class TestMetering:
    @pytest.fixture
    def ledger(self, tmp_path) -> Ledger:
        return Ledger(tmp_path / "ledger.db")

    def test_a_decision_is_a_row_of_the_ledger(self, make, server, ledger):
        decide(make, server, decisions(ANSWERS, input_tokens=476, cost=0.5), client={"ledger": ledger})
        (call,) = ledger.calls()
        assert (call.model, call.provider, call.status, call.cost) == ("liquid/d1.2", "Liquid", "ok", Decimal("0.5"))
        assert (call.prompt_tokens, call.completion_tokens, call.is_stream) == (476, 0, False)

    def test_a_reply_that_does_not_fit_was_paid_for(self, make, server, ledger):
        with pytest.raises(errors.InvalidDecisionError):
            decide(make, server, decisions({"refund": 1}, cost=0.5), client={"ledger": ledger})
        (call,) = ledger.calls()
        assert (call.status, call.cost, call.prompt_tokens) == ("invalid_decision", Decimal("0.5"), 147)

    def test_each_question_counts_in_a_budget(self, make, server, ledger):
        # At $0.02 per million tokens, a question about 2,000 bytes costs $0.00005 at most; fifty do not fit.
        budget = Budget(usd=Decimal("0.0005"))
        state = "word " * 400
        assert decide(
            make, server, state=state, questions={"q": "?"}, client={"budget": budget, "ledger": ledger}
        ).answers
        many = {f"q{n}": "Is it urgent?" for n in range(50)}
        with pytest.raises(errors.BudgetExceededError):
            decide(make, server, state=state, questions=many, client={"budget": budget, "ledger": ledger})
        assert len(server.requests) == 1
