"""What `ChatLFM` raises: each exception is both ours and LangChain's."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core import exceptions as theirs

from lfm_adapter import errors
from lfm_adapter.langchain._errors import twin
from tests.support.chat_ways import ALL_WAYS, PLAIN, STREAMED, ask, chat
from tests.support.openrouter_replies import (
    chunk,
    completion,
    error,
    error_in_200,
    error_in_choice,
    events,
    midstream_error,
    stream,
)

if TYPE_CHECKING:
    from tests.support.http_reply import Reply
    from tests.support.scripted_openrouter import ScriptedOpenRouter


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
    errors.ServerError: theirs.ModelAPIError,
}


@pytest.mark.parametrize("cls", classes(), ids=lambda cls: cls.__name__)
def test_every_class_has_its_twin(cls: type[errors.APIError]):
    original = cls("It failed.", status_code=418, model="liquid/lfm-3b", retry_after=2.0, provider="Liquid")
    double = twin(original)
    assert isinstance(double, cls)
    assert isinstance(double, EXPECTED[cls])
    assert type(double).__name__ == cls.__name__
    assert str(double) == str(original)
    assert (double.status_code, double.retry_after, double.provider) == (418, 2.0, "Liquid")


@pytest.mark.parametrize("is_retryable", [True, False])
@pytest.mark.parametrize("cls", classes(), ids=lambda cls: cls.__name__)
def test_is_retryable_says_what_retryable_says(cls: type[errors.APIError], is_retryable: bool):
    double: Any = twin(cls("It failed.", is_retryable=is_retryable))
    assert double.is_retryable is is_retryable
    default: Any = twin(cls("It failed."))
    assert default.is_retryable is cls._is_retryable_by_default


@pytest.mark.parametrize("copied", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy, copy.deepcopy])  # noqa: S301  # our own
@pytest.mark.parametrize("cls", classes(), ids=lambda cls: cls.__name__)
def test_twin_can_be_pickled_and_copied(cls: type[errors.APIError], copied: Any):
    double: Any = twin(cls("It failed.", status_code=418, code="teapot", is_retryable=True))
    again = copied(double)
    assert type(again) is type(double)
    assert str(again) == str(double)
    assert (again.status_code, again.code, again.is_retryable) == (418, "teapot", True)


def test_twins_keep_the_facts_of_their_class():
    retired: Any = twin(errors.ModelRetiredError("Gone.", successors=("liquid/lfm-3-1.7b",)))
    assert retired.successors == ("liquid/lfm-3-1.7b",)
    too_long: Any = twin(errors.ContextWindowExceededError("Too long.", estimated_tokens=9, context_length=8))
    assert (too_long.estimated_tokens, too_long.context_length) == (9, 8)
    assert isinstance(too_long, theirs.ModelInvalidRequestError)


def test_class_of_a_users_own_transport_has_the_twin_of_its_parent():
    class ProxyIsDownError(errors.APIConnectionError):
        """As a transport of one's own might raise."""

    double = twin(ProxyIsDownError("It failed."))
    assert isinstance(double, errors.APIConnectionError)
    assert isinstance(double, theirs.ModelConnectionError)


FAILURES: dict[str, tuple[Reply, type[errors.APIError], type[theirs.ModelError]]] = {
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
    "error in a 200": (error_in_200(429, "Slow down"), errors.RateLimitError, theirs.ModelRateLimitError),
}


@pytest.mark.parametrize("way", ALL_WAYS)
@pytest.mark.parametrize("failure", FAILURES)
def test_failure_is_caught_by_either_name(server: ScriptedOpenRouter, failure: str, way: str):
    reply, ours, langchains = FAILURES[failure]
    server.add(reply, reply)
    for name in (ours, langchains):
        with pytest.raises(name) as caught:
            ask(chat(server), way)
        assert isinstance(caught.value, theirs.ModelError)
        assert caught.value.is_retryable == (failure in {"408", "429", "503", "error in a 200"})


@pytest.mark.parametrize("way", PLAIN)
def test_error_in_a_choice_is_raised_with_what_had_been_said(server: ScriptedOpenRouter, way: str):
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
def test_broken_stream_gives_its_pieces_and_then_the_error(
    server: ScriptedOpenRouter, reply: Reply, expected: type[Exception], way: str
):
    server.add(reply)
    with pytest.raises(expected) as caught:
        ask(chat(server), way)
    failure: Any = caught.value
    assert failure.partial.text == "Hel"
    assert isinstance(failure, errors.APIError)


def test_pieces_of_a_broken_stream_were_handed_on(server: ScriptedOpenRouter):
    server.add(midstream_error(["Hel", "lo"], 502, "Provider died"))
    answer = chat(server).stream("Hi")
    assert [next(answer).text, next(answer).text] == ["Hel", "lo"]
    with pytest.raises(errors.ServerError):
        next(answer)


def test_error_names_no_key(server: ScriptedOpenRouter):
    server.add(error(401, "The key sk-or-v1-0123456789abcdef of user_2wT5abcdefgh is revoked"))
    with pytest.raises(errors.AuthenticationError) as caught:
        chat(server, api_key="sk-or-v1-0123456789abcdef").invoke("Hi")
    assert "0123456789" not in str(caught.value)
    assert "2wT5" not in repr(caught.value)


def test_retired_model_is_explained(server: ScriptedOpenRouter):
    server.add(error(404, "No endpoints found for liquid/lfm-3b."))
    with pytest.raises(errors.ModelRetiredError, match=r'model="liquid/lfm-3-1\.7b"') as caught:
        chat(server).invoke("Hi")
    assert isinstance(caught.value, theirs.ModelNotFoundError)


@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "astream"])
def test_with_retry_tries_again(server: ScriptedOpenRouter, way: str):
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
def test_with_fallbacks_asks_the_next(server: ScriptedOpenRouter, way: str):
    server.add(error(503, "Down"), stream("Hello.") if "stream" in way else completion("Hello."))
    first, second = chat(server), chat(server, model="liquid/lfm-3-1.7b")
    model = first.with_fallbacks([second], exceptions_to_handle=(theirs.ModelAPIError,))
    assert ask(model, way).text == "Hello."
    assert [request.json["model"] for request in server.requests] == ["liquid/lfm-3b", "liquid/lfm-3-1.7b"]


def test_fallbacks_do_not_hide_other_failures(server: ScriptedOpenRouter):
    server.add(error(401, "No auth credentials found"))
    model = chat(server).with_fallbacks([chat(server)], exceptions_to_handle=(theirs.ModelAPIError,))
    with pytest.raises(errors.AuthenticationError):
        model.invoke("Hi")


def test_batch_may_return_exceptions(server: ScriptedOpenRouter):
    server.add(error(503, "Down"))
    (failure,) = chat(server).batch(["Hi"], return_exceptions=True)
    assert isinstance(failure, theirs.ModelAPIError)


def test_the_cause_stays(server: ScriptedOpenRouter):
    with pytest.raises(theirs.ModelConnectionError) as caught:
        chat(server, base_url="http://127.0.0.1:9/v1").invoke("Hi")
    assert isinstance(caught.value.__cause__, OSError)
