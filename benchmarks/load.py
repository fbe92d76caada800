"""Many streams at once at the pace of the real model: how late a token arrives, and what a stream holds.

The server is held to one core and the subject to another. Each token says when it was due, so that a lag counts
whatever kept it: the server, the kernel, and the subject.
"""

from __future__ import annotations

from typing import Any

from benchmarks.server import running_server
from benchmarks.worker import running_worker

__all__ = ["HELD_BACK", "measure_load"]

SECONDS = 10
# LangChain keeps all chunks of a stream to its end, and Python's full collections look through all of them again and
# again, for half a second each. Young objects are still collected, 50,000 at a time.
RARE_FULL_COLLECTIONS = (50_000, 50, 1_000)
HELD_BACK = f"ChatLFM, `gc.set_threshold{RARE_FULL_COLLECTIONS}`"

STREAMS: dict[str, tuple[int, ...]] = {
    "ChatLFM": (10, 100, 400, 1_000, 2_000),
    HELD_BACK: (400, 700),
    "LFMClient": (10, 100, 400, 1_000, 2_000),
    "floor: an empty chat model": (10, 100, 400, 1_000),
    "aiohttp and json": (100, 1_000, 2_000),
    "ChatOpenAI": (10, 100, 400),
    "ChatLiteLLM, openrouter/": (10, 100),
    "ChatOpenRouter": (10, 100),
}

Loads = dict[str, dict[int, dict[str, Any]]]
"""By the names in `STREAMS` and number of streams: what `read_streams` returns, and `sockets_after`."""


def measure_load(*, quick: bool = False) -> Loads:
    """Have each subject read more and more streams at once.

    Args:
        quick: Only the first number of each, and only two seconds long.
    """
    seconds = 2 if quick else SECONDS
    loads: Loads = {}
    for name, numbers in STREAMS.items():
        loads[name] = {}
        subject, gc_threshold = ("ChatLFM", RARE_FULL_COLLECTIONS) if name == HELD_BACK else (name, None)
        for streams in numbers[:1] if quick else numbers:
            with running_server(core=0) as server, running_worker(subject, core=1) as worker:
                url = f"{server}/paced/{seconds}/v1"
                loads[name][streams] = worker.do("load", url=url, streams=streams, gc_threshold=gc_threshold)
            print(name, streams, loads[name][streams], flush=True)
    return loads
