"""What one row of the table of failures says: what the server does, and what the user must see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lfm_adapter import errors
from tests.support.http_reply import Break, Reply
from tests.support.loopback import CUT, RESET, chunk
from tests.support.scripted_openrouter import head_of

__all__ = ["LANGCHAIN", "LITELLM", "Scenario", "Script", "both", "on_the_wire", "plain", "streamed"]

DOCS = "https://openrouter.ai/docs/api-reference/"

LANGCHAIN: dict[type[errors.APIError], str] = {
    errors.APIConnectionError: "ModelConnectionError",
    errors.StreamInterruptedError: "ModelConnectionError",
    errors.APITimeoutError: "ModelTimeoutError",
    errors.ResponseError: "ModelAPIError",
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
    errors.APIConnectionError: "APIConnectionError",
    errors.StreamInterruptedError: "APIConnectionError",
    errors.APITimeoutError: "Timeout",
    errors.ResponseError: "APIResponseValidationError",
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

Script = Sequence[Any]


@dataclass(frozen=True)
class Scenario:
    """One way to fail, or to look as if.

    Attributes:
        name: What happens, in the words of `docs/failures.md`.
        answers: What the server plays for each request (see `loopback`): to "plain" ones, to "streamed" ones.
        source: Where it is documented or was seen.
        raises: The class of ours; None if the answer is whole in spite of it.
        status: `error.status_code`.
        retried: Whether the client sends the request again.
        is_retryable: `error.is_retryable`, where it says something else than `retried`.
        wait_s: Seconds that the reply asks to wait.
        kept: The text of `error.partial`, or of the whole answer; None where nothing is kept.
        litellm: LiteLLM's class, where it tells apart what we do not.
        options: Arguments for the model or client.
        first: What the server plays before, for a request that must succeed: the connection is then an old one.
        heard: How many of the requests reach the server; None for all of them.
        tls: Whether the server has a certificate that no one trusts.
    """

    name: str
    answers: Mapping[str, Script]
    source: str
    raises: type[errors.APIError] | None = None
    status: int | None = None
    retried: bool = False
    is_retryable: bool | None = None
    wait_s: float | None = None
    kept: str | None = None
    litellm: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    first: Script = ()
    heard: int | None = None
    tls: bool = False

    @property
    def tries(self) -> int:
        """How many requests a client makes that may retry once."""
        return 1 + self.retried

    def class_of_litellm(self) -> str:
        """The class of LiteLLM that is raised."""
        assert self.raises is not None
        return self.litellm or LITELLM[self.raises]


def both(answer: Reply | Script) -> dict[str, Script]:
    """The same answer, whether a stream was asked for or not."""
    return {**plain(answer), **streamed(answer)}


def plain(answer: Reply | Script) -> dict[str, Script]:
    """An answer to a request for a whole reply."""
    return {"plain": on_the_wire(answer)}


def streamed(answer: Reply | Script) -> dict[str, Script]:
    """An answer to a request for a stream."""
    return {"streamed": on_the_wire(answer)}


def on_the_wire(answer: Reply | Script) -> Script:
    """The steps in which `loopback` plays a reply, one chunk a part."""
    if not isinstance(answer, Reply):
        return answer
    in_chunks = "content-length" not in {name.lower() for name in answer.headers}
    steps: list[Any] = [head_of(answer, chunked=in_chunks)]
    steps += [_step(part, in_chunks=in_chunks) for part in answer.parts if part != b""]
    ends = steps[-1] in (CUT, RESET)
    return steps if ends or not in_chunks else [*steps, chunk(b"")]


def _step(part: Any, *, in_chunks: bool) -> Any:
    match part:
        case Break():
            return {Break.CUT: CUT, Break.RESET: RESET}[part]
        case bytes() if in_chunks:
            return chunk(part)
        case _:
            return part
