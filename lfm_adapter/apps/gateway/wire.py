"""Writes replies in OpenRouter's format: whole, and as the chunks of a stream."""

from __future__ import annotations

import json
import time
import uuid
from json.encoder import encode_basestring
from typing import TYPE_CHECKING

from lfm_adapter._openrouter.surrogates import joined_halves

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfm_adapter.apps.gateway.errors import GatewayError
    from lfm_adapter.types import Choice, Delta, JSONDict, Reply, ToolCall

DONE = b"data: [DONE]\n\n"

to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def encoded(text: str) -> bytes:
    """Return text as UTF-8. Surrogates, which LiteLLM and clients may pass on, are joined or become U+FFFD."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return joined_halves(text).encode()


def event_of(body: JSONDict) -> bytes:
    """Return an event of a stream."""
    return encoded(f"data: {to_json(body)}\n\n")


def completion_of(reply: Reply, model: str) -> JSONDict:
    """Return a whole reply as the body of a chat completion.

    Args:
        reply: The reply.
        model: The model that was asked, for replies without `model`.
    """
    return {
        **reply.extra,
        "id": reply.id or _new_id(),
        "object": "chat.completion",
        "created": reply.created or int(time.time()),
        **_facts(reply, model),
        "choices": [
            {
                "index": index,
                "message": {
                    "role": "assistant",
                    "content": _content(choice),
                    "refusal": choice.refusal,
                    **_more(choice),
                },
                "logprobs": choice.logprobs,
                "finish_reason": choice.finish_reason,
                "native_finish_reason": choice.native_finish_reason,
            }
            for index, choice in enumerate(reply.choices)
        ],
    }


class ChunkWriter:
    """Writes the events of one stream.

    Args:
        model: The model for all chunks but the last, which has that of the reply.
    """

    def __init__(self, model: str) -> None:
        self._model = model
        self._created = int(time.time())
        self._id: str | None = None
        self._begin = self._finish = ""
        self._roles: set[int] = set()

    def events(self, deltas: Sequence[Delta]) -> bytes:
        """Return the events for deltas, and the end of the stream after a delta with the reply."""
        if self._id is None:
            self._start(deltas[0].generation_id)
        events = encoded("".join([self._event(delta) for delta in deltas]))
        return events if deltas[-1].reply is None else events + DONE

    def error(self, error: GatewayError) -> bytes:
        """Return the events for an error in the middle of a stream."""
        choices = [{"index": 0, "delta": {"content": ""}, "finish_reason": "error", "native_finish_reason": None}]
        body = {**self._head(), "choices": choices, **error.body()}
        return event_of(body) + DONE

    def _head(self) -> JSONDict:
        return {
            "id": self._id or _new_id(),
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": self._model,
        }

    def _start(self, generation_id: str | None) -> None:
        self._id = generation_id or _new_id()
        self._begin = f'data: {to_json(self._head())[:-1]},"choices":[{{"index":'
        self._finish = ',"finish_reason":null,"native_finish_reason":null}]}\n\n'

    def _event(self, delta: Delta) -> str:
        if delta.reply is not None:
            return self._last(delta.reply)
        first = "" if delta.index in self._roles else '"role":"assistant",'
        self._roles.add(delta.index)
        if delta.reasoning or delta.tool_calls or delta.refusal or delta.reasoning_details or delta.logprobs:
            fields = first + to_json(_delta_fields(delta))[1:-1]
            logprobs = to_json(delta.logprobs) if delta.logprobs else "null"
        else:  # most events have only text, and formatting them takes a third of the time of `to_json`
            fields = f'{first}"content":{encode_basestring(delta.text)}'
            logprobs = "null"
        return f'{self._begin}{delta.index},"delta":{{{fields}}},"logprobs":{logprobs}{self._finish}'

    def _last(self, reply: Reply) -> str:
        """Return the last event, with the facts that were not streamed. Each choice has an entry."""
        choices = [
            {
                "index": index,
                "delta": ({} if index in self._roles else {"role": "assistant"})
                | {"content": ""}
                | _unstreamed(choice),
                "logprobs": None,
                "finish_reason": choice.finish_reason,
                "native_finish_reason": choice.native_finish_reason,
            }
            for index, choice in enumerate(reply.choices)
        ]
        body = {**reply.extra, **self._head(), **_facts(reply, self._model), "choices": choices}
        return f"data: {to_json(body)}\n\n"


def _facts(reply: Reply, model: str) -> JSONDict:
    facts: JSONDict = {"model": reply.model or model, "provider": reply.provider}
    facts |= {"system_fingerprint": reply.system_fingerprint, "service_tier": reply.service_tier}
    facts = {name: fact for name, fact in facts.items() if fact is not None}
    if reply.usage is not None:
        facts["usage"] = dict(reply.usage)
        if reply.cost is not None and reply.usage.get("cost") is None:
            facts["usage"]["cost"] = float(reply.cost.total)
    return facts


def _content(choice: Choice) -> str | list[JSONDict] | None:
    if choice.parts:
        return [{"type": "text", "text": choice.text}, *choice.parts] if choice.text else choice.parts
    return choice.text or (None if choice.tool_calls or choice.refusal else "")


def _more(choice: Choice) -> JSONDict:
    """Return the other fields of a message. Apps read the reasoning by either of two names."""
    fields = {
        "reasoning": choice.reasoning,
        "reasoning_content": choice.reasoning,
        "reasoning_details": choice.reasoning_details,
        "tool_calls": [_call(call) for call in choice.tool_calls],
    }
    return {name: value for name, value in fields.items() if value} | _unstreamed(choice)


def _unstreamed(choice: Choice) -> JSONDict:
    fields = {"annotations": choice.annotations, "images": choice.images, "audio": choice.audio}
    return {**choice.extra, **{name: value for name, value in fields.items() if value}}


def _delta_fields(delta: Delta) -> JSONDict:
    fields: JSONDict = {"content": delta.text or None if delta.tool_calls else delta.text}
    if delta.reasoning:
        fields["reasoning"] = fields["reasoning_content"] = delta.reasoning
    if delta.reasoning_details:
        fields["reasoning_details"] = delta.reasoning_details
    if delta.refusal:
        fields["refusal"] = delta.refusal
    if delta.tool_calls:
        fields["tool_calls"] = [_call(call) for call in delta.tool_calls]
    return fields


def _call(call: ToolCall) -> JSONDict:
    function: JSONDict = {"arguments": call.arguments} if call.name is None else {
        "name": call.name, "arguments": call.arguments,
    }  # fmt: skip
    piece: JSONDict = {"index": call.index, "function": function}
    return piece if call.id is None else {"index": call.index, "id": call.id, "type": "function", "function": function}


def _new_id() -> str:
    return f"gen-{uuid.uuid4().hex}"
