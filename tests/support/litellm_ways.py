"""LiteLLM's four ways to call a model, for tests that hold for all of them."""

from __future__ import annotations

import asyncio
from functools import cache
from typing import TYPE_CHECKING, Any

import litellm

from lfm_adapter.litellm import LFMProvider, handler
from tests.support.both_clients import AsyncDetour, Detour

if TYPE_CHECKING:
    import threading

    import pytest

    from lfm_adapter.testing import ScriptedOpenRouter

__all__ = [
    "ALL_WAYS",
    "MESSAGES",
    "PLAIN",
    "STREAMED",
    "answer_as_openrouter",
    "ask",
    "built",
    "chunks",
    "close",
    "failure",
    "run",
]

PLAIN = ("completion", "acompletion")
STREAMED = ("stream", "astream")
ALL_WAYS = (*PLAIN, *STREAMED)

MESSAGES = [{"role": "user", "content": "Hi"}]


def answer_as_openrouter(server: ScriptedOpenRouter, patch: pytest.MonkeyPatch) -> LFMProvider:
    """Send our provider's requests for OpenRouter to `server`, and return the provider."""
    patch.setattr(handler, "_transport", Detour(server.base_url))
    patch.setattr(handler, "_async_transport", AsyncDetour(server.base_url))
    patch.setenv("OPENROUTER_API_KEY", "test-key")
    return handler


def ask(way: str, *, until: threading.Event | None = None, **call: Any) -> Any:
    """Ask once and return the whole answer; for a stream, built from its chunks by LiteLLM.

    Args:
        way: One of `ALL_WAYS`.
        until: An event to wait for before the event loop stops.
        **call: LiteLLM's arguments; the default model is "lfm/lfm-3b".
    """
    if way in STREAMED:
        return built(chunks(way, until=until, **call))
    call = {"model": "lfm/lfm-3b", "messages": MESSAGES} | call
    if way == "completion":
        return litellm.completion(**call)
    return run(litellm.acompletion(**call), until)


def chunks(way: str, *, until: threading.Event | None = None, **call: Any) -> list[Any]:
    """Ask for a stream and return its chunks. See `ask`."""
    call = {"model": "lfm/lfm-3b", "messages": MESSAGES} | call
    if way == "stream":
        return [*litellm.completion(stream=True, **call)]
    return run(_collected(call), until)


def built(received: list[Any]) -> Any:
    """Return the response that LiteLLM builds from the chunks of a stream."""
    return litellm.stream_chunk_builder(received, messages=MESSAGES)


def failure(way: str, **call: Any) -> Any:
    """Ask, and return the exception.

    LiteLLM may wrap a failure while a stream is read, for its Router.
    """
    try:
        ask(way, **call)
    except litellm.exceptions.MidStreamFallbackError as error:
        assert way in STREAMED
        return error.original_exception
    except Exception as error:  # noqa: BLE001 # LiteLLM's exceptions are OpenAI's, and have no base of their own
        return error
    raise AssertionError("it did not fail")


def run(asked: Any, until: threading.Event | None = None) -> Any:
    """Await something in the event loop of all tests."""
    return _loop().run(_waited(asked, until))


@cache
def _loop() -> asyncio.Runner:
    """One event loop for all tests: LiteLLM's logging worker stays in the first one."""
    return asyncio.Runner()


def close() -> None:
    """Close the event loop. That starts a thread, which an `atexit` handler may not do from Python 3.12 on."""
    _loop().close()


async def _collected(call: dict[str, Any]) -> list[Any]:
    return [chunk async for chunk in await litellm.acompletion(stream=True, **call)]


async def _waited(asked: Any, until: threading.Event | None) -> Any:
    answer = await asked
    if until is not None:
        await asyncio.to_thread(until.wait, 10)
    return answer
