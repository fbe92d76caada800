"""One subject in a process of its own, which does what it is told on its standard input and says what it took.

python -m benchmarks.worker SUBJECT CORE
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from benchmarks.paced import read_streams, rss_bytes, sockets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from benchmarks.subjects import Subject

__all__ = ["DEPTHS", "Worker", "running_worker"]

# CPython keeps the frames of calls in chunks of 16 KiB, and before a release of 2026 gives one back as soon as it is
# empty: a loop whose calls happen to cross the end of a chunk maps memory in each turn, and takes two to three times
# as long (https://github.com/python/cpython/issues/142183). Whom that hits is chance, so each measure is taken at as
# many depths as fill a chunk.
DEPTHS = range(0, 128, 16)
"""How many frames deeper than its own a worker works, in each round."""

_ANSWERS = os.fdopen(os.dup(1), "w") if __name__ == "__main__" else sys.stdout


class Worker:
    """Tells a subject's process what to do."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def do(self, task: str, **facts: Any) -> Any:
        """Have one of `Tasks` done, and return what it says.

        Raises:
            RuntimeError: The process ended.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"task": task, **facts}) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"The subject's process ended in {task} with {self._process.wait()}.")
        return json.loads(answer)


@contextlib.contextmanager
def running_worker(subject: str, core: int | None = None, checkout: Path | None = None) -> Iterator[Worker]:
    """Start a process for a subject.

    Args:
        subject: A name in `SUBJECTS`.
        core: The core to pin it to; by default any.
        checkout: The checkout of this package to measure; by default this one.
    """
    command = [sys.executable, "-m", "benchmarks.worker", subject, "" if core is None else str(core)]
    environment = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    if checkout is not None:
        environment["PYTHONPATH"] = str(checkout)
    with subprocess.Popen(command, text=True, env=environment, cwd=checkout, **pipes) as process:
        try:
            yield Worker(process)
        finally:
            process.kill()


class Tasks:
    """What a subject can be told to do. Each returns seconds of CPU, of all threads, and of the clock.

    Attributes:
        depth: How many frames deeper than here to do it; see `DEPTHS`.
    """

    depth = 0

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._loop = asyncio.new_event_loop()
        self._made: dict[str, Any] = {}

    def invoke(self, url: str, count: int) -> dict[str, float] | None:
        """Ask one after the other."""
        ask, made = self._subject.invoke, self._instance(url)
        return None if ask is None else self._timed(count, lambda: [ask(made) for _ in range(count)])

    def ainvoke(self, url: str, count: int, at_once: int) -> dict[str, float] | None:
        """Ask many at once."""
        ask, made = self._subject.ainvoke, self._instance(url)
        if ask is None:
            return None

        async def some(number: int) -> None:
            for _ in range(number):
                await ask(made)

        async def all_of_them() -> None:
            await asyncio.gather(*(some(count // at_once) for _ in range(at_once)))

        return self._timed(count, lambda: self._loop.run_until_complete(all_of_them()))

    def stream(self, url: str, count: int, events: int) -> dict[str, float] | None:
        """Read streams one after the other; what it took is told for each event."""
        read, made = self._subject.stream, self._instance(url)
        if read is None:
            return None
        return self._timed(count * events, lambda: [_last(read(made)) for _ in range(count)])

    def astream(self, url: str, count: int, events: int) -> dict[str, float] | None:
        """The same, asynchronously."""
        read, made = self._subject.astream, self._instance(url)
        if read is None:
            return None

        async def all_of_them() -> None:
            for _ in range(count):
                async for _text in read(made):
                    pass

        return self._timed(count * events, lambda: self._loop.run_until_complete(all_of_them()))

    def batch(self, url: str, count: int, threads: int) -> dict[str, float] | None:
        """Ask from threads, as `batch` does."""
        ask, made = self._subject.invoke, self._instance(url)
        if ask is None:
            return None
        with ThreadPoolExecutor(threads) as pool:
            return self._timed(
                count, lambda: list(pool.map(lambda _: _deeper(self.depth, lambda: ask(made)), range(count)))
            )

    def make(self, url: str, count: int) -> dict[str, float]:
        """Make instances."""
        return self._timed(count, lambda: [self._subject.make(url) for _ in range(count)])

    def memory(self) -> int:
        """Return the bytes that the process holds."""
        gc.collect()
        return rss_bytes()

    def load(self, url: str, streams: int, gc_threshold: list[int] | None) -> dict[str, Any]:
        """Read many paced streams at once; see `benchmarks.paced`."""
        if gc_threshold:
            gc.set_threshold(*gc_threshold)
        before = sockets()
        held = asyncio.run(read_streams(self._subject, url, streams))
        gc.collect()
        return {**held, "sockets_after": sockets() - before}

    def _instance(self, url: str) -> Any:
        if url not in self._made:
            self._made[url] = self._subject.make(url)
        return self._made[url]

    def _timed(self, count: int, work: Callable[[], object]) -> dict[str, float]:
        clock, cpu = time.perf_counter(), time.process_time()
        _deeper(self.depth, work)
        return {"cpu_s": (time.process_time() - cpu) / count, "clock_s": (time.perf_counter() - clock) / count}


def _deeper(frames: int, work: Callable[[], object]) -> object:
    return _deeper(frames - 1, work) if frames else work()


def _last(texts: Iterator[str]) -> None:
    for _text in texts:
        pass


def main() -> None:
    """Do what the standard input says, until it ends."""
    from benchmarks.subjects import subject

    if sys.argv[2]:
        os.sched_setaffinity(0, {int(sys.argv[2])})
    tasks = Tasks(subject(sys.argv[1]))
    for line in sys.stdin:
        told = json.loads(line)
        tasks.depth = told.pop("depth", 0)
        answer = getattr(tasks, told.pop("task"))(**told)
        print(json.dumps(answer), file=_ANSWERS, flush=True)


if __name__ == "__main__":
    os.dup2(2, 1)  # what the subjects print is no answer
    main()
