"""A call of a model, whatever its kind, as ledgers, budgets and traces see it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from lfm_adapter._client.retries import Lookup
from lfm_adapter.catalog import compute_cost
from lfm_adapter.catalog._usage import chat_usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lfm_adapter._client.settings import Settings
    from lfm_adapter._client.telemetry import CallSpan
    from lfm_adapter.errors import APIError
    from lfm_adapter.types import DecisionReply, EmbeddingReply, ModelCard, Reply

__all__ = ["MeteredCall"]


class MeteredCall(Lookup):
    """A call of the model of `card`. A subclass sets `attempts`, with `_meter` as their meter.

    `operation` is OpenTelemetry's name of the kind, such as "chat".
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
        self.result: Any = None
        self._settings = settings
        self._model = model
        self._card = card
        self._fields = fields
        self._operation = operation
        self._stream = stream
        self._meter = settings.call_meter(model, card, is_stream=stream)
        self._span: CallSpan | None = None

    def __enter__(self) -> None:
        """See `Lookup`."""
        if "opentelemetry.trace" not in sys.modules:  # whoever sets a tracer provider has loaded it
            return
        from opentelemetry import trace

        if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
            from lfm_adapter._client.telemetry import start_span

            self._span = start_span(self._settings, self._model, self._fields, self._operation, stream=self._stream)

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        """See `Lookup`."""
        if self._span is not None:
            self._span.end(self.result, error)
        if self._meter is not None:
            self._meter.end(self.result, error)

    def on_error(self, error: APIError) -> float | None:
        """See `Lookup`."""
        delay = self.attempts.retry_delay(error)
        if self._span is not None:
            self._span.on_retry(error, delay)
        return delay

    def _price(self, reply: Reply | EmbeddingReply | DecisionReply) -> None:
        """Add the cost and, if it names none, the model to a reply."""
        reply.model = reply.model or self._model
        if reply.usage is None:
            return
        card = self._card if reply.model == self._model else self._settings.card(reply.model)
        cost = compute_cost(chat_usage(reply.usage), card)
        # The catalogue has OpenRouter's prices; a server on this machine is free unless it says otherwise.
        if cost is not None and not (cost.source == "catalog" and self._settings.is_local):
            reply.cost = cost
