"""Reads replies: a body into a `Reply`, the bytes of a stream into `Delta`s.

It knows the ways in which a stream may end. Recorded: a finish chunk, then the usage in a chunk with one choice and no
finish reason (until January 2026), with `choices: []` (March 2026), or with the finish reason repeated (since June
2026), then `[DONE]`. So finish reasons may repeat, the last usage stands, and a stream is whole at `[DONE]`, or at the
end of its bytes once finish reason and usage have both come.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from lfm_adapter._json import as_str, parse
from lfm_adapter._openrouter.collect import Collector
from lfm_adapter._openrouter.failure import from_body, from_error
from lfm_adapter._openrouter.sse import DONE, MAX_EVENT_BYTES, EventDecoder
from lfm_adapter.errors import ResponseError, StreamInterruptedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lfm_adapter._openrouter.failure import RequestContext
    from lfm_adapter.errors import APIError
    from lfm_adapter.types import Delta, JSONDict, Reply

__all__ = ["StreamReader", "is_event_stream", "read_json", "read_reply", "too_large"]


def is_event_stream(status: int, headers: Mapping[str, str]) -> bool:
    """Tell whether a reply is the stream that was asked for; an error, or a proxy's answer, is a plain body."""
    return status == 200 and headers.get("content-type", "").lower().startswith("text/event-stream")


def too_large(max_bytes: float, status: int | None = None) -> ResponseError:
    """A reply is larger than its bound."""
    return ResponseError(f"The reply is larger than {max_bytes:,} bytes (`max_reply_bytes`).", status_code=status)


def read_json(status: int, headers: Mapping[str, str], body: bytes, asked: RequestContext) -> JSONDict:
    """Read the body of any endpoint.

    Raises:
        APIError: The status or the body says that the request failed, or the body is no JSON object.
    """
    data = _object(status, headers, body, asked)
    if data.get("error"):
        raise from_error(data["error"], asked, headers=headers, generation_id=as_str(data.get("id")))
    return data


def read_reply(status: int, headers: Mapping[str, str], body: bytes, asked: RequestContext) -> Reply:
    """Read the body of a plain chat completion.

    Raises:
        APIError: It is an error, whatever its status says, or no reply. `partial` holds what came with it.
    """
    collector = Collector()
    collector.add(_object(status, headers, body, asked))
    if collector.error is not None:
        raise _explained(collector, asked, headers)
    if not collector.has_content and not collector.finished:
        raise _nothing(asked, collector.generation_id)
    return collector.reply()


class StreamReader:
    """Reads one streamed reply.

    Attributes:
        reply: The whole reply, once the stream has come to its proper end.
        events: How many events with data have come; comments, which only keep the connection alive, do not count.
    """

    def __init__(
        self,
        asked: RequestContext,
        headers: Mapping[str, str],
        *,
        max_event_bytes: int = MAX_EVENT_BYTES,
        max_reply_bytes: float = math.inf,
    ) -> None:
        self.reply: Reply | None = None
        self.events = 0
        self._asked = asked
        self._headers = headers
        self._decoder = EventDecoder(max_event_bytes=max_event_bytes)
        self._collector = Collector()
        self._max_reply_bytes = max_reply_bytes
        self._bytes = 0

    @property
    def has_content(self) -> bool:
        """Whether the answer has begun, so that the request must not be sent again."""
        return self._collector.has_content

    def feed(self, chunk: bytes) -> Iterator[Delta]:
        """Take the next bytes, b"" for the end of the stream, and yield what they add, until `reply` is there.

        Raises:
            APIError: The stream holds an error, or ended too early. `partial` holds all that came.
        """
        self._bytes += len(chunk)
        try:
            if self._bytes > self._max_reply_bytes:
                raise too_large(self._max_reply_bytes)
            for data in self._decoder.feed(chunk) if chunk else self._decoder.close():
                self.events += 1
                if data == DONE:
                    self._end()
                    return
                yield from self._deltas(data, last=not chunk)
                if self._collector.error is not None:
                    raise _explained(self._collector, self._asked, self._headers)
        except ResponseError as error:
            self.attach_partial(error)
            raise
        if not chunk:
            if not (self._collector.finished and self._collector.usage):
                raise self._interrupted("The stream stopped before its end.")
            self._end()

    def attach_partial(self, error: APIError) -> None:
        """Put what came so far on an error that struck from outside, such as a broken connection."""
        error.partial = _partial(self._collector)
        error.generation_id = error.generation_id or self._generation_id
        error.provider = error.provider or self._collector.provider
        error.model = error.model or self._asked.model

    @property
    def _generation_id(self) -> str | None:
        return self._collector.generation_id or self._headers.get("x-generation-id")

    def _interrupted(self, why: str) -> StreamInterruptedError:
        error = StreamInterruptedError(why)
        self.attach_partial(error)
        return error

    def _deltas(self, data: bytes, *, last: bool) -> list[Delta]:
        chunk = parse(data)
        if isinstance(chunk, dict):
            return self._collector.add(chunk)
        if last or not data.strip():  # cut off by the end of the stream, or sent to keep the connection open
            return []
        raise ResponseError("An event of the stream is no JSON object.")

    def _end(self) -> None:
        collector = self._collector
        if not collector.finished:
            if collector.has_content:
                raise self._interrupted("The stream ended without a finish reason.")
            raise _nothing(self._asked, self._generation_id)
        self.reply = collector.reply()


def _object(status: int, headers: Mapping[str, str], body: bytes, asked: RequestContext) -> JSONDict:
    """Return the JSON object that is the body of a success."""
    if not 200 <= status < 300:
        raise from_body(status, headers, body, asked)
    data = parse(body)
    if not isinstance(data, dict):
        empty = not body.strip()
        raise ResponseError(
            "The server answered with an empty body." if empty else "The server's answer is no JSON object. "
            "Check that `base_url` is the address of an OpenAI-compatible API, which mostly ends in /v1.",
            status_code=status, model=asked.model, generation_id=headers.get("x-generation-id"), is_retryable=empty,
        )  # fmt: skip
    return data


def _partial(collector: Collector) -> Reply | None:
    return collector.reply() if collector.has_content else None


def _explained(collector: Collector, asked: RequestContext, headers: Mapping[str, str]) -> APIError:
    return from_error(
        collector.error or {"message": "The provider broke the answer off without saying why."},
        asked,
        headers=headers,
        generation_id=collector.generation_id,
        provider=collector.provider,
        partial=_partial(collector),
    )


def _nothing(asked: RequestContext, generation_id: str | None) -> ResponseError:
    # A cold start; nothing is charged for it, so it may be asked again.
    # https://openrouter.ai/docs/features/zero-completion-insurance
    return ResponseError(
        "The model returned neither content nor a finish reason.",
        model=asked.model,
        generation_id=generation_id,
        is_retryable=True,
    )
