"""LiteLLM's exceptions for refused and failed requests."""

from __future__ import annotations

import inspect
import json
import traceback
from typing import Any

import litellm
import pytest
from litellm import exceptions as theirs

from lfm_adapter import errors
from lfm_adapter.litellm._errors import BY_STATUS, to_litellm_error
from lfm_adapter.testing import Break, ScriptedReply, completion, error, events, stream
from lfm_adapter.testing._wire import error_in_choice, midstream_error
from tests.support.litellm_ways import ALL_WAYS, PLAIN, STREAMED, chunks, failure

KEY = "sk-or-v1-0123456789abcdef"
NO_CREDIT = getattr(theirs, "PaymentRequiredError", theirs.APIError)  # LiteLLM has the class since 1.106
CONTEXT = "This endpoint's maximum context length is 32768 tokens. However, you requested about 90000 tokens."

REFUSALS = [
    (error(400, "Expected temperature to be at most 2"), theirs.BadRequestError, 400),
    (error(400, CONTEXT), theirs.ContextWindowExceededError, 400),
    (error(401, "User not found."), theirs.AuthenticationError, 401),
    (error(402, "Insufficient credits"), NO_CREDIT, 402),
    (error(403, "Input was flagged"), theirs.PermissionDeniedError, 403),
    (error(404, "No endpoints found for liquid/lfm-3b."), theirs.NotFoundError, 404),
    (error(408, "Request timed out"), theirs.Timeout, 408),
    (error(413, "Payload too large"), theirs.BadRequestError, 413),
    (error(422, "Unprocessable"), theirs.UnprocessableEntityError, 422),
    (error(429, "Rate limit exceeded"), theirs.RateLimitError, 429),
    (error(500, "Internal Server Error"), theirs.InternalServerError, 500),
    (error(502, "Provider returned error"), theirs.BadGatewayError, 502),
    (error(503, "No provider is available"), theirs.ServiceUnavailableError, 503),
    (error(504, "Gateway timeout"), theirs.Timeout, 504),
    (error(524, "A timeout occurred"), theirs.Timeout, 524),
    (error(529, "Provider overloaded"), theirs.ServiceUnavailableError, 529),
    (error(200, "Slow down", code=429), theirs.RateLimitError, 429),
]
FAILURES = [
    (ScriptedReply(200, {"Content-Type": "application/json"}, (b"<html>",)), theirs.APIResponseValidationError, 200),
    (error_in_choice(502, "Provider disconnected", text="Par"), theirs.BadGatewayError, 502),
    (completion().broken(0), theirs.APIConnectionError, 500),
]


CLASSES = {
    errors.LFMError: theirs.APIConnectionError,
    errors.ConfigurationError: theirs.BadRequestError,
    errors.APIError: theirs.APIError,
    errors.APIConnectionError: theirs.APIConnectionError,
    errors.StreamInterruptedError: theirs.APIConnectionError,
    errors.APITimeoutError: theirs.Timeout,
    errors.ResponseError: theirs.APIResponseValidationError,
    errors.InvalidDecisionError: theirs.APIResponseValidationError,
    errors.OutputValidationError: theirs.APIResponseValidationError,
    errors.BadRequestError: theirs.BadRequestError,
    errors.ContextWindowExceededError: theirs.ContextWindowExceededError,
    errors.AuthenticationError: theirs.AuthenticationError,
    errors.PaymentRequiredError: NO_CREDIT,
    errors.BudgetExceededError: NO_CREDIT,
    errors.PermissionDeniedError: theirs.PermissionDeniedError,
    errors.NotFoundError: theirs.NotFoundError,
    errors.NoEndpointsError: theirs.NotFoundError,
    errors.ModelNotFoundError: theirs.NotFoundError,
    errors.ModelRetiredError: theirs.NotFoundError,
    errors.RateLimitError: theirs.RateLimitError,
    errors.ServerError: theirs.InternalServerError,
}


def every_class() -> list[type[errors.LFMError]]:
    return [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, errors.LFMError)]


@pytest.mark.parametrize("cls", every_class(), ids=lambda cls: cls.__name__)
def test_each_of_our_errors_has_a_litellm_class(cls: Any):
    raised: Any = to_litellm_error(cls("It failed."), "lfm-3b")
    assert type(raised) is CLASSES[cls]
    assert type(raised) in litellm.exceptions.LITELLM_EXCEPTION_TYPES
    assert (raised.llm_provider, raised.model) == ("lfm", "lfm-3b")
    assert isinstance(raised.status_code, int)
    assert "It failed." in raised.message


@pytest.mark.parametrize(
    ("raised", "status"),
    [
        (to_litellm_error(errors.ConfigurationError("Wrong."), "lfm-3b"), 400),
        (to_litellm_error(errors.AuthenticationError("No API key."), "lfm-3b"), 401),
    ],
)
def test_errors_before_sending_have_a_client_error_status(raised: Any, status: int):
    assert (raised.status_code, raised.response.status_code) == (status, status)


@pytest.mark.parametrize("status", BY_STATUS)
def test_statuses_that_litellm_distinguishes_have_their_classes(status: int):
    ours = errors.BadRequestError if status < 500 else errors.ServerError
    raised: Any = to_litellm_error(ours("It failed.", status_code=status), "lfm-3b")
    assert type(raised) is BY_STATUS[status]
    assert raised.status_code == status


