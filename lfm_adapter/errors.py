"""Every exception that this package raises.

    LFMError
    ├── ConfigurationError                  an argument or environment variable is wrong; nothing was sent
    └── APIError                            a request was refused or failed
        ├── APIConnectionError              no reply could be had
        │   └── StreamInterruptedError      the reply stopped before its end
        ├── APITimeoutError                 silence for too long, here (`timeout`) or there (408, 504, 524)
        ├── ResponseError                   the reply is none: not JSON, no choices, a broken event
        │   └── OutputValidationError             the answer does not keep to `tool_choice` or to the schema asked for
        ├── BadRequestError                 400, 413, 422 and every other 4xx that is not named here
        │   └── ContextWindowExceededError  the prompt does not fit; raised before sending where that is certain
        ├── AuthenticationError             401
        ├── PaymentRequiredError            402
        ├── PermissionDeniedError           403
        ├── NotFoundError                   404
        │   ├── NoEndpointsError            routing rules or parameters leave no endpoint of the model
        │   └── ModelNotFoundError          no such model (OpenRouter says so with 400 or 404)
        │       └── ModelRetiredError       no longer served; `successors` names the living ones
        ├── RateLimitError                  429
        └── ServerError                     500, 502, 503, 529 and every other status that is not named here

One class stands for one failure, wherever OpenRouter puts it: in the HTTP status, in the body of a 200,
in a choice, or in an event of a stream (https://openrouter.ai/docs/api-reference/errors).
"""

from __future__ import annotations

import re
from typing import Any, Protocol

__all__ = [
    "APIConnectionError",
    "APIError",
    "APITimeoutError",
    "AuthenticationError",
    "BadRequestError",
    "ConfigurationError",
    "ContextWindowExceededError",
    "LFMError",
    "ModelNotFoundError",
    "ModelRetiredError",
    "NoEndpointsError",
    "NotFoundError",
    "PartialReply",
    "PaymentRequiredError",
    "PermissionDeniedError",
    "RateLimitError",
    "ResponseError",
    "ServerError",
    "StreamInterruptedError",
    "OutputValidationError",
    "redact",
]

MAX_MESSAGE_CHARS = 1_000

MIN_SECRET_CHARS = 8
"""A shorter "key", such as "x" for a server that wants any, is part of many words."""

_REDACTED = "[redacted]"

# A key, a bearer token, an account id: providers echo them in their messages, and messages end in logs.
_SECRETS = r"(?i)\b(?:sk-[a-z0-9-]*[a-z0-9_-]{8,}|bearer\s+[^\s\"',;]+|(?:user|org|liquid)_[a-z0-9]{8,})"


def redact(text: str) -> str:
    """Return `text` fit for an error or a log: keys and account ids masked, and cut to a readable length.

    >>> redact("key sk-or-v1-0123456789abcdef of user_2wT5abcdefgh")
    'key [redacted] of [redacted]'
    """
    clean = re.sub(_SECRETS, _REDACTED, text)
    return clean if len(clean) <= MAX_MESSAGE_CHARS else f"{clean[:MAX_MESSAGE_CHARS]}…"


def _clean(fact: str | None) -> str | None:
    return redact(fact) if fact else fact


class PartialReply(Protocol):
    """What had arrived when a request failed. `lfm_adapter._openrouter.response.Reply` is one."""

    @property
    def text(self) -> str:
        """The answer's text so far."""
        ...

    @property
    def reasoning(self) -> str:
        """The reasoning so far."""
        ...


class LFMError(Exception):
    """Base of every exception raised here.

    Attributes:
        message: What went wrong and what to do about it, without the facts that `str(error)` adds to it.
    """

    def __init__(self, message: str) -> None:
        self.message = redact(message)
        super().__init__(self.message)

    def hide(self, secret: str | None) -> None:
        """Mask `secret` in the message: servers echo keys, and not every key has the form of one."""
        if secret and len(secret) >= MIN_SECRET_CHARS and secret in self.message:
            self.message = self.message.replace(secret, _REDACTED)
            self.args = (self.message,)


class ConfigurationError(LFMError, ValueError):
    """An argument, a message or an environment variable is wrong. Nothing was sent."""


