"""A server of `lfm mcp` in this process, and clients of either generation of the protocol for it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from mcp import Client

from lfm_adapter import AsyncLFMClient
from lfm_adapter.apps.mcp.server import create_server
from lfm_adapter.apps.mcp.session import Session

if TYPE_CHECKING:
    from mcp.server import Server

    from lfm_adapter.testing import RecordedRequest, ScriptedOpenRouter

__all__ = [
    "KEY",
    "MODEL",
    "MODES",
    "PERSON",
    "call",
    "connect",
    "environment_of",
    "error_of",
    "mcp_server",
    "prompt_of",
    "session_of",
    "usage_of",
]

KEY = "sk-or-v1-made-up-for-tests"
MODEL = "liquid/lfm-3-1.7b"

MODES = ("legacy", "auto")
"""With the handshake of 2025, which most clients still speak, and without, as of 2026."""

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
}


def session_of(openrouter: ScriptedOpenRouter, model: str | None = MODEL, **options: Any) -> Session:
    metered = {name: options.pop(name, None) for name in ("budget", "ledger")}
    client = AsyncLFMClient(model=model, api_key=KEY, base_url=openrouter.base_url, timeout=20, **options)
    return Session(client, **metered)


def mcp_server(openrouter: ScriptedOpenRouter, model: str | None = MODEL, **options: Any) -> Server:
    return create_server(session_of(openrouter, model, **options))


def environment_of(openrouter: ScriptedOpenRouter, **more: str) -> dict[str, str]:
    """The environment of a process that serves; the ledger is off, unless `more` turns it on."""
    ours = {"OPENROUTER_API_KEY": KEY, "OPENROUTER_BASE_URL": openrouter.base_url, "LFM_LEDGER": "0"}
    return {**os.environ, **ours, **more}


def usage_of(result: Any) -> dict[str, Any]:
    return result.meta["lfm-adapter/usage"]


def error_of(result: Any) -> str:
    """The text of a call that failed."""
    assert result.is_error, result
    return result.content[0].text


def connect(server: Any, mode: str = "legacy", **options: Any) -> Client:
    return Client(server, mode=mode, read_timeout_seconds=180, **options)


async def call(server: Server, name: str, mode: str = "legacy", **arguments: Any) -> Any:
    """Call a tool once, and return its result."""
    async with connect(server, mode) as client:
        return await client.call_tool(name, arguments)


def prompt_of(request: RecordedRequest) -> str:
    """Return what the model was asked last."""
    prompt: str = request.body["messages"][-1]["content"]
    return prompt
