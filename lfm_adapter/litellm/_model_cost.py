"""The catalogue as rows of LiteLLM's table of prices, limits and capabilities (`litellm.model_cost`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfm_adapter import catalog

if TYPE_CHECKING:
    from lfm_adapter.types import JSONDict, ModelCard

__all__ = ["PROVIDER", "rows"]

PROVIDER = "lfm"


def rows() -> dict[str, JSONDict]:
    """Return a row for each name of each chat model of the catalogue.

    `lfm/lfm-3b` and `lfm/liquid/lfm-3b` are answered by our provider, `openrouter/liquid/lfm-3b` by LiteLLM's own. What
    is not known is left out.
    """
    table: dict[str, JSONDict] = {}
    for card in catalog.models():
        if card.kind == "chat":
            table |= {f"{PROVIDER}/{name}": _row(card, PROVIDER) for name in (card.id, *card.aliases)}
            table[f"openrouter/{card.id}"] = _row(card, "openrouter")
    return table


def _row(card: ModelCard, provider: str) -> JSONDict:
    can = card.capabilities
    # Our clients offer tools and schemas by prompt where a model does not have them; LiteLLM's openrouter does not.
    by_prompt = True if provider == PROVIDER else None
    prices = card.pricing
    facts = {
        "litellm_provider": provider,
        "mode": "chat",
        "max_input_tokens": card.context_length,
        "max_output_tokens": card.max_output_tokens,
        # OpenRouter counts both against one context; where the answer has no bound of its own, that is the bound.
        "max_tokens": card.max_output_tokens or card.context_length,
        "input_cost_per_token": prices.prompt,
        "output_cost_per_token": prices.completion,
        # Without a price of their own these tokens cost what others do.
        "cache_read_input_token_cost": prices.prompt if prices.input_cache_read is None else prices.input_cache_read,
        "cache_creation_input_token_cost": prices.prompt
        if prices.input_cache_write is None
        else prices.input_cache_write,
        "input_cost_per_request": prices.request,
        "supports_function_calling": by_prompt or can.tools,
        "supports_tool_choice": by_prompt or can.tool_choice,
        "supports_response_schema": by_prompt or can.structured_outputs,
        "supports_reasoning": can.reasoning,
        "supports_system_messages": True,
        "supports_vision": False,
        # When it was gone; LiteLLM's own rows say with this key when a model will be, or was.
        "deprecation_date": card.retired_between[1] if card.retired_between else None,
        "source": f"https://openrouter.ai/{card.id}",
    }
    return {
        name: float(value) if "_cost" in name else value  # LiteLLM multiplies with floats
        for name, value in facts.items()
        if value is not None
    }
