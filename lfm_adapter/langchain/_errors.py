"""The exceptions that `ChatLFM` raises: each is both ours and LangChain's.

So `except lfm_adapter.errors.RateLimitError` and `except langchain_core.exceptions.ModelRateLimitError` both catch a
429, and middleware that looks at `is_retryable` decides rightly.
"""

from __future__ import annotations

from langchain_core import exceptions as langchain_exceptions

from lfm_adapter import errors

__all__ = ["twin"]

_LANGCHAIN: dict[type[errors.APIError], tuple[type[Exception], ...]] = {
    errors.APIError: (langchain_exceptions.ModelAPIError,),
    errors.APIConnectionError: (langchain_exceptions.ModelConnectionError,),
    errors.StreamInterruptedError: (langchain_exceptions.ModelConnectionError,),
    errors.APITimeoutError: (langchain_exceptions.ModelTimeoutError,),
    errors.ResponseError: (langchain_exceptions.ModelAPIError,),
    errors.OutputValidationError: (langchain_exceptions.ModelAPIError, langchain_exceptions.OutputParserException),
    errors.BadRequestError: (langchain_exceptions.ModelInvalidRequestError,),
    errors.ContextWindowExceededError: (
        langchain_exceptions.ContextOverflowError,
        langchain_exceptions.ModelInvalidRequestError,
    ),
    errors.AuthenticationError: (langchain_exceptions.ModelAuthenticationError,),
    errors.PaymentRequiredError: (langchain_exceptions.ModelPermissionDeniedError,),
    errors.PermissionDeniedError: (langchain_exceptions.ModelPermissionDeniedError,),
    errors.NotFoundError: (langchain_exceptions.ModelNotFoundError,),
    errors.NoEndpointsError: (langchain_exceptions.ModelNotFoundError,),
    errors.ModelNotFoundError: (langchain_exceptions.ModelNotFoundError,),
    errors.ModelRetiredError: (langchain_exceptions.ModelNotFoundError,),
    errors.RateLimitError: (langchain_exceptions.ModelRateLimitError,),
    errors.ServerError: (langchain_exceptions.ModelAPIError,),
}

_TWINS: dict[type[errors.APIError], type[errors.APIError]] = {
    ours: type(ours.__name__, (ours, *theirs), {"__module__": __name__, "__doc__": ours.__doc__})
    for ours, theirs in _LANGCHAIN.items()
}
# Unpickling looks the classes up by name.
globals().update({cls.__name__: cls for cls in _TWINS.values()})


def twin(error: errors.APIError) -> errors.APIError:
    """Return `error` as an instance of a class that is LangChain's too; one that is already stays as it is."""
    if isinstance(error, langchain_exceptions.ModelError):
        return error
    cls = next(_TWINS[ours] for ours in type(error).__mro__ if ours in _TWINS)
    double = cls(error.message)
    double.__dict__.update(error.__dict__)
    double.__dict__["is_retryable"] = error.is_retryable
    if isinstance(double, langchain_exceptions.OutputParserException):
        double.__dict__ |= {
            "llm_output": error.partial and error.partial.text,
            "observation": None,
            "send_to_llm": False,
        }
    return double
