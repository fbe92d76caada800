"""Replies in the shapes that OpenRouter sends, with made-up content.

The shapes follow https://openrouter.ai/docs/api-reference/overview, .../streaming and .../errors, and what was seen on
the wire in 2025 and 2026: whitespace before a JSON body, `: OPENROUTER PROCESSING` comments, four ways to end a stream.
Replies are immutable, so one may stand in a decorator and be sent many times.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from lfm_adapter.testing._reply import ScriptedReply, compact_json, json_reply

__all__ = [
    "COMMENT",
    "CREATED",
    "DONE",
    "GENERATION_ID",
    "PADDING",
    "chunk",
    "completion",
    "error",
    "error_in_200",
    "error_in_choice",
    "events",
    "midstream_error",
    "stream",
    "token_usage",
    "tool_call",
]

GENERATION_ID = "gen-1790000000-ScriptedReply0000001"
CREATED = 1790000000
PADDING = b"\n         \n"  # what OpenRouter sends to keep a connection alive until it has the JSON body
COMMENT = b": OPENROUTER PROCESSING\n\n"
DONE = b"data: [DONE]\n\n"

Object = Mapping[str, Any]
Ending = Literal["A", "B", "C", "usage_in_finish"]


def token_usage(
    prompt_tokens: int = 9,
    completion_tokens: int = 5,
    *,
    cost: float | None = 2.8e-07,
    reasoning_tokens: int = 0,
    cached_tokens: int = 0,
) -> dict[str, Any]:
    """Return a `usage` object. `cost` is in US$; the default is these tokens at $0.02 per million."""
    prompt = {"cached_tokens": cached_tokens, "cache_write_tokens": 0, "audio_tokens": 0, "video_tokens": 0}
    costs = ("upstream_inference_prompt_cost", "upstream_inference_completions_cost")
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
        "cost": cost,
        "is_byok": False,
        "prompt_tokens_details": prompt,
        "cost_details": {"upstream_inference_cost": cost, **dict.fromkeys(costs)},
        "completion_tokens_details": {"reasoning_tokens": reasoning_tokens, "image_tokens": 0, "audio_tokens": 0},
    }


USAGE: Object = token_usage()


def tool_call(name: str, arguments: Object | str | None, *, call_id: str = "call_1") -> dict[str, Any]:
    """Return a tool call for a message. A string goes out as it is, valid JSON or not."""
    text = arguments if arguments is None or isinstance(arguments, str) else compact_json(arguments).decode()
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": text}}


def completion(
    text: str | None = "Hello.",
    *,
    model: str = "liquid/lfm-3b",
    reasoning: str | None = None,
    tool_calls: Sequence[Object] = (),
    refusal: str | None = None,
    usage: Object | None = USAGE,
    finish_reason: str | None = None,
    native_finish_reason: str | None = None,
    provider: str | None = "Liquid",
    padding: bytes = b"",
    logprobs: Object | None = None,
    message: Object | None = None,
    headers: Mapping[str, str] | None = None,
    **top_level: Any,
) -> ScriptedReply:
    """Return a whole answer. `message` and `top_level` add keys or replace them; `usage=None` leaves the object out."""
    finish = finish_reason or ("tool_calls" if tool_calls else "stop")
    spoken: dict[str, Any] = {"role": "assistant", "content": text, "refusal": refusal, "reasoning": reasoning}
    if reasoning is not None:
        spoken["reasoning_details"] = [_reasoning_text(reasoning)]
    if tool_calls:
        spoken["tool_calls"] = [{"index": index, **call} for index, call in enumerate(tool_calls)]
    choice = {
        "index": 0,
        "logprobs": logprobs,
        "finish_reason": finish,
        "native_finish_reason": native_finish_reason or finish,
        "message": {**spoken, **(message or {})},
    }
    body = _envelope("chat.completion", model, provider, [choice])
    if usage is not None:
        body["usage"] = usage
    return json_reply(body | top_level, padding=padding, headers=_generation_header(headers))


def chunk(
    delta: Object | None = None,
    *,
    model: str = "liquid/lfm-3b",
    provider: str | None = "Liquid",
    finish_reason: str | None = None,
    native_finish_reason: str | None = None,
    **top_level: Any,
) -> dict[str, Any]:
    """Return one event of a stream, as an object for `events`. `delta=None` makes it one without choices."""
    choice = {
        "index": 0,
        "delta": delta,
        "finish_reason": finish_reason,
        "native_finish_reason": native_finish_reason or finish_reason,
    }
    return _envelope("chat.completion.chunk", model, provider, [] if delta is None else [choice]) | top_level


def events(
    *items: Object | bytes,
    comments: int = 0,
    done: bool = True,
    headers: Mapping[str, str] | None = None,
) -> ScriptedReply:
    """Return a stream of `items`, one part each: objects become `data:` events, bytes go out as they are."""
    encoded = [item if isinstance(item, bytes) else b"data: " + compact_json(item) + b"\n\n" for item in items]
    parts = (*[COMMENT] * comments, *encoded, *[DONE] * done)
    stream_headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
    return ScriptedReply(200, stream_headers | _generation_header(headers), parts)


def stream(
    pieces: Sequence[str] | str = ("Hel", "lo."),
    *,
    ending: Ending = "C",
    reasoning: Sequence[str] = (),
    tool_calls: Sequence[Object] = (),
    refusal: Sequence[str] = (),
    model: str = "liquid/lfm-3b",
    provider: str | None = "Liquid",
    usage: Object = USAGE,
    finish_reason: str | None = None,
    native_finish_reason: str | None = None,
    comments: int = 1,
    done: bool = True,
    headers: Mapping[str, str] | None = None,
    **top_level: Any,
) -> ScriptedReply:
    """Return a streamed answer, one part an event: comments, reasoning, text, refusal, tool calls, the end.

    `ending` says where `usage` stands, as OpenRouter has changed it over time: "A", until January 2026, an event of its
    own with an unfinished choice; "B", March 2026, with no choices; "C", since June 2026, with the finish repeated;
    "usage_in_finish", in the event that finishes. `top_level` adds keys to every event, or replaces them.
    """
    same: dict[str, Any] = {"model": model, "provider": provider} | top_level
    deltas: list[Object] = [
        {"content": "", "role": "assistant", "reasoning": text, "reasoning_details": [_reasoning_text(text)]}
        for text in reasoning
    ]
    deltas += [{"content": text, "role": "assistant"} for text in ([pieces] if isinstance(pieces, str) else pieces)]
    deltas += [{"content": "", "role": "assistant", "refusal": text} for text in refusal]
    for index, call in enumerate(tool_calls):
        deltas += _tool_call_deltas(index, call)
    finish = finish_reason or ("tool_calls" if tool_calls else "stop")
    finished: dict[str, Any] = same | {"finish_reason": finish, "native_finish_reason": native_finish_reason or finish}
    nothing = {"content": "", "role": "assistant"}
    last: dict[Ending, list[dict[str, Any]]] = {
        "A": [chunk(nothing, **finished), chunk(nothing, **same, usage=usage)],
        "B": [chunk(nothing, **finished), chunk(None, **same, usage=usage)],
        "C": [chunk(nothing, **finished), chunk(nothing, **finished, service_tier=None, usage=usage)],
        "usage_in_finish": [chunk(nothing, **finished, usage=usage)],
    }
    items = [*(chunk(delta, **same) for delta in deltas), *last[ending]]
    return events(*items, comments=comments, done=done, headers=headers)


def error(
    status: int,
    message: str,
    *,
    code: int | str | None = None,
    metadata: Object | None = None,
    headers: Mapping[str, str] | None = None,
    **top_level: Any,
) -> ScriptedReply:
    """Return an error with its HTTP status. `code` is what the body says instead, where the two differ."""
    body = {"error": _failure(status if code is None else code, message, metadata), **top_level}
    return json_reply(body, status=status, headers=_generation_header(headers))


def error_in_200(
    code: int | str, message: str, *, metadata: Object | None = None, padding: bytes = b""
) -> ScriptedReply:
    """Return an error after the headers had gone out: HTTP 200, and no choices."""
    body = {"id": GENERATION_ID, "error": _failure(code, message, metadata)}
    return json_reply(body, padding=padding, headers=_generation_header(None))


def error_in_choice(code: int | str, message: str, *, text: str = "", metadata: Object | None = None) -> ScriptedReply:
    """Return an error in the choice, beside the text so far."""
    choice = {
        "index": 0,
        "finish_reason": "error",
        "native_finish_reason": "error",
        "error": _failure(code, message, metadata),
        "message": {"role": "assistant", "content": text, "refusal": None, "reasoning": None},
    }
    body = _envelope("chat.completion", "liquid/lfm-3b", "Liquid", [choice])
    return json_reply(body, headers=_generation_header(None))


def midstream_error(
    pieces: Sequence[str],
    code: int | str,
    message: str,
    *,
    metadata: Object | None = None,
    finish_reason: str | None = "error",
    done: bool = False,
) -> ScriptedReply:
    """Return a stream of `pieces` and then an event with an error, after which OpenRouter closes it."""
    failed = chunk({"content": ""}, finish_reason=finish_reason, error=_failure(code, message, metadata))
    spoken = (chunk({"content": text, "role": "assistant"}) for text in pieces)
    return events(*spoken, failed, done=done)


def _tool_call_deltas(index: int, call: Object) -> list[Object]:
    """Return the call with its name, and then its arguments in three pieces, as providers stream them."""
    function = call["function"]
    arguments = function["arguments"] or ""
    third = len(arguments) // 3 + 1
    pieces = [arguments[start : start + third] for start in range(0, len(arguments), third)]
    opened = {**call, "index": index, "function": {**function, "arguments": ""}}
    grown = [{"index": index, "function": {"arguments": piece}} for piece in pieces]
    return [{"content": None, "role": "assistant", "tool_calls": [part]} for part in (opened, *grown)]


def _envelope(kind: str, model: str, provider: str | None, choices: list[dict[str, Any]]) -> dict[str, Any]:
    body: dict[str, Any] = {"id": GENERATION_ID, "object": kind, "created": CREATED, "model": model}
    if provider is not None:
        body["provider"] = provider
    return body | {"choices": choices}


def _reasoning_text(text: str) -> Object:
    return {"type": "reasoning.text", "text": text, "format": "unknown", "index": 0}


def _failure(code: int | str, message: str, metadata: Object | None) -> Object:
    return {"message": message, "code": code} | ({} if metadata is None else {"metadata": metadata})


def _generation_header(headers: Mapping[str, str] | None) -> dict[str, str]:
    return {"X-Generation-Id": GENERATION_ID, **(headers or {})}
