"""A model card as a LangChain model profile, which agents and middleware read."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from langchain_core.language_models import ModelProfile

if TYPE_CHECKING:
    from lfm_adapter.types import ModelCard

_STATUS = {"live": "active", "preview": "active", "retired": "deprecated"}


def to_profile(card: ModelCard, *, prompts_tools: bool) -> ModelProfile:
    """Return the facts about a model; `prompts_tools`: whether a model without native tools is prompted for calls."""
    can = card.capabilities
    is_known = card.status != "unknown"
    # OpenRouter lists no Liquid model with vision or audio.
    yes, no = (True, False) if is_known and card.kind == "chat" else (None, None)
    facts = {
        "name": card.name if is_known else None,
        "status": _STATUS.get(card.status),
        "release_date": card.created.isoformat() if card.created else None,
        "max_input_tokens": card.context_length,
        "max_output_tokens": card.max_output_tokens,
        **dict.fromkeys(("text_inputs", "text_outputs"), yes),
        **dict.fromkeys(("image_inputs", "audio_inputs", "video_inputs"), no),
        "tool_calling": (prompts_tools and yes) or can.tools,
        "tool_choice": (prompts_tools and yes) or can.tool_choice,
        "structured_output": can.structured_outputs,
        "reasoning_output": can.reasoning,
    }
    # LangChain warns about keys that its release does not know.
    known = ModelProfile.__annotations__
    return cast("ModelProfile", {name: fact for name, fact in facts.items() if fact is not None and name in known})
