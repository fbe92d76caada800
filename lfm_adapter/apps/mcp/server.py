"""The MCP server: its tools, its prompts, and its instructions to agents."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from mcp.server import Server
from mcp.shared.exceptions import MCPError
from mcp.shared.message import ServerMessageMetadata
from mcp.types import (
    INVALID_PARAMS,
    CallToolResult,
    GetPromptRequestParams,
    GetPromptResult,
    InputRequiredResult,
    ListRootsRequest,
    ListToolsResult,
    RequestParams,
)
from pydantic import BaseModel, ValidationError

from lfm_adapter._version import __version__
from lfm_adapter.apps.mcp.files import Roots
from lfm_adapter.apps.mcp.invocation import ToolInvocation
from lfm_adapter.apps.mcp.object_tools import Classify, Extract
from lfm_adapter.apps.mcp.prompts import get_prompt, list_prompts
from lfm_adapter.apps.mcp.surrogates import join_halves
from lfm_adapter.apps.mcp.text_tools import CommitMessage, Summarize
from lfm_adapter.apps.mcp.tools import Ask, ListModels, Usage

if TYPE_CHECKING:
    from mcp.server.context import ServerRequestContext

    from lfm_adapter.apps.mcp.session import Session
    from lfm_adapter.apps.mcp.tool import Tool

ROOTS_TIMEOUT_S = 3.0

_TOOLS: dict[str, type[Tool]] = {
    "ask": Ask,
    "summarize": Summarize,
    "extract": Extract,
    "classify": Classify,
    "commit_message": CommitMessage,
    "models": ListModels,
    "usage": Usage,
}


class Root(BaseModel):
    """A folder that a client opens. The SDK's class would refuse URIs with schemes other than `file`."""

    uri: str


class ClientRoots(BaseModel):
    """A client's answer to `roots/list`."""

    roots: list[Root] = []


class CallParams(RequestParams):
    """The parameters of `tools/call`. Since protocol 2026-07-28, a result asks the client for its roots."""

    name: str
    arguments: dict[str, Any] | None = None
    input_responses: dict[str, Any] | None = None


def create_server(session: Session) -> Server:
    """Return a server with all tools and prompts, for stdio or HTTP."""
    tools = ListToolsResult(tools=[tool.definition(name) for name, tool in _TOOLS.items()])

    async def list_tools(_context: object, _params: object) -> ListToolsResult:
        return tools

    async def call_tool(
        context: ServerRequestContext[Any, Any], params: CallParams
    ) -> CallToolResult | InputRequiredResult:
        if params.name not in _TOOLS:
            raise MCPError(
                code=INVALID_PARAMS, message=f"Unknown tool: {params.name!r}. The tools are {', '.join(_TOOLS)}."
            )
        async with ToolInvocation(session, context) as call:
            tool = _TOOLS[params.name].parse(params.arguments or {})
            call.model = getattr(tool, "model", "")
            if getattr(tool, "paths", ()):
                client_roots = await _client_roots(context, params)
                if client_roots is None:
                    return InputRequiredResult(input_requests={"roots": ListRootsRequest()})
                uris = [root.uri for root in client_roots.roots]
                call.roots = await asyncio.to_thread(Roots.from_paths, session.folders, uris)
            call.finish(await tool.run(call))
        return call.result

    async def call_prompt(_context: object, params: GetPromptRequestParams) -> GetPromptResult:
        return get_prompt(params.name, params.arguments or {})

    server = Server(
        "lfm",
        title="Liquid LFM",
        description="Hand small jobs to a fast, cheap language model of Liquid AI.",
        instructions=join_halves(_instructions(session)),
        version=__version__,
        on_list_tools=list_tools,
        on_list_prompts=list_prompts,
        on_get_prompt=call_prompt,
    )
    server.add_request_handler("tools/call", CallParams, call_tool)
    return server


async def _client_roots(context: ServerRequestContext[Any, Any], params: CallParams) -> ClientRoots | None:
    """Return the folders that the client opens; None if a result must ask for them.

    If the client refuses or does not answer in time, there are none.
    """
    capabilities = context.session.client_capabilities
    if capabilities is None or capabilities.roots is None:
        return ClientRoots()
    try:
        if params.input_responses is not None:
            return ClientRoots.model_validate(params.input_responses.get("roots", {}))
        if not context.session.can_send_request:
            return None
        return await context.session.send_request(
            ListRootsRequest(),
            ClientRoots,
            request_read_timeout_seconds=ROOTS_TIMEOUT_S,
            metadata=ServerMessageMetadata(related_request_id=context.request_id),
        )
    except (MCPError, ValidationError):
        return ClientRoots()


def _instructions(session: Session) -> str:
    model = session.model
    sentences = ["Hand small jobs to a fast, cheap language model, and keep their text out of your own context."]
    if not session.has_model:
        sentences.append("No model is available yet: tell the user what is missing.")
    elif session.is_local:
        sentences.append(f"`{model}` answers, on this machine, for free.")
    else:
        sentences.append(f"`{model}` answers if a call names no model.")
        card = session.card()
        if card.status == "retired" and card.successors:
            sentences.append(f"OpenRouter has retired it: if it is refused, name `{card.successors[0]}`.")
    sentences += filter(None, [session.notice, *session.problems])
    if session.limit_usd is not None:
        sentences.append(f"All calls together may cost US$ {session.limit_usd:f}; calls beyond that are refused.")
    return " ".join(sentences)
