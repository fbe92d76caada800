"""Reads responses: a body as a `Reply` or a JSON object, the bytes of a stream as `Delta`s.

Recorded ends of streams: a finish chunk, then the usage in a chunk with one choice and no finish reason (until January
2026), with `choices: []` (March 2026), or with the finish reason repeated (since June 2026), then `[DONE]`; other
servers send no usage, or no `[DONE]`. So finish reasons may repeat, the last usage counts, and a stream with a finish
reason is complete at `[DONE]`, or at the end of its bytes if no event is cut off. Where several choices were asked for,
another could still have come: then the usage must have, too.
"""

from __future__ import annotations

import math
import re
from codecs import BOM_UTF8
from typing import TYPE_CHECKING, Any

from lfm_adapter._json import as_dict, as_number, as_str, parse_received
from lfm_adapter._openrouter.collect import Collector
from lfm_adapter._openrouter.error_text import error_elsewhere
from lfm_adapter._openrouter.failure import from_body, from_error
from lfm_adapter._openrouter.sse import DONE, MAX_EVENT_BYTES, EventDecoder, TextEvents
from lfm_adapter._openrouter.surrogates import HalfJoiner, has_halves, parse_whole
from lfm_adapter.errors import APIConnectionError, ResponseError, StreamInterruptedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from lfm_adapter._openrouter.failure import RequestContext
    from lfm_adapter.errors import APIError
    from lfm_adapter.types import Delta, JSONDict, Reply

# How a stream begins, with data, a comment or another field. No JSON begins so.
_STREAM_STARTS = (b"data:", b":", b"event:", b"id:", b"retry:")
_HEAD_BYTES = 6

_ENCODINGS = {"br", "compress", "deflate", "gzip", "x-gzip", "zstd"}

_TELLING_HEADERS = ("x-generation-id", "x-openrouter-", "x-ratelimit-", "x-provider-name", "x-request-id", "request-id",
                    "retry-after", "cf-ray", "age")  # fmt: skip


def not_http(peer: str) -> APIConnectionError:
    """Return the error for bytes of `peer` that are not an HTTP response."""
    return APIConnectionError(
        f"{peer} did not send a valid HTTP response. Check the scheme and port of `base_url`.", is_retryable=False
    )


def unreadable(status: int, headers: Mapping[str, str], peer: str) -> APIError | None:
    """Return what to raise for a response that is compressed, or whose end is unclear. HTTP libraries let some pass."""
    length, transfer = headers.get("content-length"), headers.get("transfer-encoding")
    is_measured = length is None or (transfer is None and length.isascii() and length.isdigit())
    # http.client takes 103 Early Hints for the response itself, which is still to come.
    if status < 200 or not is_measured:
        return not_http(peer)
    # Every request asks for `identity`.
    for encoding in (headers.get("content-encoding") or "", (transfer or "").lower().removesuffix("chunked")):
        name = encoding.strip(" ,").lower()
        if name not in {"", "identity"}:
            known = f"the content encoding {name!r}" if _ENCODINGS.issuperset(re.split(", *", name)) else "an encoding"
            return ResponseError(f"{peer} sent a response with {known}, which was not requested.")
    return None