class APIError(LFMError):
    """A request was refused, failed, or was found hopeless before it was sent.

    Attributes:
        status_code: The HTTP status, or the status that OpenRouter wrote in the body in its place; None without a reply.
        code: The machine-readable name, as sent: `error_type`, a provider's error code, or None.
        model: The model that was asked for.
        provider: The provider that failed ("Liquid"), where OpenRouter names it.
        generation_id: OpenRouter's id of the generation ("gen-…"), to quote to its support.
        retry_after: Seconds to wait before another try, where the reply says so.
        is_retryable: Whether the same request may succeed later. The client has already used its own retries.
        partial: What had arrived before the failure (a `Reply`), or None.
    """

    _is_retryable_by_default = False

    def __init__(
        self,
        message: str,
        *,
        status_code: int | None = None,
        code: str | None = None,
        model: str | None = None,
        provider: str | None = None,
        generation_id: str | None = None,
        retry_after: float | None = None,
        is_retryable: bool | None = None,
        partial: PartialReply | None = None,
    ) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.code = _clean(code)
        self.model = _clean(model)
        self.provider = _clean(provider)
        self.generation_id = _clean(generation_id)
        self.retry_after = retry_after
        self.is_retryable = self._is_retryable_by_default if is_retryable is None else is_retryable
        self.partial = partial

    def hide(self, secret: str | None) -> None:
        """See `LFMError.hide`; the facts are masked too."""
        super().hide(secret)
        for name in ("code", "provider", "generation_id"):
            fact = _clean(getattr(self, name))
            if fact and secret and len(secret) >= MIN_SECRET_CHARS:
                fact = fact.replace(secret, _REDACTED)
            setattr(self, name, fact)

    def __str__(self) -> str:
        facts = {
            "status": self.status_code,
            "code": self.code,
            "model": self.model,
            "provider": self.provider,
            "generation": self.generation_id,
            "retry after": None if self.retry_after is None else f"{self.retry_after:g} s",
        }
        known = ", ".join(f"{name} {value}" for name, value in facts.items() if value is not None)
        return f"{self.message} ({redact(known)})" if known else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.message,), self.__dict__


class APIConnectionError(APIError):
    """No reply could be had: the name did not resolve, the connection was refused, reset or not trusted."""

    _is_retryable_by_default = True


class StreamInterruptedError(APIConnectionError):
    """The reply stopped before its end. `partial` holds all that came."""


class APITimeoutError(APIError):
    """No byte (`timeout`) or no event with data (`stream_chunk_timeout`) for too long, or a 408, 504 or 524."""

    _is_retryable_by_default = True


class ResponseError(APIError):
    """The reply cannot be read as one: not JSON, no choices, a broken event, larger than the bound."""


class OutputValidationError(ResponseError):
    """The model did not keep to `tool_choice` or to the schema of `response_format`.

    That is raised where they were asked for by prompt, and for a call that a model of which nothing is known did not
    make. It was told so `max_output_retries` times. `partial` holds its last answer, `usage` and cost of all of them included.
    """


class BadRequestError(APIError):
    """The request is invalid (400), too large (413), cannot be processed (422), or has another 4xx against it."""


class ContextWindowExceededError(BadRequestError):
    """The prompt does not fit the model's context.

    Attributes:
        estimate: Tokens that the prompt has at least, counted here; None where the server said so.
        requested: Tokens of the prompt and of `max_tokens` together, as the server counted them, where it says.
        limit: The model's context in tokens, where known.
    """

    def __init__(
        self,
        message: str,
        *,
        estimate: int | None = None,
        requested: int | None = None,
        limit: int | None = None,
        **facts: Any,
    ) -> None:
        super().__init__(message, **facts)
        self.estimate = estimate
        self.requested = requested
        self.limit = limit


class AuthenticationError(APIError):
    """The key is missing, wrong or revoked (401)."""


class PaymentRequiredError(APIError):
    """The account or the key is out of credit (402). Retryable only when an in-flight budget is exhausted."""


class PermissionDeniedError(APIError):
    """Moderation, a guardrail, a region or a budget forbids the request (403)."""


class NotFoundError(APIError):
    """What was asked for does not exist (404)."""


class NoEndpointsError(NotFoundError):
    """The model exists, but routing rules, the data policy or a parameter leave none of its endpoints."""


class ModelNotFoundError(NotFoundError):
    """OpenRouter knows no such model."""


class ModelRetiredError(ModelNotFoundError):
    """The model is no longer served.

    Attributes:
        successors: Ids of living models to ask instead, the nearest first.
    """

    def __init__(self, message: str, *, successors: tuple[str, ...] = (), **facts: Any) -> None:
        super().__init__(message, **facts)
        self.successors = successors


class RateLimitError(APIError):
    """Too many requests (429). Not retryable when a daily cap is reached."""

    _is_retryable_by_default = True


class ServerError(APIError):
    """OpenRouter or the provider failed (500, 502, 503, 529, or a status without a class of its own)."""

    _is_retryable_by_default = True
