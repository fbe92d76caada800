"""Calls of the API: the attempts of each, how long they may take, when another follows, and who is to know of them."""

from __future__ import annotations

import logging
import math
import random
import sys
import time
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

from lfm_adapter.catalog import compute_cost
from lfm_adapter.catalog._usage import chat_usage
from lfm_adapter.errors import APIError, APITimeoutError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from lfm_adapter._client.metering import AnyReply, CallMeter
    from lfm_adapter._client.request import ApiRequest
    from lfm_adapter._client.settings import Settings
    from lfm_adapter._client.telemetry import CallSpan
    from lfm_adapter._openrouter.response import BodyReader
    from lfm_adapter.types import Cost, Delta, HTTPRequest, JSONDict, ModelCard

DRAIN_S = 0.1
"""Seconds to wait for the bytes behind a stream's end, so that its connection can be reused."""

MAX_RETRY_DELAY_S = 120.0
_FIRST_DELAY_S = 0.5
_LAST_DELAY_S = 8.0
_BATCH = 8  # deltas

logger = logging.getLogger("lfm_adapter")


def retry_delay(
    error: APIError, *, retries_done: int, max_retries: int, remaining_s: float, jitter: float
) -> float | None:
    """Return the seconds to wait before the next attempt, or None if the error is final.

    The server's own delay is kept up to 120 s; with a longer one, retrying is left to the caller. Otherwise the delay
    grows from half a second to 8 s, less up to a quarter at random, so that many clients do not come back at once. This
    follows https://openrouter.ai/docs/api-reference/limits and the `openai` SDK.

    `remaining_s` are the seconds until the caller's deadline, `jitter` is a random number from 0 to 1.

    >>> from lfm_adapter.errors import AuthenticationError, RateLimitError
    >>> retry_delay(RateLimitError("slow", retry_after=3), retries_done=0, max_retries=2, remaining_s=60, jitter=0.5)
    3.0
    >>> retry_delay(AuthenticationError("no"), retries_done=0, max_retries=2, remaining_s=60, jitter=0.5) is None
    True
    """
    if not error.is_retryable or error.partial is not None or retries_done >= max_retries:
        return None
    if error.retry_after:  # 0, or a time that has passed here, would bring all clients back at once
        delay = float(error.retry_after)
        if delay > MAX_RETRY_DELAY_S:
            return None
    else:
        delay = min(_FIRST_DELAY_S * 2 ** min(retries_done, 10), _LAST_DELAY_S) * (1 - 0.25 * jitter)
    return delay if delay < remaining_s else None


class Attempts:
    """Counts the attempts of one request and enforces its timeouts.

    Attributes:
        reader: The reader of the current attempt's response; None before its headers have come.
        deadline: When `total_timeout` is over, in seconds of `time.monotonic`; None before the first attempt.
    """

    def __init__(self, request: ApiRequest, deadline: float | None = None, meter: CallMeter | None = None) -> None:
        self.reader: BodyReader | None = None
        self.deadline = deadline
        self._request = request
        self._meter = meter
        self._settings = request.settings
        self._retries_done = 0

    def begin(self) -> HTTPRequest:
        """Begin the next attempt and return the request to send."""
        self.reader = None
        self._events: int | None = None
        self._event_deadline = math.inf
        if self.deadline is None:
            total = self._settings.total_timeout
            self.deadline = math.inf if total is None else time.monotonic() + total
        self._deadline = self.deadline
        return self._request.http(self.read_timeout())

    def reserve(self, *, wait: bool = True) -> bool:
        """Hold the attempt that has begun against budgets: see `CallMeter.reserve`."""
        return self._meter is None or self._meter.reserve(self._request.body, wait=wait)

    def read(self, status: int, headers: Mapping[str, str]) -> BodyReader:
        """Return the reader of this attempt's response."""
        self.reader = self._request.reader(status, headers)
        return self.reader

    def read_timeout(self) -> float:
        """Return the seconds that the next read may take.

        Raises:
            APITimeoutError: No time is left.
        """
        now = time.monotonic()
        if self.reader is not None and self.reader.events != self._events:
            # Only now, so that the time in which the caller handled the event does not count.
            self._events = self.reader.events
            between_s = self._settings.stream_chunk_timeout
            self._event_deadline = math.inf if between_s is None else now + between_s
        left_s = min(self._settings.timeout, self._event_deadline - now, self._deadline - now)
        if left_s <= 0:
            raise APITimeoutError(self._passed_deadline(now))
        return left_s

    def retry_delay(self, error: APIError) -> float:
        """Return the seconds to sleep before the next attempt, or raise the completed `error` if it is final."""
        now = time.monotonic()
        failure = error
        if isinstance(error, APITimeoutError) and error.status_code is None and (passed := self._passed_deadline(now)):
            # The transport knows that its timeout was over, but not which setting it came from.
            failure = APITimeoutError(passed)
        if self.reader is None:
            failure.model = failure.model or self._request.model
        else:
            self.reader.complete_error(failure)
        failure.mask_secret(self._request.key)
        if self._request.is_eventual and isinstance(failure, NotFoundError):
            failure.is_retryable = True
        if self._meter is not None:
            failure.__cause__ = error.__cause__
            self._meter.refuse(failure)
        # A reply that began and broke off may have been charged for, so the request is not sent again.
        is_answered = self.reader is not None and self.reader.is_answered
        delay = None if is_answered else retry_delay(
            failure,
            retries_done=self._retries_done,
            max_retries=self._settings.max_retries,
            remaining_s=self._deadline - now,
            jitter=random.random(),  # noqa: S311 # spreads clients out in time, keeps no secret
        )  # fmt: skip
        if delay is None:
            raise failure from error.__cause__
        self._retries_done += 1
        logger.debug("%s: attempt %d in %.2f s", type(error).__name__, self._retries_done + 1, delay)
        return delay

    def _passed_deadline(self, now: float) -> str:
        """Return a message about the deadline that has passed; "" if none has."""
        if self._deadline <= now:
            return f"The call took longer than {self._settings.total_timeout:g} s (`total_timeout`)."
        if self._event_deadline <= now:
            return f"No event with data arrived for {self._settings.stream_chunk_timeout:g} s (`stream_chunk_timeout`)."
        return ""


