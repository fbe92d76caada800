"""LangChain's agents run their whole loop, whichever way the model is asked for calls."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from langchain.agents import create_agent
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain_core.messages import AIMessage, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import BaseModel

from lfm_adapter import ChatLFM
from lfm_adapter.testing import ScriptedOpenRouter
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
