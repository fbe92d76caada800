"""Exceptions of `ChatLFM`: each is of one of our classes and of one of LangChain's."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core import exceptions as theirs

from lfm_adapter import errors
from lfm_adapter.langchain._errors import to_langchain_error
from lfm_adapter.testing import chunk, completion, error, events, stream
from lfm_adapter.testing._wire import error_in_choice, midstream_error
from tests.support.chat_ways import ALL_WAYS, PLAIN, STREAMED, ask, chat

if TYPE_CHECKING:
    from lfm_adapter.testing import ScriptedOpenRouter, ScriptedReply


def classes(base: type[errors.APIError] = errors.APIError) -> list[type[errors.APIError]]:
    """Every class of `errors.py` from `base` down."""
    below = [cls for sub in base.__subclasses__() if sub.__module__ == errors.__name__ for cls in classes(sub)]
    return [base, *below]


EXPECTED = {
    errors.APIError: theirs.ModelAPIError,
    errors.APIConnectionError: theirs.ModelConnectionError,
    errors.StreamInterruptedError: theirs.ModelConnectionError,
    errors.APITimeoutError: theirs.ModelTimeoutError,
    errors.ResponseError: theirs.ModelAPIError,
    errors.InvalidDecisionError: theirs.ModelAPIError,
    errors.OutputValidationError: theirs.OutputParserException,
    errors.BadRequestError: theirs.ModelInvalidRequestError,
    errors.ContextWindowExceededError: theirs.ContextOverflowError,
    errors.AuthenticationError: theirs.ModelAuthenticationError,
    errors.PaymentRequiredError: theirs.ModelPermissionDeniedError,
    errors.PermissionDeniedError: theirs.ModelPermissionDeniedError,
    errors.NotFoundError: theirs.ModelNotFoundError,
    errors.NoEndpointsError: theirs.ModelNotFoundError,
    errors.ModelNotFoundError: theirs.ModelNotFoundError,
    errors.ModelRetiredError: theirs.ModelNotFoundError,
    errors.RateLimitError: theirs.ModelRateLimitError,
    errors.BudgetExceededError: theirs.ModelPermissionDeniedError,
    errors.ServerError: theirs.ModelAPIError,
}


@pytest.mark.parametrize("cls", classes(), ids=lambda cls: cls.__name__)
def test_every_error_class_converts_to_langchain(cls: type[errors.APIError]):
    original = cls("It failed.", status_code=418, model="liquid/lfm-3b", retry_after=2.0, provider="Liquid")
    converted = to_langchain_error(original)
    assert isinstance(converted, cls)
    assert isinstance(converted, EXPECTED[cls])
    assert type(converted).__name__ == cls.__name__
    assert str(converted) == str(original)
    assert (converted.status_code, converted.retry_after, converted.provider) == (418, 2.0, "Liquid")


@pytest.mark.parametrize("is_retryable", [True, False])
@pytest.mark.parametrize("cls", classes(), ids=lambda cls: cls.__name__)
def test_is_retryable_survives_conversion(cls: type[errors.APIError], is_retryable: bool):
    converted: Any = to_langchain_error(cls("It failed.", is_retryable=is_retryable))
    assert converted.is_retryable is is_retryable
    default: Any = to_langchain_error(cls("It failed."))
    assert default.is_retryable is cls._is_retryable_by_default


@pytest.mark.parametrize("copied", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy, copy.deepcopy])  # noqa: S301  # our own
@pytest.mark.parametrize("cls", classes(), ids=lambda cls: cls.__name__)
def test_converted_error_can_be_pickled_and_copied(cls: type[errors.APIError], copied: Any):
    converted: Any = to_langchain_error(cls("It failed.", status_code=418, code="teapot", is_retryable=True))
    again = copied(converted)
    assert type(again) is type(converted)
    assert str(again) == str(converted)
    assert (again.status_code, again.code, again.is_retryable) == (418, "teapot", True)


def test_converted_error_keeps_attributes_of_its_class():
    retired: Any = to_langchain_error(errors.ModelRetiredError("Gone.", successors=("liquid/lfm-3-1.7b",)))
    assert retired.successors == ("liquid/lfm-3-1.7b",)
    too_long: Any = to_langchain_error(
        errors.ContextWindowExceededError("Too long.", estimated_tokens=9, context_length=8)
    )
    assert (too_long.estimated_tokens, too_long.context_length) == (9, 8)
    assert isinstance(too_long, theirs.ModelInvalidRequestError)


def test_custom_subclass_converts_like_its_parent():
    class ProxyIsDownError(errors.APIConnectionError):
        """As a transport of one's own might raise."""

    converted = to_langchain_error(ProxyIsDownError("It failed."))
    assert isinstance(converted, errors.APIConnectionError)
    assert isinstance(converted, theirs.ModelConnectionError)


FAILURES: dict[str, tuple[ScriptedReply, type[errors.APIError], type[theirs.ModelError]]] = {
    "400": (error(400, "Bad temperature"), errors.BadRequestError, theirs.ModelInvalidRequestError),
    "401": (error(401, "No auth credentials found"), errors.AuthenticationError, theirs.ModelAuthenticationError),
    "402": (error(402, "Insufficient credits"), errors.PaymentRequiredError, theirs.ModelPermissionDeniedError),
    "403": (error(403, "Key limit exceeded"), errors.PermissionDeniedError, theirs.ModelPermissionDeniedError),
    "404": (error(404, "No endpoints found for liquid/lfm-3b."), errors.ModelRetiredError, theirs.ModelNotFoundError),
    "408": (error(408, "Timed out"), errors.APITimeoutError, theirs.ModelTimeoutError),
    "429": (error(429, "Slow down"), errors.RateLimitError, theirs.ModelRateLimitError),
    "503": (error(503, "Down"), errors.ServerError, theirs.ModelAPIError),
    "context": (
        error(400, "This endpoint's maximum context length is 32768 tokens."),
        errors.ContextWindowExceededError,
        theirs.ContextOverflowError,
    ),
    "error in a 200": (error(200, "Slow down", code=429), errors.RateLimitError, theirs.ModelRateLimitError),
}


