"""LiteLLM's other APIs over our provider: OpenAI's responses, Anthropic's messages."""

from __future__ import annotations

import importlib.metadata
from typing import Any

import litellm
import pytest

from lfm_adapter.testing import completion, stream, token_usage, tool_call
from tests.support.litellm_ways import MESSAGES, run

# There, 1.81 knows only its own providers.
needs_later = pytest.mark.skipif(
    importlib.metadata.version("litellm").startswith("1.81."),
    reason="1.81's responses() knows no provider of one's own",
)

USAGE = token_usage(18, 12, cost=3e-7)
TOOL = {"name": "weather", "description": "Weather.", "parameters": {"type": "object", "properties": {}}}


async def collected(asked: Any) -> list[Any]:
    return [item async for item in await asked]


@needs_later
@pytest.mark.parametrize("way", ["sync", "async"])
def test_responses_api_answers(openrouter_server, way):
    openrouter_server.add(completion("Hello.", usage=USAGE))
    call: dict[str, Any] = {"model": "lfm/lfm-3b", "input": "Hi"}
    response = litellm.responses(**call) if way == "sync" else run(litellm.aresponses(**call))
    assert response.output[-1].content[0].text == "Hello."
    assert (response.usage.input_tokens, response.usage.output_tokens) == (18, 12)
    assert openrouter_server.requests[-1].body["messages"] == [{"role": "user", "content": "Hi"}]


@needs_later
@pytest.mark.parametrize("way", ["sync", "async"])
def test_responses_api_streams(openrouter_server, way):
    openrouter_server.add(stream(["Hel", "lo."], usage=USAGE))
    call: dict[str, Any] = {"model": "lfm/lfm-3b", "input": "Hi", "stream": True}
    events = [*litellm.responses(**call)] if way == "sync" else run(collected(litellm.aresponses(**call)))
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == "Hello."
    assert events[-1].type == "response.completed"
    assert events[-1].response.usage.output_tokens == 12


@needs_later
def test_responses_api_calls_a_tool(openrouter_server):
    openrouter_server.add(completion(None, tool_calls=[tool_call("weather", {"city": "Oslo"})]))
    response = litellm.responses(
        model="lfm/lfm-2.5-2.6b:free", input="Hi", tools=[{"type": "function", **TOOL}], tool_choice="auto"
    )
    [call] = [item for item in response.output if item.type == "function_call"]
    assert (call.name, call.arguments, call.call_id) == ("weather", '{"city":"Oslo"}', "call_1")
    [tool] = openrouter_server.requests[-1].body["tools"]
    assert tool["function"]["name"] == "weather"


def test_messages_api_answers(openrouter_server):
    openrouter_server.add(completion("Hello.", usage=USAGE))
    response: Any = run(litellm.anthropic_messages(model="lfm/lfm-3b", messages=MESSAGES, max_tokens=50))
    assert response["content"][-1]["text"] == "Hello."
    assert (response["usage"]["input_tokens"], response["usage"]["output_tokens"]) == (18, 12)
    assert response["stop_reason"] == "end_turn"
    assert openrouter_server.requests[-1].body["max_tokens"] == 50


def test_messages_api_streams(openrouter_server):
    openrouter_server.add(stream(["Hel", "lo."], usage=USAGE))
    asked = litellm.anthropic_messages(model="lfm/lfm-3b", messages=MESSAGES, max_tokens=50, stream=True)
    text = b"".join(run(collected(asked))).decode()
    assert "Hel" in text
    assert "message_stop" in text
    assert '"output_tokens": 12' in text or '"output_tokens":12' in text


def test_messages_api_calls_a_tool(openrouter_server):
    openrouter_server.add(completion(None, tool_calls=[tool_call("weather", {"city": "Oslo"})]))
    tool = {"name": "weather", "description": "Weather.", "input_schema": TOOL["parameters"]}
    response: Any = run(
        litellm.anthropic_messages(model="lfm/lfm-2.5-2.6b:free", messages=MESSAGES, max_tokens=50, tools=[tool])
    )
    [use] = [block for block in response["content"] if block["type"] == "tool_use"]
    assert (use["name"], use["input"]) == ("weather", {"city": "Oslo"})
    assert response["stop_reason"] == "tool_use"
