"""One row of the table of failures: what the server does, and what the user must see."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lfm_adapter import errors
from lfm_adapter.testing import ScriptedReply, failure

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LANGCHAIN", "LITELLM", "Scenario"]

LANGCHAIN: dict[type[errors.APIError], str] = {
    errors.APIError: "ModelAPIError",
    errors.APIConnectionError: "ModelConnectionError",
    errors.StreamInterruptedError: "ModelConnectionError",
    errors.APITimeoutError: "ModelTimeoutError",
    errors.ResponseError: "ModelAPIError",
    errors.InvalidDecisionError: "ModelAPIError",
    errors.BadRequestError: "ModelInvalidRequestError",
    errors.ContextWindowExceededError: "ContextOverflowError",
    errors.AuthenticationError: "ModelAuthenticationError",
    errors.PaymentRequiredError: "ModelPermissionDeniedError",
    errors.PermissionDeniedError: "ModelPermissionDeniedError",
    errors.NotFoundError: "ModelNotFoundError",
    errors.NoEndpointsError: "ModelNotFoundError",
    errors.ModelNotFoundError: "ModelNotFoundError",
    errors.ModelRetiredError: "ModelNotFoundError",
    errors.RateLimitError: "ModelRateLimitError",
    errors.ServerError: "ModelAPIError",
}
"""The class of LangChain that each of ours also is, when `ChatLFM` raises it."""

LITELLM: dict[type[errors.APIError], str] = {
    errors.APIError: "APIError",
    errors.APIConnectionError: "APIConnectionError",
    errors.StreamInterruptedError: "APIConnectionError",
    errors.APITimeoutError: "Timeout",
    errors.ResponseError: "APIResponseValidationError",
    errors.InvalidDecisionError: "APIResponseValidationError",
    errors.BadRequestError: "BadRequestError",
    errors.ContextWindowExceededError: "ContextWindowExceededError",
    errors.AuthenticationError: "AuthenticationError",
    errors.PaymentRequiredError: "PaymentRequiredError",
    errors.PermissionDeniedError: "PermissionDeniedError",
    errors.NotFoundError: "NotFoundError",
    errors.NoEndpointsError: "NotFoundError",
    errors.ModelNotFoundError: "NotFoundError",
    errors.ModelRetiredError: "NotFoundError",
    errors.RateLimitError: "RateLimitError",
    errors.ServerError: "InternalServerError",
}
"""The class of LiteLLM for each of ours, unless a scenario names another."""


@dataclass(frozen=True)
class Scenario:
    """One way to fail, or to look like it.

    Attributes:
        name: The name in `docs/failures.md`; `failure(name)` is the reply, unless `replies` has another.
        source: Where it is documented or was seen.
        raises: Our class; None if the answer is whole all the same.
        status_code: `error.status_code`; 0 stands for the reply's own, where that is an error.
        retried: Whether the client sends the request again.
        is_retryable: `error.is_retryable`, where it differs from `retried`.
        retry_after: Seconds that the reply asks to wait.
        kept: The text of `error.partial`, or of the whole answer; None where nothing is kept.
        litellm: LiteLLM's class, where it tells apart what we do not.
        options: Arguments for the model or client.
        replies: What the server sends for "plain" and for "streamed" requests, where that is not `failure(name)`.
        kinds: Which of them the scenario applies to.
        first: What the server sends before, for a request that must succeed: the connection is then an old one.
        heard: How many of the requests reach the server; None for all of them.
        tls: Whether the server has a certificate that no one trusts.
    """

    name: str
    source: str
    raises: type[errors.APIError] | None = None
    status_code: int | None = 0
    retried: bool = False
    is_retryable: bool | None = None
    retry_after: float | None = None
    kept: str | None = None
    litellm: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    replies: Mapping[str, ScriptedReply] = field(default_factory=dict)
    kinds: tuple[str, ...] = ("plain", "streamed")
    first: tuple[ScriptedReply, ...] = ()
    heard: int | None = None
    tls: bool = False

    def reply(self, kind: str) -> ScriptedReply:
        """Return what the server sends for a request of one of `kinds`."""
        return self.replies[kind] if self.replies else failure(self.name)

    @property
    def status(self) -> int | None:
        """What `error.status_code` must be."""
        if self.status_code != 0:
            return self.status_code
        sent = self.reply(self.kinds[0]).status
        return None if sent == 200 else sent

    @property
    def tries(self) -> int:
        """How many requests a client makes that may retry once."""
        return 1 + self.retried

    def class_of_litellm(self) -> str:
        """The class of LiteLLM that is raised."""
        assert self.raises is not None
        return self.litellm or LITELLM[self.raises]
