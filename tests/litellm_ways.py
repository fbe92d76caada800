"""The ways to ask LiteLLM, for tests that hold for all of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import litellm
from both_clients import AsyncDetour, Detour

from lfm_adapter.litellm import LFMProvider, handler

if TYPE_CHECKING:
    import pytest
    from scripted_openrouter import ScriptedOpenRouter

__all__ = ["ALL_WAYS", "MESSAGES", "PLAIN", "STREAMED", "answer_as_openrouter", "ask", "built", "chunks", "failure"]

PLAIN = ("completion", "acompletion")
STREAMED = ("stream", "astream")
ALL_WAYS = (*PLAIN, *STREAMED)

MESSAGES = [{"role": "user", "content": "Hi"}]


def answer_as_openrouter(server: ScriptedOpenRouter, patch: pytest.MonkeyPatch) -> LFMProvider:
    """Let `server` answer what our provider sends to OpenRouter, and return the provider."""
    patch.setattr(handler, "_transport", Detour(server.base_url))
    patch.setattr(handler, "_async_transport", AsyncDetour(server.base_url))
    patch.setenv("OPENROUTER_API_KEY", "test-key")
    return handler


def ask(way: str, model: str = "lfm/lfm-3b", **call: Any) -> Any:
    """Ask once and return the whole answer; of a stream, what LiteLLM builds of its chunks."""
    call = {"model": model, "messages": MESSAGES} | call
    if way in STREAMED:
        return built(chunks(way, **call))
    if way == "completion":
        return litellm.completion(**call)
    return asyncio.run(_settled(litellm.acompletion(**call)))


def chunks(way: str, **call: Any) -> list[Any]:
    """Ask for a stream and return its chunks."""
    call = {"model": "lfm/lfm-3b", "messages": MESSAGES} | call
    if way == "stream":
        return [*litellm.completion(stream=True, **call)]
    return asyncio.run(_settled(_collected(call)))


def built(received: list[Any]) -> Any:
    """What LiteLLM makes of the chunks of a stream."""
    return litellm.stream_chunk_builder(received, messages=MESSAGES)


def failure(way: str, **call: Any) -> Any:
    """Ask, and return the exception that it ends in.

    What fails while a stream is read, LiteLLM may wrap, so that its Router can go on elsewhere. It does not do so to what
    would fail elsewhere too, and not in 1.81.
    """
    try:
        ask(way, **call)
    except litellm.exceptions.MidStreamFallbackError as error:
        assert way in STREAMED
        return error.original_exception
    except Exception as error:  # noqa: BLE001 # LiteLLM's exceptions are OpenAI's, and have no base of their own
        return error
    raise AssertionError("it did not fail")


async def _collected(call: dict[str, Any]) -> list[Any]:
    return [chunk async for chunk in await litellm.acompletion(stream=True, **call)]


async def _settled(asked: Any) -> Any:
    """Wait for what LiteLLM does behind an answer: the callbacks of its logging worker."""
    from litellm.litellm_core_utils.logging_worker import GLOBAL_LOGGING_WORKER

    try:
        return await asked
    finally:
        await GLOBAL_LOGGING_WORKER.flush()
