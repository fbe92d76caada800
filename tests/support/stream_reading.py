"""Reads streams in tests as the clients do, and keeps all that came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from lfm_adapter._openrouter.failure import RequestContext
from lfm_adapter._openrouter.response import StreamReader
from lfm_adapter.errors import APIError
from lfm_adapter.types import Choice, Delta, Reply, ToolCall

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["ASKED", "Reading", "cut_at", "joined", "read_stream"]

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
    reader = StreamReader(asked, headers or {})
    try:
        for piece in (*filter(None, pieces), b""):
            reading.deltas.extend(reader.feed(piece))
            if reader.reply is not None:
                break
    except APIError as error:
        reading.error = error
    reading.reply = reader.reply
    return reading


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
