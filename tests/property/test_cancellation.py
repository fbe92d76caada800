"""A call that is cancelled, wherever it waits, leaves nothing behind: no open socket, no task, no warning.

The places are all tried, one after the other: in the first wait of the call, in the second, and so on to its end.
"""

from __future__ import annotations

import asyncio
import gc
import threading
from contextlib import suppress
from itertools import count

import pytest
from langchain_core.messages import HumanMessage

from lfm_adapter import AsyncLFMClient, ChatLFM, errors
from lfm_adapter._transport.aiohttp import aclose_pools
from lfm_adapter.testing import ScriptedReply, completion, error, stream
from lfm_adapter.testing._wire import PADDING
from tests.support.both_clients import KEY, every_connection_ends

PATIENCE_S = 60.0  # after which a test that hangs fails
ROUNDS = 50  # of the event loop, in which a client reads what has come: it takes a handful


class NeverSet(threading.Event):
    """The end of a reply that stops short. Tells when all before it has been sent."""

    def __init__(self):
        super().__init__()
        self.is_reached = False

    def is_set(self):
        self.is_reached = True
        return False


class CancelledAt:
    """Awaits a coroutine, and cancels the task that does so in its wait number `place`, counted from 0.

    With `late`, what was waited for has come by then, but the task has not seen it yet: whoever takes a connection or
    a reply there must let go of it again.
    """

    def __init__(self, coroutine, place, *, late):
        self._coroutine = coroutine
        self._place = place
        self._late = late

    def __await__(self):
        steps = self._coroutine.__await__()
        resume, value = steps.send, None
        for place in count():
            try:
                future = resume(value)
            except StopIteration as end:
                return end.value
            if place == self._place:
                task = asyncio.current_task()
                if self._late and future is not None:
                    future.add_done_callback(lambda _, task=task: task.cancel())
                else:
                    task.cancel()
            try:
                resume, value = steps.send, (yield future)
            except BaseException as error:  # noqa: BLE001 # the coroutine decides about it
                resume, value = steps.throw, error
        return None


async def chat(client):
    await client.chat("to be cancelled")


async def read_stream(client):
    async with client.stream("to be cancelled") as deltas:
        async for _ in deltas:
            pass


async def invoke(client):
    # Not `ainvoke`, which waits for this in a task of its own; test_chat_streams.py cancels that.
    await _chat_model(client)._agenerate([HumanMessage("to be cancelled")])


async def read_chunks(client):
    async for _ in _chat_model(client).astream("to be cancelled"):
        pass


async def chat_with_a_call(client):
    with suppress(errors.OutputValidationError):
        await client.chat("to be cancelled", **DEMAND)


async def stream_with_a_call(client):
    with suppress(errors.OutputValidationError):
        async for _ in client.stream("to be cancelled", **DEMAND):
            pass


async def chat_again(client):
    with suppress(errors.RateLimitError):
        await client.chat("to be cancelled")


async def stream_again(client):
    with suppress(errors.RateLimitError):
        async for _ in client.stream("to be cancelled"):
            pass


def _chat_model(client):
    return ChatLFM(api_key=KEY, base_url=client._settings.base_url, model=client._settings.model)


WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
DEMAND = {"tools": [WEATHER], "tool_choice": "required", "tool_calling": "prompted"}
ANSWER = completion("Hello.", padding=PADDING).in_pieces(150)
STREAM = stream(["Hel", "lo."], comments=1)
# How an answer stops short, so that a connection still in use is told from one that is back in the pool.
UNFINISHED = {
    "a plain answer": (chat, ANSWER.parts[:-1], ANSWER.headers),
    "a stream": (read_stream, STREAM.parts[:-2], STREAM.headers),
    "the end of a stream": (read_stream, STREAM.parts, STREAM.headers),
    "a chat model": (invoke, ANSWER.parts[:-1], ANSWER.headers),
    "a stream of a chat model": (read_chunks, STREAM.parts[:-2], STREAM.headers),
}
# What comes to its end, after a wait or in a second turn.
BUSY = error(429, "Slow down", headers={"Retry-After-Ms": "20"})
IN_TURNS = {
    "a retry": (chat_again, BUSY, 3),
    "a retry of a stream": (stream_again, BUSY, 3),
    "a repair": (chat_with_a_call, ANSWER, 2),
    "a repair of a stream": (stream_with_a_call, STREAM, 2),
}


@pytest.mark.parametrize("late", [False, True], ids=["waiting", "about to go on"])
@pytest.mark.parametrize("connected", [False, True], ids=["new connection", "used connection"])
@pytest.mark.parametrize("unfinished", UNFINISHED)
def test_a_cancelled_call_leaves_nothing_behind(server, caplog, unfinished, connected, late):
    ask, parts, headers = UNFINISHED[unfinished]
    slowly = [piece for part in parts for piece in (0.002, part)]
    leaves_nothing(
        server, caplog, ask, lambda end: ScriptedReply(200, headers, [*slowly, end]), connected=connected, late=late
    )


@pytest.mark.parametrize("late", [False, True], ids=["waiting", "about to go on"])
@pytest.mark.parametrize("turns", IN_TURNS)
def test_a_call_cancelled_in_any_of_its_turns_leaves_nothing_behind(server, caplog, turns, late):
    ask, reply, count_of_turns = IN_TURNS[turns]
    requests = leaves_nothing(server, caplog, ask, lambda _: reply, connected=False, late=late, pooled=True)
    assert requests == count_of_turns, "the last of its turns was never reached"


def leaves_nothing(server, caplog, ask, reply_with, *, connected, late, pooled=False):
    """Cancel a call in each of its waits, one after the other, and return how many requests the last one made.

    `reply_with` makes the reply, from the end where it may stop short. With `pooled`, a turn that came to its end has
    given its connection back: the pool is closed first.
    """
    end = NeverSet()
    server.default = lambda request: (
        reply_with(end) if b"to be cancelled" in request.content else completion("Still there.")
    )
    client = AsyncLFMClient(api_key=KEY, base_url=server.base_url)

    async def is_cancelled(place):
        """Cancel a call in its wait number `place`. Returns whether it has that many."""
        end.is_reached = False
        task = asyncio.create_task(_awaited(CancelledAt(ask(client), place, late=late)))
        async with asyncio.timeout(PATIENCE_S):
            while not (task.done() or end.is_reached):
                await asyncio.wait([task], timeout=0.002)
        for _ in range(ROUNDS):  # behind what was sent, the call waits for what never comes
            await asyncio.sleep(0)
        reached = task.cancelled()
        task.cancel()
        await asyncio.wait([task])
        assert asyncio.all_tasks() == {asyncio.current_task()}
        if pooled:
            await aclose_pools()
        assert await asyncio.to_thread(every_connection_ends, server)
        return reached

    async def at_every_place():
        for place in count():
            if connected:
                assert (await client.chat("Hello")).text == "Still there."
            before = len(server.requests)
            if not await is_cancelled(place):
                return place, len(server.requests) - before
        return None

    places, requests = asyncio.run(at_every_place())
    gc.collect()  # what was left open would warn now, and here a warning is an error
    assert places > 0  # one, where all parts of a reply were read together
    assert not [record for record in caplog.records if record.levelname in {"WARNING", "ERROR", "CRITICAL"}]
    return requests


async def _awaited(awaitable):
    await awaitable
