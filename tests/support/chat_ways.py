"""Every method that asks a `ChatLFM`, for tests that hold for all of them."""

from __future__ import annotations

import asyncio
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

from lfm_adapter import ChatLFM

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_core.messages import AIMessage, AIMessageChunk
    from langchain_core.runnables import Runnable

    from lfm_adapter.testing import ScriptedOpenRouter

__all__ = ["ALL_WAYS", "NATIVE", "PLAIN", "STREAMED", "ask", "chat", "native_chat", "sent", "summed"]

PLAIN = ("invoke", "ainvoke", "batch", "abatch")
STREAMED = ("stream", "astream")
ALL_WAYS = (*PLAIN, *STREAMED)

MODEL = "liquid/lfm-3b"
NATIVE = "liquid/lfm-2.5-2.6b:free"


def chat(server: ScriptedOpenRouter, **options: Any) -> ChatLFM:
    """A model that asks `server`, without retries."""
    return ChatLFM(**{"model": MODEL, "api_key": "test-key", "base_url": server.base_url, "max_retries": 0} | options)


def native_chat(server: ScriptedOpenRouter, **options: Any) -> ChatLFM:
    """The same with a model that has tools and structured output."""
    return chat(server, **{"model": NATIVE, "max_output_retries": 0, "on_invalid_output": "return"} | options)


def ask(model: Runnable[Any, Any], way: str, prompt: Any = "Hi", **call: Any) -> Any:
    """Ask by the method `way` and return the whole answer; of a stream, the sum."""
    match way:
        case "invoke":
            return model.invoke(prompt, **call)
        case "ainvoke":
            return asyncio.run(model.ainvoke(prompt, **call))
        case "batch":
            return model.batch([prompt], **call)[0]
        case "abatch":
            return asyncio.run(model.abatch([prompt], **call))[0]
        case "stream":
            return summed(list(model.stream(prompt, **call)))
        case _:
            return summed(asyncio.run(_collected(model, prompt, **call)))


def summed(chunks: Sequence[AIMessageChunk]) -> AIMessage:
    """The chunks, added one by one."""
    return reduce(add, chunks)


def sent(server: ScriptedOpenRouter) -> dict[str, Any]:
    """The body of the last request."""
    body: dict[str, Any] = server.requests[-1].body
    return body


async def _collected(model: Runnable[Any, Any], prompt: Any, **call: Any) -> list[Any]:
    return [chunk async for chunk in model.astream(prompt, **call)]
