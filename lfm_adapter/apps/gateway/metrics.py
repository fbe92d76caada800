"""`/metrics` for Prometheus, with the names of OpenTelemetry's conventions for generative AI.

See https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/. Dots and units are written as in Prometheus.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lfm_adapter import catalog
from lfm_adapter._extras import how_to_install
from lfm_adapter.apps.gateway.errors import GatewayError

if TYPE_CHECKING:
    from lfm_adapter.ledger import CallRecord
    from lfm_adapter.types import Kind

# The buckets that the conventions recommend.
_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_FIRST_TOKEN = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
_TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144)

_OPERATIONS: dict[Kind, str] = {"chat": "chat", "decisions": "decide", "embeddings": "embeddings"}
_LABELS = ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "gen_ai_response_model")


class Metrics:
    """Counts calls since the start, if prometheus-client is installed."""

    def __init__(self) -> None:
        try:
            import prometheus_client
        except ImportError:
            self._client: Any = None
            return
        self._client = prometheus_client
        self._registry = registry = prometheus_client.CollectorRegistry()
        self._duration = prometheus_client.Histogram(
            "gen_ai_server_request_duration_seconds", "Seconds of a call.", (*_LABELS, "error_type", "app"),
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self._first_token = prometheus_client.Histogram(
            "gen_ai_server_time_to_first_token_seconds", "Seconds until the first token of a stream.", _LABELS,
            buckets=_FIRST_TOKEN, registry=registry,
        )  # fmt: skip
        self._tokens = prometheus_client.Histogram(
            "gen_ai_client_token_usage", "Tokens of a call.", (*_LABELS, "gen_ai_token_type"), buckets=_TOKENS,
            registry=registry,
        )  # fmt: skip
        self._cost = prometheus_client.Counter(
            "lfm_gateway_cost_usd", "US$ charged.", (*_LABELS, "app"), registry=registry
        )

    def record(self, call: CallRecord, provider: str) -> None:
        """Count a call that a provider answered."""
        if self._client is None:
            return
        labels = (_OPERATIONS[catalog.get(call.model).kind], provider, call.model, call.served_model or "")
        self._duration.labels(*labels, "" if call.status == "ok" else call.status, call.app).observe(call.duration_s)
        if call.first_token_s is not None:
            self._first_token.labels(*labels).observe(call.first_token_s)
        for kind, count in (("input", call.prompt_tokens), ("output", call.completion_tokens)):
            if count is not None:
                self._tokens.labels(*labels, kind).observe(count)
        if call.cost is not None:
            self._cost.labels(*labels, call.app).inc(float(call.cost))

    def text(self) -> tuple[bytes, str]:
        """Return the metrics and their content type.

        Raises:
            GatewayError: prometheus-client is not installed.
        """
        if self._client is None:
            raise GatewayError(
                501, f"Metrics need prometheus-client. Run `{how_to_install('gateway')}` and restart `lfm gateway`."
            )
        return self._client.generate_latest(self._registry), self._client.CONTENT_TYPE_LATEST
