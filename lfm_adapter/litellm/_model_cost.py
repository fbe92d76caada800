"""The catalogue as entries of LiteLLM's table of prices, limits and capabilities (`litellm.model_cost`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfm_adapter import catalog

if TYPE_CHECKING:
    from lfm_adapter.types import JSONDict, ModelCard

PROVIDER = "lfm"

_MODES = {"chat": "chat", "embeddings": "embedding", "decisions": "evaluation"}


def model_cost_entries() -> dict[str, JSONDict]:
    """Return an entry for each name of each model in the catalogue; unknown facts are left out.

    Our provider serves `lfm/lfm-3b` and `lfm/liquid/lfm-3b`, LiteLLM's own serves `openrouter/liquid/lfm-3b`. Only
    LiteLLM's own serves decisions, since it asks no custom provider for them.
    """
    table: dict[str, JSONDict] = {}
    for card in catalog.models():
        if card.kind != "decisions":
            table |= {f"{PROVIDER}/{name}": _entry(card, PROVIDER) for name in (card.id, *card.aliases)}
        table[f"openrouter/{card.id}"] = _entry(card, "openrouter")
    return table


def _entry(card: ModelCard, provider: str) -> JSONDict:
    prices, write = card.pricing, card.pricing.input_cache_write
    facts = {
        "litellm_provider": provider,
        "mode": _MODES[card.kind],
        "max_input_tokens": card.context_length,
        "max_output_tokens": card.max_output_tokens,
        # Prompt and answer share one context, which also bounds an answer without a limit of its own.
        "max_tokens": card.max_output_tokens or card.context_length,
        "input_cost_per_token": prices.prompt,
        "output_cost_per_token": prices.completion,
        # Without prices of their own, cached tokens cost the same as others.
        "cache_read_input_token_cost": prices.prompt if prices.input_cache_read is None else prices.input_cache_read,
        "cache_creation_input_token_cost": prices.prompt if write is None else write,
        "input_cost_per_request": prices.request,
        **(_chat_facts(card, provider) if card.kind == "chat" else {}),
        **(_decision_facts(card) if card.kind == "decisions" else {}),
        "deprecation_date": card.retired_between[1] if card.retired_between else None,
        "source": f"https://openrouter.ai/{card.id}",
    }
    # LiteLLM multiplies prices with floats.
    return {name: float(fact) if "_cost" in name else fact for name, fact in facts.items() if fact is not None}


def _chat_facts(card: ModelCard, provider: str) -> JSONDict:
    can = card.capabilities
    # Our clients write tools and schemas into the prompt if need be; LiteLLM's own provider does not.
    prompted = True if provider == PROVIDER else None
    return {
        "supports_function_calling": prompted or can.tools,
        "supports_tool_choice": prompted or can.tool_choice,
        "supports_response_schema": prompted or can.structured_outputs,
        "supports_reasoning": can.reasoning,
        "supports_system_messages": True,
        "supports_vision": False,
    }


def _decision_facts(card: ModelCard) -> JSONDict:
    # Not `supports_audio_input`: with it LiteLLM sends a field `audio`, which OpenRouter does not have.
    return {
        "supported_endpoints": ["/v1/decisions", "/v1/systemone"],
        "supports_vision": "image" in (card.input_modalities or ()),
        "supports_box_questions": "box" in card.question_types,
    }
