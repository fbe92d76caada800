"""Reads streams in tests as the clients do, and keeps all that came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from lfm_adapter._openrouter.failure import RequestContext
from lfm_adapter._openrouter.response import BodyReader, ReplyReader
from lfm_adapter.errors import APIError
from lfm_adapter.types import Choice, Delta, Reply, ToolCall

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "ASKED",
    "Reading",
    "cut_at",
    "is_event_stream",
    "joined",
    "read_json",
    "read_reply",
    "read_stream",
    "stream_reader",
]

ASKED = RequestContext("liquid/lfm-3-1.7b", now_epoch_s=1_790_000_000.0)


@dataclass
class Reading:
    """What came of a stream: deltas, and then a reply or an error."""

    deltas: list[Delta] = field(default_factory=list)
    reply: Reply | None = None
    error: APIError | None = None

    @property
    def whole(self) -> Reply:
        """The reply of a stream that must have one."""
        assert self.reply is not None, self.error
        return self.reply

    @property
    def partial(self) -> Choice:
        """What stands in the error of a stream that must have failed after it began."""
        assert self.error is not None, self.reply
        assert isinstance(self.error.partial, Reply), self.error
        return self.error.partial.choices[0]


def read_stream(
    pieces: Iterable[bytes], asked: RequestContext = ASKED, headers: Mapping[str, str] | None = None
) -> Reading:
    """Read `pieces`, and then the end of the stream."""
    reading = Reading()
    reader = stream_reader(headers, asked)
    try:
        for piece in (*filter(None, pieces), b""):
            reading.deltas.extend(reader.feed(piece))
            if reader.result is not None:
                break
    except APIError as error:
        reader.complete_error(error)  # as the clients do
        reading.error = error
    reading.reply = reader.result
    return reading


def stream_reader(
    headers: Mapping[str, str] | None = None, asked: RequestContext = ASKED, **limits: int
) -> ReplyReader:
    """Return a reader for the bytes of a stream, of one choice or more."""
    content_type = {"content-type": "text/event-stream"}
    return ReplyReader(200, {**content_type, **(headers or {})}, asked, **{"is_single": False} | limits)


def is_event_stream(status: int, headers: Mapping[str, str]) -> bool:
    """Return whether a response is read as a stream."""
    return ReplyReader(status, headers, ASKED).events is not None


def read_reply(status: int, headers: Mapping[str, str], body: bytes, asked: RequestContext = ASKED) -> Reply:
    """Read a whole body as a reply."""
    return _read_whole(ReplyReader(status, headers, asked), body)


def read_json(status: int, headers: Mapping[str, str], body: bytes, asked: RequestContext = ASKED) -> dict[str, Any]:
    """Read a whole body as the JSON of a lookup."""
    return _read_whole(BodyReader(status, headers, asked), body)


def _read_whole(reader: BodyReader, body: bytes) -> Any:
    try:
        for chunk in (body, b"") if body else (b"",):
            if reader.result is None:
                list(reader.feed(chunk))
    except APIError as error:
        reader.complete_error(error)  # as the clients do
        raise
    return reader.result


def joined(deltas: Iterable[Delta], index: int = 0) -> Choice:
    """Return what a user has who joins the deltas of one choice by hand."""
    choice = Choice()
    calls: dict[int, ToolCall] = {}
    logprobs: dict[str, list[Any]] = {}
    refusal = ""
    for delta in deltas:
        if delta.index != index:
            continue
        choice.text += delta.text
        choice.reasoning += delta.reasoning
        refusal += delta.refusal
        for piece in delta.tool_calls:
            call = calls.setdefault(piece.index, ToolCall(piece.index, piece.id, None, ""))
            call.name = call.name or piece.name
            call.arguments += piece.arguments
        for key, tokens in (delta.logprobs or {}).items():
            logprobs.setdefault(key, []).extend(tokens)
    choice.refusal = refusal or None
    choice.tool_calls = [calls[place] for place in sorted(calls)]
    choice.logprobs = logprobs or None
    return choice


def cut_at(body: bytes, places: Iterable[int]) -> list[bytes]:
    """Cut `body` at the given places."""
    edges = sorted({0, len(body), *(place % (len(body) + 1) for place in places)})
    return [body[start:end] for start, end in pairwise(edges)]
