"""Fake models that have no tools of their own, or let calls slip into the text; else as `scripted_model` has them.

`prompted_model` plays LFM-3B, as if it were served still: it finds tools, schemas and results in the prompt alone, and
answers in text. `leaking_model` plays a model with native tools that writes its calls in LFM2's syntax into the text.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lfm_adapter import catalog
from tests.support.scripted_model import SERVED, Answer, respond

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lfm_adapter.testing import RecordedRequest, ScriptedReply

__all__ = ["PROMPTED", "assert_tools_went_by_prompt", "leaking_model", "prompted_model"]

PROMPTED = "liquid/lfm-3b"

Object = dict[str, Any]

_MODELS = {name: catalog.get(name) for name in (PROMPTED, "liquid/lfm-7b")}
_NATIVE_ONLY = ("tools", "tool_choice", "parallel_tool_calls", "response_format")
_TOOLS = re.compile(r"<tools>\n(.*?)\n</tools>", re.DOTALL)
_CALL = re.compile(r"<tool_call>(.*?)</tool_call>", re.DOTALL)
_RESULT = re.compile(r"<tool_response>(.*?)</tool_response>", re.DOTALL)
_NAMED = re.compile(r"You must make .* call of `(.*?)` now")
_SCHEMA = re.compile(r"It must fit this JSON schema.*?:\n(\{.*)", re.DOTALL)


def prompted_model(request: RecordedRequest) -> ScriptedReply:
    """Answer `POST /chat/completions` as LFM-3B did. For `ScriptedOpenRouter(default=prompted_model)`."""
    return respond(request, _MODELS, hears=_heard, speaks=_in_json)


def leaking_model(request: RecordedRequest) -> ScriptedReply:
    """Answer as a model whose server does not know its calls. For `ScriptedOpenRouter(default=leaking_model)`."""
    return respond(request, SERVED, speaks=_in_lfm2)


def assert_tools_went_by_prompt(requests: Iterable[RecordedRequest]) -> None:
    """LFM-3B alone was asked; it was told of tools in the prompt, and then of what came of its call."""
    bodies = [request.body for request in requests]
    assert {body["model"] for body in bodies} == {PROMPTED}
    assert not [body for body in bodies if "tools" in body]
    prompts = [json.dumps(body["messages"]) for body in bodies]
    assert [prompt for prompt in prompts if "<tools>" in prompt and "<tool_response>" in prompt]


def _heard(body: Object) -> Object:
    """The request with native tools that the prompt means."""
    assert not [name for name in _NATIVE_ONLY if name in body], "LFM-3B has no such parameters"
    system = "\n".join(_text(message) for message in body["messages"] if message["role"] in {"system", "developer"})
    heard: Object = {**body, "messages": _conversation(body["messages"])}
    if tools := _TOOLS.search(system):
        functions = [json.loads(line) for line in tools[1].splitlines()]
        heard["tools"] = [{"type": "function", "function": function} for function in functions]
    if named := _NAMED.search(system):
        heard["tool_choice"] = {"type": "function", "function": {"name": named[1]}}
    elif "You must call" in system:
        heard["tool_choice"] = "required"
    if "exactly one" in system or "one call at most" in system:
        heard["parallel_tool_calls"] = False
    if schema := _SCHEMA.search(system):
        heard["response_format"] = {"type": "json_schema", "json_schema": {"schema": json.loads(schema[1])}}
    elif "It must be one JSON object" in system:
        heard["response_format"] = {"type": "json_object"}
    return heard


def _conversation(messages: list[Object]) -> list[Object]:
    heard: list[Object] = []
    waiting: list[str] = []
    for message in messages:
        assert message["role"] != "tool", "LFM-3B knows no such role"
        assert "tool_calls" not in message, "LFM-3B knows no such field"
        text = _text(message)
        if message["role"] == "assistant" and (calls := _CALL.findall(text)):
            waiting = [f"call_{len(heard)}_{place}" for place in range(len(calls))]
            functions = [json.loads(call) for call in calls]
            heard.append({"role": "assistant", "content": None, "tool_calls": [
                {"id": call_id, "type": "function",
                 "function": {"name": function["name"], "arguments": json.dumps(function["arguments"])}}
                for call_id, function in zip(waiting, functions, strict=True)
            ]})  # fmt: skip
        elif message["role"] == "user" and (results := _RESULT.findall(text)):
            for call_id, result in zip(waiting, results, strict=True):
                content = json.loads(result)["result"]
                told = content if isinstance(content, str) else json.dumps(content)
                heard.append({"role": "tool", "tool_call_id": call_id, "content": told})
        else:
            heard.append(message)
    return heard


def _in_json(answer: Answer) -> Answer:
    calls = [_function(call) for call in answer.calls]
    return _spoken(answer, [f"<tool_call>{json.dumps(call, ensure_ascii=False)}</tool_call>" for call in calls])


def _in_lfm2(answer: Answer) -> Answer:
    calls = [
        f"{call['name']}({', '.join(f'{name}={value!r}' for name, value in call['arguments'].items())})"
        for call in map(_function, answer.calls)
    ]
    return _spoken(answer, [f"<|tool_call_start|>[{', '.join(calls)}]<|tool_call_end|>"] if calls else [])


def _spoken(answer: Answer, lines: list[str]) -> Answer:
    if not lines:
        return answer
    pieces = re.findall(r"\s*\S{1,4}|\s+", "\n".join(lines))
    return replace(answer, text=[*answer.text, *pieces], calls=[], finish_reason="stop")


def _function(call: Object) -> Object:
    function = call["function"]
    return {"name": function["name"], "arguments": json.loads(function["arguments"])}


def _text(message: Object) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else "\n".join(part.get("text", "") for part in content)
