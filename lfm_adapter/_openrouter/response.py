"""Reads responses: a body as a `Reply`, the bytes of a stream as `Delta`s.

Recorded ends of streams: a finish chunk, then the usage in a chunk with one choice and no finish reason (until January
2026), with `choices: []` (March 2026), or with the finish reason repeated (since June 2026), then `[DONE]`. So finish
reasons may repeat, the last usage counts, and a stream is complete at `[DONE]`, or at the end of its bytes if finish
reason and usage have both arrived.
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
    """Return whether a response is a stream. Errors, and the answers of some proxies, are plain bodies."""
    return status == 200 and headers.get("content-type", "").lower().startswith("text/event-stream")


def too_large(max_bytes: float, status: int | None = None) -> ResponseError:
    """Return the error for a response that is too large."""
    return ResponseError(f"The response is larger than {max_bytes:,} bytes (`max_reply_bytes`).", status_code=status)


def read_json(status: int, headers: Mapping[str, str], body: bytes, context: RequestContext) -> JSONDict:
    """Read a JSON body.

    Raises:
        APIError: The status or the body reports a failure, or the body is not a JSON object.
    """
    data = _object(status, headers, body, context)
    if data.get("error"):
        raise from_error(data["error"], context, headers=headers, generation_id=as_str(data.get("id")))
    return data


def read_reply(status: int, headers: Mapping[str, str], body: bytes, context: RequestContext) -> Reply:
    """Read the body of a plain chat completion.

    Raises:
        APIError: The status or the body reports a failure, or there is no answer. `partial` holds what arrived.
    """
    collector = Collector()
    collector.add(_object(status, headers, body, context))
    if collector.error is not None:
        raise _reported_error(collector, context, headers)
    if not collector.has_content and not collector.finished:
        raise _empty_reply(context, collector.generation_id)
    return collector.reply()


class StreamReader:
    """Reads one streamed reply.

    Attributes:
        reply: The whole reply, once the stream is complete.
        events: The number of events with data so far; comments, which keep the connection alive, do not count.
    """

    def __init__(
        self,
        context: RequestContext,
        headers: Mapping[str, str],
        *,
        max_event_bytes: int = MAX_EVENT_BYTES,
        max_reply_bytes: float = math.inf,
    ) -> None:
        self.reply: Reply | None = None
        self.events = 0
        self._context = context
        self._headers = headers
        self._decoder = EventDecoder(max_event_bytes=max_event_bytes)
        self._collector = Collector()
        self._max_reply_bytes = max_reply_bytes
        self._bytes = 0

    def feed(self, chunk: bytes) -> Iterator[Delta]:
        """Add the next bytes (b"" at the end of the stream), and yield what they add, until `reply` is set.

        Raises:
            APIError: The stream reports an error, or ended too early. `partial` holds what arrived.
        """
        self._bytes += len(chunk)
        try:
            if self._bytes > self._max_reply_bytes:
                raise too_large(self._max_reply_bytes)
            for data in self._decoder.feed(chunk) if chunk else self._decoder.close():
                self.events += 1
                if data == DONE:
                    self._end(is_done=True)
                    return
                yield from self._deltas(data, last=not chunk)
                if self._collector.error is not None:
                    raise _reported_error(self._collector, self._context, self._headers)
            if not chunk:
                self._end(is_done=False)
        except (ResponseError, StreamInterruptedError) as error:
            self.attach_partial(error)
            raise

    def attach_partial(self, error: APIError) -> None:
        """Add what arrived so far to an error, such as a lost connection."""
        collector = self._collector
        error.partial = collector.partial()
        error.generation_id = error.generation_id or collector.generation_id or self._headers.get("x-generation-id")
        error.provider = error.provider or collector.provider
        error.model = error.model or self._context.model

    def _deltas(self, data: bytes, *, last: bool) -> list[Delta]:
        chunk = parse(data)
        if isinstance(chunk, dict):
            return self._collector.add(chunk)
        if last or not data.strip():  # cut off at the end of the stream, or sent to keep the connection open
            return []
        raise ResponseError("An event of the stream is not a JSON object.")

    def _end(self, *, is_done: bool) -> None:
        if self._collector.finished and (is_done or self._collector.usage):
            self.reply = self._collector.reply()
        elif not is_done:
            raise StreamInterruptedError("The stream stopped before its end.")
        elif self._collector.has_content:
            raise StreamInterruptedError("The stream ended without a finish reason.")
        else:
            raise _empty_reply(self._context)


def _object(status: int, headers: Mapping[str, str], body: bytes, context: RequestContext) -> JSONDict:
    """Return the JSON object in the body of a success."""
    if not 200 <= status < 300:
        raise from_body(status, headers, body, context)
    data = parse(body)
    if not isinstance(data, dict):
        is_empty = not body.strip()
        problem = "not a JSON object. Check that `base_url` points to an OpenAI-compatible API (usually .../v1)"
        raise ResponseError(
            f"The response is {'empty' if is_empty else problem}.",
            status_code=status,
            model=context.model,
            generation_id=headers.get("x-generation-id"),
            is_retryable=is_empty,
        )
    return data


def _reported_error(collector: Collector, context: RequestContext, headers: Mapping[str, str]) -> APIError:
    return from_error(
        collector.error or {"message": "The provider stopped the answer without a reason."},
        context,
        headers=headers,
        generation_id=collector.generation_id,
        provider=collector.provider,
        partial=collector.partial(),
    )


def _empty_reply(context: RequestContext, generation_id: str | None = None) -> ResponseError:
    # A cold start, which is not charged and may be retried:
    # https://openrouter.ai/docs/features/zero-completion-insurance
    return ResponseError(
        "The model returned neither content nor a finish reason.",
        model=context.model,
        generation_id=generation_id,
        is_retryable=True,
    )