class ApiCall:
    """One question to the API, and the attempts that it takes. `with` it, so that it learns of its end.

    Attributes:
        attempts: The attempts of the current request.
        result: The JSON object of the response, once it is there.
    """

    attempts: Attempts
    result: Any = None

    def __init__(self, request: ApiRequest) -> None:
        self.attempts = Attempts(request)

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None: ...

    def on_delta(self, delta: Delta) -> Sequence[Delta]:
        """Take a delta of the response, and return those to pass on now."""
        return (delta,)

    def batches(self, deltas: Iterable[Delta]) -> Iterator[Sequence[Delta]]:
        """Yield what `on_delta` passes on of deltas that came at once, some at a time so that other streams go on."""
        batch: list[Delta] = []
        try:
            for delta in deltas:
                batch += self.on_delta(delta)
                if len(batch) >= _BATCH:
                    yield batch
                    batch = []
        except APIError:
            if batch:
                yield batch
            raise
        if batch:
            yield batch

    def on_response(self, result: Any) -> Sequence[Delta]:
        """Take what the whole response holds, and return the deltas that are still missing."""
        self.result = result
        return ()

    def on_error(self, error: APIError) -> float | None:
        """Return the seconds to wait before the next attempt; None if a new request replaces the one that failed.

        Raises:
            APIError: The error, if it is final.
        """
        return self.attempts.retry_delay(error)


class ModelCall(ApiCall):
    """A call of the model of `card`, which ledgers, budgets and traces follow.

    A subclass sets `attempts`, with `_meter` as their meter. `operation` is OpenTelemetry's name of its kind.
    """

    def __init__(
        self,
        settings: Settings,
        model: str,
        card: ModelCard,
        fields: Mapping[str, Any],
        *,
        operation: str,
        stream: bool = False,
    ) -> None:
        self._settings = settings
        self._model = model
        self._card = card
        self._fields = fields
        self._operation = operation
        self._stream = stream
        self._meter = settings.call_meter(model, card, is_stream=stream)
        self._span: CallSpan | None = None

    def __enter__(self) -> None:
        if "opentelemetry.trace" not in sys.modules:  # whoever sets a tracer provider has loaded it
            return
        from opentelemetry import trace

        if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
            from lfm_adapter._client.telemetry import start_span

            self._span = start_span(self._settings, self._model, self._fields, self._operation, stream=self._stream)

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if self._span is not None:
            self._span.end(self.result, error)
        if self._meter is not None:
            self._meter.end(self.result, error)

    def on_error(self, error: APIError) -> float | None:
        delay = self.attempts.retry_delay(error)
        if self._span is not None:
            self._span.on_retry(error, delay)
        return delay

    def _price(self, reply: AnyReply) -> None:
        """Add the cost and, if it names none, the model to a reply."""
        reply.model = reply.model or self._model
        if reply.usage is None:
            return
        card = self._card if reply.model == self._model else self._settings.card(reply.model)
        cost = compute_cost(chat_usage(reply.usage), card)
        # The catalogue has OpenRouter's prices; a server on this machine is free unless it says otherwise.
        if cost is not None and not (cost.source == "catalog" and self._settings.is_local):
            reply.cost = cost


def total_costs(replies: Sequence[AnyReply]) -> tuple[JSONDict | None, Cost | None]:
    """Return the usage and the cost of several requests together; None where one of them has none."""
    usages = [reply.usage for reply in replies if reply.usage]
    costs = [reply.cost for reply in replies if reply.cost]
    return (
        reduce(_sum_usage, usages) if len(usages) == len(replies) else None,
        reduce(add, costs) if len(costs) == len(replies) else None,
    )


def _sum_usage(first: JSONDict, second: JSONDict) -> JSONDict:
    """Add up the counts and amounts that both have; of all else the second wins."""
    total = {**first, **second}
    for name in first.keys() & second.keys():
        one, other = first[name], second[name]
        if isinstance(one, dict) and isinstance(other, dict):
            total[name] = _sum_usage(one, other)
        elif not isinstance(one, bool) and isinstance(one, int | float) and isinstance(other, int | float):
            total[name] = one + other
    return total