class BodyReader:
    """Reads a response with a JSON body.

    Attributes:
        result: What the response holds, once it is complete.
        events: The number of events with data so far; None if the response is not a stream. Comments, which keep the
            connection alive, do not count.
    """

    events: int | None = None

    def __init__(
        self, status: int, headers: Mapping[str, str], context: RequestContext, *, max_bytes: float = math.inf
    ) -> None:
        self.result: Any = None
        self._status = status
        self._headers = headers
        self._context = context
        self._max_bytes = max_bytes
        self._is_measured = "content-length" in headers or "transfer-encoding" in headers
        self._bytes = 0
        self._body: list[bytes] = []

    def feed(self, chunk: bytes) -> Iterable[Delta]:
        """Add the next bytes, b"" at the end, and return the deltas that they complete.

        Raises:
            APIError: The status or the body reports a failure, or the body is not a JSON object.
        """
        self._bytes += len(chunk)
        if self._bytes > self._max_bytes:
            raise self._too_large()
        self._body.append(chunk)
        if not chunk:
            data = self._json()
            if data.get("error"):
                id_ = as_str(data.get("id"))
                raise from_error(data["error"], self._context, headers=self._headers, generation_id=id_)
            self.result = data
        return ()

    @property
    def is_answered(self) -> bool:
        """Whether an answer has begun, which may have to be paid for, so that the request must not be sent again."""
        return False

    @property
    def telling_headers(self) -> dict[str, str]:
        """The useful headers of the response: see `Reply.headers`."""
        return {name: value for name, value in self._headers.items() if name.startswith(_TELLING_HEADERS)}

    def end(self, error: StreamInterruptedError) -> bytes:
        """Return b"" for a connection that broke when nothing but its end was missing, else raise `error`.

        A body without a length ends with its connection, and only its content shows whether it is whole: aiohttp does
        not report how such a connection ended.
        """
        if self._is_measured:
            raise error
        return b""

    def complete_error(self, error: APIError) -> None:
        """Add to an error, such as a lost connection, what is known about the request and its response."""
        error.model = error.model or self._context.model
        error.generation_id = error.generation_id or self._headers.get("x-generation-id")

    def _too_large(self) -> ResponseError:
        limit = f"{self._max_bytes:,} bytes (`max_reply_bytes`)"
        return ResponseError(f"The response is larger than {limit}.", status_code=self._status)

    def _json(self) -> JSONDict:
        """Return the JSON object in the body of a success."""
        if not 200 <= self._status < 300:  # its frame keeps no body, in which the server may repeat the key
            raise from_body(self._status, self._headers, b"".join(self._body), self._context)
        body = b"".join(self._body)
        data = parse_whole(body) if b"\\u" in body else parse_received(body)
        if isinstance(data, dict):
            return data
        if not self._is_measured and body.lstrip().startswith(b"{"):
            raise StreamInterruptedError("The response stopped before its end.")
        problem = "not a JSON object. Check that `base_url` points to an OpenAI-compatible API (usually .../v1)"
        is_empty = not body.strip()
        raise ResponseError(
            f"The response is {'empty' if is_empty else problem}.",
            status_code=self._status,
            model=self._context.model,
            generation_id=self._headers.get("x-generation-id"),
            is_retryable=is_empty,
        )


class PaidBodyReader(BodyReader):
    """Reads a response that has to be paid for: a JSON object, which holds the answer as `content`."""

    def __init__(
        self, status: int, headers: Mapping[str, str], context: RequestContext, *, content: str, max_bytes: float
    ) -> None:
        super().__init__(status, headers, context, max_bytes=max_bytes)
        self._content = content
        self._is_refused = False

    @property
    def is_answered(self) -> bool:
        """Neither padding nor an error is an answer, but what costs something is."""
        return 200 <= self._status < 300 and not self._is_refused and any(map(bytes.strip, self._body))

    def feed(self, chunk: bytes) -> Iterable[Delta]:
        if chunk:
            return super().feed(chunk)
        data = self._json()
        error = data.get("error") or (None if data.get(self._content) else error_elsewhere(data))
        self._is_refused = error is not data and not as_number(as_dict(data.get("usage")).get("cost"))
        if error:
            named = data if error is True else error
            raise from_error(named, self._context, headers=self._headers, generation_id=as_str(data.get("id")))
        if not data.get(self._content):
            raise ResponseError(
                f"The response has no `{self._content}`.",
                generation_id=as_str(data.get("id")),
                provider=as_str(data.get("provider")),
            )
        self.result = data
        return ()


