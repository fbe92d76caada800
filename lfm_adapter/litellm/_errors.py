"""Translates our exceptions into LiteLLM's, which its Router, fallbacks and Proxy act on.

LiteLLM passes its own exceptions on unchanged and guesses at all others. Ours is the `__cause__`.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
from litellm import exceptions as theirs

from lfm_adapter import errors
from lfm_adapter.litellm._model_cost import PROVIDER

if TYPE_CHECKING:
    from collections.abc import Iterator

_REQUEST = httpx.Request("POST", "https://openrouter.ai/api/v1/chat/completions")

OTHER_NAMES = {
    "LFMError": "APIConnectionError",
    "ConfigurationError": "BadRequestError",
    "APITimeoutError": "Timeout",
    "BudgetExceededError": "PaymentRequiredError",  # its own of this name is about keys of its Proxy
    "ResponseError": "APIResponseValidationError",
    "ServerError": "InternalServerError",
}
"""LiteLLM's names for our classes, where they differ. For other unknown names, the base class counts."""

BY_STATUS: dict[int, Any] = {
    422: theirs.UnprocessableEntityError,
    502: theirs.BadGatewayError,
    503: theirs.ServiceUnavailableError,
    529: theirs.ServiceUnavailableError,
}
"""Statuses that LiteLLM distinguishes within `BadRequestError` and `ServerError`."""


def to_litellm_error(error: errors.LFMError, model: str) -> Exception:
    """Return LiteLLM's exception for one of ours.

    It has `status_code`, `llm_provider`, `model` (without `lfm/`), `response` (whose `retry-after` header the Router
    obeys), and `partial` and `embeddings`: what arrived before the failure, or None.
    """
    status, wait_s = getattr(error, "status_code", None), getattr(error, "retry_after", None)
    names = [OTHER_NAMES.get(base.__name__, base.__name__) for base in type(error).__mro__]
    cls: Any = next(getattr(theirs, name) for name in names if hasattr(theirs, name))
    if type(error) in (errors.BadRequestError, errors.ServerError):
        cls = BY_STATUS.get(status or 0, cls)
    headers = {} if wait_s is None else {"retry-after": f"{wait_s:g}"}
    response = httpx.Response(status or 500, headers=headers, request=_REQUEST)
    facts: dict[str, Any] = {"message": str(error), "model": model, "llm_provider": PROVIDER}
    if cls is theirs.APIError:
        facts["status_code"] = response.status_code
    elif cls in (theirs.PermissionDeniedError, theirs.UnprocessableEntityError):  # the others need no response
        facts["response"] = response
    raised: Any = cls(**facts)
    if status is not None and cls is not theirs.ContextWindowExceededError:  # always 400 in LiteLLM
        raised.status_code = status
    response.status_code = raised.status_code
    raised.response = response
    raised.partial, raised.embeddings = getattr(error, "partial", None), getattr(error, "embeddings", None)
    return raised  # type: ignore[no-any-return]  # LiteLLM's exceptions have no common base class


@contextmanager
def translate_errors(model: str, *, is_routed: bool = False) -> Iterator[None]:
    """Raise LiteLLM's exception in place of ours in the `with` block.

    A Router that reads a stream (`is_routed`) falls back only on `MidStreamFallbackError`, which LiteLLM does not raise
    for a refused request. So the exception is wrapped here if no content arrived.
    """
    try:
        yield
    except errors.LFMError as error:
        raised: Any = to_litellm_error(error, model)
        if is_routed and raised.partial is None:
            facts = {"message": str(raised), "model": model, "llm_provider": PROVIDER, "is_pre_first_chunk": True}
            raised = theirs.MidStreamFallbackError(original_exception=raised, **facts)
        raise raised from error
