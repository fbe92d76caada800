"""The tries of one call: how long each may wait, whether there is another, and what a failed one leaves behind."""

from __future__ import annotations

import logging
import math
import random
import time
from typing import TYPE_CHECKING, Any

from lfm_adapter._openrouter.response import too_large
from lfm_adapter._openrouter.retry import wait_s
from lfm_adapter.errors import APIError, APITimeoutError

if TYPE_CHECKING:
    from lfm_adapter._client.request import Call
    from lfm_adapter._openrouter.response import StreamReader
    from lfm_adapter.types import HTTPRequest

__all__ = ["DRAIN_S", "Attempts", "Body"]

DRAIN_S = 0.1
"""Seconds given to the bytes behind a stream's end, so that its connection can be used again."""

logger = logging.getLogger("lfm_adapter")


class Attempts:
    """Counts the tries of one call and knows how long it may still take."""

    def __init__(self, call: Call[Any]) -> None:
        self._call = call
        self._settings = call.settings
        self._retries_done = 0
        if call.deadline is None:
            total = self._settings.total_timeout
            call.deadline = math.inf if total is None else time.monotonic() + total
        self._deadline = call.deadline
        self._forget()

    def _forget(self) -> None:
        self._body: Body | None = None
        self._reader: StreamReader | None = None
        self._events = 0
        self._event_deadline = math.inf

    def request(self) -> HTTPRequest:
        """Return the request of the next try."""
        self._forget()
        return self._call.request(self.silence_s())

    def body(self, status: int) -> Body:
        """Return what gathers the plain reply of this try."""
        self._body = Body(status, self._settings.max_reply_bytes)
        return self._body

    def watch(self, reader: StreamReader) -> StreamReader:
        """Take note of what reads the streamed reply of this try, and return it."""
        self._reader = reader
        self._await_event(time.monotonic())
        return reader

    def silence_s(self) -> float:
        """Return how long the next step may wait for the network.

        Raises:
            APITimeoutError: The time is already up.
        """
        now = time.monotonic()
        if self._reader is not None and self._reader.events != self._events:
            # Only now, so that the time in which the caller dealt with the event does not count.
            self._events = self._reader.events
            self._await_event(now)
        left_s = min(self._settings.timeout, self._event_deadline - now, self._deadline - now)
        if left_s <= 0:
            raise APITimeoutError(self._overdue(now))
        return left_s

    def wait_s(self, error: APIError) -> float:
        """Return the seconds to sleep before the next try, or raise `error`, completed, when there must be none."""
        now = time.monotonic()
        failure = error
        if isinstance(error, APITimeoutError) and error.status_code is None and (bound := self._overdue(now)):
            # The transport knows that its own wait was over, but not what had set it.
            failure = APITimeoutError(bound)
        failure.model = failure.model or self._call.model
        if self._reader is not None:
            self._reader.attach_partial(failure)
        failure.mask_secret(self._call.key)
        begun = self._body is not None and self._body.broke_off
        wait = None if begun else wait_s(
            failure,
            retries_done=self._retries_done,
            max_retries=self._settings.max_retries,
            remaining_s=self._deadline - now,
            chance=random.random(),  # noqa: S311 # spreads clients out in time, keeps no secret
        )  # fmt: skip
        if wait is None:
            raise failure from error.__cause__
        self._retries_done += 1
        logger.debug("%s: try %d in %.2f s", type(error).__name__, self._retries_done + 1, wait)
        return wait

    def _await_event(self, now: float) -> None:
        between_s = self._settings.stream_chunk_timeout
        if between_s is not None:
            self._event_deadline = now + between_s

    def _overdue(self, now: float) -> str:
        """Say which bound of the call is reached; nothing if none is."""
        if self._deadline <= now:
            return f"The call took longer than {self._settings.total_timeout:g} s (`total_timeout`)."
        if self._event_deadline <= now:
            return f"No event with data came for {self._settings.stream_chunk_timeout:g} s (`stream_chunk_timeout`)."
        return ""


class Body:
    """Gathers a plain reply, up to its bound."""

    def __init__(self, status: int, max_bytes: int) -> None:
        self._status = status
        self._max_bytes = max_bytes
        self._size_bytes = 0
        self._pieces: list[bytes] = []
        self._is_whole = False

    def add(self, piece: bytes) -> None:
        """Take the next bytes.

        Raises:
            ResponseError: The body is larger than its bound.
        """
        self._size_bytes += len(piece)
        if self._size_bytes > self._max_bytes:
            raise too_large(self._max_bytes, self._status)
        self._pieces.append(piece)

    def whole(self) -> bytes:
        """Return all of it, at its end."""
        self._is_whole = True
        return b"".join(self._pieces)

    @property
    def broke_off(self) -> bool:
        """Whether an answer began and did not end. It may be paid for, so the request must not be sent again.

        Whitespace is no beginning: with it OpenRouter keeps the connection open until there is an answer.
        """
        return not self._is_whole and self._status == 200 and any(piece.strip() for piece in self._pieces)
