"""A model card as a LangChain model profile, which agents and middleware decide by."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from langchain_core.language_models import ModelProfile

if TYPE_CHECKING:
    from lfm_adapter.types import ModelCard

__all__ = ["profile_of"]

_STATUS = {"live": "active", "preview": "active", "retired": "deprecated"}


def profile_of(card: ModelCard, *, prompts_tools: bool) -> ModelProfile:
    """Return what is known of a model; what is not is left out, never guessed.

    Args:
        card: The model.
        prompts_tools: Tools are written into the prompt where the model takes them no other way.
    """
    can = card.capabilities
    known = card.status != "unknown"
    # OpenRouter lists no Liquid model that sees or hears, and of those that do not chat too little is known.
    yes, no = (True, False) if known and card.kind == "chat" else (None, None)
    facts = {
        "name": card.name if known else None,
        "status": _STATUS.get(card.status),
        "release_date": card.created.isoformat() if card.created else None,
        "max_input_tokens": card.context_length,
        "max_output_tokens": card.max_output_tokens,
        "text_inputs": yes,
        "text_outputs": yes,
        "image_inputs": no,
        "audio_inputs": no,
        "video_inputs": no,
        "tool_calling": (prompts_tools and yes) or can.tools,
        "tool_choice": (prompts_tools and yes) or can.tool_choice,
        "structured_output": can.structured_outputs,
        "reasoning_output": can.reasoning,
    }
    # Older releases of langchain-core know fewer keys and warn of the others.
    keys = ModelProfile.__annotations__
    return cast("ModelProfile", {name: fact for name, fact in facts.items() if fact is not None and name in keys})
