"""Errors as clients get them: in OpenAI's format, with the upstream's status and a message for the user of an app."""

from __future__ import annotations

import math
import re
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from lfm_adapter import errors
from lfm_adapter.catalog import get

if TYPE_CHECKING:
    from lfm_adapter.types import JSONDict

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
}

# Marks of sentences for Python programmers, which name an argument or a method.
_FOR_PROGRAMS = re.compile(r"`[a-z_]+=|[a-z]_[a-z_]*`|`base_url`|`timeout`|`api_key`|[a-z_]+\(\)|`partial`")
_SETTING = re.compile(r" \(`[a-z_]+`\)")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]+")
_MAX_REASON_CHARS = 300
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z`])")


class GatewayError(Exception):
    """An error that a client gets.

    Attributes:
        status: The HTTP status.
        message: One or two sentences for the user of an app.
        code: A machine-readable name, or None.
        retry_after: Seconds to wait, or None.
        metadata: More facts, such as the provider that failed.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        retry_after: float | None = None,
        metadata: JSONDict | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.retry_after = retry_after
        self.metadata = metadata or {}

    @property
    def type(self) -> str:
        """OpenAI's name for this kind of error."""
        return _TYPES.get(self.status, "invalid_request_error" if self.status < 500 else "server_error")

    @property
    def reason(self) -> str:
        """The message in ASCII for the status line, the only text that some apps show to their users."""
        text = _CONTROLS.sub(" ", self.message.encode("ascii", "replace").decode())
        return shorten(text, _MAX_REASON_CHARS, placeholder=" ...")

    @property
    def headers(self) -> dict[str, str]:
        """The headers that SDKs follow: `Retry-After`, and not to retry what cannot succeed, such as a wrong key."""
        headers = {} if self.retry_after is None else {"Retry-After": str(max(1, math.ceil(self.retry_after)))}
        if self.status < 500 and self.status not in (408, 409, 429):
            headers["X-Should-Retry"] = "false"
        return headers

    def body(self) -> JSONDict:
        """Return the error in OpenAI's format. OpenRouter's clients expect a number in `code`."""
        error: JSONDict = {
            "message": self.message,
            "type": self.type,
            "param": None,
            "code": self.code or self.status,
        }
        return {"error": error | ({"metadata": self.metadata} if self.metadata else {})}


def to_gateway_error(error: errors.LFMError) -> GatewayError:
    """Return the error that a client gets for an error of the library."""
    facts: dict[str, Any] = {}
    status = _status(error)
    message = _for_users(error.message)
    if isinstance(error, errors.APIError):
        facts = {"code": error.code, "retry_after": error.retry_after}
        if error.provider:
            facts["metadata"] = {"provider_name": error.provider}
    match error:
        case errors.ContextWindowExceededError():
            facts["code"] = "context_length_exceeded"
            counted, limit = error.estimated_tokens, error.context_length
            if counted and limit and get(error.model or "").kind == "chat":
                message = (
                    f"This prompt is too long: it has at least {counted:,} tokens, and the context of {error.model} "
                    f"has {limit:,}. Shorten the conversation, or choose a model with a larger context."
                )
        case errors.AuthenticationError():
            message = (
                "OpenRouter refused the key of this gateway. Set OPENROUTER_API_KEY to a valid key from "
                "https://openrouter.ai/settings/keys and restart `lfm gateway`."
            )
        case errors.ModelRetiredError() if error.successors:
            message = f"OpenRouter no longer serves {error.model}. Choose {error.successors[0]} instead."
        case errors.BudgetExceededError():
            facts["code"] = "budget_exceeded"
            message = error.message
        case errors.OutputValidationError():
            facts["code"] = "invalid_output"
    return GatewayError(status, message, **facts)


def _status(error: errors.LFMError) -> int:
    if isinstance(error, errors.APIError) and error.status_code is not None and error.status_code >= 400:
        return error.status_code
    match error:
        case errors.ConfigurationError() | errors.BadRequestError():
            return 400
        case errors.PaymentRequiredError():
            return 402
        case errors.RateLimitError():
            return 429
        case errors.APITimeoutError():
            return 504
        case _:
            return 502


def _for_users(message: str) -> str:
    """Remove names of settings, and sentences for programmers. The first sentence always stays."""
    first, *rest = _SENTENCE.split(_SETTING.sub("", message))
    return " ".join([first, *(sentence for sentence in rest if not _FOR_PROGRAMS.search(sentence))])
