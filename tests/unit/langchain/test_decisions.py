"""`LFMDecisions`: its fields, what it sends, what it returns and raises, and LangChain's middlewares on it."""

from __future__ import annotations

import asyncio
import copy
import pickle
import warnings
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core import exceptions as lc
from langchain_core._api import LangChainBetaWarning
from langchain_core.load import dumpd, load
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_core.tracers.base import BaseTracer
from pydantic import ValidationError

from lfm_adapter import ChatLFM, LFMDecisions, errors
from lfm_adapter._client.settings import CommonOptions
from lfm_adapter.ledger import Ledger
from lfm_adapter.testing import ScriptedOpenRouter, completion, decisions, failure, tool_call
from tests.unit.langchain.test_docstring import documented

pytest.importorskip("langchain_core.decisions", reason="needs langchain-core 1.8 and langchain 1.5")

from langchain.agents import create_agent
from langchain_core.decisions import BaseDecisionModel, Box, Choice, Noul, NoulCriteria, Score

with warnings.catch_warnings():
    warnings.simplefilter("ignore", LangChainBetaWarning)
    from langchain.agents.middleware import AutoModeMiddleware, ModelChoice, ModelRouterMiddleware

if TYPE_CHECKING:
    from pathlib import Path

    from lfm_adapter.langchain import DecisionResponse

pytestmark = pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning")

PATH = "/alpha/decisions"
WAYS = ("invoke", "ainvoke", "batch", "abatch", "stream", "astream")
IMAGE = {"type": "image", "base64": "iVBORw0KGgo=", "mime_type": "image/png"}
PART = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
QUESTIONS = {
    "refund": Noul(instructions="Is it about a refund?", criteria=NoulCriteria(true="asks for money back")),
    "team": Choice(instructions="Which team?", criteria={"billing": "payments", "other": None}),
    "anger": Score(instructions="How angry?", criteria=["calm", "annoyed", "furious"]),
}
ANSWERS = {"refund": 0.97, "team": {"billing": 0.9, "other": 0.1}, "anger": [0.1, 0.6, 0.3]}


def ask(model: LFMDecisions, way: str = "invoke", state: Any = "Hi", questions: Any = QUESTIONS, **config: Any) -> Any:
    request: Any = {"state": state, "questions": questions}
    match way:
        case "invoke":
            return model.invoke(request, **config)
        case "ainvoke":
            return asyncio.run(model.ainvoke(request, **config))
        case "batch":
            return model.batch([request])[0]
        case "abatch":
            return asyncio.run(model.abatch([request]))[0]
        case "stream":
            return next(iter(model.stream(request)))
        case _:
            return asyncio.run(_first(model, request))


async def _first(model: LFMDecisions, request: Any) -> Any:
    return await anext(aiter(model.astream(request)))


def sent_state(openrouter: ScriptedOpenRouter, state: Any) -> Any:
    ask(LFMDecisions(), state=state)
    return openrouter.requests[-1].body["state"]


class TestResponse:
    @pytest.mark.parametrize("way", WAYS)
    def test_each_way_returns_typed_answers(self, openrouter: ScriptedOpenRouter, way: str):
        openrouter.add(decisions(ANSWERS, input_tokens=476, cost=0.00000952), path=PATH)
        response: DecisionResponse = ask(LFMDecisions(app_title="My app"), way)
        assert response.nouls["refund"].noul == 0.97
        assert (response.choices["team"].choice, response.choices["team"].confidence) == ("billing", pytest.approx(0.8))
        assert response.scores["anger"].legend == {0: "calm", 1: "annoyed", 2: "furious"}
        assert (response.model, response.provider, response.calibrated) == ("liquid/d1.2", "Liquid", True)
        assert (response.cost, response.cost_source) == (0.00000952, "openrouter")
        assert response.usage == {"input_tokens": 476, "output_tokens": 0, "total_tokens": 476}
        assert response.request_id == response.generation_id == "gen-1790000000-ScriptedReply0000001"
        assert openrouter.requests[0].headers["x-title"] == "My app"

    def test_a_box_is_a_place_in_the_image(self, openrouter: ScriptedOpenRouter):
        edges = {"top": 0.1, "left": 0.2, "bottom": 0.5, "right": 0.6}
        openrouter.add(decisions({"cat": {"type": "box", "box": edges}}), path=PATH)
        response = ask(LFMDecisions(), state=[IMAGE], questions={"cat": Box(instructions="Where is the cat?")})
        assert response.boxes["cat"].box.model_dump() == edges
        assert response.boxes["cat"].confidence is None

    def test_cached_tokens_and_answers_of_unknown_types_are_kept(self, openrouter: ScriptedOpenRouter):
        usage = {"input_tokens": 9, "output_tokens": 0, "input_tokens_details": {"cached_tokens": 4}}
        openrouter.add(decisions({"q": 1, "more": {"type": "span", "start": 3}}, usage=usage), path=PATH)
        response = ask(LFMDecisions(), questions={"q": Noul(instructions="?")})
        assert response.usage["input_token_details"] == {"cache_read": 4}
        assert response.other_answers == {"more": {"type": "span", "start": 3}}

    def test_a_trace_has_the_model_and_the_tokens(self, openrouter: ScriptedOpenRouter):
        class Tracer(BaseTracer):
            def _persist_run(self, run: Any) -> None:
                runs.append(run)

        runs: list[Any] = []
        openrouter.add(decisions(ANSWERS), path=PATH)
        ask(LFMDecisions(), config={"callbacks": [Tracer()]})
        (run,) = runs
        assert (run.run_type, run.error) == ("llm", None)
        assert run.extra["metadata"].items() >= {"ls_provider": "openrouter", "ls_model_name": "liquid/d1.2"}.items()

    def test_a_decision_is_in_the_ledger(self, openrouter: ScriptedOpenRouter, tmp_path: Path):
        ledger = Ledger(tmp_path / "ledger.db")
        ask(LFMDecisions(ledger=ledger))
        assert [(call.model, call.status) for call in ledger.calls()] == [("liquid/d1.2", "ok")]


