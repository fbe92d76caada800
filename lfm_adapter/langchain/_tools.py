"""LangChain's tools in OpenAI's form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lfm_adapter._json import as_dict
from lfm_adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from langchain_core.tools import BaseTool

    from lfm_adapter.types import JSONDict

__all__ = ["to_openai_tool", "to_openai_tool_choice"]


def to_openai_tool(tool: JSONDict | type | Callable[..., Any] | BaseTool, *, strict: bool | None) -> JSONDict:
    """Return a tool in OpenAI's form; one that OpenRouter runs ("openrouter:web_search") is returned unchanged."""
    from langchain_core.utils.function_calling import convert_to_openai_tool

    if isinstance(tool, dict) and str(tool.get("type", "")).startswith("openrouter:"):
        return tool
    return convert_to_openai_tool(tool, strict=strict)


def to_openai_tool_choice(choice: JSONDict | str | bool, tools: Sequence[JSONDict]) -> JSONDict | str:
    """Return LangChain's `tool_choice` in OpenAI's form.

    Raises:
        ConfigurationError: It names a tool that is not bound.
    """
    if choice is True or choice == "any":
        return "required"
    if choice in ("auto", "none", "required"):
        return str(choice)
    name: Any = choice
    if isinstance(choice, dict):
        kind = choice.get("type")
        if kind in ("any", "auto", "none"):  # Anthropic's form
            return "required" if kind == "any" else kind
        if isinstance(kind, str) and kind.startswith("openrouter:"):
            return choice
        name = as_dict(choice.get("function")).get("name") or choice.get("name")
    names = [tool["function"]["name"] for tool in tools if "function" in tool]
    if name not in names:
        raise ConfigurationError(f"`tool_choice` names {name!r}, but the bound tools are {names}.")
    return {"type": "function", "function": {"name": name}}
