"""The table of failures: what a user must see of each, under the headings of `docs/failures.md`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from lfm_adapter import errors
from lfm_adapter.testing import ScriptedReply, completion
from lfm_adapter.testing._reply import Break
from tests.faults.asking import kind_of
from tests.faults.harmless import CONNECTIONS as HARMLESS_CONNECTIONS
from tests.faults.harmless import REPLIES as HARMLESS_REPLIES
from tests.faults.harmless import STREAMS as HARMLESS_STREAMS
from tests.faults.scenario import Scenario

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["FAILURES", "HARMLESS", "SCENARIOS", "rows"]

DOCS = "https://openrouter.ai/docs/api-reference/"
ERRORS, LIMITS, STREAMING, OVERVIEW = (DOCS + page for page in ("errors", "limits", "streaming", "overview"))
CDN = "https://developers.cloudflare.com/support/troubleshooting/http-status-codes/cloudflare-5xx-errors/"
INSURANCE = "https://openrouter.ai/docs/features/zero-completion-insurance"
SSE = "https://html.spec.whatwg.org/multipage/server-sent-events.html"
HTTP, FRAMING = "https://www.rfc-editor.org/rfc/rfc9110", "https://www.rfc-editor.org/rfc/rfc9112"
EMBEDDINGS = DOCS + "embeddings"
DECISIONS = "https://openrouter.ai/docs/guides/features/decisions"
LLAMA_CPP = "https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md"
GITHUB = "https://github.com/"
SMOLAGENTS = GITHUB + "huggingface/smolagents/issues/361"

EVERY_KIND = ("plain", "streamed", "embedded", "decided")
AGAIN: dict[str, Any] = {"retried": True}
BAD_GATEWAY: dict[str, Any] = {"litellm": "BadGatewayError"}
UNAVAILABLE: dict[str, Any] = {"litellm": "ServiceUnavailableError"}
LFM_3B: dict[str, Any] = {"options": {"model": "liquid/lfm-3b"}}
HALF: dict[str, Any] = {"is_retryable": True, "kept": "Hel"}
PLAIN: dict[str, Any] = {"kinds": ("plain",)}
BEGUN: dict[str, Any] = {"is_retryable": True}
SHORT: dict[str, Any] = {"options": {"timeout": 0.2}}  # seconds
LONGER: dict[str, Any] = {"options": {"timeout": 0.4}}


def refused(name: str, raises: type[errors.APIError], source: str = ERRORS, **more: Any) -> Scenario:
    """A reply that fails, whatever was asked for."""
    kinds = ("plain", "streamed") if "options" in more else EVERY_KIND
    return Scenario(name, source, raises, **{"kinds": kinds} | more)


def answered(name: str, raises: type[errors.APIError], source: str = ERRORS, **more: Any) -> Scenario:
    """A failure with status 200, whether a stream was asked for or not."""
    return Scenario(name, source, raises, **more)


def embedded(name: str, raises: type[errors.APIError], source: str = EMBEDDINGS, **more: Any) -> Scenario:
    """A reply to a request for vectors."""
    return Scenario(f"embeddings: {name}", source, raises, kinds=("embedded",), **more)


def decided(name: str, raises: type[errors.APIError], source: str = DECISIONS, **more: Any) -> Scenario:
    """A reply to a request for decisions."""
    return Scenario(f"decisions: {name}", source, raises, kinds=("decided",), **more)


def stream(name: str, raises: type[errors.APIError], source: str = STREAMING, **more: Any) -> Scenario:
    """A stream that ends in an exception."""
    return Scenario(f"stream: {name}", source, raises, kinds=("streamed",), **more)


def connection(name: str, raises: type[errors.APIError], source: str = FRAMING, **more: Any) -> Scenario:
    """A failure below the replies."""
    kinds = ("streamed",) if name.startswith("stream: ") else EVERY_KIND
    if "first" in more or "replies" in more:
        kinds = ("plain", "streamed")
    return Scenario(name, source, raises, **{"kinds": kinds} | more)


def broken(word: str) -> tuple[Scenario, ...]:
    """A connection that ends at one point after the other."""
    name, gone, cut = f"connection {word}", errors.APIConnectionError, errors.StreamInterruptedError
    return (
        connection(name, gone, **AGAIN),
        connection(f"{name} before the body", cut, **AGAIN),
        connection(f"{name} after whitespace", cut, **AGAIN),
        connection(f"{name} in the body", cut, **BEGUN),
        connection(f"stream: {name} before text", cut, **AGAIN),
        connection(f"stream: {name} after text", cut, **HALF),
        connection(f"stream: {name} in a chunk", cut, **HALF),
    )


CUT = {kind: ScriptedReply(None, {}, (Break.CUT,)) for kind in ("plain", "streamed")}

FAILURES: dict[str, tuple[Scenario, ...]] = {
    "Errors with their own status": (
        refused("bad parameter", errors.BadRequestError),
        refused("unknown model", errors.ModelNotFoundError),
        refused("context length", errors.ContextWindowExceededError),
        refused("context length, as Anthropic says it", errors.ContextWindowExceededError),
        refused("context length by error_type", errors.ContextWindowExceededError),
        refused("reasoning is mandatory", errors.BadRequestError),
        refused("provider rejects the request", errors.BadRequestError),
        refused("too many fallback models", errors.BadRequestError, GITHUB + "coder/xum/issues/2963"),
        refused("validation error", errors.BadRequestError),
        refused("no key", errors.AuthenticationError),
        refused("wrong key", errors.AuthenticationError),
        refused("no credit", errors.PaymentRequiredError, LIMITS),
        refused("max_tokens exceeds the credit", errors.PaymentRequiredError, GITHUB + "QwenLM/qwen-code/issues/73"),
        refused("in-flight budget", errors.PaymentRequiredError, LIMITS, retry_after=2, **AGAIN),
        refused("moderation", errors.PermissionDeniedError),
        refused("guardrail", errors.PermissionDeniedError),
        refused("region", errors.PermissionDeniedError),
        refused("blocked by the CDN", errors.PermissionDeniedError),
        refused("retired model", errors.ModelRetiredError, **LFM_3B),
        refused("retired model, newer form", errors.ModelRetiredError, **LFM_3B),
        refused("free variant ended", errors.ModelNotFoundError),
        refused("no endpoint with tools", errors.NoEndpointsError, GITHUB + "sst/opencode/issues/1675"),
        refused("data policy", errors.NoEndpointsError),
        refused("guardrails leave no endpoint", errors.NoEndpointsError),
        refused("wrong path", errors.NotFoundError),
        refused("request timeout", errors.APITimeoutError, **AGAIN),
        refused("payload too large", errors.BadRequestError, kinds=("plain", "streamed", "embedded")),
        refused("unprocessable", errors.BadRequestError, litellm="UnprocessableEntityError"),
        refused("other 4xx", errors.BadRequestError),
        refused("rate limit", errors.RateLimitError, LIMITS, retry_after=3, **AGAIN),
        refused("rate limit with Retry-After", errors.RateLimitError, LIMITS, retry_after=7, **AGAIN),
        refused("rate limit for ten minutes", errors.RateLimitError, LIMITS, retry_after=600, is_retryable=True),
        refused("rate limit per minute", errors.RateLimitError, SMOLAGENTS, retry_after=0, **AGAIN),
        refused("rate limit per day", errors.RateLimitError, SMOLAGENTS),
        refused("server error", errors.ServerError, **AGAIN),
        refused("server error with a word as code", errors.ServerError, **AGAIN),
        refused("server error without a body", errors.ServerError, **AGAIN),
        refused("provider failed", errors.ServerError, **AGAIN, **BAD_GATEWAY),
        refused("bad gateway page", errors.ServerError, **AGAIN, **BAD_GATEWAY),
        refused("no provider available", errors.ServerError, retry_after=5, **AGAIN, **UNAVAILABLE),
        refused("unavailable, not retryable", errors.ServerError, **UNAVAILABLE),
        refused("provider timeout", errors.APITimeoutError, **AGAIN),
        refused("CDN timeout", errors.APITimeoutError, **AGAIN),
        refused("CDN: unknown error", errors.ServerError, CDN, **AGAIN),
        refused("CDN: server is down", errors.ServerError, CDN, **AGAIN),
        refused("CDN: connection timed out", errors.ServerError, CDN, **AGAIN),
        refused("CDN: server is unreachable", errors.ServerError, CDN, **AGAIN),
        refused("CDN: handshake failed", errors.ServerError, CDN, **AGAIN),
        refused("CDN: error of its own", errors.ServerError, CDN, **AGAIN),
        refused("overloaded", errors.ServerError, **AGAIN, **UNAVAILABLE),
        refused("redirect", errors.ResponseError, HTTP + "#section-15.4"),
    ),
    "Failures with status 200": (
        answered("error instead of an answer", errors.RateLimitError, GITHUB + "langchain-ai/langchainjs/issues/11417",
                status_code=429, **AGAIN),
        answered("error beside null choices", errors.ServerError, GITHUB + "UKGovernmentBEIS/inspect_ai/issues/1534",
                status_code=502, **AGAIN, **BAD_GATEWAY),
        answered("error after padding", errors.ServerError, status_code=503, **AGAIN, **UNAVAILABLE),
        answered("forbidden with status 200", errors.PermissionDeniedError, status_code=403),
        answered("error in the choice after text", errors.ServerError, status_code=502, **HALF, **BAD_GATEWAY, **PLAIN),
        answered("error in the choice", errors.ServerError, status_code=502, **AGAIN, **BAD_GATEWAY),
        answered("error without its key", errors.BadRequestError, status_code=400),
        answered("rate limit without its key", errors.RateLimitError, status_code=429, **BEGUN),
        answered("detail instead of an answer", errors.APIError),
        answered("words instead of an answer", errors.APIError),
        answered("words of an overloaded server", errors.ServerError, status_code=503, **AGAIN, **UNAVAILABLE),
        answered("error that was charged", errors.ServerError, status_code=503, **BEGUN, **UNAVAILABLE),
        answered("no choices, but charged", errors.ResponseError, **BEGUN),
        answered("finish_reason error", errors.ServerError, GITHUB + "pydantic/pydantic-ai/issues/2844",
                status_code=500, **HALF, **PLAIN),
        answered("empty object", errors.ResponseError, **AGAIN),
        answered("no choices", errors.ResponseError, GITHUB + "langgenius/dify/issues/9249", **AGAIN),
        answered("empty choice", errors.ResponseError, INSURANCE, **AGAIN),
        answered("empty body", errors.ResponseError, status_code=200, **AGAIN),
        answered("whitespace only", errors.ResponseError, status_code=200, **AGAIN),
        answered("HTML instead of JSON", errors.ResponseError, status_code=200),
        answered("JSON array", errors.ResponseError, status_code=200),
        answered("invalid UTF-8", errors.ResponseError, "https://www.rfc-editor.org/rfc/rfc8259#section-8.1",
                status_code=200),
        answered("truncated JSON", errors.ResponseError, status_code=200),
        answered("unknown Content-Encoding", errors.ResponseError, OVERVIEW),
    ),
    "Embeddings": (
        embedded("text larger than the batch", errors.ContextWindowExceededError,
                 GITHUB + "ggml-org/llama.cpp/pull/7389"),
        embedded("text too long", errors.ContextWindowExceededError),
        embedded("no vectors", errors.ResponseError, GITHUB + "mem0ai/mem0/issues/4057"),
        embedded("another number of vectors", errors.ResponseError),
        embedded("invalid index", errors.ResponseError),
        embedded("empty vector", errors.ResponseError),
        embedded("null in a vector", errors.ResponseError),
        embedded("NaN in a vector", errors.ResponseError),
        embedded("invalid base64", errors.ResponseError),
    ),
    "Streams": (
        stream("error first", errors.RateLimitError, ERRORS, status_code=429, **AGAIN),
        stream("error after text", errors.ServerError, ERRORS, status_code=502, **HALF, **BAD_GATEWAY),
        stream("error with a word as code", errors.ServerError, status_code=500, **HALF),
        stream("error without finish_reason", errors.ServerError, GITHUB + "langchain-ai/langchainjs/issues/11579",
               status_code=503, **HALF, **UNAVAILABLE),
        stream("context length without a status", errors.ContextWindowExceededError, status_code=400),
        stream("throttled without a status", errors.RateLimitError, status_code=429, **AGAIN),
        stream("error without choices", errors.ServerError, GITHUB + "vercel/ai/issues/2720", status_code=500, **HALF),
        stream("error without its key", errors.ServerError, status_code=500, **HALF),
        stream("error without a data field", errors.ServerError, status_code=503, **HALF, **UNAVAILABLE),
        stream("error after the role", errors.ServerError, status_code=503, **BEGUN, **UNAVAILABLE),
        stream("error beside usage", errors.ContextWindowExceededError, GITHUB + "pydantic/pydantic-ai",
               status_code=400, kept="Hel"),
        stream("finish_reason error", errors.ServerError, GITHUB + "pydantic/pydantic-ai/issues/2844",
               status_code=500, **HALF),
        stream("nothing but [DONE]", errors.ResponseError, ERRORS, **AGAIN),
        stream("[DONE] without finish_reason", errors.StreamInterruptedError,
               GITHUB + "pydantic/pydantic-ai/issues/4072", **HALF),
        stream("ends after comments", errors.StreamInterruptedError, **AGAIN),
        stream("ends after the role", errors.StreamInterruptedError, **BEGUN),
        stream("ends after text", errors.StreamInterruptedError, **HALF),
        stream("ends within an event", errors.StreamInterruptedError, **HALF),
        stream("invalid JSON", errors.ResponseError, SSE, kept="Hel"),
        stream("invalid UTF-8", errors.ResponseError, SSE, kept="Hel"),
        stream("event is not an object", errors.ResponseError, SSE, kept="Hel"),
        stream("silent from the start", errors.APITimeoutError, **AGAIN, **SHORT),
        stream("silent after text", errors.APITimeoutError, **HALF, **LONGER),
        stream("only comments after text", errors.APITimeoutError, GITHUB + "docker/docker-agent/issues/2349",
               options={"stream_chunk_timeout": 0.5, "timeout": 0.5}, **HALF),
    ),
    "Decisions": (
        decided("too large", errors.ContextWindowExceededError, LLAMA_CPP),
        decided("prompt too long", errors.ContextWindowExceededError, LLAMA_CPP),
        decided("too many options", errors.BadRequestError, LLAMA_CPP, litellm="UnprocessableEntityError"),
        decided("not a decision model", errors.ServerError, LLAMA_CPP),
        decided("error instead of answers", errors.RateLimitError, status_code=429, **AGAIN),
        decided("no answers", errors.ResponseError),
        decided("an answer missing", errors.InvalidDecisionError),
        decided("an answer of another type", errors.InvalidDecisionError),
        decided("probability above 1", errors.InvalidDecisionError),
        decided("broken off", errors.StreamInterruptedError, **BEGUN),
    ),
    "Connections": (
        connection("connection refused", errors.APIConnectionError, **AGAIN, replies=CUT, heard=0),
        connection("untrusted certificate", errors.APIConnectionError, HTTP + "#section-4.3.4", replies=CUT, heard=0,
                   tls=True),
        *broken("closed"),
        *broken("reset"),
        connection("connection reset in the headers", errors.APIConnectionError, **AGAIN),
        connection("idle connection closed", errors.APIConnectionError, FRAMING + "#section-9.6", **AGAIN, replies=CUT,
                   first=(completion("Hello."),)),
        connection("no headers", errors.APITimeoutError, **AGAIN, **SHORT),
        connection("slow headers", errors.APITimeoutError, **AGAIN, **SHORT),
        connection("no body", errors.APITimeoutError, **AGAIN, **SHORT),
        connection("half a body", errors.APITimeoutError, **BEGUN, **LONGER),
        connection("not HTTP", errors.APIConnectionError),
        connection("bad status line", errors.APIConnectionError),
        connection("invalid Content-Length", errors.APIConnectionError),
        connection("two Content-Lengths", errors.APIConnectionError),
        connection("body shorter than Content-Length", errors.StreamInterruptedError, **BEGUN, **PLAIN),
    ),
}  # fmt: skip

HARMLESS: dict[str, tuple[Scenario, ...]] = {
    "Errors with their own status": (),
    "Failures with status 200": HARMLESS_REPLIES,
    "Embeddings": (),
    "Streams": HARMLESS_STREAMS,
    "Decisions": (),
    "Connections": HARMLESS_CONNECTIONS,
}
SCENARIOS = tuple(row for theme in FAILURES for row in (*FAILURES[theme], *HARMLESS[theme]))


def rows(ways: Iterable[str], scenarios: Iterable[Scenario] = SCENARIOS) -> list[object]:
    """Return each scenario with each way that it applies to, as parameters of a test."""
    return [
        pytest.param(scenario, way, id=f"{scenario.name} - {way}")
        for scenario in scenarios
        for way in ways
        if kind_of(way) in scenario.kinds
    ]
