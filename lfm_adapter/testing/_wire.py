"""Replies in the shapes that OpenRouter sends, with made-up content.

The shapes follow https://openrouter.ai/docs/api-reference/overview, .../streaming and .../errors, and what was seen on
the wire in 2025 and 2026: whitespace before a JSON body, `: OPENROUTER PROCESSING` comments, four ways to end a stream.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from lfm_adapter.testing._reply import REQUESTED_MODEL, ScriptedReply, compact_json, json_reply

GENERATION_ID = "gen-1790000000-ScriptedReply0000001"
CREATED = 1790000000
PADDING = b"\n         \n"  # what OpenRouter sends to keep a connection alive until it has the JSON body
COMMENT = b": OPENROUTER PROCESSING\n\n"
DONE = b"data: [DONE]\n\n"

Object = Mapping[str, Any]


def token_usage(
    prompt_tokens: int = 9,
    completion_tokens: int = 5,
    *,
    cost: float | None = 2.8e-07,
    reasoning_tokens: int = 0,
    cached_tokens: int = 0,
) -> dict[str, Any]:
    """Return a `usage` object.

    Args:
        prompt_tokens: Tokens of the prompt.
        completion_tokens: Tokens of the answer, including `reasoning_tokens`.
        cost: US$; the default is that of the default tokens at $0.02 per million.
        reasoning_tokens: Tokens of the reasoning.
        cached_tokens: Tokens of the prompt that were read from a cache.
    """
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
    """Return a tool call for `completion` or `stream`.

    Args:
        name: The tool.
        arguments: An object, or a string that is sent unchanged, whether it is valid JSON or not.
        call_id: The id of the call.
    """
    text = arguments if arguments is None or isinstance(arguments, str) else compact_json(arguments).decode()
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": text}}


def completion(
    text: str | None = "Hello.",
    *,
    reasoning: str | None = None,
    tool_calls: Sequence[Object] = (),
    refusal: str | None = None,
    usage: Object | None = USAGE,
    finish_reason: str | None = None,
    native_finish_reason: str | None = None,
    padding: bytes = b"",
    message: Object | None = None,
    choice: Object | None = None,
    headers: Mapping[str, str] | None = None,
    **top_level: Any,
) -> ScriptedReply:
    """Return a whole answer from the requested model.

    Args:
        text: The answer.
        reasoning: The reasoning.
        tool_calls: Objects from `tool_call`.
        refusal: The text of a refusal.
        usage: An object from `token_usage`; None leaves it out.
        finish_reason: Default: "tool_calls" if there are any, else "stop".
        native_finish_reason: The provider's own reason. Default: `finish_reason`.
        padding: Whitespace before the JSON.
        message: Keys to add to the message or to replace in it.
        choice: Keys to add to the choice or to replace in it.
        headers: Headers to add or replace.
        **top_level: Keys to add to the body or to replace in it: `model="liquid/lfm-3b"`, `provider=None`.
    """
    finish = finish_reason or ("tool_calls" if tool_calls else "stop")
    spoken: dict[str, Any] = {"role": "assistant", "content": text, "refusal": refusal, "reasoning": reasoning}
    if reasoning is not None:
        spoken["reasoning_details"] = [_reasoning_text(reasoning)]
    if tool_calls:
        spoken["tool_calls"] = [{"index": index, **call} for index, call in enumerate(tool_calls)]
    given = {"message": {**spoken, **(message or {})}, "logprobs": None, **(choice or {})}
    body = _envelope("chat.completion", [_finish(finish, native_finish_reason) | given])
    if usage is not None:
        body["usage"] = usage
    return json_reply(body | top_level, padding=padding, headers=_with_id(headers))


def chunk(
    delta: Object | None = None,
    *,
    finish_reason: str | None = None,
    native_finish_reason: str | None = None,
    **top_level: Any,
) -> dict[str, Any]:
    """Return one event of a stream, as an object for `events`.

    Args:
        delta: The delta of the only choice; None makes an event without choices.
        finish_reason: Why the choice ended.
        native_finish_reason: The provider's own reason. Default: `finish_reason`.
        **top_level: Keys to add to the event or to replace in it.
    """
    choices = [] if delta is None else [_finish(finish_reason, native_finish_reason) | {"delta": delta}]
    return _envelope("chat.completion.chunk", choices) | top_level


def events(*items: Object | bytes, done: bool = True, headers: Mapping[str, str] | None = None) -> ScriptedReply:
    """Return a stream of events.

    Args:
        *items: Objects, which become `data:` events, and bytes, which are sent unchanged. Each is one part.
        done: Whether to end with `[DONE]`.
        headers: Headers to add or replace.
    """
    encoded = [item if isinstance(item, bytes) else b"data: " + compact_json(item) + b"\n\n" for item in items]
    stream_headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache", **_with_id(headers)}
    return ScriptedReply(200, stream_headers, (*encoded, *[DONE] * done))


def stream(
    *pieces: str | Sequence[str],
    ending: Literal["A", "B", "C", "usage_in_finish"] = "C",
    reasoning: Sequence[str] = (),
    tool_calls: Sequence[Object] = (),
    refusal: Sequence[str] = (),
    usage: Object | None = USAGE,
    finish_reason: str | None = None,
    native_finish_reason: str | None = None,
    comments: int = 1,
    done: bool = True,
    headers: Mapping[str, str] | None = None,
    **top_level: Any,
) -> ScriptedReply:
    """Return a streamed answer from the requested model, one part per event.

    Args:
        *pieces: The text, in strings or a list of strings: `stream("Par", "is.")`; `stream([])` has no text.
        ending: Where `usage` is, as OpenRouter has sent it: "A" (until January 2026) in an event with an unfinished
            choice, "B" (March 2026) in one without choices, "C" (since June 2026) in one that repeats the finish
            reason, "usage_in_finish" in the event with the finish reason.
        reasoning: The reasoning, which comes before the text.
        tool_calls: As in `completion`; after the text and the refusal.
        refusal: The text of a refusal, which comes after the text.
        usage: As in `completion`.
        finish_reason: As in `completion`.
        native_finish_reason: As in `completion`.
        comments: How many comments to send first.
        done: Whether to end with `[DONE]`.
        headers: As in `completion`.
        **top_level: Keys to add to each event or to replace in it.
    """
    texts = [text for piece in pieces or ("Hel", "lo.") for text in ([piece] if isinstance(piece, str) else piece)]
    deltas: list[Object] = [
        {"content": "", "role": "assistant", "reasoning": text, "reasoning_details": [_reasoning_text(text)]}
        for text in reasoning
    ]
    deltas += [{"content": text, "role": "assistant"} for text in texts]
    deltas += [{"content": "", "role": "assistant", "refusal": text} for text in refusal]
    for index, call in enumerate(tool_calls):
        deltas += _tool_call_deltas(index, call)
    reason = finish_reason or ("tool_calls" if tool_calls else "stop")
    finish: dict[str, Any] = {"finish_reason": reason, "native_finish_reason": native_finish_reason}
    empty = {"content": "", "role": "assistant"}
    finished = chunk(empty, **finish)
    last = {
        "A": [finished, chunk(empty, usage=usage)],
        "B": [finished, chunk(None, usage=usage)],
        "C": [finished, chunk(empty, **finish, service_tier=None, usage=usage)],
        "usage_in_finish": [finished | {"usage": usage}],
    }
    ended = [finished] if usage is None else last[ending]
    items = [item | top_level for item in (*map(chunk, deltas), *ended)]
    return events(*[COMMENT] * comments, *items, done=done, headers=headers)


def error(
    status: int,
    message: str,
    *,
    code: int | str | None = None,
    metadata: Object | None = None,
    headers: Mapping[str, str] | None = None,
    padding: bytes = b"",
    **top_level: Any,
) -> ScriptedReply:
    """Return an error as OpenRouter sends it.

    Args:
        status: The HTTP status; 200 for an error after the headers were sent.
        message: The text of the error.
        code: Default: the status.
        metadata: OpenRouter's details, such as `{"provider_name": "Liquid"}`.
        headers: Headers to add or replace.
        padding: Whitespace before the JSON.
        **top_level: Keys beside `error`.
    """
    failed = {"message": message, "code": status if code is None else code, "metadata": metadata}
    if metadata is None:
        del failed["metadata"]
    return json_reply({"error": failed, **top_level}, status=status, headers=_with_id(headers), padding=padding)


def error_in_choice(code: int | str, message: str, *, text: str = "", **more: Any) -> ScriptedReply:
    """Return an error in the choice, beside the text so far."""
    failed = {"error": {"message": message, "code": code, **more}}
    return completion(text, finish_reason="error", choice=failed, usage=None)


def midstream_error(
    pieces: Sequence[str], code: int | str, message: str, *, finish_reason: str | None = "error", **more: Any
) -> ScriptedReply:
    """Return a stream of `pieces` and then an event with an error, after which OpenRouter closes it."""
    failed = {"message": message, "code": code, **more}
    spoken = (chunk({"content": text, "role": "assistant"}) for text in pieces)
    return events(*spoken, chunk({"content": ""}, finish_reason=finish_reason, error=failed), done=False)


def _tool_call_deltas(index: int, call: Object) -> list[Object]:
    """Return the call with its name, and then its arguments in three pieces, as providers stream them."""
    function = call["function"]
    arguments = function["arguments"] or ""
    third = len(arguments) // 3 + 1
    pieces = [arguments[start : start + third] for start in range(0, len(arguments), third)]
    opened = {**call, "index": index, "function": {**function, "arguments": ""}}
    grown = [{"index": index, "function": {"arguments": piece}} for piece in pieces]
    return [{"content": None, "role": "assistant", "tool_calls": [part]} for part in (opened, *grown)]


def _envelope(kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
    head = {"id": GENERATION_ID, "object": kind, "created": CREATED}
    return head | {"model": REQUESTED_MODEL, "provider": "Liquid", "choices": choices}


def _finish(reason: str | None, native: str | None) -> dict[str, Any]:
    return {"index": 0, "finish_reason": reason, "native_finish_reason": native or reason}


def _reasoning_text(text: str) -> Object:
    return {"type": "reasoning.text", "text": text, "format": "unknown", "index": 0}


def _with_id(headers: Mapping[str, str] | None) -> Mapping[str, str]:
    return {"X-Generation-Id": GENERATION_ID, **(headers or {})}