@pytest.mark.parametrize("way", ALL_WAYS)
@pytest.mark.parametrize("failure", FAILURES)
def test_failure_is_caught_as_our_class_and_as_langchains(server: ScriptedOpenRouter, failure: str, way: str):
    reply, ours, langchains = FAILURES[failure]
    server.add(reply, reply)
    for name in (ours, langchains):
        with pytest.raises(name) as caught:
            ask(chat(server), way)
        assert isinstance(caught.value, theirs.ModelError)
        assert caught.value.is_retryable == (failure in {"408", "429", "503", "error in a 200"})


@pytest.mark.parametrize("way", PLAIN)
def test_error_in_a_choice_is_raised_with_partial_text(server: ScriptedOpenRouter, way: str):
    server.add(error_in_choice(502, "Provider died", text="Hel"))
    with pytest.raises(theirs.ModelAPIError) as caught:
        ask(chat(server), way)
    failure: Any = caught.value
    assert failure.partial.text == "Hel"


@pytest.mark.parametrize("way", STREAMED)
@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (midstream_error(["Hel"], 502, "Provider died"), theirs.ModelAPIError),
        (midstream_error(["Hel"], "server_error", "Provider died", finish_reason=None), theirs.ModelAPIError),
        (events(chunk({"content": "Hel"}), done=False), theirs.ModelConnectionError),
        (stream(["Hel", "lo."], comments=0).broken(1), theirs.ModelConnectionError),
    ],
)
def test_broken_stream_raises_with_partial_text(
    server: ScriptedOpenRouter, reply: ScriptedReply, expected: type[Exception], way: str
):
    server.add(reply)
    with pytest.raises(expected) as caught:
        ask(chat(server), way)
    failure: Any = caught.value
    assert failure.partial.text == "Hel"
    assert isinstance(failure, errors.APIError)


def test_broken_stream_yields_its_chunks_first(server: ScriptedOpenRouter):
    server.add(midstream_error(["Hel", "lo"], 502, "Provider died"))
    answer = chat(server).stream("Hi")
    assert [next(answer).text, next(answer).text] == ["Hel", "lo"]
    with pytest.raises(errors.ServerError):
        next(answer)


def test_error_hides_the_key(server: ScriptedOpenRouter):
    server.add(error(401, "The key sk-or-v1-0123456789abcdef of user_2wT5abcdefgh is revoked"))
    with pytest.raises(errors.AuthenticationError) as caught:
        chat(server, api_key="sk-or-v1-0123456789abcdef").invoke("Hi")
    assert "0123456789" not in str(caught.value)
    assert "2wT5" not in repr(caught.value)


def test_retired_model_error_names_successor(server: ScriptedOpenRouter):
    server.add(error(404, "No endpoints found for liquid/lfm-3b."))
    with pytest.raises(errors.ModelRetiredError, match=r'model="liquid/lfm-3-1\.7b"') as caught:
        chat(server).invoke("Hi")
    assert isinstance(caught.value, theirs.ModelNotFoundError)


@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "astream"])
def test_with_retry_retries_rate_limit(server: ScriptedOpenRouter, way: str):
    good = stream("Hello.") if "stream" in way else completion("Hello.")
    server.add(error(429, "Slow down"), good)
    model = chat(server).with_retry(
        retry_if_exception_type=(theirs.ModelRateLimitError,), wait_exponential_jitter=False, stop_after_attempt=2
    )
    if "stream" in way:  # LangChain does not retry streams, whose pieces are already out
        with pytest.raises(errors.RateLimitError):
            ask(model, way)
    else:
        assert ask(model, way).text == "Hello."


@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "astream"])
def test_with_fallbacks_asks_next_model(server: ScriptedOpenRouter, way: str):
    server.add(error(503, "Down"), stream("Hello.") if "stream" in way else completion("Hello."))
    first, second = chat(server), chat(server, model="liquid/lfm-3-1.7b")
    model = first.with_fallbacks([second], exceptions_to_handle=(theirs.ModelAPIError,))
    assert ask(model, way).text == "Hello."
    assert [request.body["model"] for request in server.requests] == ["liquid/lfm-3b", "liquid/lfm-3-1.7b"]


def test_fallbacks_do_not_catch_other_errors(server: ScriptedOpenRouter):
    server.add(error(401, "No auth credentials found"))
    model = chat(server).with_fallbacks([chat(server)], exceptions_to_handle=(theirs.ModelAPIError,))
    with pytest.raises(errors.AuthenticationError):
        model.invoke("Hi")


def test_batch_returns_exceptions_on_request(server: ScriptedOpenRouter):
    server.add(error(503, "Down"))
    (failure,) = chat(server).batch(["Hi"], return_exceptions=True)
    assert isinstance(failure, theirs.ModelAPIError)


def test_converted_error_keeps_its_cause(server: ScriptedOpenRouter):
    with pytest.raises(theirs.ModelConnectionError) as caught:
        chat(server, base_url="http://127.0.0.1:9/v1").invoke("Hi")
    assert isinstance(caught.value.__cause__, OSError)
