"""LangChain's agents run their whole loop, whichever way the model is asked for calls."""

from __future__ import annotations

import asyncio
import tomllib
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import ModelFallbackMiddleware, ModelRefusalMiddleware
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain.chat_models import base as langchain_providers
from langchain.chat_models import init_chat_model
from langchain_core.messages import AIMessage, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import BaseModel

from lfm_adapter import ChatLFM
from lfm_adapter.errors import ConfigurationError
from lfm_adapter.langchain import register
from lfm_adapter.testing import ScriptedOpenRouter, completion, stream, tool_call
from tests.support.prompted_model import PROMPTED, leaking_model, prompted_model
from tests.support.scripted_model import openrouter_like

if TYPE_CHECKING:
    from collections.abc import Iterator

NATIVE = "liquid/lfm-2.5-2.6b:free"
MODELS = {
    "native": (NATIVE, openrouter_like),
    "leaking": (NATIVE, leaking_model),
    "prompted": (PROMPTED, prompted_model),
}


def get_weather(city: str) -> str:
    """Tell the weather in a city."""
    return f"Rain in {city}."


def get_time(city: str) -> str:
    """Tell the time in a city."""
    return f"Noon in {city}."


class Forecast(BaseModel):
    """A forecast."""

    city: str
    degrees: int


@pytest.fixture(params=MODELS)
def llm(request: pytest.FixtureRequest) -> Iterator[ChatLFM]:
    model, responder = MODELS[request.param]
    with ScriptedOpenRouter(default=responder, path="/api/v1") as server:
        yield ChatLFM(model=model, base_url=server.base_url, api_key="test-key")


def ask(agent: Any, way: str, question: str, **config: Any) -> list[Any]:
    asked = {"messages": [("user", question)]}
    match way:
        case "invoke":
            return agent.invoke(asked, **config)["messages"]
        case "ainvoke":
            return asyncio.run(agent.ainvoke(asked, **config))["messages"]
        case _:
            return list(agent.stream(asked, stream_mode="values", **config))[-1]["messages"]


@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream"])
def test_agent_calls_its_tools_and_uses_their_results(llm: ChatLFM, way: str):
    agent = create_agent(llm, tools=[get_weather, get_time])
    messages = ask(agent, way, "Use get_weather and get_time for 'Oslo'.")
    calls = [message for message in messages if isinstance(message, AIMessage) and message.tool_calls]
    assert [call["name"] for call in calls[0].tool_calls] == ["get_weather", "get_time"]
    results = [message for message in messages if isinstance(message, ToolMessage)]
    assert [(result.name, result.status) for result in results] == [("get_weather", "success"), ("get_time", "success")]
    assert messages[-1].text == f"The tool says: {results[-1].text}"


def test_agent_remembers(llm: ChatLFM):
    agent = create_agent(llm, tools=[get_weather], checkpointer=InMemorySaver())
    config = {"config": {"configurable": {"thread_id": "1"}}}
    ask(agent, "invoke", "Use get_weather for 'Oslo'.", **config)
    messages = ask(agent, "invoke", "Use get_weather for 'Rome'.", **config)
    results = [message.text for message in messages if isinstance(message, ToolMessage)]
    assert results == ["Rain in Oslo.", "Rain in Rome."]


@pytest.mark.parametrize("strategy", [ToolStrategy, ProviderStrategy])
def test_agent_ends_in_an_object(llm: ChatLFM, strategy: Any):
    agent = create_agent(llm, tools=[], response_format=strategy(Forecast))
    answer = agent.invoke({"messages": [("user", "The forecast for 'Oslo' is 8 degrees.")]})
    assert isinstance(answer["structured_response"], Forecast)


@pytest.fixture
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(langchain_providers, "_BUILTIN_PROVIDERS", {**langchain_providers._BUILTIN_PROVIDERS})
    register()


@pytest.mark.usefixtures("_registered")
def test_registered_name_makes_a_model_in_langchain(openrouter: ScriptedOpenRouter):
    model = init_chat_model("lfm:liquid/lfm-2.5-2.6b:free", temperature=0.1)
    assert isinstance(model, ChatLFM)
    assert (model.model, model.temperature) == ("liquid/lfm-2.5-2.6b:free", 0.1)
    assert init_chat_model("lfm-3b", model_provider="lfm").model == "lfm-3b"
    openrouter.add(completion("Hello."), completion("Hello."))
    assert (
        init_chat_model(configurable_fields="any")
        .invoke("Hi", {"configurable": {"model": "lfm:liquid/lfm-3-1.7b"}})
        .text
        == "Hello."
    )
    assert create_agent("lfm:liquid/lfm-3-1.7b").invoke({"messages": ["Hi"]})["messages"][-1].text == "Hello."
    assert openrouter.requests[-1].body["model"] == "liquid/lfm-3-1.7b"


def test_registration_says_so_where_langchain_has_no_table(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delattr(langchain_providers, "_BUILTIN_PROVIDERS")
    with pytest.raises(ConfigurationError, match="Pass a `ChatLFM`"):
        register()


def test_deepagents_finds_the_registration():
    """As deepagents 0.7 reads it: https://pypi.org/project/deepagents/."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))["project"]
    module, _, name = project["entry-points"]["deepagents.provider_profiles"]["lfm_adapter"].partition(":")
    assert getattr(import_module(module), name) is register


@pytest.mark.parametrize("streamed", [False, True])
def test_refusal_makes_middleware_ask_the_fallback(openrouter: ScriptedOpenRouter, streamed: bool):
    refusal = stream([], refusal=["I can", "not."]) if streamed else completion(None, refusal="I cannot.")
    openrouter.add(refusal, stream(["It ", "rains."]) if streamed else completion("It rains."))
    second = ChatLFM(model="liquid/lfm-3-1.7b", streaming=streamed or None)
    agent = create_agent(
        ChatLFM(model=NATIVE, streaming=streamed or None),
        middleware=[ModelFallbackMiddleware(second), ModelRefusalMiddleware()],
    )
    assert agent.invoke({"messages": ["How is the weather?"]})["messages"][-1].text == "It rains."
    assert [request.body["model"] for request in openrouter.requests] == [NATIVE, "liquid/lfm-3-1.7b"]


@pytest.mark.parametrize("streamed", [False, True])
def test_thread_goes_on_after_a_call_that_was_cut_off(openrouter: ScriptedOpenRouter, streamed: bool):
    broken = tool_call("get_weather", '{"city": "Par')
    facts: dict[str, Any] = {"tool_calls": [broken], "finish_reason": "length"}
    openrouter.add(
        stream([], **facts) if streamed else completion(None, **facts),
        stream(["It ", "rains."]) if streamed else completion("It rains."),
    )
    agent = create_agent(ChatLFM(model=NATIVE, streaming=streamed or None), [get_weather], checkpointer=InMemorySaver())
    thread: Any = {"configurable": {"thread_id": "1"}}
    (*_, cut) = agent.invoke({"messages": ["How is the weather?"]}, thread)["messages"]
    assert (cut.tool_calls, len(cut.invalid_tool_calls)) == ([], 1)
    assert agent.invoke({"messages": ["Well?"]}, thread)["messages"][-1].text == "It rains."
    messages = openrouter.requests[-1].body["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "tool", "user"]
    assert messages[1]["tool_calls"][0]["function"]["arguments"] == "{}"
