"""Ctrl-C in the first moment of a server."""

from __future__ import annotations

import asyncio.events
import gc
from typing import TYPE_CHECKING, Any

import pytest

from lfm_adapter.apps.event_loop import run
from lfm_adapter.apps.gateway import server

if TYPE_CHECKING:
    from collections.abc import Callable


def serve_tools() -> None:
    from mcp.server import Server

    from lfm_adapter.apps.mcp.http import serve_http

    serve_http(Server("tools"), "token", 0, lambda _: None)


def serve_models() -> None:
    nothing: Any = None
    server.serve(nothing, nothing, nothing, lambda: None)


@pytest.mark.parametrize("serve", [serve_models, serve_tools])
def test_interrupt_while_the_loop_is_made_leaves_no_coroutine_that_nothing_awaits(
    monkeypatch: pytest.MonkeyPatch, serve: Callable[[], None]
):
    """Python would warn of it, and warnings fail a test."""

    def interrupted() -> Any:
        raise KeyboardInterrupt

    if serve is serve_tools:
        pytest.importorskip("mcp", reason="needs the extra `mcp`")
    monkeypatch.setattr(asyncio.events, "new_event_loop", interrupted)
    with pytest.raises(KeyboardInterrupt):
        serve()
    gc.collect()


def test_result_of_the_main_function_is_returned():
    async def main() -> int:
        return 1

    assert run(main) == 1
