"""LangChain's messages in OpenRouter's form.

Content blocks may be OpenAI's, LangChain's standard blocks (v1, and v0 before it) or Anthropic's, because histories
move from one model to another.
"""

from __future__ import annotations

import json
from mimetypes import guess_extension
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessage, BaseMessage, ChatMessage, HumanMessage, SystemMessage, ToolMessage

from lfm_adapter._json import as_dict, as_str, dicts, finite
from lfm_adapter._masking import shown
from lfm_adapter._openrouter.request import encode
from lfm_adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lfm_adapter.types import JSONDict

_ROLES: dict[type, str] = {HumanMessage: "user", AIMessage: "assistant", ToolMessage: "tool"}
_WIRE_PARTS = ("file", "image_url", "input_audio", "text", "video_url")

# OpenRouter's names of audio formats where they differ from the MIME type's
# (https://openrouter.ai/docs/features/multimodal/audio, read 2026-11-23).
_AUDIO_FORMATS = {"mpeg": "mp3", "mp4": "m4a", "vnd.wave": "wav", "wave": "wav", "x-m4a": "m4a", "x-wav": "wav"}


def to_wire(messages: Sequence[BaseMessage]) -> list[JSONDict]:
    """Return messages in OpenRouter's form.

    Raises:
        ConfigurationError: A message, or a part of one, has no such form.
    """
    wires: list[JSONDict] = []
    for message in messages:
        wires += _wire_messages(message)
        if isinstance(message, AIMessage) and message.invalid_tool_calls and message is not messages[-1]:
            # Some servers refuse a conversation in which a call has no result.
            answered = {other.tool_call_id for other in messages if isinstance(other, ToolMessage)}
            wires += [
                {"role": "tool", "content": call["error"] or "The call is invalid.", "tool_call_id": call["id"]}
                for call in message.invalid_tool_calls
                if call["id"] and call["id"] not in answered
            ]
    return wires


def _wire_messages(message: BaseMessage) -> Iterator[JSONDict]:
    results = list(_tool_results(message))
    yield from results
    content = _content(message.content, from_assistant=isinstance(message, AIMessage))
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
    """Yield the tool results that Anthropic's histories carry inside a human message."""
    if isinstance(message, HumanMessage):
        for block in dicts(message.content):
            if block.get("type") == "tool_result":
                content = _content(block.get("content") or "")
                yield {"role": "tool", "content": content, "tool_call_id": _string(block, "tool_use_id")}


def _role(message: BaseMessage) -> str:
    if isinstance(message, ChatMessage):
        return message.role
    if isinstance(message, SystemMessage):
        # LangChain's convention for OpenAI's "developer" messages.
        return as_str(message.additional_kwargs.get("__openai_role__")) or "system"
    for cls, role in _ROLES.items():
        if isinstance(message, cls):
            return role
    raise ConfigurationError(
        f"A {type(message).__name__} cannot be sent to a chat model. Use a human, AI, system or tool message."
    )


def _add_assistant_fields(message: AIMessage, wire: JSONDict) -> None:
    calls = [_call(call["id"], call["name"], _arguments(call["args"])) for call in message.tool_calls]
    calls += [_call(call["id"], call["name"], _valid(call["args"])) for call in message.invalid_tool_calls]
    if calls:
        wire["tool_calls"] = calls
        wire["content"] = wire["content"] or None
    more = message.additional_kwargs
    # Other providers may use these names for something else.
    if details := [*dicts(more.get("reasoning_details"))] or _reasoning_details(message.content):
        wire["reasoning_details"] = details
    elif reasoning := as_str(more.get("reasoning_content")):
        wire["reasoning"] = reasoning
    refusals = [block.get("refusal") for block in dicts(message.content) if block.get("type") == "refusal"]
    if refusal := as_str(more.get("refusal")) or as_str(next(iter(refusals), None)):
        wire["refusal"] = refusal


def _call(call_id: str | None, name: str | None, arguments: str) -> JSONDict:
    return {"id": call_id or "", "type": "function", "function": {"name": name or "", "arguments": arguments}}


def _valid(arguments: str | None) -> str:
    """Return the arguments of an invalid call: "{}" unless they are a JSON object, since some servers refuse others."""
    try:
        parsed = json.loads(arguments or "", strict=False, parse_constant=finite, parse_float=finite)
    except (ValueError, RecursionError):
        parsed = None
    return _arguments(parsed) if isinstance(parsed, dict) else "{}"


def _arguments(arguments: JSONDict) -> str:
    try:
        text = json.dumps(arguments, ensure_ascii=False, allow_nan=False)
    except (RecursionError, TypeError, ValueError):
        text = encode(arguments).decode()  # writes NumPy's numbers, and says what is wrong with others
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which only an escape can carry
        return json.dumps(arguments)
    return text


