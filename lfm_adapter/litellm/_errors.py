"""What went wrong, as the exception that LiteLLM has for it, so that its Router, fallbacks and proxy act on it.

LiteLLM lets its own exceptions pass and guesses at all others, so every exception of ours is turned into one of its
own here. What it was stands in `__cause__`.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import httpx
from litellm import exceptions as theirs

from lfm_adapter import errors
from lfm_adapter.litellm._model_cost import PROVIDER

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["PROVIDER", "LiteLLMErrors", "NoKeyError", "litellm_error"]

# LiteLLM has a class for 402 since 1.106.
_PAYMENT_REQUIRED: Any = getattr(theirs, "PaymentRequiredError", theirs.APIError)


class NoKeyError(errors.ConfigurationError):
    """There is no key for OpenRouter, which is an `AuthenticationError` to LiteLLM. Nothing was sent."""

    def __init__(self) -> None:
        super().__init__(
            "There is no API key. Set the `OPENROUTER_API_KEY` environment variable or pass `api_key=`; keys come from "
            "https://openrouter.ai/settings/keys. To ask another server, pass `api_base=`."
        )


CLASSES: dict[type[errors.LFMError], Any] = {
    errors.LFMError: theirs.APIConnectionError,
    errors.ConfigurationError: theirs.BadRequestError,
    NoKeyError: theirs.AuthenticationError,
    errors.APIError: theirs.APIError,
    errors.APIConnectionError: theirs.APIConnectionError,
    errors.StreamInterruptedError: theirs.APIConnectionError,
    errors.APITimeoutError: theirs.Timeout,
    errors.ResponseError: theirs.APIResponseValidationError,
    errors.OutputValidationError: theirs.APIResponseValidationError,
    errors.BadRequestError: theirs.BadRequestError,
    errors.ContextWindowExceededError: theirs.ContextWindowExceededError,
    errors.AuthenticationError: theirs.AuthenticationError,
    errors.PaymentRequiredError: _PAYMENT_REQUIRED,
    errors.PermissionDeniedError: theirs.PermissionDeniedError,
    errors.NotFoundError: theirs.NotFoundError,
    errors.NoEndpointsError: theirs.NotFoundError,
    errors.ModelNotFoundError: theirs.NotFoundError,
    errors.ModelRetiredError: theirs.NotFoundError,
    errors.RateLimitError: theirs.RateLimitError,
    errors.ServerError: theirs.InternalServerError,
}
"""LiteLLM's class for each of ours; a subclass that is not named here has that of its base."""

BY_STATUS: dict[int, Any] = {
    422: theirs.UnprocessableEntityError,
    502: theirs.BadGatewayError,
    503: theirs.ServiceUnavailableError,
    529: theirs.ServiceUnavailableError,
}
"""Where LiteLLM tells statuses apart for which we have one class."""

# They take no `response`; Timeout learnt to later than 1.81.
_WITHOUT_RESPONSE = (theirs.APIConnectionError, theirs.APIError, theirs.APIResponseValidationError, theirs.Timeout)


def litellm_error(error: errors.LFMError, model: str) -> Exception:
    """Return LiteLLM's exception for one of ours.

    Args:
        error: What was raised.
        model: The model's name, without `lfm/`.

    Returns:
        An exception with `status_code`, `llm_provider`, `model`, `response` with a `retry-after` header where the reply
        asked for a wait (the Router keeps to it), and `partial`: what had come before, or None.
    """
    cls = next(CLASSES[base] for base in type(error).__mro__ if base in CLASSES)
    facts: dict[str, Any] = {"message": str(error), "model": model, "llm_provider": PROVIDER}
    status = getattr(error, "status_code", None)
    if type(error) in (errors.BadRequestError, errors.ServerError):
        cls = BY_STATUS.get(status or 0, cls)
    wait_s = getattr(error, "retry_after", None)
    headers = {} if wait_s is None else {"retry-after": f"{wait_s:g}"}
    if cls is theirs.APIError:
        facts["status_code"] = status or HTTPStatus.INTERNAL_SERVER_ERROR.value
    # Where nothing was sent, LiteLLM's class has a status of its own, 400 or 401.
    if not issubclass(cls, _WITHOUT_RESPONSE) and not isinstance(error, errors.ConfigurationError):
        facts["response"] = _response(status, headers)
    raised: Any = cls(**facts)
    raised.status_code = status or getattr(raised, "status_code", HTTPStatus.INTERNAL_SERVER_ERROR.value)
    if wait_s is not None or not hasattr(raised, "response"):
        raised.response = _response(raised.status_code, headers)
    raised.partial = getattr(error, "partial", None)
    return raised  # type: ignore[no-any-return]  # LiteLLM's classes have no common base of their own


class LiteLLMErrors:
    """Raises LiteLLM's exception in place of ours that passes through the `with` block.

    Args:
        model: The model's name, without `lfm/`.
        routed: A Router reads the stream in the block. It falls back from one that has begun only for the failures that
            LiteLLM wraps for it, and a refusal is none of those: so it is wrapped here, unless an answer had begun.
    """

    def __init__(self, model: str, *, routed: bool = False) -> None:
        self._model = model
        self._routed = routed

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        raised: Any = error
        if isinstance(error, errors.LFMError):
            raised = litellm_error(error, self._model)
        if self._routed and raised is not error and raised.partial is None:
            raise theirs.MidStreamFallbackError(
                message=str(raised),
                model=self._model,
                llm_provider=PROVIDER,
                original_exception=raised,
                is_pre_first_chunk=True,
            ) from error
        if raised is not error:
            raise raised from error


def _response(status: int | None, headers: dict[str, str]) -> httpx.Response:
    request = httpx.Request("POST", "https://openrouter.ai/api/v1/chat/completions")
    return httpx.Response(status or HTTPStatus.INTERNAL_SERVER_ERROR, headers=headers, request=request)
