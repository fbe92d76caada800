"""LangChain's messages to wire messages."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessage, BaseMessage, ChatMessage, HumanMessage, SystemMessage, ToolMessage

from lfm_adapter._json import as_dict, dicts
from lfm_adapter.errors import ConfigurationError
from lfm_adapter.langchain._parts import to_parts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lfm_adapter.types import JSONDict

__all__ = ["to_wire"]


def to_wire(messages: Sequence[BaseMessage]) -> list[JSONDict]:
    """Return messages in the form in which OpenRouter takes them.

    Raises:
        ConfigurationError: A message, or a part of one, has no such form.
    """
    return [wire for message in messages for wire in _messages_to_wire(message)]


def _messages_to_wire(message: BaseMessage) -> Iterator[JSONDict]:
    results = list(_tool_results(message))
    yield from results
    content = to_parts(message.content, assistant=isinstance(message, AIMessage))
    if results and not content:
        return
    wire: JSONDict = {"role": _role(message), "content": content}
    if isinstance(message, ToolMessage):
        wire["tool_call_id"] = message.tool_call_id
    elif message.name:
        wire["name"] = message.name
    if isinstance(message, AIMessage):
        _add_assistant_fields(message, wire)
    yield wire


def _tool_results(message: BaseMessage) -> Iterator[JSONDict]:
    """Yield what Anthropic's histories carry inside a human message: the results of tools."""
    if isinstance(message, HumanMessage):
        for block in dicts(message.content):
            if block.get("type") == "tool_result":
                content = to_parts(block.get("content") or "")
                yield {"role": "tool", "content": content, "tool_call_id": block.get("tool_use_id", "")}


def _role(message: BaseMessage) -> str:
    if isinstance(message, HumanMessage):
        return "user"
    if isinstance(message, AIMessage):
        return "assistant"
    if isinstance(message, ToolMessage):
        return "tool"
    if isinstance(message, SystemMessage):
        # The convention by which LangChain marks OpenAI's "developer" messages.
        return str(message.additional_kwargs.get("__openai_role__", "system"))
    if isinstance(message, ChatMessage):
        return message.role
    raise ConfigurationError(
        f"A {type(message).__name__} cannot be sent to a chat model. Use a human, AI, system or tool message."
    )


def _add_assistant_fields(message: AIMessage, wire: JSONDict) -> None:
    calls = [_call(call["id"], call["name"], _arguments(call["args"])) for call in message.tool_calls]
    calls += [_call(call["id"], call["name"], call["args"] or "") for call in message.invalid_tool_calls]
    if calls:
        wire["tool_calls"] = calls
        wire["content"] = wire["content"] or None
    more = message.additional_kwargs
    details = more.get("reasoning_details") or _details_in_content(message.content)
    if details:
        wire["reasoning_details"] = details
    elif more.get("reasoning_content"):
        wire["reasoning"] = more["reasoning_content"]
    if more.get("refusal"):
        wire["refusal"] = more["refusal"]


def _call(call_id: str | None, name: str | None, arguments: str) -> JSONDict:
    return {"id": call_id or "", "type": "function", "function": {"name": name or "", "arguments": arguments}}


def _arguments(arguments: JSONDict) -> str:
    text = json.dumps(arguments, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # a model wrote half of a surrogate pair, which only an escape can carry back to it
        return json.dumps(arguments)
    return text


def _details_in_content(content: str | list[Any]) -> list[JSONDict]:
    """Return the blocks that v1 content carries in the extras of its reasoning."""
    return [
        detail
        for block in dicts(content)
        if block.get("type") == "reasoning"
        for detail in dicts(as_dict(block.get("extras")).get("reasoning_details"))
    ]
