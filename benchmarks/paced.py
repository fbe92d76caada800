"""Reads many paced streams at once, in the worker's process, and tells what that took."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.subjects import Subject

__all__ = ["read_streams", "rss_bytes", "sockets"]

RAMP_S = 2.0
"""Over which the streams begin; a thousand connections at once are not what is measured."""


async def read_streams(subject: Subject, url: str, streams: int) -> dict[str, Any]:
    """Read paced streams at once.

    Args:
        subject: What reads them.
        url: The server's address, `/paced/…`.
        streams: How many.

    Returns:
        Milliseconds of lag (`p50_ms`, `p99_ms`), `kib_a_stream`, how many `errors` and the first one, and `tokens`.
    """
    assert subject.astream is not None
    made = subject.make(url)
    async for _text in subject.astream(subject.make(url.replace("/paced/", "/stream/"))):
        pass  # imports and whatever else happens once
    gc.collect()
    before = rss_bytes()
    reading = [_Reading(subject, made, RAMP_S * place / streams) for place in range(streams)]
    tasks = [asyncio.create_task(one.read()) for one in reading]
    await asyncio.sleep(RAMP_S + 0.5)
    during = rss_bytes()
    await asyncio.gather(*tasks)
    lags = sorted(lag for one in reading for lag in one.lags_ms)
    errors = [one.error for one in reading if one.error]
    return {
        "p50_ms": statistics.median(lags) if lags else None,
        "p99_ms": lags[int(len(lags) * 0.99)] if lags else None,
        "kib_a_stream": (during - before) / streams / 1024,
        "errors": len(errors),
        "error": errors[0] if errors else None,
        "tokens": len(lags),
    }


class _Reading:
    def __init__(self, subject: Subject, made: Any, delay_s: float) -> None:
        assert subject.astream is not None
        self._texts = subject.astream(made)
        self._delay_s = delay_s
        self.lags_ms: list[float] = []
        self.error: str | None = None

    async def read(self) -> None:
        await asyncio.sleep(self._delay_s)
        try:
            async for text in self._texts:
                if text:
                    self.lags_ms.append((time.monotonic_ns() - int(text)) / 1e6)
        except Exception as error:  # noqa: BLE001 - counted, and the first one shown
            self.error = repr(error)[:200]


def rss_bytes() -> int:
    """Return the bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def sockets() -> int:
    """Return how many sockets this process has open."""
    count = 0
    for path in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the folder's own, closed by now
            count += str(path.readlink()).startswith("socket:")
    return count
