"""The MCP server: which tools it has, and what it tells an agent about itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from mcp.server import MCPServer
from mcp.types import ToolAnnotations

from lfm_adapter._version import __version__
from lfm_adapter.apps.mcp.text_tools import TextTools
from lfm_adapter.apps.mcp.tools import Tools

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

    from lfm_adapter.apps.mcp.session import Session

__all__ = ["create_server"]


class _Tool(NamedTuple):
    call: Callable[..., Any]
    title: str
    asks: bool = True
    """Whether it asks a model, which costs something and gives another answer each time."""


def create_server(session: Session) -> MCPServer:
    """Return a server with all tools, to be run over stdio or HTTP.

    Args:
        session: Asks the models.
    """
    server = MCPServer(
        "lfm",
        title="Liquid LFM",
        description="Hand small jobs to a fast, cheap language model of Liquid AI.",
        instructions=_instructions(session),
        version=__version__,
        log_level="WARNING",
        subscriptions=False,
        middleware=[_tools_alone],
    )
    for tool in _tools(session):
        server.add_tool(
            tool.call,
            title=tool.title,
            description=_description(tool.call),
            annotations=ToolAnnotations(
                title=tool.title,
                read_only_hint=True,
                destructive_hint=False,
                idempotent_hint=not tool.asks,
                open_world_hint=tool.asks,
            ),
        )
    return server


async def _tools_alone(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Keep from clients that the SDK would serve prompts and resources: there are none.

    Some give their agents tools of their own to look for them.
    """
    result = await call_next(ctx)
    if ctx.method in {"initialize", "server/discover"} and isinstance(result, dict):
        for other in ("prompts", "resources"):
            result.get("capabilities", {}).pop(other, None)
    return result


def _tools(session: Session) -> list[_Tool]:
    tools, texts = Tools(session), TextTools(session)
    return [
        _Tool(tools.ask, "Ask a small language model"),
        _Tool(texts.summarize, "Summarize a text or files"),
        _Tool(texts.extract, "Extract an object from a text"),
        _Tool(texts.classify, "Choose a label for a text"),
        _Tool(texts.commit_message, "Write a commit message"),
        _Tool(tools.models, "List the models", asks=False),
        _Tool(tools.usage, "Tell tokens and cost", asks=False),
    ]


def _description(tool: Callable[..., Any]) -> str:
    """Return the docstring with a line for each paragraph, as a client shows it."""
    paragraphs = (tool.__doc__ or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _instructions(session: Session) -> str:
    settings = session.client._settings
    model = session.model
    told = ["Hand small jobs to a fast, cheap language model, and keep their text out of your own context."]
    if session.free:
        told.append(f"`{model}` answers, on this machine, for nothing.")
    elif model != settings.card(settings.model).id:
        told.append(f"`{model}` answers, because `{settings.card(settings.model).id}` is retired.")
    else:
        told.append(f"`{model}` answers where a call names no model.")
        card = session.card(model)
        if card.status == "retired" and card.successors:
            told.append(f"OpenRouter serves it no longer: where it is refused, name `{card.successors[0]}`.")
    if session.notice:
        told.append(session.notice)
    if session.budget.limit_usd is not None:
        told.append(f"All calls together may cost US$ {session.budget.limit_usd:f}; what would exceed it is refused.")
    return " ".join(told)
