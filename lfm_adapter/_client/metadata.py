"""What every surface says of a response beside its content: LangChain's `response_metadata`, LiteLLM's fields."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lfm_adapter.types import Choice, JSONDict, Reply

__all__ = ["choice_metadata", "reply_metadata"]


def reply_metadata(reply: Reply) -> JSONDict:
    """Return what is known of a reply as a whole, each fact where there is something to say.

    Returns:
        Fields without a name of their own as they came; `provider`, `cost` (US$, a float), `cost_source`,
        `cost_details`, `is_byok`, `server_tool_use_details`, `output_retries`, `validation_error` and
        `max_tokens_clamped`.
    """
    usage = reply.usage or {}
    limits = reply.token_limits
    is_clamped = limits is not None and limits.clamped_from is not None
    facts = {
        **reply.extra,
        "provider": reply.provider,
        "cost": None if reply.cost is None else float(reply.cost.total),
        "cost_source": None if reply.cost is None else reply.cost.source,
        "cost_details": usage.get("cost_details"),
        "is_byok": usage.get("is_byok"),
        "server_tool_use_details": usage.get("server_tool_use_details"),
        "output_retries": reply.output_retries or None,
        "validation_error": reply.validation_error,
        "max_tokens_clamped": {"from": limits.clamped_from, "to": limits.max_tokens} if limits and is_clamped else None,
    }
    return {name: fact for name, fact in facts.items() if fact is not None}


def choice_metadata(choice: Choice) -> JSONDict:
    """Return `native_finish_reason` and `tool_call_errors` (by call id) of a choice, where there are any."""
    facts = {
        "native_finish_reason": choice.native_finish_reason,
        "tool_call_errors": {call.id: call.error for call in choice.tool_calls if call.error},
    }
    return {name: fact for name, fact in facts.items() if fact}
