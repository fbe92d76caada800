"""Every exception that this package raises.

    LFMError
    ├── ConfigurationError                  an argument or environment variable is invalid; nothing was sent
    └── APIError                            a request was refused or failed
        ├── APIConnectionError              no response: resolving, connecting or reading failed
        │   └── StreamInterruptedError      the response stopped before its end
        ├── APITimeoutError                 a timeout here (`timeout` and others) or on the server (408, 504, 524)
        ├── ResponseError                   the response could not be parsed
        │   ├── OutputValidationError       the answer breaks `tool_choice` or the schema of `response_format`
        │   └── InvalidDecisionError        a question has no answer, or one that does not fit it
        ├── BadRequestError                 400, 413, 422 and every 4xx not listed here
        │   └── ContextWindowExceededError  a prompt or text is longer than the model's context
        ├── AuthenticationError             401
        ├── PaymentRequiredError            402
        │   └── BudgetExceededError         a `budget` here does not allow the request, which was not sent
        ├── PermissionDeniedError           403
        ├── NotFoundError                   404
        │   ├── NoEndpointsError            routing rules or parameters exclude every endpoint of the model
        │   └── ModelNotFoundError          unknown model (400 or 404)
        │       └── ModelRetiredError       the model is no longer served; `successors` lists others
        ├── RateLimitError                  429
        └── ServerError                     500, 502, 503, 529 and every status not listed here

A failure has the same class wherever OpenRouter reports it: in the HTTP status, in the body of a 200, in a choice, or
in an event of a stream (https://openrouter.ai/docs/api-reference/errors).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lfm_adapter._masking import MAX_MESSAGE_CHARS, redact
from lfm_adapter._masking import redact_json as _redact_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lfm_adapter.types import DecisionReply, EmbeddingReply, Reply

__all__ = [
    "MAX_MESSAGE_CHARS", "APIConnectionError", "APIError", "APITimeoutError", "AuthenticationError",
    "BadRequestError", "BudgetExceededError", "ConfigurationError", "ContextWindowExceededError",
    "InvalidDecisionError", "LFMError", "ModelNotFoundError", "ModelRetiredError", "NoEndpointsError", "NotFoundError",
    "OutputValidationError", "PaymentRequiredError", "PermissionDeniedError", "RateLimitError", "ResponseError",
    "RetiredModelWarning", "ServerError", "StreamInterruptedError", "redact",
]  # fmt: skip


class LFMError(Exception):
    """Base class of all exceptions of this package.

    Attributes:
        message: What went wrong and what to do about it. `str(error)` adds the other attributes.
    """

    def __init__(self, message: str) -> None:
        self.message = redact(message)
        super().__init__(self.message)

    def mask_secret(self, secret: str | None) -> None:
        """Mask `secret`, which a server may have repeated, in the message: not every key looks like one."""
        self.message = redact(self.message, secret)
        self.args = (self.message,)


class ConfigurationError(LFMError, ValueError):
    """An argument, a message or an environment variable is invalid. Nothing was sent."""


class APIError(LFMError):
    """A request was refused or failed, or could not succeed and was not sent.

    Attributes:
        status_code: The HTTP status, or the status in the body if that differs; None without a response.
        code: The machine-readable name of the failure: `error_type`, a provider's error code, or None.
        model: The requested model.
        provider: The provider that failed ("Liquid"), if OpenRouter names it.
        generation_id: OpenRouter's id of the generation ("gen-…"), to quote to its support.
        retry_after: Seconds to wait before a retry, if the response gives them.
        is_retryable: Whether the same request may succeed later. The client's own retries are already used up.
        metadata: The `metadata` of the error as OpenRouter sent it, keys and account ids masked; empty if it sent none.
            Such as `reasons` and `flagged_input` of moderation, `previous_errors`, `routing_funnel`, `limit_source`.
        partial: What arrived before the failure (a `Reply`), or None.
        embeddings: The vectors of the first texts, if a later request of `embed` failed; else None.
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
        metadata: Mapping[str, Any] | None = None,
        partial: Reply | None = None,
        embeddings: EmbeddingReply | None = None,
    ) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.code = code and redact(code)
        self.model = model and redact(model)
        self.provider = provider and redact(provider)
        self.generation_id = generation_id and redact(generation_id)
        self.retry_after = retry_after
        self.is_retryable = self._is_retryable_by_default if is_retryable is None else is_retryable
        self.metadata: dict[str, Any] = _redact_json(dict(metadata or {}))
        self.partial = partial
        self.embeddings = embeddings

    def mask_secret(self, secret: str | None) -> None:
        """Mask `secret` in the message and in the attributes that come from the server."""
        super().mask_secret(secret)
        names = ("code", "provider", "generation_id", "metadata")
        self.__dict__.update(_redact_json({name: getattr(self, name) for name in names}, secret))

    def __str__(self) -> str:
        facts = {
            "status": self.status_code,
            "code": self.code,
            "model": self.model,
            "provider": self.provider,
            "generation": self.generation_id,
            "retry after": f"{self.retry_after:g} s" if self.retry_after else None,
        }
        known = ", ".join(f"{name} {value}" for name, value in facts.items() if value is not None)
        return f"{self.message} ({redact(known)})" if known else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.message,), self.__dict__


