"""The exceptions that `ChatLFM` raises. Each is a class of `lfm_adapter.errors` and of LangChain at once.

`except lfm_adapter.errors.RateLimitError` and `except langchain_core.exceptions.ModelRateLimitError` both catch a 429,
and middleware that reads `is_retryable` retries the right errors.
"""

from __future__ import annotations

from typing import Any

from langchain_core import exceptions as lc

from lfm_adapter import errors


# fmt: off
class APIError(errors.APIError, lc.ModelAPIError): ...
class APIConnectionError(errors.APIConnectionError, lc.ModelConnectionError): ...
class StreamInterruptedError(errors.StreamInterruptedError, lc.ModelConnectionError): ...
class APITimeoutError(errors.APITimeoutError, lc.ModelTimeoutError): ...
class ResponseError(errors.ResponseError, lc.ModelAPIError): ...
class InvalidDecisionError(errors.InvalidDecisionError, lc.ModelAPIError): ...
class OutputValidationError(errors.OutputValidationError, lc.ModelAPIError, lc.OutputParserException): ...
class BadRequestError(errors.BadRequestError, lc.ModelInvalidRequestError): ...
class ContextWindowExceededError(
    errors.ContextWindowExceededError, lc.ContextOverflowError, lc.ModelInvalidRequestError): ...
class AuthenticationError(errors.AuthenticationError, lc.ModelAuthenticationError): ...
class PaymentRequiredError(errors.PaymentRequiredError, lc.ModelPermissionDeniedError): ...
class BudgetExceededError(errors.BudgetExceededError, lc.ModelPermissionDeniedError): ...
class PermissionDeniedError(errors.PermissionDeniedError, lc.ModelPermissionDeniedError): ...
class NotFoundError(errors.NotFoundError, lc.ModelNotFoundError): ...
class NoEndpointsError(errors.NoEndpointsError, lc.ModelNotFoundError): ...
class ModelNotFoundError(errors.ModelNotFoundError, lc.ModelNotFoundError): ...
class ModelRetiredError(errors.ModelRetiredError, lc.ModelNotFoundError): ...
class RateLimitError(errors.RateLimitError, lc.ModelRateLimitError): ...
class ServerError(errors.ServerError, lc.ModelAPIError): ...
# fmt: on


_ModelRefusalError: Any = getattr(lc, "ModelRefusalError", lc.ModelError)  # since langchain-core 1.7.5


class RefusalError(lc.OutputParserException, _ModelRefusalError):  # type: ignore[misc]
    """The model refused to give the object that was asked for; `raw_message` is its answer."""

    def __init__(self, message: str, *, raw_message: Any = None, llm_output: str | None = None) -> None:
        super().__init__(message, llm_output=llm_output)
        self.raw_message = raw_message


_CLASSES = {
    cls.__bases__[0]: cls for cls in [*globals().values()] if isinstance(cls, type) and issubclass(cls, errors.APIError)
}


def to_langchain_error(error: errors.APIError) -> errors.APIError:
    """Return `error` as an instance of a class that is LangChain's too; itself if it is one already."""
    if isinstance(error, lc.ModelError):
        return error
    cls = next(_CLASSES[base] for base in type(error).__mro__ if base in _CLASSES)
    converted = cls(error.message)
    converted.__dict__.update(error.__dict__)
    if isinstance(converted, lc.OutputParserException):
        converted.llm_output = error.partial.text if error.partial else None
    return converted.with_traceback(error.__traceback__)