class TestState:
    def test_a_message_is_sent_in_wire_form(self, openrouter: ScriptedOpenRouter):
        assert sent_state(openrouter, HumanMessage("Hi")) == {"role": "user", "content": "Hi"}

    def test_messages_are_found_at_any_depth(self, openrouter: ScriptedOpenRouter):
        call = {"name": "pay", "args": {"sum": 3}, "id": "call_1", "type": "tool_call"}
        state = {
            "messages": [
                SystemMessage("Be kind."), AIMessage("", tool_calls=[call]), ToolMessage("Ok", tool_call_id="call_1"),
            ],
            "tool_call": {"id": "call_1", "name": "pay", "args": {"sum": 3}},
        }  # fmt: skip
        sent = sent_state(openrouter, state)
        assert [message["role"] for message in sent["messages"]] == ["system", "assistant", "tool"]
        assert sent["messages"][1]["tool_calls"][0]["function"] == {"name": "pay", "arguments": '{"sum": 3}'}
        assert sent["messages"][2]["tool_call_id"] == "call_1"
        assert sent["tool_call"]["args"] == {"sum": 3}

    def test_images_of_messages_are_moved_to_the_top_for_openrouter(self, openrouter: ScriptedOpenRouter):
        sent = sent_state(openrouter, [HumanMessage(["What is it?", IMAGE])])
        assert sent[-1] == PART
        assert all(isinstance(item, str) for item in sent[:-1])
        assert "iVBOR" not in "".join(sent[:-1])
        assert "What is it?" in sent[0]

    def test_images_beside_texts_keep_their_place(self, openrouter: ScriptedOpenRouter):
        assert sent_state(openrouter, ["Before:", IMAGE, "After?"]) == ["Before:", PART, "After?"]

    @pytest.mark.parametrize(
        "block",
        [
            {"type": "audio", "base64": "UklGRg==", "mime_type": "audio/wav"},
            {"type": "image", "url": "https://example.com/cat.png"},
        ],
    )
    def test_media_that_cannot_be_sent_are_refused(self, openrouter: ScriptedOpenRouter, block: Any):
        for state in ([block], HumanMessage([block])):
            with pytest.raises(errors.ConfigurationError):
                ask(LFMDecisions(), state=state)
        assert openrouter.requests == []


class TestQuestions:
    def test_questions_are_sent_as_openrouter_takes_them(self, openrouter: ScriptedOpenRouter):
        ask(LFMDecisions())
        assert openrouter.requests[0].body["questions"] == {
            "refund": {
                "type": "noul",
                "instructions": "Is it about a refund?",
                "criteria": {"true": "asks for money back", "false": "Anything else."},
            },
            "team": {
                "type": "choice",
                "instructions": "Which team?",
                "criteria": {"billing": "payments", "other": None},
            },
            "anger": {"type": "score", "instructions": "How angry?", "criteria": ["calm", "annoyed", "furious"]},
        }

    def test_questions_may_be_plain_objects(self, openrouter: ScriptedOpenRouter):
        response = ask(LFMDecisions(), questions={"q": {"type": "noul", "instructions": "?"}})
        assert response.nouls["q"].noul == 0.5

    @pytest.mark.parametrize("questions", [{}, {"q": {"type": "nuol", "instructions": "?"}}, {"q": 7}])
    def test_invalid_questions_are_refused(self, openrouter: ScriptedOpenRouter, questions: Any):
        with pytest.raises(errors.ConfigurationError):
            ask(LFMDecisions(), questions=questions)
        assert openrouter.requests == []