class ReplyReader(BodyReader):
    """Reads the response to a chat completion, streamed or whole; `result` becomes a `Reply`.

    `is_single` says that one choice was asked for.
    """

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
        self._is_single = is_single
        self._collector = Collector(is_single=is_single)
        self._max_event_bytes = max_event_bytes
        self._decoder: EventDecoder | None = None
        self._head = b""  # the first bytes after white space, which OpenRouter sends until there is a reply
        self._is_ended = self._is_odd_error = False
        self._error_events = 0
        if 200 <= status < 300 and headers.get("content-type", "").lower().startswith("text/event-stream"):
            self._begin_stream()

    @property
    def is_answered(self) -> bool:
        """See `PaidBodyReader.is_answered`."""
        cost = as_number((self._collector.usage or {}).get("cost"))
        if cost or self._is_odd_error:
            return True
        if self._decoder is None:
            return 200 <= self._status < 300 and self._head != b"" and not self._is_ended
        return (self.events or 0) > self._error_events or self._decoder.is_within_event or self._decoder.stray != []

    def end(self, error: StreamInterruptedError) -> bytes:
        """After the finish reason and the usage, only `[DONE]` is missing."""
        return b"" if self._collector.finished and self._collector.usage else super().end(error)

    def feed(self, chunk: bytes) -> Iterable[Delta]:
        """The deltas must be read before the next bytes are added."""
        self._bytes += len(chunk)
        if self._bytes > self._max_bytes:
            raise self._too_large()
        if self._decoder is None:
            self._body.append(chunk)
            if len(self._head) < _HEAD_BYTES and chunk:
                self._head = (self._head + chunk).removeprefix(BOM_UTF8).lstrip()[:_HEAD_BYTES]
                if 200 <= self._status < 300 and self._head.startswith(_STREAM_STARTS):
                    self._begin_stream()  # whatever its content type says
                    chunk, self._body = b"".join(self._body), []
        if self._decoder is None:
            return () if chunk else self._read_body()
        return self._read_events(self._decoder, chunk)

    def complete_error(self, error: APIError) -> None:
        """Add what is known about the response, and what has arrived of it as `partial`."""
        collector = self._collector
        error.partial = collector.partial()
        error.generation_id = error.generation_id or collector.generation_id
        error.provider = error.provider or collector.provider
        super().complete_error(error)

    def _begin_stream(self) -> None:
        self._decoder = EventDecoder(max_event_bytes=self._max_event_bytes)
        self._halves: HalfJoiner | None = None  # since the first event with half a character
        self._texts = TextEvents()
        self.events = 0

    def _read_body(self) -> list[Delta]:
        body = self._json()
        self._is_ended = True
        deltas = self._collector.add(body)
        if self._collector.error is not None:
            raise self._reported_error(body)
        if not self._collector.has_content and not self._collector.finished:
            raise self._empty()
        self.result = self._reply()
        return deltas

    def _read_events(self, decoder: EventDecoder, chunk: bytes) -> Iterator[Delta]:
        collector, texts, events = self._collector, self._texts, self.events or 0
        for data in decoder.feed(chunk) if chunk else decoder.close():
            text = None if self._halves is not None and self._halves.held else texts.text(data)
            if text is not None:
                self.events = events = events + 1
                yield from collector.add_text(texts.index, text)
                continue
            if data == DONE:
                yield from self._end(decoder, is_done=True)
                return
            event = self._parse(data)
            if isinstance(event, dict):
                self.events = events = events + 1
                yield from collector.add(event)
                if collector.error is not None:
                    raise self._reported_error(event)
                texts.learn(data, event)
            elif not data.strip():  # sent to keep the connection open
                continue
            elif chunk:
                raise ResponseError("An event of the stream is not a JSON object.")
            else:
                decoder.stray.append(data)  # cut off at the end of the stream
        if not chunk:
            yield from self._end(decoder, is_done=False)

    def _parse(self, data: bytes) -> Any:
        if b"\\u" in data and has_halves(data):
            self._halves = self._halves or HalfJoiner()
            return self._halves.join(data)
        return self._halves.join(data) if self._halves and self._halves.held else parse_received(data)

    def _end(self, decoder: EventDecoder, *, is_done: bool) -> Iterator[Delta]:
        for half in self._halves.rest() if self._halves else ():
            yield from self._collector.add(half)
        body = parse_whole(b"\n".join(decoder.stray)) if decoder.stray else None
        if isinstance(body, dict):  # some proxies put JSON into the stream as it is
            yield from self._collector.add(body)
            if self._collector.error is not None:
                raise self._reported_error(body)
            decoder.stray.clear()
        is_whole = is_done or self._collector.usage or (self._is_single and not decoder.stray)
        if self._collector.finished and is_whole:
            self.result = self._reply()
        elif not is_done:
            raise StreamInterruptedError("The stream stopped before its end.")
        elif self._collector.has_content:
            raise StreamInterruptedError("The stream ended without a finish reason.")
        else:
            raise self._empty()

    def _reply(self) -> Reply:
        reply = self._collector.reply()
        reply.headers = self.telling_headers
        return reply

    def _reported_error(self, body: JSONDict) -> APIError:
        collector = self._collector
        self._is_odd_error = collector.error is body
        self._error_events = 1
        return from_error(
            collector.error or {"message": "The provider stopped the answer without a reason.", "code": 500},
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
