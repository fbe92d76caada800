"""The MCP server: its tools, and what it tells an agent about itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp.server import MCPServer
from mcp.types import ToolAnnotations

from lfm_adapter._version import __version__
from lfm_adapter.apps.mcp.text_tools import TextTools
from lfm_adapter.apps.mcp.tools import LFMTools

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

    from lfm_adapter.apps.mcp.session import Session

__all__ = ["create_server"]


def create_server(session: Session) -> MCPServer:
    """Return a server with all tools, to be run over stdio or HTTP."""
    server = MCPServer(
        "lfm",
        title="Liquid LFM",
        description="Hand small jobs to a fast, cheap language model of Liquid AI.",
        instructions=_instructions(session),
        version=__version__,
        log_level="WARNING",
        subscriptions=False,
        middleware=[_hide_other_capabilities],
    )
    tools, text_tools = LFMTools(session), TextTools(session)
    _add(server, tools.ask, "Ask a small language model")
    _add(server, text_tools.summarize, "Summarize a text or files")
    _add(server, text_tools.extract, "Extract an object from a text")
    _add(server, text_tools.classify, "Choose a label for a text")
    _add(server, text_tools.commit_message, "Write a commit message")
    _add(server, tools.models, "List the models", asks_model=False)
    _add(server, tools.usage, "Show tokens and cost", asks_model=False)
    return server


def _add(server: MCPServer, tool: Callable[..., Any], title: str, *, asks_model: bool = True) -> None:
    paragraphs = (tool.__doc__ or "").split("\n\n")
    server.add_tool(
        tool,
        title=title,
        description="\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs),
        annotations=ToolAnnotations(
            title=title,
            read_only_hint=True,
            destructive_hint=False,
            idempotent_hint=not asks_model,
            open_world_hint=asks_model,
        ),
    )


async def _hide_other_capabilities(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Hide the prompts and resources that the SDK announces, because there are none.

    Some clients give their agents extra tools to look for them.
    """
    result = await call_next(ctx)
    if ctx.method in {"initialize", "server/discover"} and isinstance(result, dict):
        for other in ("prompts", "resources"):
            result.get("capabilities", {}).pop(other, None)
    return result


def _instructions(session: Session) -> str:
    model = session.model
    sentences = ["Hand small jobs to a fast, cheap language model, and keep their text out of your own context."]
    if session.is_local:
        sentences.append(f"`{model}` answers, on this machine, for free.")
    else:
        sentences.append(f"`{model}` answers if a call names no model.")
        card = session.card()
        if card.status == "retired" and card.successors:
            sentences.append(f"OpenRouter has retired it: if it is refused, name `{card.successors[0]}`.")
    if session.notice:
        sentences.append(session.notice)
    if session.spending.limit_usd is not None:
        sentences.append(
            f"All calls together may cost US$ {session.spending.limit_usd:f}; calls beyond that are refused."
        )
    return " ".join(sentences)