class TestByChat:
    MODEL = "liquid/lfm-3-1.7b"

    def test_a_chat_model_answers_by_log_probabilities(self, openrouter: ScriptedOpenRouter):
        top = [{"token": "Yes", "logprob": -0.1}, {"token": "No", "logprob": -3.0}]
        openrouter.add(completion("Yes", choice={"logprobs": {"content": [{"token": "Yes", "top_logprobs": top}]}}))
        response = ask(LFMDecisions(model=self.MODEL, via="chat"), questions={"q": Noul(instructions="?")})
        assert response.nouls["q"].noul == pytest.approx(0.948, abs=0.001)
        assert response.calibrated is False

    def test_answers_without_probabilities_raise_with_the_reply(self, openrouter: ScriptedOpenRouter):
        openrouter.add(completion("Yes"), completion('{"q": true}'))
        with pytest.raises(errors.InvalidDecisionError, match="returned no log probabilities") as caught:
            ask(LFMDecisions(model=self.MODEL, via="chat"), questions={"q": Noul(instructions="?")})
        assert caught.value.reply is not None
        assert caught.value.reply.nouls["q"].yes


class TestErrors:
    @pytest.mark.parametrize("way", WAYS)
    def test_errors_are_langchains_too(self, openrouter: ScriptedOpenRouter, way: str):
        openrouter.add(failure("rate limit per day"), path=PATH)
        with pytest.raises(errors.RateLimitError) as caught:
            ask(LFMDecisions(), way)
        assert isinstance(caught.value, lc.ModelRateLimitError)

    def test_answer_that_does_not_fit_raises_with_the_reply(self, openrouter: ScriptedOpenRouter):
        openrouter.add(decisions({"refund": 0.97}), path=PATH)
        with pytest.raises(errors.InvalidDecisionError, match="the answer to 'team' is missing") as caught:
            ask(LFMDecisions())
        assert isinstance(caught.value, lc.ModelAPIError)
        assert caught.value.reply is not None
        assert caught.value.reply.nouls["refund"].noul == 0.97

    def test_a_state_that_is_too_long_is_langchains_overflow(self, openrouter: ScriptedOpenRouter):
        with pytest.raises(lc.ContextOverflowError):
            ask(LFMDecisions(), state="so long " * 40_000)
        assert openrouter.requests == []