@pytest.mark.parametrize("way", ALL_WAYS)
@pytest.mark.parametrize(("reply", "expected", "status"), REFUSALS, ids=[str(s) + e.__name__ for _, e, s in REFUSALS])
def test_refusal_raises_litellm_exception(openrouter_server, way, reply, expected, status):
    openrouter_server.add(reply)
    raised = failure(way)
    assert type(raised) is expected
    assert (raised.status_code, raised.llm_provider, raised.model) == (status, "lfm", "lfm-3b")
    assert isinstance(raised.__cause__, errors.APIError)
    assert raised.__cause__.status_code == status
    assert len(openrouter_server.requests) == 1


@pytest.mark.parametrize("way", PLAIN)
@pytest.mark.parametrize(("reply", "expected", "status"), FAILURES, ids=[e.__name__ for _, e, _ in FAILURES])
def test_unreadable_response_raises_litellm_exception(openrouter_server, way, reply, expected, status):
    openrouter_server.add(reply)
    raised = failure(way)
    assert type(raised) is expected
    assert raised.status_code == status


def test_litellm_exception_keeps_partial_reply(openrouter_server):
    openrouter_server.add(error_in_choice(502, "Provider disconnected", text="Par"))
    assert failure("completion").partial.text == "Par"


@pytest.mark.parametrize("way", ALL_WAYS)
def test_retry_after_is_in_litellm_response_headers(openrouter_server, way):
    openrouter_server.add(error(429, "Slow down", headers={"Retry-After": "7"}))
    raised = failure(way)
    assert raised.response.headers["retry-after"] == "7"
    assert litellm.utils._get_retry_after_from_exception_header(raised.response.headers) == 7


@pytest.mark.parametrize("way", ALL_WAYS)
def test_retired_model_error_lists_successors_in_litellm(openrouter_server, way):
    openrouter_server.add(error(404, "No endpoints found for liquid/lfm-3b."))
    raised = failure(way)
    assert "liquid/lfm-3-1.7b" in str(raised)
    assert raised.__cause__.successors[0] == "liquid/lfm-3-1.7b"


@pytest.mark.parametrize("way", ALL_WAYS)
def test_prompt_that_cannot_fit_is_not_sent_by_litellm(openrouter_server, way):
    raised = failure(way, messages=[{"role": "user", "content": "word " * 40_000}])
    assert type(raised) is theirs.ContextWindowExceededError
    assert (raised.status_code, raised.response.status_code) == (400, 400)
    assert "32,768" in str(raised)
    assert not openrouter_server.requests


@pytest.mark.parametrize("way", STREAMED)
@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (stream(["Par", "is"]).broken(2), theirs.APIConnectionError),
        (stream(["Par", "is"]).broken(2, Break.RESET), theirs.APIConnectionError),
        (midstream_error(["Par"], 429, "Rate limit exceeded"), theirs.RateLimitError),
        (midstream_error(["Par"], 502, "Provider disconnected"), theirs.BadGatewayError),
    ],
    ids=["cut", "reset", "rate limit", "provider"],
)
def test_interrupted_stream_keeps_partial_reply_in_litellm(openrouter_server, way, reply, expected):
    openrouter_server.add(reply)
    raised = failure(way)
    assert type(raised) is expected
    assert raised.partial.text == "Par"


@pytest.mark.parametrize("way", STREAMED)
@pytest.mark.parametrize("code", [None, 400])
@pytest.mark.parametrize("text", [[], ["Par"]])
def test_context_overflow_in_a_stream_is_a_400(openrouter_server, way, code, text):
    openrouter_server.add(midstream_error(text, code, CONTEXT))
    raised = failure(way)
    assert type(raised) is theirs.ContextWindowExceededError
    assert (raised.status_code, raised.response.status_code) == (400, 400)


@pytest.mark.parametrize("way", STREAMED)
def test_empty_stream_raises_litellm_exception(openrouter_server, way):
    openrouter_server.add(events())
    assert type(failure(way)) is theirs.APIResponseValidationError


def test_refused_stream_fails_in_the_call(openrouter_server):
    openrouter_server.add(error(429, "Slow down"))
    with pytest.raises(theirs.RateLimitError):
        litellm.completion("lfm/lfm-3b", [{"role": "user", "content": "Hi"}], stream=True)


def test_refused_async_stream_fails_when_read(openrouter_server):
    # LiteLLM awaits nothing of a custom provider before it returns the stream. It wraps most later failures, which its
    # Router unwraps.
    openrouter_server.add(error(429, "Slow down"))
    wrapped = (theirs.RateLimitError, theirs.MidStreamFallbackError)
    with pytest.raises(wrapped) as raised:
        chunks("astream")
    assert isinstance(getattr(raised.value, "original_exception", raised.value), theirs.RateLimitError)


@pytest.mark.parametrize("way", ALL_WAYS)
def test_litellm_exception_shows_no_key(openrouter_server, way):
    openrouter_server.add(error(401, f"The key {KEY} is wrong, says org_0123456789abcdef."))
    raised = failure(way, api_key=KEY, extra_headers={"X-Secret": "very-secret-word"})
    shown = (
        f"{raised}{raised!r}{''.join(traceback.format_exception(raised))}{json.dumps(dict(raised.response.headers))}"
    )
    assert KEY not in shown
    assert "very-secret-word" not in shown
    assert "org_0123456789abcdef" not in shown


@pytest.mark.parametrize("way", ALL_WAYS)
def test_invalid_max_tokens_raises_bad_request_with_advice(openrouter_server, way):
    raised = failure(way, max_tokens=0)
    assert type(raised) is theirs.BadRequestError
    assert "`max_tokens` must be an integer >= 1" in str(raised)
    assert not openrouter_server.requests


def test_provider_does_not_retry(openrouter_server):
    openrouter_server.add(*[error(500, "Internal Server Error")] * 5)
    failure("completion", max_retries=3)
    assert len(openrouter_server.requests) == 1
