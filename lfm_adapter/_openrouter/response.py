"""Reads responses: a body as a `Reply` or a JSON object, the bytes of a stream as `Delta`s.

Recorded ends of streams: a finish chunk, then the usage in a chunk with one choice and no finish reason (until January
2026), with `choices: []` (March 2026), or with the finish reason repeated (since June 2026), then `[DONE]`. So finish
reasons may repeat, the last usage counts, and a stream is complete at `[DONE]`, or at the end of its bytes if finish
reason and usage have both arrived.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from lfm_adapter._json import as_str, parse
from lfm_adapter._openrouter.collect import Collector
from lfm_adapter._openrouter.failure import from_body, from_error
from lfm_adapter._openrouter.sse import DONE, MAX_EVENT_BYTES, EventDecoder
from lfm_adapter.errors import ResponseError, StreamInterruptedError
from lfm_adapter.types import Delta

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from lfm_adapter._openrouter.failure import RequestContext
    from lfm_adapter.errors import APIError
    from lfm_adapter.types import JSONDict

__all__ = ["BodyReader", "ReplyReader"]


class BodyReader:
    """Reads a response with a JSON body.

    Attributes:
        result: What the response holds, once it is complete.
        events: The number of events with data so far; None if the response is no stream. Comments, which keep the
            connection alive, do not count.
        is_answered: Whether an answer has begun, which may have to be paid for.
    """

    events: int | None = None
    is_answered = False

    def __init__(
        self, status: int, headers: Mapping[str, str], context: RequestContext, *, max_bytes: float = math.inf
    ) -> None:
        self.result: Any = None
        self._status = status
        self._headers = headers
        self._context = context
        self._max_bytes = max_bytes
        self._bytes = 0
        self._body: list[bytes] = []

    def feed(self, chunk: bytes) -> Iterable[Delta]:
        """Add the next bytes, b"" at the end, and return the deltas that they complete.

        Raises:
            APIError: The status or the body reports a failure, or the body is not a JSON object.
        """
        self._count(chunk)
        self._body.append(chunk)
        if not chunk:
            data = self._json()
            if data.get("error"):
                id_ = as_str(data.get("id"))
                raise from_error(data["error"], self._context, headers=self._headers, generation_id=id_)
            self.result = data
        return ()

    def complete_error(self, error: APIError) -> None:
        """Add to an error, such as a lost connection, what is known about the request and its response."""
        error.model = error.model or self._context.model
        error.generation_id = error.generation_id or self._headers.get("x-generation-id")

    def _count(self, chunk: bytes) -> None:
        self._bytes += len(chunk)
        if self._bytes > self._max_bytes:
            raise ResponseError(
                f"The response is larger than {self._max_bytes:,} bytes (`max_reply_bytes`).", status_code=self._status
            )

    def _json(self) -> JSONDict:
        """Return the JSON object in the body of a success."""
        body = b"".join(self._body)
        if not 200 <= self._status < 300:
            raise from_body(self._status, self._headers, body, self._context)
        data = parse(body)
        if isinstance(data, dict):
            return data
        problem = "not a JSON object. Check that `base_url` points to an OpenAI-compatible API (usually .../v1)"
        is_empty = not body.strip()
        raise ResponseError(
            f"The response is {'empty' if is_empty else problem}.",
            status_code=self._status,
            model=self._context.model,
            generation_id=self._headers.get("x-generation-id"),
            is_retryable=is_empty,
        )


class ReplyReader(BodyReader):
    """Reads the response to a chat completion, streamed or not; `result` becomes a `Reply`."""

    def __init__(
        self,
        status: int,
        headers: Mapping[str, str],
        context: RequestContext,
        *,
        max_bytes: float = math.inf,
        max_event_bytes: int = MAX_EVENT_BYTES,
        is_single: bool = True,
    ) -> None:
        super().__init__(status, headers, context, max_bytes=max_bytes)
        self._collector = Collector(is_single=is_single)
        # Errors, and the answers of some proxies, are plain bodies.
        is_stream = status == 200 and headers.get("content-type", "").lower().startswith("text/event-stream")
        self._decoder = EventDecoder(max_event_bytes=max_event_bytes) if is_stream else None
        self.events = 0 if is_stream else None

    def feed(self, chunk: bytes) -> Iterable[Delta]:
        """See `BodyReader`. The deltas must be read before the next bytes are added.

        Raises:
            APIError: The response reports an error, has no answer, or ended too early. `partial` holds what arrived.
        """
        return self._read_body(chunk) if self._decoder is None else self._read_events(self._decoder, chunk)

    def complete_error(self, error: APIError) -> None:
        """Add what is known about the response, and what has arrived of it as `partial`."""
        collector = self._collector
        error.partial = collector.partial()
        error.generation_id = error.generation_id or collector.generation_id
        error.provider = error.provider or collector.provider
        super().complete_error(error)

    def _read_body(self, chunk: bytes) -> list[Delta]:
        self._count(chunk)
        self._body.append(chunk)
        if chunk:
            # OpenRouter sends white space to keep the connection open until there is a reply.
            self.is_answered = self.is_answered or (self._status == 200 and not chunk.isspace())
            return []
        self.is_answered = False
        self._collector.add(self._json())
        if self._collector.error is not None:
            raise self._reported_error()
        if not self._collector.has_content and not self._collector.finished:
            raise self._empty()
        reply = self.result = self._collector.reply()
        return [
            Delta(
                text=choice.text,
                reasoning=choice.reasoning,
                reasoning_details=choice.reasoning_details,
                tool_calls=choice.tool_calls,
                refusal=choice.refusal or "",
                logprobs=choice.logprobs,
                index=index,
                generation_id=reply.id,
            )
            for index, choice in enumerate(reply.choices)
        ]

    def _read_events(self, decoder: EventDecoder, chunk: bytes) -> Iterator[Delta]:
        try:
            self._count(chunk)
            for data in decoder.feed(chunk) if chunk else decoder.close():
                self.events = (self.events or 0) + 1
                if data == DONE:
                    self._end(is_done=True)
                    return
                yield from self._read_event(data, is_last=not chunk)
                if self._collector.error is not None:
                    raise self._reported_error()
            if not chunk:
                self._end(is_done=False)
        except (ResponseError, StreamInterruptedError) as error:
            self.complete_error(error)
            raise

    def _read_event(self, data: bytes, *, is_last: bool) -> list[Delta]:
        chunk = parse(data)
        if isinstance(chunk, dict):
            return self._collector.add(chunk)
        if is_last or not data.strip():  # cut off at the end of the stream, or sent to keep the connection open
            return []
        raise ResponseError("An event of the stream is not a JSON object.")

    def _end(self, *, is_done: bool) -> None:
        if self._collector.finished and (is_done or self._collector.usage):
            self.result = self._collector.reply()
        elif not is_done:
            raise StreamInterruptedError("The stream stopped before its end.")
        elif self._collector.has_content:
            raise StreamInterruptedError("The stream ended without a finish reason.")
        else:
            raise self._empty()

    def _reported_error(self) -> APIError:
        collector = self._collector
        return from_error(
            collector.error or {"message": "The provider stopped the answer without a reason."},
            self._context,
            headers=self._headers,
            generation_id=collector.generation_id,
            provider=collector.provider,
            partial=collector.partial(),
        )

    def _empty(self) -> ResponseError:
        # A cold start, which is not charged and may be retried:
        # https://openrouter.ai/docs/features/zero-completion-insurance
        return ResponseError(
            "The model returned neither content nor a finish reason.",
            model=self._context.model,
            generation_id=self._collector.generation_id,
            is_retryable=True,
        )
