"""Every error of OpenRouter's table, from a cassette, as the exception that ChatLFM raises."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from lfm_adapter import ChatLFM, errors
from lfm_adapter.testing import error
from lfm_adapter.testing._wire import error_in_choice, midstream_error

if TYPE_CHECKING:
    from tests.support.recording import Service

LIVE = "liquid/lfm-2.5-2.6b:free"
RETIRED = "liquid/lfm-3b"
UPSTREAM_429 = {
    "raw": f"{LIVE} is temporarily rate-limited upstream. Please retry shortly.",
    "provider_name": "Liquid",
    "retry_after_seconds": 1,
    "headers": {"Retry-After": "1"},
}
DAILY_429 = {"headers": {"X-RateLimit-Limit": "50", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1790035200000"}}
DATA_POLICY = {
    "routing_funnel": [{"step": "Initial Endpoints", "endpoint_count": 1}],
    "failed_routing_step": "Filter by Data Policy",
}
IN_FLIGHT = {"reason": "in_flight_budget_exhausted", "limit_source": "openrouter_in_flight_budget"}
CONTEXT = "This endpoint's maximum context length is 65536 tokens. However, you requested about 90000 tokens."


def case(reply: Any, expected: type[errors.APIError], says: str, name: str, **facts: Any) -> Any:
    marks = [pytest.mark.vcr, pytest.mark.scripted(reply, always=True)]
    return pytest.param(expected, says, facts, id=name, marks=marks)


PLAIN = [
    case(error(400, f"{LIVE}x is not a valid model ID"), errors.ModelNotFoundError, "valid model ID", "unknown_model"),
    case(
        error(404, f"No endpoints found for {RETIRED}."),
        errors.ModelRetiredError,
        "liquid/lfm-3-1.7b",
        "retired_model",
        model=RETIRED,
    ),
    case(
        error(400, CONTEXT),
        errors.ContextWindowExceededError,
        "maximum context length",
        "context",
        context_length=65_536,
    ),
    case(error(400, "Expected temperature to be at most 2"), errors.BadRequestError, "temperature", "bad_request"),
    case(error(401, "User not found."), errors.AuthenticationError, "OPENROUTER_API_KEY", "wrong_key"),
    case(error(402, "Insufficient credits"), errors.PaymentRequiredError, "credits", "no_credit", is_retryable=False),
    case(
        error(402, "This request would exceed your available credits.", metadata=IN_FLIGHT),
        errors.PaymentRequiredError,
        "credits",
        "in_flight_budget",
        is_retryable=True,
    ),
    case(
        error(403, "Input was flagged", metadata={"reasons": ["violence"], "provider_name": "Liquid"}),
        errors.PermissionDeniedError,
        "violence",
        "moderation",
        provider="Liquid",
    ),
    case(
        error(404, "No endpoints found matching your data policy.", metadata=DATA_POLICY),
        errors.NoEndpointsError,
        "Filter by Data Policy",
        "data_policy",
    ),
    case(
        error(404, "No endpoints found that support tool use."), errors.NoEndpointsError, "tool use", "no_tool_endpoint"
    ),
    case(error(408, "Request timed out"), errors.APITimeoutError, "timed out", "timeout", is_retryable=True),
    case(error(413, "Payload too large"), errors.BadRequestError, "too large", "too_large"),
    case(error(422, "Unprocessable"), errors.BadRequestError, "Unprocessable", "unprocessable"),
    case(
        error(429, "Provider returned error", metadata=UPSTREAM_429),
        errors.RateLimitError,
        "rate-limited upstream",
        "rate_limit_of_the_provider",
        provider="Liquid",
        retry_after=1,
    ),
    case(
        error(429, "Rate limit exceeded: free-models-per-day.", metadata=DAILY_429),
        errors.RateLimitError,
        "free-models-per-day",
        "daily_cap",
        is_retryable=False,
    ),
    case(error(500, "Internal Server Error"), errors.ServerError, "Internal", "server", is_retryable=True),
    case(error(502, "Provider returned error"), errors.ServerError, "Provider", "bad_gateway", is_retryable=True),
    case(error(503, "No provider is available"), errors.ServerError, "provider", "unavailable", is_retryable=True),
    case(error(504, "Gateway timeout"), errors.APITimeoutError, "timeout", "gateway_timeout"),
    case(error(524, "A timeout occurred"), errors.APITimeoutError, "timeout", "edge_timeout"),
    case(error(529, "Provider overloaded"), errors.ServerError, "overloaded", "overloaded", is_retryable=True),
    case(
        error(200, "Provider disconnected", code=502),
        errors.ServerError,
        "disconnected",
        "error_in_a_200",
        status_code=502,
    ),
    case(
        error_in_choice(502, "Provider disconnected", text="Par"),
        errors.ServerError,
        "disconnected",
        "error_in_a_choice",
        partial_text="Par",
    ),
]

STREAMED = [
    case(
        midstream_error(["Par"], 429, "Rate limit exceeded"),
        errors.RateLimitError,
        "Rate limit",
        "error_in_a_stream",
        partial_text="Par",
    ),
    case(error(402, "Insufficient credits"), errors.PaymentRequiredError, "credits", "error_before_a_stream"),
]


def check(raised: errors.APIError, says: str, facts: dict[str, Any]) -> None:
    assert re.search(re.escape(says), str(raised))
    facts = dict(facts)
    text = facts.pop("partial_text", None)
    if text is not None:
        assert raised.partial is not None
        assert raised.partial.text == text
    for name, value in facts.items():
        assert getattr(raised, name) == value, name


def chat(service: Service, facts: dict[str, Any]) -> ChatLFM:
    model = facts.get("model", LIVE)
    return ChatLFM(model=model, base_url=service.base_url, api_key=service.api_key, max_retries=0)


@pytest.mark.parametrize(("expected", "says", "facts"), PLAIN)
def test_error(service: Service, expected: type[errors.APIError], says: str, facts: dict[str, Any]):
    with pytest.raises(expected) as raised:
        chat(service, facts).invoke("Hello")
    check(raised.value, says, facts)


@pytest.mark.parametrize(("expected", "says", "facts"), STREAMED)
async def test_error_streamed(service: Service, expected: type[errors.APIError], says: str, facts: dict[str, Any]):
    with pytest.raises(expected) as raised:
        async for _ in chat(service, facts).astream("Hello"):
            pass
    check(raised.value, says, facts)
