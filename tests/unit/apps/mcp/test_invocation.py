"""A call that its client gives up stops the request, and leaves the server fit for the next."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from lfm_adapter.apps.mcp.server import create_server
from lfm_adapter.ledger import Budget, Ledger
from lfm_adapter.testing import stream
from tests.support.mcp_session import MODES, connect, mcp_server, session_of

if TYPE_CHECKING:
    from pathlib import Path

    from lfm_adapter.testing import ScriptedOpenRouter, ScriptedReply


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("parts_sent", [0, 2], ids=["before the first piece", "while it is written"])
async def test_cancelled_call_closes_its_connection(
    server: ScriptedOpenRouter, mode: str, parts_sent: int, tmp_path: Path
):
    never = threading.Event()
    server.add(stream(["Hel", "lo."]).held(parts_sent, never), stream(["Next."]))
    session = session_of(server, budget=Budget(1), ledger=Ledger(tmp_path / "ledger.db"))
    async with connect(create_server(session), mode) as client:
        call = asyncio.ensure_future(client.call_tool("ask", {"prompt": "Hello"}))
        await asyncio.to_thread(server.wait_for_requests, 1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await asyncio.to_thread(server.requests[0].abandoned.wait, 60)
        assert (await client.call_tool("ask", {"prompt": "Again"})).content[0].text == "Next."
    assert session.spent_usd > 0  # what was written until then may have been charged


async def test_disconnected_client_cancels_its_calls(server: ScriptedOpenRouter):
    never = threading.Event()
    held: list[ScriptedReply] = [stream(["Hel", "lo."]).held(1, never) for _ in range(3)]
    server.add(*held)
    calls: list[Any] = []
    async with connect(mcp_server(server)) as client:
        calls += [asyncio.ensure_future(client.call_tool("ask", {"prompt": "Hello"})) for _ in held]
        await asyncio.to_thread(server.wait_for_requests, 3)
    for request in server.requests:
        assert await asyncio.to_thread(request.abandoned.wait, 60)
    await asyncio.gather(*calls, return_exceptions=True)
