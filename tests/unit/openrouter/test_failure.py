"""The failures that OpenRouter is known to send, and their exceptions.

Bodies follow https://openrouter.ai/docs/api-reference/errors, https://openrouter.ai/docs/api-reference/limits, and what
was seen on the wire in 2025 and 2026, with made-up names.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from lfm_adapter import errors, testing
from lfm_adapter._openrouter.failure import RETRYABLE_STATUSES, RequestContext, from_body, from_error
from tests.faults.table import FAILURES
from tests.support.stream_reading import read_reply, read_stream

MODEL = "liquid/lfm-3-1.7b"
NOW = 1_790_000_000.0
ASKED = RequestContext(MODEL, NOW)
USER = "user_2abcDEF345ghi"
KEY = "sk-or-v1-0123456789abcdef0123456789abcdef"


def explained(
    status: int, body: Any, headers: dict[str, str] | None = None, model: str | None = MODEL
) -> errors.APIError:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return from_body(status, headers or {}, data, RequestContext(model, NOW))


def failure(code: Any, message: Any, metadata: Any = None, **more: Any) -> dict[str, Any]:
    error = {"code": code, "message": message, **more}
    return {"error": error if metadata is None else {**error, "metadata": metadata}, "user_id": USER}


# name: HTTP status, body, class, status, code, part of the message
BODIES: dict[str, tuple[int, Any, type[errors.APIError], int, str | None, str]] = {
    "no messages": (
        400, failure(400, 'Input required: specify "prompt" or "messages"'),
        errors.BadRequestError, 400, None, 'Input required: specify "prompt" or "messages"',
    ),
    "not JSON was sent": (
        400, failure(400, "Input must have at least 1 token.", {"provider_name": None}),
        errors.BadRequestError, 400, None, "Input must have at least 1 token.",
    ),
    "a prompt too long, as OpenAI says it": (
        400, failure("context_length_exceeded", "Reduce the messages", type="invalid_request_error", param="messages"),
        errors.ContextWindowExceededError, 400, "context_length_exceeded", "Reduce the messages",
    ),
    "a prompt too long, as llama.cpp says it": (
        400, failure(400, "the request exceeds the available size", type="exceed_context_size_error", n_ctx=4096),
        errors.ContextWindowExceededError, 400, "exceed_context_size_error", "exceeds the available size",
    ),
    "a prompt too long, as vLLM says it": (
        400, {"object": "error", "message": "The decoder prompt (length 9000) is longer than the maximum model length "
              "of 8192.", "type": "BadRequestError", "code": 400},
        errors.ContextWindowExceededError, 400, "BadRequestError", "longer than the maximum model length of 8192",
    ),
    "no key, newer": (
        401, failure(401, "Missing Authentication header"),
        errors.AuthenticationError, 401, None, "Missing Authentication header.",
    ),
    "too little credit": (
        402, failure(402, "This request requires more credits, or fewer max_tokens. You requested up to 9000 tokens, "
                     "but can only afford 12", {"limit_source": "openrouter_credits"}),
        errors.PaymentRequiredError, 402, None, "or fewer max_tokens",
    ),
    "the key's own limit": (
        402, failure(402, "Key limit exceeded", {"limit_source": "openrouter_key_limit",
                     "remedy_hint": "Raise this key's limit.", "previous_errors": [{"code": 402, "message": "x"}]}),
        errors.PaymentRequiredError, 402, None, "Key limit exceeded. Raise this key's limit.",
    ),
    "a request that never fits the budget": (
        402, failure(402, "Too heavy", {"limit_source": "openrouter_in_flight_budget", "reason":
                     "weight_exceeds_budget"}),
        errors.PaymentRequiredError, 402, None, "Too heavy",
    ),
    "moderation": (
        403, failure(403, "Your input was flagged", {"reasons": ["violence", "hate"], "flagged_input": "my secret",
                     "provider_name": "Liquid", "model_slug": "liquid/x"}),
        errors.PermissionDeniedError, 403, None, "Your input was flagged. Reasons: violence; hate.",
    ),
    "a model without endpoints": (
        404, failure(404, "No endpoints found for liquid/lfm-9b."),
        errors.ModelNotFoundError, 404, None, "No endpoints found for liquid/lfm-9b.",
    ),
    "no endpoint by the data policy": (
        404, failure(404, "No endpoints found matching your data policy (Free model training). Configure: "
                     "https://openrouter.ai/settings/privacy", {"failed_routing_step": "Filter by Data Policy",
                     "routing_funnel": [{"step": "Initial Endpoints", "endpoint_count": 1}]}),
        errors.NoEndpointsError, 404, None, "privacy. It failed at the step 'Filter by Data Policy'.",
    ),
    "no endpoint of the allowed providers": (
        404, failure(404, "No allowed providers are available for the selected model."),
        errors.NoEndpointsError, 404, None, "No allowed providers",
    ),
    "a status without a class of its own": (
        405, failure(405, "Method not allowed"), errors.BadRequestError, 405, None, "Method not allowed",
    ),
    "too many requests": (
        429, failure(429, "Rate limit exceeded", {"error_type": "rate_limit_exceeded"}),
        errors.RateLimitError, 429, "rate_limit_exceeded", "Rate limit exceeded",
    ),
    "too many requests a minute": (
        429, failure(429, "Rate limit exceeded: free-models-per-min. ", {"provider_name": None, "headers": {
                     "X-RateLimit-Limit": "20", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1790000030000"}}),
        errors.RateLimitError, 429, None, "free-models-per-min.",
    ),
    "the provider's 429, its code a number": (
        429, failure(429, "Provider returned error", {"raw": "liquid/x is temporarily rate-limited upstream. Retry.",
                     "provider_name": "Liquid", "provider_error_code": "429", "remedy_hint": "Retry shortly"}),
        errors.RateLimitError, 429, None, "liquid/x is temporarily rate-limited upstream. Retry. Retry shortly.",
    ),
    "the provider's 429, its code a name": (
        429, failure(429, "Provider returned error", {"provider_name": "Liquid", "is_byok": False,
                     "provider_error_code": "rate_limit_exceeded", "retry_after_seconds": 1}),
        errors.RateLimitError, 429, "rate_limit_exceeded", "Provider returned error",
    ),
    "a masked failure": (
        500, failure(500, "Internal Server Error", {"error_type": "server"}),
        errors.ServerError, 500, "server", "Internal Server Error",
    ),
    "the provider's failure": (
        502, failure(502, "Provider returned error", {"error_type": "provider_unavailable", "provider_code": "x9"}),
        errors.ServerError, 502, "provider_unavailable", "Provider returned error",
    ),
    "an availability without a code": (
        404, {"error": {"message": "Gone", "error_type": "not_found", "http_status": 404, "availability": {
              "code": "model_unavailable_upstream", "retryable": False, "requested_models": ["liquid/x"]}}},
        errors.NotFoundError, 404, "model_unavailable_upstream", "Gone",
    ),
    "a constraint": (
        404, failure(404, "Filtered out", availability={"code": "constraint_filtered", "retryable": False,
                     "constraint": {"field": "max_price", "detail": "max_price.prompt excludes all"}}),
        errors.NoEndpointsError, 404, "constraint_filtered", "Filtered out. max_price.prompt excludes all.",
    ),
    "privacy": (
        404, failure(404, "Filtered out", availability={"code": "privacy_restricted", "retryable": False}),
        errors.NoEndpointsError, 404, "privacy_restricted", "Filtered out",
    ),
    "an unknown model, by its code": (
        400, failure(400, "Unknown", availability={"code": "model_not_found", "retryable": False}),
        errors.ModelNotFoundError, 400, "model_not_found", "Unknown",
    ),
    "an unknown model, as OpenAI says it": (
        404, failure("model_not_found", "Unknown", type="invalid_request_error"),
        errors.ModelNotFoundError, 404, "model_not_found", "Unknown",
    ),
    "an unknown model, as Ollama says it": (
        404, {"error": 'model "lfm2" not found, try pulling it first'},
        errors.ModelNotFoundError, 404, None, "try pulling it first",
    ),
    "the wrong endpoint": (
        400, failure(400, "Use /embeddings", availability={"code": "wrong_endpoint", "retryable": False}),
        errors.BadRequestError, 400, "wrong_endpoint", "Use /embeddings",
    ),
    "no capacity": (
        429, failure(429, "Full", availability={"code": "capacity_exhausted", "retryable": True, "retry_after": 7}),
        errors.RateLimitError, 429, "capacity_exhausted", "Full",
    ),
    "Zod's list of problems": (
        400, {"success": False, "error": {"name": "ZodError", "message": json.dumps(
              [{"path": ["input"], "message": "expected string"}, {"path": ["n"], "message": "expected int"}])}},
        errors.BadRequestError, 400, None, "expected string; expected int",
    ),
    "FastAPI's list of problems": (
        422, {"detail": [{"loc": ["body"], "msg": "field required", "input": {"messages": "my secret"}}]},
        errors.BadRequestError, 422, None, "field required",
    ),
    "an event of a stream": (
        429, b'data: {"error": {"code": 429, "message": "Slow"}}\n\n', errors.RateLimitError, 429, None, "Slow",
    ),
    "FastAPI's text": (404, {"detail": "Not Found"}, errors.NotFoundError, 404, None, "Not Found"),
    "a framework's word and message": (
        400, {"statusCode": 400, "error": "Bad Request", "message": "stop must be a list"},
        errors.BadRequestError, 400, None, "stop must be a list",
    ),
    "Google's list of one": (
        400, [{"error": {"code": 400, "message": "Invalid argument", "status": "INVALID_ARGUMENT"}}],
        errors.BadRequestError, 400, None, "Invalid argument",
    ),
    "a text": (500, {"error": "out of memory"}, errors.ServerError, 500, None, "out of memory"),
    "a JSON text": (403, "Forbidden", errors.PermissionDeniedError, 403, None, "Forbidden"),
    "a code in a string": (500, failure("503", "Busy"), errors.ServerError, 503, None, "Busy"),
    "a code that is no status": (
        502, failure(1301, "Odd", http_status=503), errors.ServerError, 503, None, "Odd",
    ),
    "a code of null": (500, failure(None, "Odd", type="odd_error"), errors.ServerError, 500, "odd_error", "Odd"),
    "nothing but null": (500, {"error": None}, errors.ServerError, 500, None, "HTTP 500 without a message"),
    "an empty object": (500, {}, errors.ServerError, 500, None, "HTTP 500 without a message"),
    "an edge's page": (
        502, b"<!DOCTYPE html><html><head>\n<title>\n example.org | 502: Bad gateway </title></head><body>my secret",
        errors.ServerError, 502, None, "web page ('example.org | 502: Bad gateway')",
    ),
    "an edge's page that forbids": (
        403, b"<html><title>Attention Required!</title>", errors.PermissionDeniedError, 403, None, "a proxy or CDN",
    ),
    "no JSON": (500, b"my secret", errors.ServerError, 500, None, "HTTP 500 with a body that is not JSON"),
    "half of a JSON": (500, b'{"error": {"message": "my sec', errors.ServerError, 500, None, "that is not JSON"),
    "no body": (503, b" \n", errors.ServerError, 503, None, "HTTP 503 with an empty body"),
}  # fmt: skip

# What the errors of the table in `tests/faults` say; their classes are there.
WORDS = {
    "bad parameter": "Expected temperature to be at most 2",
    "unknown model": "liquid/lfm-9b is not a valid model ID",
    "context length": "maximum context length is 32768 tokens",
    "context length by error_type": "Too long",
    "reasoning is mandatory": "Reasoning is mandatory for this endpoint",
    "provider rejects the request": "top_p is not supported",
    "no key": "Check the API key: `api_key`, or the `OPENROUTER_API_KEY` environment variable.",
    "wrong key": "Check the API key",
    "moderation": "Your input was flagged. Reasons: violence.",
    "guardrail": "Blocked by a guardrail",
    "no endpoint with tools": "No endpoints found that support tool use.",
    "data policy": "It failed at the step 'Filter by Data Policy'.",
    "request timeout": "Request timeout",
    "rate limit": "liquid/lfm-2.5-2.6b:free is temporarily rate-limited upstream. Please retry shortly.",
    "rate limit per day": "free-models-per-day",
    "blocked by the CDN": "a proxy or CDN",
    "bad gateway page": "web page ('502: Bad gateway')",
}
ROWS = {row.name: row for row in FAILURES["Errors with their own status"]}


@pytest.mark.parametrize("name", WORDS)
def test_error_of_the_table_says_what_happened(name):
    reply = testing.failure(name)
    error = explained(reply.status, reply.body, dict(reply.headers))
    assert (type(error), error.status_code) == (ROWS[name].raises, reply.status)
    assert WORDS[name] in error.message
    assert USER not in f"{error} {error!r}"


@pytest.mark.parametrize("name", BODIES)
def test_each_error_body_becomes_its_exception(name):
    http_status, body, kind, status, code, words = BODIES[name]
    error = explained(http_status, body)
    assert type(error) is kind
    assert (error.status_code, error.code) == (status, code)
    assert words in error.message
    assert error.model == MODEL
    assert error.is_retryable is (status in RETRYABLE_STATUSES)
    assert error.partial is None


@pytest.mark.parametrize("name", BODIES)
def test_error_shows_no_account_key_or_content(name):
    http_status, body, *_ = BODIES[name]
    error = explained(http_status, body)
    for shown in (str(error), repr(error), error.message, *map(str, error.args)):
        assert USER not in shown
        assert "my sec" not in shown


def says_its_status(name: str) -> bool:
    _, body, _, status, *_ = BODIES[name]
    error = body.get("error") if isinstance(body, dict) else None
    return isinstance(error, dict) and str(status) in {str(error.get("code")), str(error.get("http_status"))}


@pytest.mark.parametrize("name", [*filter(says_its_status, BODIES)])
def test_same_failure_has_same_class_in_status_body_choice_and_stream(name):
    _, body, kind, status, code, words = BODIES[name]
    failed = {"index": 0, "finish_reason": "error"}
    places = [
        {"id": "gen-1", "error": body["error"]},
        {"id": "gen-1", "error": body["error"], "choices": None},
        {"id": "gen-1", "choices": [{**failed, "error": body["error"], "message": {"content": "Hi"}}]},
    ]
    found = []
    for place in places:
        with pytest.raises(errors.APIError) as caught:
            read_reply(200, {}, json.dumps(place).encode(), ASKED)
        found.append(caught.value)
    chunk = {"id": "gen-1", "error": body["error"], "choices": [{**failed, "delta": {"content": ""}}]}
    found.append(read_stream([b"data: " + json.dumps(chunk).encode() + b"\n\n"], ASKED).error)
    for error in found:
        assert (type(error), error.status_code, error.code) == (kind, status, code)
        assert words in error.message
        assert error.generation_id == "gen-1"


class TestStatusWithoutOne:
    """An error in a stream may have a name and no status."""

    @pytest.mark.parametrize(
        ("status", "names"),
        {
            400: "invalid_request invalid_prompt content_policy_violation refusal context_length_exceeded "
            "max_tokens_exceeded token_limit_exceeded string_too_long invalid_image image_too_large image_too_small "
            "unsupported_image_format image_download_failed wrong_endpoint model_not_found",
            401: "authentication",
            402: "payment_required",
            403: "permission_denied region_restricted",
            404: "not_found image_not_found no_endpoints model_deprecated model_unavailable_upstream "
            "privacy_restricted constraint_filtered free_variant_ended",
            412: "precondition_failed",
            413: "payload_too_large",
            422: "unprocessable",
            429: "rate_limit_exceeded capacity_exhausted",
            500: "server unmapped",
            502: "provider_unavailable",
            503: "provider_overloaded temporarily_unavailable",
            504: "timeout",
        }.items(),
    )
    def test_error_without_status_takes_status_of_its_type(self, status, names):
        for name in names.split():
            for error in (
                {"message": "x", "metadata": {"error_type": name}},
                {"message": "x", "error_type": name},
                {"message": "x", "code": name},
                {"message": "x", "availability": {"code": name}},
            ):
                found = from_error(error, ASKED)
                assert (found.status_code, found.code) == (status, name)

    def test_unknown_error_type_has_no_status(self):
        for error in ({"message": "Broke off"}, {"message": "Broke off", "code": "a_new_word"}, "Broke off"):
            found = from_error(error, ASKED)
            assert type(found) is errors.APIError
            assert (found.status_code, found.message, found.is_retryable) == (None, "Broke off.", False)

    @pytest.mark.parametrize(
        ("kind", "words"),
        [
            (errors.RateLimitError, "Rate limit reached for this key"),
            (errors.RateLimitError, "ThrottlingException: Too many tokens"),
            (errors.ServerError, "The model is overloaded"),
            (errors.ServerError, "All slots are busy, please try again later"),
            (errors.ServerError, "Service temporarily unavailable"),
            (errors.ServerError, "Internal error while sampling"),
            (errors.APITimeoutError, "upstream request timed out"),
            (errors.AuthenticationError, "Invalid API key provided"),
            (errors.PaymentRequiredError, "Insufficient balance"),
            (errors.ModelNotFoundError, "model 'tiny' not found, try pulling it first"),
            (errors.APIError, "temperature must be below 2; try again with another"),
            (errors.APIError, "tool_choice is not understood"),
        ],
    )
    def test_words_without_a_status_decide_on_class_and_retry(self, kind, words):
        for error in (words, {"message": words}, {"detail": words}, {"message": words, "code": "new_word"}):
            found = from_error(error, ASKED)
            assert (type(found), found.is_retryable) == (kind, found.status_code in RETRYABLE_STATUSES)
            assert found.message.startswith(words)

    @pytest.mark.parametrize("name", ["overloaded_error", "RateLimitError", "InternalServerError", "model_overloaded"])
    def test_name_that_says_what_happened_is_enough_to_retry(self, name):
        assert from_error({"message": "x", "type": name}, ASKED).is_retryable

    def test_context_error_without_status_is_not_retryable(self):
        found = from_error({"message": "prompt is too long"}, ASKED)
        assert type(found) is errors.ContextWindowExceededError
        assert not found.is_retryable

    @pytest.mark.parametrize("error", [True, 1, [], {}, {"message": None}, {"message": {"a": 1}}, {"message": " "}])
    def test_error_without_message_or_status_says_that_the_request_failed(self, error):
        assert from_error(error, ASKED).message == "The request failed."


class TestRetryable:
    def test_availability_decides_is_retryable(self):
        for reported in (True, False):
            for status in (400, 404, 429, 503):
                error = explained(status, failure(status, "x", availability={"code": "x", "retryable": reported}))
                assert error.is_retryable is reported

    @pytest.mark.parametrize("status", sorted(RETRYABLE_STATUSES))
    def test_retryable_statuses_are_retryable(self, status):
        assert explained(status, failure(status, "x")).is_retryable

    @pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 409, 413, 418, 422, 501, 526])
    def test_other_statuses_are_not_retryable(self, status):
        assert not explained(status, failure(status, "x")).is_retryable

    @pytest.mark.parametrize(
        ("metadata", "is_retryable"),
        [
            ({"limit_source": "openrouter_in_flight_budget", "reason": "in_flight_budget_exhausted"}, True),
            ({"limit_source": "openrouter_in_flight_budget"}, True),
            ({"reason": "in_flight_budget_exhausted"}, True),
            ({"limit_source": "openrouter_in_flight_budget", "reason": "weight_exceeds_budget"}, False),
            ({"limit_source": "openrouter_key_limit"}, False),
            ({}, False),
        ],
    )
    def test_in_flight_budget_error_is_retryable_only_while_requests_run(self, metadata, is_retryable):
        assert explained(402, failure(402, "x", metadata)).is_retryable is is_retryable

    @pytest.mark.parametrize("words", ["free-models-per-day", "50 requests per day", "your daily limit"])
    def test_daily_cap_is_not_retryable(self, words):
        error = explained(429, failure(429, f"Rate limit exceeded: {words}"))
        assert not error.is_retryable


MILLISECONDS = {"X-RateLimit-Reset": "1790000009000"}


class TestRetryAfter:
    @pytest.mark.parametrize(
        ("headers", "error", "wait_s"),
        [
            ({"retry-after": "2"}, {}, 2.0),
            ({"retry-after": "2.5"}, {}, 2.5),
            ({"retry-after": "Mon, 21 Sep 2026 14:14:40 GMT"}, {}, 80.0),
            ({"retry-after": "Mon, 21 Sep 2020 14:14:40 GMT"}, {}, 0.0),
            ({"retry-after-ms": "1500", "retry-after": "2"}, {}, 1.5),
            ({"retry-after": "-1"}, {}, 0.0),
            ({}, {"availability": {"retry_after": 3}}, 3.0),
            ({}, {"metadata": {"retry_after_seconds": 4}}, 4.0),
            ({}, {"metadata": {"retry_after_seconds": "4"}}, 4.0),
            ({}, {"metadata": {"headers": {"Retry-After": "5"}}}, 5.0),
            ({}, {"metadata": {"headers": {"retry-after": 5}}}, 5.0),
            ({}, {"metadata": {"headers": MILLISECONDS}}, 9.0),
            ({"x-ratelimit-reset": "1790000009000"}, {}, 9.0),
            ({}, {"metadata": {"headers": {"X-RateLimit-Reset": "1780000000000"}}}, 0.0),
            ({}, {}, None),
            ({"retry-after": "soon"}, {}, None),
            ({"retry-after": "nan"}, {"metadata": {"retry_after_seconds": True}}, None),
            ({"retry-after": "1e999"}, {"metadata": {"retry_after_seconds": 10**400}}, None),
            # all of them, the most reliable first
            ({"retry-after": "2"}, {"availability": {"retry_after": 3}}, 2.0),
            ({}, {"availability": {"retry_after": 3}, "metadata": {"retry_after_seconds": 4}}, 3.0),
            ({}, {"metadata": {"retry_after_seconds": 4, "headers": {"Retry-After": "5"}}}, 4.0),
            ({}, {"metadata": {"headers": {"Retry-After": "5", **MILLISECONDS}}}, 5.0),
            ({"retry-after": "soon"}, {"metadata": {"retry_after_seconds": 4}}, 4.0),
        ],
    )
    def test_retry_after_is_read_from_each_place(self, headers, error, wait_s):
        assert explained(429, {"error": {"code": 429, "message": "x", **error}}, headers).retry_after == wait_s

    def test_retry_after_of_daily_cap_is_time_until_midnight(self):
        limits = {"X-RateLimit-Limit": "50", "X-RateLimit-Reset": "1790086400000"}
        error = explained(429, failure(429, "Rate limit exceeded: free-models-per-day.", {"headers": limits}))
        assert (error.retry_after, error.is_retryable) == (86_400.0, False)


class TestProvider:
    def test_provider_comes_from_error_then_reply(self):
        named = {"message": "x", "metadata": {"provider_name": "Liquid"}}
        assert from_error(named, ASKED, provider="Together").provider == "Liquid"
        assert from_error({"message": "x", "metadata": {"provider_name": None}}, ASKED).provider is None
        assert from_error({"message": "x"}, ASKED, provider="Together").provider == "Together"

    @pytest.mark.parametrize(
        "raw",
        [
            "top_p is not supported",
            '{"message": "top_p is not supported"}',
            '{"error": {"message": "top_p is not supported", "type": "x"}}',
            '{"error": "top_p is not supported"}',
            '[{"error": {"message": "top_p is not supported"}}]',
            {"error": {"message": "top_p is not supported"}},
            {"detail": "top_p is not supported"},
            {"message": '{"error": {"message": "top_p is not supported"}}'},
        ],
    )
    def test_provider_message_is_quoted_from_each_form_of_raw(self, raw):
        error = explained(400, failure(400, "Provider returned error", {"raw": raw}))
        assert error.message == "top_p is not supported."
        error = explained(400, failure(400, "Bad request", {"raw": raw}))
        assert error.message == "Bad request. top_p is not supported."
        error = explained(400, failure(400, "It says: top_p is not supported.", {"raw": raw}))
        assert error.message == "It says: top_p is not supported."

    @pytest.mark.parametrize(
        "raw", ["<html>my secret</html>", '{"input": "my secret"}', '{"input": "my sec', {"input": "my secret"}, 7, ""]
    )
    def test_raw_without_message_is_not_quoted(self, raw):
        assert (
            explained(400, failure(400, "Provider returned error", {"raw": raw})).message == "Provider returned error."
        )


class TestContextWindow:
    @pytest.mark.parametrize(
        ("words", "limit"),
        [
            ("This endpoint's maximum context length is 200000 tokens. However, you requested about 2", 200_000),
            ("This model's maximum context length is 32,768 tokens", 32_768),
            ("the model's context length is only 4096 tokens", 4_096),
            ("request (9000 tokens) exceeds the available context size (8192 tokens)", 8_192),
            ("The decoder prompt (length 9000) is longer than the maximum model length of 8192.", 8_192),
            ("The input (9000 tokens) is longer than the model's context length (8192 tokens).", 8_192),
            ("Token limit reached", None),
            ("prompt is too long", None),
            ("Input is too long for requested model.", None),
            ("too many tokens", None),
            ("maximum context length is , tokens", None),
        ],
    )
    def test_context_error_is_recognized_by_its_words(self, words, limit):
        error = explained(400, failure(400, words))
        assert type(error) is errors.ContextWindowExceededError
        assert error.context_length == limit
        assert error.estimated_tokens is None

    def test_context_length_is_read_from_n_ctx(self):
        _, body, *_ = BODIES["a prompt too long, as llama.cpp says it"]
        assert explained(400, body).context_length == 4_096

    def test_server_error_about_context_is_not_context_error(self):
        assert type(explained(500, failure(500, "context window store is down"))) is errors.ServerError


class TestModels:
    """Errors about missing models say which models exist."""

    RETIRED = (
        (404, failure(404, "No endpoints found for liquid/lfm-3b.")),
        (400, failure(400, "liquid/lfm-3b is not a valid model ID")),
        (404, failure(404, "Gone", availability={"code": "model_deprecated", "retryable": False})),
        (404, failure(404, "Gone", availability={"code": "no_endpoints", "retryable": False})),
        (404, failure(404, "Gone", availability={"code": "free_variant_ended", "retryable": False})),
    )

    @pytest.mark.parametrize(("status", "body"), RETIRED)
    @pytest.mark.parametrize("model", ["liquid/lfm-3b", "lfm-3b"])
    def test_retired_model_error_lists_successors(self, status, body, model):
        error = explained(status, body, model=model)
        assert type(error) is errors.ModelRetiredError
        assert error.successors
        assert "OpenRouter no longer serves `liquid/lfm-3b`" in error.message
        assert f'Use `model="{error.successors[0]}"` instead' in error.message
        assert body["error"]["message"] in error.message
        assert not error.is_retryable

    def test_unknown_liquid_model_error_lists_live_models(self):
        error = explained(400, failure(400, "liquid/lfm-9b is not a valid model ID"), model="liquid/lfm-9b")
        assert type(error) is errors.ModelNotFoundError
        assert "Liquid models known to be served: liquid/" in error.message
        assert "Liquid models" not in explained(400, failure(400, "x is not a valid model ID"), model="x/y").message

    def test_data_policy_error_of_retired_model_is_no_endpoints_error(self):
        error = explained(404, failure(404, "No endpoints found matching your data policy"), model="liquid/lfm-3b")
        assert type(error) is errors.NoEndpointsError

    def test_error_without_model_is_plain_not_found(self):
        error = explained(404, failure(404, "No endpoints found for x."), model=None)
        assert (type(error), error.model) == (errors.NotFoundError, None)


class TestSecrets:
    @pytest.mark.parametrize("place", ["message", "raw", "remedy_hint", "provider_name", "error_type"])
    @pytest.mark.parametrize("secret", [KEY, USER, f"Bearer {KEY}", "org_2abcDEF345ghi"])
    def test_secrets_are_masked_in_each_place(self, place, secret):
        text = f"Incorrect API key: {secret}"
        metadata = {} if place == "message" else {place: text}
        error = explained(400, failure(400, text if place == "message" else "Bad", metadata))
        for shown in (str(error), repr(error), error.message):
            assert secret not in shown

    def test_response_headers_are_not_kept_in_error(self):
        error = explained(401, failure(401, "x"), {"set-cookie": KEY, "authorization": KEY})
        assert KEY not in f"{error}{error!r}{vars(error)}"

    def test_error_message_is_cut_to_limit(self):
        error = explained(500, {"error": {"message": "word " * 100_000}})
        assert len(error.message) <= errors.MAX_MESSAGE_CHARS + 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirect_is_refused_with_advice(status):
    error = explained(status, b"", {"location": f"https://example.org/?key={KEY}"})
    assert type(error) is errors.ResponseError
    assert (error.status_code, error.is_retryable) == (status, False)
    assert "`base_url`" in error.message
    assert "example.org" not in f"{error}{vars(error)}"


def test_generation_id_comes_from_body_then_header():
    headers = {"x-generation-id": "gen-header"}
    assert explained(400, {"id": "gen-body", "error": {"message": "x"}}, headers).generation_id == "gen-body"
    assert explained(400, {"error": {"message": "x"}}, headers).generation_id == "gen-header"
    assert explained(400, {"error": {"message": "x"}}).generation_id is None


def test_model_unknown_to_local_server_is_not_called_retired():
    body = json.dumps({"error": {"message": 'model "liquid/lfm-3b" not found, try pulling it first'}}).encode()
    error = from_body(404, {}, body, RequestContext("liquid/lfm-3b", NOW))
    assert type(error) is errors.ModelNotFoundError
    assert "OpenRouter" not in error.message
    assert "that this server has" in error.message
