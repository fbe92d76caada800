"""How CPU and memory grow with the work: an exponent of 1 is linear, 2 quadratic, 0 none."""

from __future__ import annotations

import asyncio
import gc
import math
import time
import tracemalloc
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.server import running_server
from lfm_adapter import AsyncLFMClient, ChatLFM, LFMClient

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Growth", "measure_growth"]

FACTS: dict[str, Any] = {"model": "unknown/model", "api_key": "test-key"}  # of which no limit is known
ROUNDS = 3
MB = 1e6


class Growth(NamedTuple):
    """One kind of work in growing sizes.

    Attributes:
        work: What it is.
        sizes: The sizes.
        cpu_ms: Milliseconds of CPU for each.
        peak_mb: Megabytes at most for each, of what Python allocates.
    """

    work: str
    sizes: tuple[int, ...]
    cpu_ms: list[float]
    peak_mb: list[float]

    def exponent(self, values: list[float]) -> float:
        """Return how the values grow between the last two sizes."""
        return math.log(values[-1] / values[-2]) / math.log(self.sizes[-1] / self.sizes[-2])


def measure_growth() -> list[Growth]:
    """Measure each kind of work in each size."""
    with running_server() as server:
        return [
            _grown("characters of a prompt", (10_000, 100_000, 1_000_000), _prompt(server)),
            _grown("messages of a history", (20, 200, 2_000), _history(server)),
            _grown("tools, natively", (2, 20, 200), _tools(server, "native")),
            _grown("tools, by prompt", (2, 20, 200), _tools(server, "prompted")),
            _grown("events, `LFMClient.stream`", (1_000, 10_000, 100_000), _client_events(server)),
            _grown("events, `ChatLFM.stream`", (1_000, 10_000, 100_000), _chat_events(server)),
            _grown("calls at once, `AsyncLFMClient.chat`", (20, 200, 2_000), _calls_at_once(server)),
        ]


def _grown(work: str, sizes: tuple[int, ...], prepare: Callable[[int], Callable[[], object]]) -> Growth:
    cpu_ms, peak_mb = [], []
    for size in sizes:
        do = prepare(size)
        do()
        cpu_ms.append(min(_cpu_ms(do) for _ in range(ROUNDS)))
        gc.collect()
        tracemalloc.start()
        do()
        peak_mb.append(tracemalloc.get_traced_memory()[1] / MB)
        tracemalloc.stop()
    print(work, [f"{ms:.1f} ms" for ms in cpu_ms], flush=True)
    return Growth(work, sizes, cpu_ms, peak_mb)


def _cpu_ms(do: Callable[[], object]) -> float:
    gc.collect()
    gc.disable()
    try:
        start = time.process_time()
        do()
        return (time.process_time() - start) * 1_000
    finally:
        gc.enable()


def _prompt(server: str) -> Callable[[int], Callable[[], object]]:
    llm = ChatLFM(base_url=f"{server}/whole/v1", **FACTS)
    return lambda characters: lambda: llm.invoke("word " * (characters // 5))


def _history(server: str) -> Callable[[int], Callable[[], object]]:
    llm = ChatLFM(base_url=f"{server}/whole/v1", **FACTS)

    def prepare(messages: int) -> Callable[[], object]:
        history = [("human" if place % 2 == 0 else "ai", f"This is message {place}.") for place in range(messages - 1)]
        return lambda: llm.invoke([*history, ("human", "Go on.")])

    return prepare


def _tools(server: str, way: Any) -> Callable[[int], Callable[[], object]]:
    llm = ChatLFM(base_url=f"{server}/whole/v1", tool_calling=way, **FACTS)

    def prepare(tools: int) -> Callable[[], object]:
        properties = {name: {"type": "string", "description": "What it is."} for name in ("city", "day", "unit")}
        definitions = [
            {"type": "function", "function": {"name": f"tool_{place}", "parameters": {"properties": properties}}}
            for place in range(tools)
        ]
        return lambda: llm.bind_tools(definitions).invoke("Hi")

    return prepare


def _client_events(server: str) -> Callable[[int], Callable[[], object]]:
    def prepare(events: int) -> Callable[[], object]:
        client = LFMClient(base_url=f"{server}/stream/{events}/v1", **FACTS)

        def read() -> None:
            with client.stream("Hi") as deltas:
                for _delta in deltas:
                    pass

        return read

    return prepare


def _chat_events(server: str) -> Callable[[int], Callable[[], object]]:
    def prepare(events: int) -> Callable[[], object]:
        llm = ChatLFM(base_url=f"{server}/stream/{events}/v1", **FACTS)

        def read() -> None:
            for _chunk in llm.stream("Hi"):
                pass

        return read

    return prepare


def _calls_at_once(server: str) -> Callable[[int], Callable[[], object]]:
    client = AsyncLFMClient(base_url=f"{server}/whole/v1", **FACTS)

    async def ask(calls: int) -> None:
        await asyncio.gather(*(client.chat("Hi") for _ in range(calls)))

    return lambda calls: lambda: asyncio.run(ask(calls))
