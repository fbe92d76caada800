"""LangChain's tools as the wire takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lfm_adapter._json import as_dict
from lfm_adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from langchain_core.tools import BaseTool

    from lfm_adapter.types import JSONDict

__all__ = ["openai_tool", "openai_tool_choice"]


def openai_tool(tool: JSONDict | type | Callable[..., Any] | BaseTool, *, strict: bool | None) -> JSONDict:
    """Return a tool in OpenAI's form; one that OpenRouter itself runs ("openrouter:web_search") stays as it is."""
    from langchain_core.utils.function_calling import convert_to_openai_tool

    if isinstance(tool, dict) and str(tool.get("type", "")).startswith("openrouter:"):
        return tool
    return convert_to_openai_tool(tool, strict=strict)


def openai_tool_choice(choice: JSONDict | str | bool, tools: Sequence[JSONDict]) -> JSONDict | str:
    """Return LangChain's `tool_choice` in OpenAI's form.

    Raises:
        ConfigurationError: It names no tool that is bound.
    """
    if choice is True or choice == "any":
        return "required"
    if choice in ("auto", "none", "required"):
        return str(choice)
    name: Any = choice
    if isinstance(choice, dict):
        kind = choice.get("type")
        if kind in ("any", "auto", "none"):  # as Anthropic has it
            return "required" if kind == "any" else kind
        if isinstance(kind, str) and kind.startswith("openrouter:"):
            return choice
        name = as_dict(choice.get("function")).get("name") or choice.get("name")
    names = [tool["function"]["name"] for tool in tools if "function" in tool]
    if name not in names:
        raise ConfigurationError(f"`tool_choice` names {name!r}, but the bound tools are {names}.")
    return {"type": "function", "function": {"name": name}}
