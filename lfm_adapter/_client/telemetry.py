"""OpenTelemetry spans of calls, by the semantic conventions for generative AI. They hold no prompt, answer or key.

See https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/. Attributes that are not in them begin with
`lfm_adapter.`, except the cost: tracing backends read it from `gen_ai.usage.cost`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from opentelemetry import trace

from lfm_adapter._client.metering import arrived
from lfm_adapter._json import as_count, as_dict, as_number
from lfm_adapter._version import __version__
from lfm_adapter.catalog._usage import chat_usage
from lfm_adapter.types import EmbeddingReply, Reply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.trace import Span

    from lfm_adapter._client.metering import AnyReply
    from lfm_adapter._client.settings import Settings
    from lfm_adapter.errors import APIError
    from lfm_adapter.types import JSONDict

_REQUEST = ("max_tokens", "temperature", "top_p", "top_k", "frequency_penalty", "presence_penalty", "seed")
_USAGE = {
    "input_tokens": ("prompt_tokens",),
    "output_tokens": ("completion_tokens",),
    "cache_read.input_tokens": ("prompt_tokens_details", "cached_tokens"),
    "cache_creation.input_tokens": ("prompt_tokens_details", "cache_write_tokens"),
    "reasoning.output_tokens": ("completion_tokens_details", "reasoning_tokens"),
}


def start_span(
    settings: Settings, model: str, fields: Mapping[str, Any], operation: str, *, stream: bool
) -> CallSpan | None:
    """Start the span of a call; None if the program's tracer provider does not record it."""
    url = urlsplit(settings.base_url)
    attributes = {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": settings.provider_name,
        "gen_ai.request.model": model,
        "gen_ai.request.stream": stream,
        "server.address": url.hostname,
        "server.port": url.port or (443 if url.scheme == "https" else 80),
        **{f"gen_ai.request.{name}": _exportable(as_number(fields.get(name))) for name in _REQUEST},
    }
    if (count := as_number(fields.get("n"))) not in (None, 1):
        attributes["gen_ai.request.choice.count"] = count
    span = (
        trace.get_tracer_provider()
        .get_tracer("lfm_adapter", __version__)
        .start_span(
            f"{operation} {model}",
            kind=trace.SpanKind.CLIENT,
            attributes={name: value for name, value in attributes.items() if value is not None},
        )
    )
    return CallSpan(span) if span.is_recording() else None


class CallSpan:
    """The span of one call."""

    def __init__(self, span: Span) -> None:
        self._span = span
        self._began = time.monotonic()
        self._has_token = False

    def on_token(self) -> None:
        """Note when the first delta of a stream came."""
        if not self._has_token:
            self._has_token = True
            self._span.set_attribute("gen_ai.response.time_to_first_chunk", time.monotonic() - self._began)

    def on_retry(self, error: APIError, delay: float) -> None:
        """Add an event for an attempt that failed and is followed by another."""
        self.add_event("retry", **{"lfm_adapter.retry_delay": delay, **_error_attributes(error)})

    def add_event(self, name: str, **attributes: Any) -> None:
        """Add what happened in the call."""
        self._span.add_event(f"lfm_adapter.{name}", attributes)

    def end(self, reply: AnyReply | None, error: BaseException | None) -> None:
        """End the span with the facts of the reply, or of what had arrived of it."""
        answered = reply or arrived(error)
        attributes: JSONDict = {} if answered is None else _reply_attributes(answered)
        if isinstance(error, Exception):
            attributes |= _error_attributes(error)
            self._span.set_status(trace.StatusCode.ERROR)  # no text: it may quote the answer
        elif error is not None:  # the stream was closed, or its task cancelled
            attributes["lfm_adapter.is_cancelled"] = True
        self._span.set_attributes({name: value for name, value in attributes.items() if value is not None})
        self._span.end()


def _reply_attributes(reply: AnyReply) -> JSONDict:
    usage: JSONDict = {}
    counts = chat_usage(reply.usage or {})
    for name, path in _USAGE.items():
        value: Any = counts
        for key in path:
            value = as_dict(value).get(key)
        usage[f"gen_ai.usage.{name}"] = as_count(value)
    attributes = {
        **usage,
        "gen_ai.response.id": reply.id,
        "gen_ai.response.model": reply.model,
        "gen_ai.usage.cost": float(reply.cost.total) if reply.cost else None,
        "lfm_adapter.cost_source": reply.cost.source if reply.cost else None,
        "lfm_adapter.provider": reply.provider,
    }
    if isinstance(reply, EmbeddingReply):
        return {**attributes, "gen_ai.embeddings.dimension.count": len(reply.vectors[0])}
    if not isinstance(reply, Reply):
        return attributes
    reasons = [choice.finish_reason for choice in reply.choices if choice.finish_reason]
    return {
        **attributes,
        "gen_ai.response.finish_reasons": reasons,
        "lfm_adapter.output_retries": reply.output_retries or None,
    }


def _exportable(number: float | None) -> float | None:
    """Return what OTLP can hold: one larger integer would cost all spans that are exported with it."""
    return None if number is None or abs(number) >= 2**63 else number


def _error_attributes(error: BaseException) -> JSONDict:
    status = getattr(error, "status_code", None)
    return {"error.type": type(error).__name__} | ({"http.response.status_code": status} if status else {})
