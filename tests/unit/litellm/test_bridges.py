"""LiteLLM's other APIs over our provider: OpenAI's responses, Anthropic's messages."""

from __future__ import annotations

import importlib.metadata
import json
from typing import Any

import litellm
import pytest

from lfm_adapter.testing import completion, stream, token_usage, tool_call
from tests.support.litellm_ways import MESSAGES, run

IS_1_81 = importlib.metadata.version("litellm").startswith("1.81.")
needs_later = pytest.mark.skipif(IS_1_81, reason="1.81's responses() does not support custom providers")
needs_thinking = pytest.mark.skipif(IS_1_81, reason="1.81's anthropic_messages() knows no thinking of custom providers")

streamed = stream  # for tests with a parameter of that name
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


def _blocks(text: str) -> list[dict[str, Any]]:
    events = [json.loads(line.removeprefix("data:")) for line in text.splitlines() if line.startswith("data:")]
    return [event["content_block"] for event in events if event["type"] == "content_block_start"]


@needs_thinking
def test_messages_api_streams_one_thinking_block_before_text_and_calls(openrouter_server):
    call = tool_call("weather", {"city": "Oslo"})
    openrouter_server.add(stream(["Let ", "me."], reasoning=["Rain", "?"], tool_calls=[call], usage=USAGE))
    tool = {"name": "weather", "description": "Weather.", "input_schema": TOOL["parameters"]}
    asked = litellm.anthropic_messages(
        model="lfm/lfm-2.5-2.6b:free", messages=MESSAGES, max_tokens=50, tools=[tool], stream=True
    )
    text = b"".join(run(collected(asked))).decode()
    assert [block["type"] for block in _blocks(text)] == ["thinking", "text", "tool_use"]
    assert text.count('"Rain"') == 1


@needs_thinking
def test_thinking_that_messages_api_sends_back_is_sent_once(openrouter_server):
    openrouter_server.add(completion("Yes."))
    said = [{"type": "thinking", "thinking": "Hm.", "signature": ""}, {"type": "text", "text": "Yes."}]
    turns = [*MESSAGES, {"role": "assistant", "content": said}, {"role": "user", "content": "Sure?"}]
    run(litellm.anthropic_messages(model="lfm/lfm-2.5-2.6b:free", messages=turns, max_tokens=50))
    assert openrouter_server.requests[-1].body["messages"][1] == {
        "role": "assistant", "content": "Yes.", "reasoning": "Hm.",
    }  # fmt: skip


@pytest.mark.parametrize("model", ["lfm/lfm-3-1.7b", "openrouter/liquid/lfm-3-1.7b"])
def test_thinking_of_messages_api_reaches_a_model_that_reasons(openrouter_server, model):
    openrouter_server.add(completion("Yes."))
    where = {"api_base": openrouter_server.base_url, "api_key": "test-key"} if model.startswith("openrouter/") else {}
    thinking = {"type": "enabled", "budget_tokens": 2_000}
    run(litellm.anthropic_messages(model=model, messages=MESSAGES, max_tokens=4_000, thinking=thinking, **where))
    body = openrouter_server.requests[-1].body
    assert {"reasoning", "reasoning_effort", "thinking"} & body.keys()


@needs_later
@pytest.mark.parametrize("stream", [False, True])
def test_effort_of_responses_api_reaches_a_model_that_reasons(openrouter_server, stream):
    openrouter_server.add(streamed(["Yes."]) if stream else completion("Yes."))
    reasoning = {"effort": "low", "summary": "auto"}
    response = litellm.responses(model="lfm/lfm-3-1.7b", input="Hi", reasoning=reasoning, stream=stream)
    if stream:
        assert [*response]
    assert openrouter_server.requests[-1].body["reasoning_effort"] == "low"


@needs_later
def test_web_search_that_responses_api_only_lists_is_not_asked_for(openrouter_server):
    openrouter_server.add(completion("Hello."))
    litellm.responses(model="lfm/lfm-3-1.7b", input="Hi", tools=[{"type": "web_search"}])
    assert "web_search_options" not in openrouter_server.requests[-1].body
