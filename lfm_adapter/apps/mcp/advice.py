"""Advice on errors for agents, and the facts about them for their programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lfm_adapter import errors

if TYPE_CHECKING:
    from lfm_adapter.types import Reply

_ASK_THE_USER = "Only the user can fix this: tell them, and do not call again."
_CHANGE_LIMIT = (
    "Shorten the text, lower `max_tokens`, or ask a free model (see `models`). Only the user can change the limit "
    "(`--max-cost-usd`, or `--allow-unknown-price` for models without a known price)."
)
_ADVICE: tuple[tuple[type[errors.LFMError], str], ...] = (
    (
        errors.ContextWindowExceededError,
        "Pass less text, or use `summarize`, which reads texts of any length in parts.",
    ),
    (
        errors.AuthenticationError,
        f"{_ASK_THE_USER} OPENROUTER_API_KEY in the server's environment is missing or wrong.",
    ),
    (errors.BudgetExceededError, _CHANGE_LIMIT),
    (errors.PaymentRequiredError, "Ask a free model (see `models`), or tell the user that the credit is used up."),
    (errors.PermissionDeniedError, _ASK_THE_USER),
    (errors.NoEndpointsError, "Ask another model; the tool `models` lists them."),
    (errors.ModelNotFoundError, "The tool `models` lists the available models."),
    (errors.OutputValidationError, "Ask for something simpler, or ask another model; the tool `models` lists them."),
)


def no_answer(reply: Reply) -> str:
    """Return the reason why a reply has no text."""
    if reply.choices[0].refusal:
        return f"The model refused: {reply.choices[0].refusal}."
    if reply.finish_reason == "content_filter":
        return "The provider's content filter stopped the answer. Word the question differently."
    if reply.finish_reason == "length":
        return "The model wrote no answer: its reasoning took all of `max_tokens`. Raise it."
    return "The model wrote no answer."


def advice_on(error: errors.LFMError) -> str:
    """Return what an agent can do about an error, or ""."""
    if isinstance(error, errors.ModelRetiredError) and error.successors:
        named = " or ".join(f'model="{successor}"' for successor in error.successors)
        return f"Call again with {named}."
    advice = next((advice for kind, advice in _ADVICE if isinstance(error, kind)), "")
    if not advice and isinstance(error, errors.APIError) and error.is_retryable:
        wait = f" after {error.retry_after:g} s" if error.retry_after else ""
        return f"All retries failed. The same call may succeed later{wait}."
    return advice


def facts_of(error: errors.LFMError) -> dict[str, Any]:
    """Return the facts about an error for the client's program."""
    facts: dict[str, Any] = {"type": type(error).__name__}
    if isinstance(error, errors.APIError):
        facts |= {"retryable": error.is_retryable, "status": error.status_code, "retry_after": error.retry_after}
    if isinstance(error, errors.ModelRetiredError) and error.successors:
        facts["successors"] = list(error.successors)
    return facts
