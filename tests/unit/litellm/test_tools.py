"""LiteLLM's `tools` and `response_format` on models without them, and tool calls that a model wrote as text."""

from __future__ import annotations

import importlib.metadata
import json
from typing import Any

import litellm
import pytest
from pydantic import BaseModel

from lfm_adapter.testing import completion, stream
from tests.support.litellm_ways import ALL_WAYS, PLAIN, STREAMED, ask, failure

IS_1_81 = importlib.metadata.version("litellm").startswith("1.81.")

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
CALL = '<tool_call>{"name": "weather", "arguments": {"city": "Oslo"}}</tool_call>'
LEAK = '<|tool_call_start|>[weather(city="Oslo")]<|tool_call_end|>'


class Person(BaseModel):
    name: str
    age: int


def says(way: str, text: str) -> Any:
    return completion(text) if way in PLAIN else stream([text[at : at + 5] for at in range(0, len(text), 5)])


def calls_of(response: Any) -> list[tuple[str, Any]]:
    calls = response.choices[0].message.tool_calls or []
    return [(call.function.name, json.loads(call.function.arguments)) for call in calls]


@pytest.mark.parametrize("way", ALL_WAYS)
def test_prompted_tools_are_called(openrouter_server, way):
    openrouter_server.add(says(way, f"Let me see.\n{CALL}"))
    response = ask(way, tools=[WEATHER], tool_choice="auto")
    assert calls_of(response) == [("weather", {"city": "Oslo"})]
    assert response.choices[0].message.content == "Let me see."
    if not (IS_1_81 and way in STREAMED):  # its stream_chunk_builder makes each finish reason "stop"
        assert response.choices[0].finish_reason == "tool_calls"
    body = openrouter_server.requests[0].body
    assert not {"tools", "tool_choice"} & body.keys()
    assert "weather" in body["messages"][0]["content"]


@pytest.mark.parametrize("way", ALL_WAYS)
def test_tool_call_in_text_is_recovered(openrouter_server, way):
    openrouter_server.add(says(way, LEAK))
    response = ask(way, model="lfm/lfm-2.5-2.6b:free", tools=[WEATHER])
    assert calls_of(response) == [("weather", {"city": "Oslo"})]
    assert openrouter_server.requests[0].body["tools"] == [WEATHER]


@pytest.mark.parametrize("way", ALL_WAYS)
def test_tool_calling_can_be_set_per_call(openrouter_server, way):
    openrouter_server.add(says(way, LEAK))
    response = ask(way, model="lfm/lfm-2.5-2.6b:free", tools=[WEATHER], tool_calling="prompted")
    assert calls_of(response) == [("weather", {"city": "Oslo"})]
    assert "tools" not in openrouter_server.requests[0].body


@pytest.mark.parametrize("way", ALL_WAYS)
def test_required_tool_call_is_retried(openrouter_server, way):
    openrouter_server.add(says(way, "No."), says(way, CALL))
    response = ask(way, tools=[WEATHER], tool_choice="required")
    assert calls_of(response) == [("weather", {"city": "Oslo"})]
    assert response.choices[0].message.provider_specific_fields["output_retries"] == 1
    assert response.usage.prompt_tokens == 18


@pytest.mark.parametrize("way", ALL_WAYS)
def test_prompted_schema_is_followed(openrouter_server, way):
    openrouter_server.add(says(way, "Sure:\n```json\n{'name': 'Ada', 'age': 36,}\n```"))
    response = ask(way, response_format=Person)
    assert Person.model_validate_json(response.choices[0].message.content) == Person(name="Ada", age=36)
    body = openrouter_server.requests[0].body
    assert "response_format" not in body
    assert '"age"' in body["messages"][0]["content"]


@pytest.mark.parametrize("way", ALL_WAYS)
def test_answer_that_breaks_the_schema_raises_with_partial(openrouter_server, way):
    openrouter_server.add(says(way, "Ada?"), says(way, "Ada!"))
    error = failure(way, response_format=Person)
    assert isinstance(error, litellm.exceptions.APIResponseValidationError)
    assert error.partial.text == "Ada!"


def test_tool_results_are_sent_back_as_text(openrouter_server):
    openrouter_server.add(says("completion", CALL), says("completion", "Rain."))
    messages: list[Any] = [{"role": "user", "content": "Weather in Oslo?"}]
    called = ask("completion", messages=messages, tools=[WEATHER]).choices[0].message
    messages += [called, {"role": "tool", "tool_call_id": called.tool_calls[0].id, "content": "Rain"}]
    assert ask("completion", messages=messages, tools=[WEATHER]).choices[0].message.content == "Rain."
    sent = openrouter_server.requests[1].body["messages"]
    assert [message["role"] for message in sent] == ["system", "user", "assistant", "user"]
    assert "Rain" in sent[-1]["content"]


@pytest.mark.parametrize("way", ALL_WAYS)
def test_invalid_tool_call_has_a_reason(openrouter_server, way):
    openrouter_server.add(*[says(way, CALL.replace("city", "town"))] * 2)
    message = ask(way, tools=[WEATHER]).choices[0].message
    (call,) = message.tool_calls
    assert json.loads(call.function.arguments) == {"town": "Oslo"}
    assert "'city' is a required property" in message.provider_specific_fields["tool_call_errors"][call.id]
