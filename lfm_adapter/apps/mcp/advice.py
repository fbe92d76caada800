"""What an agent is told when a call fails: what went wrong, and what it can do about it."""

from __future__ import annotations

from typing import Any, NamedTuple

from lfm_adapter import errors

__all__ = ["Advice", "advice_on"]

_OF_THE_USER = "Only the user can mend this: tell them, and do not call again."

_TO_DO: tuple[tuple[type[errors.LFMError], str], ...] = (
    (
        errors.ContextWindowExceededError,
        "Pass less text, or have `summarize` read it, which takes any length in parts.",
    ),
    (errors.AuthenticationError, f"{_OF_THE_USER} OPENROUTER_API_KEY in the server's environment is missing or wrong."),
    (errors.PaymentRequiredError, "Ask a model that `models` lists as free, or tell the user that credit has run out."),
    (errors.PermissionDeniedError, _OF_THE_USER),
    (errors.NoEndpointsError, "Ask another of the models that the tool `models` lists."),
    (errors.ModelNotFoundError, "The tool `models` lists the models that there are."),
    (errors.OutputValidationError, "Ask for something simpler, or another of the models that the tool `models` lists."),
)


class Advice(NamedTuple):
    """What is told of an error.

    Attributes:
        text: For the agent.
        facts: For the client's program.
    """

    text: str
    facts: dict[str, Any]


def advice_on(error: errors.LFMError) -> Advice:
    """Return what to tell of an error."""
    facts: dict[str, Any] = {"type": type(error).__name__}
    if isinstance(error, errors.APIError):
        facts |= {"retryable": error.is_retryable, "status": error.status_code, "retry_after": error.retry_after}
    text = str(error)
    to_do = next((told for kind, told in _TO_DO if isinstance(error, kind)), "")
    if isinstance(error, errors.ModelRetiredError) and error.successors:
        facts["successors"] = list(error.successors)
        named = " or ".join(f'model="{successor}"' for successor in error.successors)
        to_do = f"Call again with {named}."
    elif isinstance(error, errors.APIError) and error.is_retryable and not to_do:
        wait = "" if error.retry_after is None else f" after {error.retry_after:g} s"
        to_do = f"It was tried several times already. The same call may succeed later{wait}."
    return Advice(f"{text} {to_do}".strip(), facts)
