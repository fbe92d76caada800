"""A cancelled call through LiteLLM leaves no open connection and no task."""

from __future__ import annotations

import asyncio
import threading
from itertools import count
from typing import TYPE_CHECKING, Any

import litellm
import pytest

from lfm_adapter.testing import completion, stream
from tests.support.both_clients import every_connection_ends
from tests.support.litellm_ways import MESSAGES, run

if TYPE_CHECKING:
    from lfm_adapter.testing import ScriptedOpenRouter


async def complete() -> None:
    await litellm.acompletion(model="lfm/lfm-3b", messages=MESSAGES)


async def read_stream() -> None:
    async for _ in await litellm.acompletion(model="lfm/lfm-3b", messages=MESSAGES, stream=True):
        pass


CASES: dict[str, Any] = {
    "acompletion": (complete, completion("Hello.").in_pieces(200)),
    "astream": (read_stream, stream(["Hel", "lo."])),
}


@pytest.mark.parametrize("case", CASES)
def test_cancelled_litellm_call_leaves_nothing_behind(openrouter_server: ScriptedOpenRouter, case: str):
    ask, reply = CASES[case]
    for after in range(len(reply.parts)):
        openrouter_server.add(reply.held(after, threading.Event()))
        run(_is_cancelled(ask, openrouter_server, after))
        assert every_connection_ends(openrouter_server)


async def _is_cancelled(ask: Any, server: ScriptedOpenRouter, requests_before: int) -> None:
    tasks_before = asyncio.all_tasks()
    task = asyncio.create_task(ask())
    for _ in count():
        await asyncio.sleep(0.005)
        if len(server.requests) > requests_before:
            break
    await asyncio.sleep(0.03)  # for the parts before the one that never arrives
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    # LiteLLM logs in a task of its own, which outlives every call.
    left = [one for one in asyncio.all_tasks() - tasks_before if "Logging" not in repr(one)]
    assert left == []
