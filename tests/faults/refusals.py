"""Refusals: a status that is that of an error, with a body of any kind."""

from __future__ import annotations

from typing import Any

from lfm_adapter import errors
from tests.faults.scenario import DOCS, Scenario, both
from tests.support.http_reply import Reply, html, json_reply, raw
from tests.support.openrouter_replies import error

__all__ = ["REFUSALS"]

ERRORS = DOCS + "errors"
LIMITS = DOCS + "limits"
THREADS = "https://github.com/"

ACCOUNT = {"user_id": "user_2abcDEF345ghi"}  # OpenRouter sends it along; it must stand in no error
MINUTE = {"headers": {"X-RateLimit-Limit": "20", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1790000000000"}}
IN_FLIGHT = {"limit_source": "openrouter_in_flight_budget", "reason": "in_flight_budget_exhausted"}
UPSTREAM = {
    "raw": "liquid/lfm-2.5-2.6b:free is temporarily rate-limited upstream. Please retry shortly.",
    "provider_name": "Liquid",
    "limit_source": "upstream_provider_shared_pool",
    "retry_after_seconds": 3,
    "headers": {"Retry-After": "4"},
}
POLICY = {"failed_routing_step": "Filter by Data Policy", "routing_funnel": [{"step": "Initial", "endpoint_count": 1}]}


def refused(
    name: str, status: int, message: str, raises: type[errors.APIError], source: str = ERRORS, **more: Any
) -> Scenario:
    """A refusal in OpenRouter's own form. What `error` does not take is for the `Scenario`."""
    sent = {key: more.pop(key) for key in ("metadata", "headers", "code") if key in more}
    answer = error(status, message, **sent, **ACCOUNT)
    return Scenario(f"{status}: {name}", both(answer), source, raises, status, **more)


def of_availability(name: str, status: int, raises: type[errors.APIError], facts: dict[str, Any], **more: Any) -> Any:
    """A refusal in the newer form, which has no code of its own."""
    body = {"error": {"message": "It cannot be served.", "http_status": status, "availability": facts}, **ACCOUNT}
    return Scenario(f"{status}: {name}", both(json_reply(body, status=status)), ERRORS, raises, status, **more)


def other(name: str, answer: Reply, raises: type[errors.APIError], source: str = ERRORS, **more: Any) -> Scenario:
    """A refusal that is not OpenRouter's."""
    return Scenario(f"{answer.status}: {name}", both(answer), source, raises, answer.status, **more)


BAD_GATEWAY: dict[str, Any] = {"litellm": "BadGatewayError"}
UNAVAILABLE: dict[str, Any] = {"litellm": "ServiceUnavailableError"}
AGAIN: dict[str, Any] = {"retried": True}

REFUSALS = (
    refused("a parameter out of its range", 400, "Expected temperature to be at most 2", errors.BadRequestError),
    refused("no such model", 400, "liquid/lfm-9b is not a valid model ID", errors.ModelNotFoundError),
    refused(
        "the prompt does not fit", 400, "This endpoint's maximum context length is 32768 tokens. However, you requested"
        " about 40000 tokens", errors.ContextWindowExceededError,
    ),
    refused(
        "the prompt does not fit, by `error_type` alone", 400, "Too long", errors.ContextWindowExceededError,
        metadata={"error_type": "context_length_exceeded"},
    ),
    refused("reasoning cannot be turned off", 400, "Reasoning is mandatory for this endpoint", errors.BadRequestError),
    refused(
        "the provider's own refusal, JSON within JSON", 400, "Provider returned error", errors.BadRequestError,
        metadata={"raw": '{"error": {"message": "top_p is not supported"}}', "provider_name": "Liquid"},
    ),
    refused(
        "more than three fallback models", 400, "'models' array must have 3 items or fewer.", errors.BadRequestError,
        THREADS + "coder/xum/issues/2963",
    ),
    other(
        "not OpenRouter's own form", json_reply(
            {"success": False, "error": {"name": "ZodError", "message": '[{"code": "invalid_type"}]'}}, status=400
        ), errors.BadRequestError,
    ),
    refused("no key", 401, "No cookie auth credentials found", errors.AuthenticationError),
    refused("a wrong key", 401, "User not found.", errors.AuthenticationError),
    refused("no credit", 402, "Insufficient credits", errors.PaymentRequiredError, LIMITS),
    refused(
        "`max_tokens` is more than the credit pays for", 402, "This request requires more credits, or fewer max_tokens",
        errors.PaymentRequiredError, THREADS + "QwenLM/qwen-code/issues/73",
    ),
    refused(
        "the budget in flight is used up", 402, "Too many at once", errors.PaymentRequiredError, LIMITS,
        metadata=IN_FLIGHT, headers={"Retry-After": "2"}, wait_s=2, **AGAIN,
    ),
    refused(
        "moderation", 403, "Your input was flagged", errors.PermissionDeniedError,
        metadata={"reasons": ["violence"], "flagged_input": "…"},
    ),
    refused(
        "a guardrail or its budget", 403, "Blocked by a guardrail", errors.PermissionDeniedError,
        metadata={"patterns": ["secret"], "limit_source": "openrouter_guardrail_budget"},
    ),
    of_availability(
        "not in this region", 403, errors.PermissionDeniedError, {"code": "region_restricted", "retryable": False}
    ),
    other("a page of the network in front of OpenRouter", html(403, "Forbidden"), errors.PermissionDeniedError),
    refused(
        "a retired model", 404, "No endpoints found for liquid/lfm-3b.", errors.ModelRetiredError,
        options={"model": "liquid/lfm-3b"},
    ),
    of_availability(
        "a retired model, in the newer form", 404, errors.ModelRetiredError,
        {"code": "model_deprecated", "retryable": False}, options={"model": "liquid/lfm-3b"},
    ),
    of_availability(
        "no longer free", 404, errors.ModelNotFoundError, {"code": "free_variant_ended", "retryable": False}
    ),
    refused(
        "no endpoint has tools", 404, "No endpoints found that support tool use.", errors.NoEndpointsError,
        THREADS + "sst/opencode/issues/1675",
    ),
    refused(
        "the data policy leaves no endpoint", 404, "No endpoints found matching your data policy (Free model training)",
        errors.NoEndpointsError, metadata=POLICY,
    ),
    refused(
        "guardrails leave no endpoint", 404, "No endpoints available matching your guardrail restrictions",
        errors.NoEndpointsError,
    ),
    refused("a wrong path", 404, "Not Found", errors.NotFoundError),
    refused("OpenRouter waited too long", 408, "Request timeout", errors.APITimeoutError, **AGAIN),
    refused("the request is too large", 413, "Payload too large", errors.BadRequestError),
    refused(
        "the request cannot be processed", 422, "Unprocessable", errors.BadRequestError,
        litellm="UnprocessableEntityError",
    ),
    refused("any other 4xx", 418, "I am a teapot", errors.BadRequestError),
    refused(
        "the provider's limit", 429, "Provider returned error", errors.RateLimitError, LIMITS, metadata=UPSTREAM,
        wait_s=3, **AGAIN,
    ),
    refused(
        "`Retry-After` in the headers", 429, "Slow down", errors.RateLimitError, LIMITS,
        headers={"Retry-After": "7"}, wait_s=7, **AGAIN,
    ),
    refused(
        "`Retry-After` is longer than two minutes", 429, "Slow down", errors.RateLimitError, LIMITS,
        headers={"Retry-After": "600"}, wait_s=600, is_retryable=True,
    ),
    refused(
        "the limit of a minute, whose end has passed", 429, "Rate limit exceeded: free-models-per-min",
        errors.RateLimitError, THREADS + "huggingface/smolagents/issues/361", metadata=MINUTE, wait_s=0, **AGAIN,
    ),
    refused(
        "the limit of a day", 429, "Rate limit exceeded: free-models-per-day. Add 10 credits", errors.RateLimitError,
        THREADS + "huggingface/smolagents/issues/361",
    ),
    refused("OpenRouter's own failure", 500, "Internal Server Error", errors.ServerError, **AGAIN),
    refused("a failure whose code is a word", 500, "It broke", errors.ServerError, code="server_error", **AGAIN),
    other("an empty body", raw(500, {}, ()), errors.ServerError, **AGAIN),
    refused("the provider failed", 502, "Provider returned error", errors.ServerError, **AGAIN, **BAD_GATEWAY),
    other("a page of the network in front of it", html(502), errors.ServerError, **AGAIN, **BAD_GATEWAY),
    refused(
        "no provider is free", 503, "No provider available", errors.ServerError, headers={"Retry-After": "5"},
        wait_s=5, **AGAIN, **UNAVAILABLE,
    ),
    of_availability(
        "said not to pass", 503, errors.ServerError, {"code": "temporarily_unavailable", "retryable": False},
        **UNAVAILABLE,
    ),
    refused("the provider waited too long", 504, "Gateway timeout", errors.APITimeoutError, **AGAIN),
    refused("the network in front waited too long", 524, "A timeout occurred", errors.APITimeoutError, **AGAIN),
    refused("the provider is overloaded", 529, "Overloaded", errors.ServerError, **AGAIN, **UNAVAILABLE),
    other(
        "a redirect, which would take the key elsewhere", raw(307, {"Location": "https://elsewhere.test/"}, ()),
        errors.ResponseError, "https://www.rfc-editor.org/rfc/rfc9110#section-15.4",
    ),
)  # fmt: skip
