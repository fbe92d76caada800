"""Streams that are left early close their connection."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.output_parsers import StrOutputParser

from lfm_adapter.testing import completion, stream
from tests.support.chat_ways import chat, sent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lfm_adapter.testing import ScriptedOpenRouter

PATIENCE_S = 60.0


@pytest.fixture
def held(server: ScriptedOpenRouter) -> Iterator[threading.Event]:
    """The server gives two pieces of an answer and then waits for this."""
    event = threading.Event()
    server.add(stream(["Hel", "lo."], comments=0).held(1, event), completion("Again."))
    yield event
    event.set()


def was_abandoned(server: ScriptedOpenRouter) -> bool:
    server.wait_for_requests(1)
    return server.requests[0].abandoned.wait(PATIENCE_S)


def test_break_closes_connection(server: ScriptedOpenRouter, held: threading.Event):
    for chunk in chat(server).stream("Hi"):
        assert chunk.text == "Hel"
        break
    assert was_abandoned(server)


def test_closing_generator_closes_connection(server: ScriptedOpenRouter, held: threading.Event):
    answer: Any = chat(server).stream("Hi")
    next(answer)
    answer.close()
    assert was_abandoned(server)


def test_exception_of_caller_closes_connection_and_propagates(server: ScriptedOpenRouter, held: threading.Event):
    def listen() -> None:
        for _ in chat(server).stream("Hi"):
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        listen()
    assert was_abandoned(server)


async def test_async_break_closes_connection(server: ScriptedOpenRouter, held: threading.Event):
    async for chunk in chat(server).astream("Hi"):
        assert chunk.text == "Hel"
        break
    assert await asyncio.to_thread(was_abandoned, server)


async def test_async_break_out_of_chain_closes_connection(server: ScriptedOpenRouter, held: threading.Event):
    """In the synchronous case LangChain itself reads the rest, for its traces (`_transform_stream_with_config`)."""
    async for text in (chat(server) | StrOutputParser()).astream("Hi"):
        assert text == "Hel"
        break
    assert await asyncio.to_thread(was_abandoned, server)


async def test_closing_async_generator_closes_connection(server: ScriptedOpenRouter, held: threading.Event):
    answer: Any = chat(server).astream("Hi")
    await anext(answer)
    await answer.aclose()
    assert await asyncio.to_thread(was_abandoned, server)


def test_ending_event_loop_closes_connection(server: ScriptedOpenRouter, held: threading.Event):
    async def first() -> str:
        async for chunk in chat(server).astream("Hi"):
            return chunk.text
        return ""

    assert asyncio.run(first()) == "Hel"
    assert was_abandoned(server)


@pytest.mark.parametrize("way", ["ainvoke", "astream"])
async def test_cancelling_closes_connection(server: ScriptedOpenRouter, way: str):
    event = threading.Event()
    server.add((stream() if way == "astream" else completion()).held(0, event))

    async def listen() -> None:
        if way == "ainvoke":
            await chat(server).ainvoke("Hi")
        else:
            async for _ in chat(server).astream("Hi"):
                pass

    task = asyncio.create_task(listen())
    await asyncio.to_thread(server.wait_for_requests, 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(was_abandoned, server)
    event.set()


async def test_asyncio_timeout_closes_connection(server: ScriptedOpenRouter):
    event = threading.Event()
    server.add(completion().held(0, event))

    async def expire(limit: asyncio.Timeout) -> None:
        await asyncio.to_thread(server.wait_for_requests, 1)
        limit.reschedule(0)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(None) as limit:
            await asyncio.gather(chat(server).ainvoke("Hi"), expire(limit))
    assert await asyncio.to_thread(was_abandoned, server)
    event.set()


@pytest.mark.filterwarnings("error::ResourceWarning")
def test_abandoned_stream_leaves_nothing_open(server: ScriptedOpenRouter, held: threading.Event):
    for _ in chat(server).stream("Hi"):
        break
    assert was_abandoned(server)
    assert chat(server).invoke("Hi").text == "Again."
    gc.collect()


def test_unread_stream_sends_nothing(server: ScriptedOpenRouter):
    chat(server).stream("Hi")
    assert server.requests == []


@pytest.mark.usefixtures("last_bytes_are_awaited")
def test_connection_is_reused_after_complete_stream(server: ScriptedOpenRouter):
    server.add(stream(), stream())
    model = chat(server)
    for _ in range(2):
        assert "".join(chunk.text for chunk in model.stream("Hi")) == "Hello."
    assert server.connections == 1


@pytest.mark.parametrize("disable", [True, "tool_calling"])
def test_disable_streaming_sends_plain_request(server: ScriptedOpenRouter, disable: Any):
    server.add(completion("Hello."))
    model = chat(server, disable_streaming=disable).bind_tools([{"title": "f", "type": "object", "properties": {}}])
    assert [chunk.text for chunk in model.stream("Hi")] == ["Hello."]
    assert "stream" not in sent(server)


@pytest.mark.parametrize("streaming", [None, False])
def test_streaming_false_never_streams(server: ScriptedOpenRouter, streaming: bool | None):
    server.add(stream() if streaming is None else completion())
    answer = list(chat(server, streaming=streaming).stream("Hi"))
    assert "".join(chunk.text for chunk in answer) == "Hello."
    assert sent(server).get("stream", False) is (streaming is None)
