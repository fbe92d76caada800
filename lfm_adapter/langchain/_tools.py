"""LangChain's tools in OpenAI's form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.utils.function_calling import convert_to_openai_tool

from lfm_adapter._json import as_dict
from lfm_adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfm_adapter.types import JSONDict

__all__ = ["to_openai_tool", "to_openai_tool_choice"]


def to_openai_tool(tool: Any, *, strict: bool | None) -> JSONDict:
    """Return a tool in OpenAI's form; one that OpenRouter runs ("openrouter:web_search") is returned unchanged."""
    if isinstance(tool, dict) and str(tool.get("type", "")).startswith("openrouter:"):
        return tool
    return convert_to_openai_tool(tool, strict=strict)


def to_openai_tool_choice(choice: JSONDict | str | bool, tools: Sequence[JSONDict]) -> JSONDict | str:
    """Return LangChain's `tool_choice` in OpenAI's form.

    Raises:
        ConfigurationError: It names a tool that is not bound.
    """
    if isinstance(choice, dict) and str(choice.get("type")).startswith("openrouter:"):
        return choice
    kind = choice.get("type") if isinstance(choice, dict) else choice  # Anthropic writes {"type": "any"}
    if kind is True or kind in ("any", "required"):
        return "required"
    if kind in ("auto", "none"):
        return str(kind)
    name = as_dict(choice.get("function")).get("name") or choice.get("name") if isinstance(choice, dict) else choice
    names = [tool["function"]["name"] for tool in tools if "function" in tool]
    if name not in names:
        raise ConfigurationError(f"`tool_choice` names {name!r}, but the bound tools are {names}.")
    return {"type": "function", "function": {"name": name}}