def _reasoning_details(content: str | list[Any]) -> list[JSONDict]:
    """Return OpenRouter's blocks, which v1 content carries in the extras of its reasoning."""
    return [
        detail
        for block in dicts(content)
        if block.get("type") == "reasoning"
        for detail in dicts(as_dict(block.get("extras")).get("reasoning_details"))
    ]


def _content(content: Any, *, from_assistant: bool = False) -> str | list[JSONDict]:
    """Return a message's content for the wire.

    Unknown parts of a user's message are sent for the server to judge. Those of an answer are dropped, since answers of
    other providers are full of them, and its texts are joined, since they may have been streamed in blocks.
    """
    if isinstance(content, str):
        return content
    if not isinstance(content, list) or not all(isinstance(block, str | dict) for block in content):
        raise ConfigurationError(
            f"Content must be a string or a list of strings and content blocks, got {shown(content)}."
        )
    try:
        parts = [_part(block) for block in content]
    except RecursionError:
        raise ConfigurationError("A content block is nested too deeply.") from None
    # Some providers refuse empty texts. Tool results become messages of their own.
    parts = [part for part in parts if part.get("text") != "" and part.get("type") != "tool_result"]
    if from_assistant:
        parts = [part for part in parts if part.get("type") in _WIRE_PARTS]
    is_plain = all(part.get("type") == "text" and part.keys() == {"type", "text"} for part in parts)
    if is_plain and (from_assistant or len(parts) <= 1):
        return "".join(part["text"] for part in parts)
    return parts


def _part(block: str | JSONDict) -> JSONDict:
    if isinstance(block, str):
        return {"type": "text", "text": block}
    match block.get("type"):
        case "text" | "input_text" | "output_text":
            return _text(_string(block, "text"), block)
        case "image_url" if isinstance(block.get("image_url"), str):
            return {"type": "image_url", "image_url": {"url": block["image_url"]}}
        case "image":
            return {"type": "image_url", "image_url": {"url": _url(block)}}
        case "audio":
            return {"type": "input_audio", "input_audio": _audio(block)}
        case "video":
            return {"type": "video_url", "video_url": {"url": _url(block)}}
        case "file" | "document" | "text-plain" if "file" not in block:
            return _file(block)
        case "non_standard" if isinstance(block.get("value"), dict):
            return _part(block["value"])
    return block


def _text(text: str, block: JSONDict) -> JSONDict:
    cache_control = block.get("cache_control") or as_dict(block.get("extras")).get("cache_control")
    part = {"type": "text", "text": text}
    return {**part, "cache_control": cache_control} if cache_control else part


def _audio(block: JSONDict) -> JSONDict:
    url = _string(block, "url")
    if url.startswith("data:"):
        mime_type, _, data = url.removeprefix("data:").partition(";base64,")
    else:
        mime_type, data = _string(block, "mime_type") or "audio/wav", _base64(block)
    if not data:
        raise ConfigurationError("OpenRouter accepts audio only as base64. Put the data into the block's `base64`.")
    kind = mime_type.partition("/")[2]
    return {"data": data, "format": _AUDIO_FORMATS.get(kind, kind)}


def _file(block: JSONDict) -> JSONDict:
    source = as_dict(block.get("source"))
    text = source.get("data") if source.get("type") == "text" else block.get("text")
    if isinstance(text, str):
        return _text(text, block)
    if block.get("file_id"):
        return {"type": "file", "file": {"file_id": block["file_id"]}}
    mime_type = _string(block, "mime_type") or _string(source, "media_type") or "application/pdf"
    name = _string(block, "filename") or _string(block, "title") or _string(as_dict(block.get("extras")), "filename")
    name = name or f"document{guess_extension(mime_type) or ''}"
    return {"type": "file", "file": {"filename": name, "file_data": _url(block)}}


def _url(block: JSONDict) -> str:
    source = as_dict(block.get("source"))
    url = _string(block, "url") or _string(source, "url")
    if url:
        return url
    data = _base64(block)
    if not data:
        raise ConfigurationError(f"A block of type {block['type']!r} must have `url` or `base64`.")
    mime_type = _string(block, "mime_type") or _string(source, "media_type") or "application/octet-stream"
    return f"data:{mime_type};base64,{data}"


def _base64(block: JSONDict) -> str:
    return _string(block, "base64") or _string(block, "data") or _string(as_dict(block.get("source")), "data")


def _string(block: JSONDict, key: str) -> str:
    """Return a value of a block; "" for none."""
    value = block.get(key)
    if value is None or isinstance(value, str):
        return value or ""
    raise ConfigurationError(f"`{key}` of a content block must be a string, got {type(value).__name__}.")
