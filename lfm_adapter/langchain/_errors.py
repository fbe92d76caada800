"""The exceptions that `ChatLFM` raises. Each is a class of `lfm_adapter.errors` and of LangChain at once.

`except lfm_adapter.errors.RateLimitError` and `except langchain_core.exceptions.ModelRateLimitError` both catch a 429,
and middleware that reads `is_retryable` retries the right errors.
"""

from __future__ import annotations

from langchain_core.exceptions import (
    ContextOverflowError,
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelError,
    ModelInvalidRequestError,
    ModelPermissionDeniedError,
    ModelRateLimitError,
    ModelTimeoutError,
    OutputParserException,
)
from langchain_core.exceptions import ModelNotFoundError as LangChainModelNotFoundError

from lfm_adapter import errors

__all__ = ["to_langchain_error"]


# fmt: off
class APIError(errors.APIError, ModelAPIError): ...
class APIConnectionError(errors.APIConnectionError, ModelConnectionError): ...
class StreamInterruptedError(errors.StreamInterruptedError, ModelConnectionError): ...
class APITimeoutError(errors.APITimeoutError, ModelTimeoutError): ...
class ResponseError(errors.ResponseError, ModelAPIError): ...
class OutputValidationError(errors.OutputValidationError, ModelAPIError, OutputParserException): ...
class BadRequestError(errors.BadRequestError, ModelInvalidRequestError): ...
class ContextWindowExceededError(errors.ContextWindowExceededError, ContextOverflowError, ModelInvalidRequestError): ...
class AuthenticationError(errors.AuthenticationError, ModelAuthenticationError): ...
class PaymentRequiredError(errors.PaymentRequiredError, ModelPermissionDeniedError): ...
class PermissionDeniedError(errors.PermissionDeniedError, ModelPermissionDeniedError): ...
class NotFoundError(errors.NotFoundError, LangChainModelNotFoundError): ...
class NoEndpointsError(errors.NoEndpointsError, LangChainModelNotFoundError): ...
class ModelNotFoundError(errors.ModelNotFoundError, LangChainModelNotFoundError): ...
class ModelRetiredError(errors.ModelRetiredError, LangChainModelNotFoundError): ...
class RateLimitError(errors.RateLimitError, ModelRateLimitError): ...
class ServerError(errors.ServerError, ModelAPIError): ...
# fmt: on


_CLASSES = {
    cls.__bases__[0]: cls for cls in [*globals().values()] if isinstance(cls, type) and issubclass(cls, errors.APIError)
}


def to_langchain_error(error: errors.APIError) -> errors.APIError:
    """Return `error` as an instance of a class that is LangChain's too; itself if it is one already."""
    if isinstance(error, ModelError):
        return error
    cls = next(_CLASSES[base] for base in type(error).__mro__ if base in _CLASSES)
    converted = cls(error.message)
    converted.__dict__.update(error.__dict__)
    if isinstance(converted, OutputParserException):
        converted.llm_output = error.partial.text if error.partial else None
    return converted.with_traceback(error.__traceback__)