class APIConnectionError(APIError):
    """No response arrived: the host was not resolved, or the connection was refused, reset or not trusted."""

    _is_retryable_by_default = True


class StreamInterruptedError(APIConnectionError):
    """The response stopped before its end. `partial` holds what arrived."""


class APITimeoutError(APIError):
    """A timeout: `timeout`, `stream_chunk_timeout`, `total_timeout`, or status 408, 504 or 524."""

    _is_retryable_by_default = True


class ResponseError(APIError):
    """The response could not be parsed: not JSON, no choices, an invalid event, or too large."""


class OutputValidationError(ResponseError):
    """The answer breaks `tool_choice` or the schema of `response_format`, after `max_output_retries` retries.

    `partial` holds the last answer, with the usage and cost of all of them.
    """


class InvalidDecisionError(ResponseError):
    """An answer of a decision is missing, of another type than its question, or out of range.

    Attributes:
        reply: The reply that arrived. In it, an answer that does not match its question is an `OtherAnswer`.
    """

    def __init__(self, message: str, *, reply: DecisionReply | None = None, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.reply = reply


class BadRequestError(APIError):
    """The request is invalid (400), too large (413), cannot be processed (422), or failed with another 4xx."""


class ContextWindowExceededError(BadRequestError):
    """The prompt, or a text to embed, is longer than the model's context. Raised before sending if that is certain.

    Its `status_code` is 400 where no response has another: before sending, and in a stream.

    Attributes:
        prompt_tokens: Tokens of the prompt, as counted by the server, if known.
        estimated_tokens: The fewest tokens that the prompt can have, as counted here; None if the server refused it.
        requested_tokens: Tokens of the prompt and of `max_tokens` together, as counted by the server, or of the prompt
            alone; None if it says neither.
        context_length: The model's context in tokens, if known.
    """

    def __init__(
        self,
        message: str,
        *,
        estimated_tokens: int | None = None,
        prompt_tokens: int | None = None,
        requested_tokens: int | None = None,
        context_length: int | None = None,
        **facts: Any,
    ) -> None:
        super().__init__(message, **facts)
        self.estimated_tokens = estimated_tokens
        self.prompt_tokens = prompt_tokens
        self.requested_tokens = requested_tokens
        self.context_length = context_length


class AuthenticationError(APIError):
    """The key is missing, wrong or revoked (401)."""


class PaymentRequiredError(APIError):
    """The account or the key is out of credit (402). Retryable only if concurrent requests exhaust the credit."""


class BudgetExceededError(PaymentRequiredError):
    """A `budget` does not allow the request, which was not sent. `retry_after` is the time until it resets."""


class PermissionDeniedError(APIError):
    """Moderation, a guardrail, a region or a budget forbids the request (403)."""


class NotFoundError(APIError):
    """The requested resource does not exist (404)."""


class NoEndpointsError(NotFoundError):
    """The model exists, but routing rules, the data policy or a parameter exclude all its endpoints."""


class ModelNotFoundError(NotFoundError):
    """The server does not know the model."""


class ModelRetiredError(ModelNotFoundError):
    """The model is no longer served.

    Attributes:
        successors: Ids of models to use instead, the closest first.
    """

    def __init__(self, message: str, *, successors: tuple[str, ...] = (), **facts: Any) -> None:
        super().__init__(message, **facts)
        self.successors = successors


class RateLimitError(APIError):
    """Too many requests (429). Not retryable if a daily limit is reached."""

    _is_retryable_by_default = True


class ServerError(APIError):
    """OpenRouter or the provider failed (500, 502, 503, 529, or a status without a class of its own)."""

    _is_retryable_by_default = True


class RetiredModelWarning(UserWarning):
    """A retired model was replaced by its successor, whose price may differ (`when_retired`)."""