class TestFields:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"model": "lfm-3-1.7b"}, "is a chat model, not a decision model. Use `client.chat"),
            ({"model": "liquid/lfm-2.5-embedding-350m:free"}, "is an embedding model, not a decision model"),
            ({"timeout": -1}, "`timeout` must be a positive number of seconds"),
            ({"temperature": 1}, "`LFMDecisions` has no argument `temperature`"),
            ({"rout": "alpha"}, "Did you mean `route`"),
        ],
    )
    def test_wrong_arguments_are_refused_at_once(self, arguments: dict[str, Any], message: str):
        with pytest.raises((errors.ConfigurationError, ValidationError)) as caught:
            LFMDecisions(**arguments)
        assert message in str(caught.value)

    def test_fields_become_those_of_the_request(self, openrouter: ScriptedOpenRouter):
        given: dict[str, Any] = {
            "provider": {"only": ["liquid"]},
            "user": "ada",
            "session_id": "s",
            "trace": {"trace_id": "t"},
        }
        ask(LFMDecisions(model="d1-ultra", route="systemone", **given, extra_body={"seed": 1}))
        (request,) = openrouter.requests
        assert request.path == "/systemone"
        assert request.body.items() >= {"model": "liquid/d1-ultra", "seed": 1, **given}.items()

    def test_key_is_a_secret_and_from_the_environment(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("OPENROUTER_API_KEY", "sk-or-v1-0123456789abcdef")
        model = LFMDecisions(default_headers={"X-Token": "hidden"})
        assert model.api_key is not None
        assert "sk-or-v1" not in repr(model) + str(model.model_dump()) + model.model_dump_json()
        assert "hidden" not in repr(model) + str(model.model_dump())

    def test_subclass_keeps_the_key_of_the_environment(self, monkeypatch: pytest.MonkeyPatch):
        class Router(LFMDecisions):
            pass

        monkeypatch.setenv("OPENROUTER_API_KEY", "sk-or-v1-0123456789abcdef")
        assert Router().api_key is not None
        assert "hidden" not in repr(Router(default_headers={"X-Token": "hidden"}))

    def test_key_of_liquid_goes_to_liquids_own_api(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("LIQUID_API_KEY", "liquid_0123456789abcdef")
        monkeypatch.setenv("OPENROUTER_API_KEY", "sk-or-v1-0123456789abcdef")
        with ScriptedOpenRouter(path="/api.liquid.ai/decisions/v1") as server:
            ask(LFMDecisions(base_url=server.base_url))
        (request,) = server.requests
        assert (request.headers["authorization"], request.body["model"]) == ("Bearer liquid_0123456789abcdef", "d1.2")

    def test_key_of_the_environment_is_not_sent_to_other_servers(
        self, server: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setenv("OPENROUTER_API_KEY", "sk-or-v1-0123456789abcdef")
        ask(LFMDecisions(base_url=server.base_url))
        assert "authorization" not in server.requests[0].headers

    def test_each_field_is_documented(self):
        shared = {"name", *CommonOptions.__dataclass_fields__}
        assert LFMDecisions.model_fields.keys() - shared == {*documented(LFMDecisions)} - {"model", "default_headers"}

    def test_model_survives_copies_pickle_and_langchains_serialization(self, openrouter: ScriptedOpenRouter):
        model = LFMDecisions(model="d1-ultra", timeout=5)
        for other in (copy.deepcopy(model), model.model_copy(), pickle.loads(pickle.dumps(model))):  # noqa: S301
            assert ask(other).model == "liquid/d1-ultra"
        dumped = dumpd(model)
        assert "test-key" not in str(dumped)
        again = load(dumped, secrets_map={"OPENROUTER_API_KEY": "test-key"}, valid_namespaces=["lfm_adapter"],
                     allowed_objects=[LFMDecisions])  # fmt: skip
        assert (type(again), again.model, again.timeout) == (LFMDecisions, "d1-ultra", 5)

    def test_is_a_decision_model_of_langchain(self):
        assert issubclass(LFMDecisions, BaseDecisionModel)


class TestModelRouterMiddleware:
    @pytest.mark.parametrize("is_async", [False, True])
    @pytest.mark.parametrize(("route", "model"), [("easy", "liquid/lfm-3-1.7b"), ("hard", "liquid/lfm-2.5-2.6b:free")])
    def test_router_sends_each_turn_to_the_chosen_model(
        self, openrouter: ScriptedOpenRouter, route: str, model: str, is_async: bool
    ):
        choices = {
            "easy": ModelChoice(ChatLFM(model="liquid/lfm-3-1.7b"), "small talk"),
            "hard": ModelChoice(ChatLFM(model="liquid/lfm-2.5-2.6b:free"), "reasoning"),
        }
        router = ModelRouterMiddleware(choices=choices, instructions="Which model?", classifier=LFMDecisions())
        agent = create_agent(ChatLFM(model="liquid/lfm-3-1.7b"), middleware=[router])
        openrouter.add(decisions({"model_route": {"easy": 0.1, "hard": 0.1} | {route: 0.9}}), path=PATH)
        openrouter.add(completion("Hello."))
        asked: Any = {"messages": [HumanMessage("Hi there")]}
        done = asyncio.run(agent.ainvoke(asked)) if is_async else agent.invoke(asked)
        decision, chat = openrouter.requests
        assert decision.body["state"] == {"role": "user", "content": "Hi there"}
        assert chat.body["model"] == model
        assert done["model_route"].choice == route


@tool
def delete(path: str) -> str:
    """Delete a file."""
    return f"Deleted {path}."


class TestAutoModeMiddleware:
    @pytest.mark.parametrize("is_async", [False, True])
    @pytest.mark.parametrize(("risk", "result"), [(0.97, "was blocked"), (0.03, "Deleted a.txt.")])
    def test_auto_mode_blocks_only_the_risky_call(
        self, openrouter: ScriptedOpenRouter, risk: float, result: str, is_async: bool
    ):
        guard = AutoModeMiddleware(tools=[delete], classifier=LFMDecisions())
        agent = create_agent(ChatLFM(model="liquid/lfm-2.5-2.6b:free"), tools=[delete], middleware=[guard])
        openrouter.add(completion(None, tool_calls=[tool_call("delete", {"path": "a.txt"})]), completion("Done."))
        openrouter.add(decisions({"is_risky": risk}), path=PATH)
        asked: Any = {"messages": [HumanMessage("Clean up.")]}
        done = asyncio.run(agent.ainvoke(asked)) if is_async else agent.invoke(asked)
        answer = next(message for message in done["messages"] if isinstance(message, ToolMessage))
        assert result in answer.text
        state = openrouter.requests[1].body["state"]
        assert [message["role"] for message in state["messages"]] == ["user", "assistant"]
        assert state["tool_call"] == {"id": "call_1", "name": "delete", "args": {"path": "a.txt"}}
        assert state["tool_description"] == "Delete a file."
