"""What a call, a streamed event, a batch and an instance cost each subject, in interleaved rounds."""

from __future__ import annotations

import contextlib
import statistics
from typing import Any

from benchmarks.server import EVENTS, running_server
from benchmarks.subjects import SUBJECTS
from benchmarks.worker import DEPTHS, running_worker

__all__ = ["MEASURES", "Measured", "measure_calls"]

ROUNDS = len(DEPTHS)

MEASURES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "invoke": ("invoke", "whole", {"count": 100}),
    "ainvoke": ("ainvoke", "whole", {"count": 100, "at_once": 1}),
    "ainvoke, 10 at once": ("ainvoke", "whole", {"count": 200, "at_once": 10}),
    "ainvoke, 100 at once": ("ainvoke", "whole", {"count": 200, "at_once": 100}),
    "ainvoke, 500 at once": ("ainvoke", "whole", {"count": 500, "at_once": 500}),
    "16 threads": ("batch", "whole", {"count": 128, "threads": 16}),
    "stream, an event": ("stream", f"stream/{EVENTS}", {"count": 4, "events": EVENTS}),
    "astream, an event": ("astream", f"stream/{EVENTS}", {"count": 4, "events": EVENTS}),
    "an instance": ("make", "whole", {"count": 20}),
}
"""By its name in the tables: the task of a worker, the way of the server, and the task's facts."""

Measured = dict[str, dict[str, dict[str, float]]]
"""By measure and subject: the medians `cpu_us` and `clock_us`."""


def measure_calls(subjects: list[str] | None = None, rounds: int = ROUNDS) -> tuple[Measured, dict[str, int]]:
    """Measure each subject in a process of its own.

    Args:
        subjects: Names in `SUBJECTS`; by default all.
        rounds: How often each measure is taken, each time at another depth, after one round that does not count.

    Returns:
        The medians of the rounds, and the bytes that each process holds at the end.
    """
    names = subjects or list(SUBJECTS)
    taken: dict[str, dict[str, list[dict[str, float]]]] = {
        measure: {name: [] for name in names} for measure in MEASURES
    }
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(running_server())
        workers = {name: stack.enter_context(running_worker(name)) for name in names}
        for number in range(rounds + 1):
            for measure, (task, way, facts) in MEASURES.items():
                for name in names[number % len(names) :] + names[: number % len(names)]:
                    took = workers[name].do(task, url=f"{server}/{way}/v1", depth=DEPTHS[number % len(DEPTHS)], **facts)
                    if took is not None and number:
                        taken[measure][name].append(took)
            print(f"round {number} of {rounds}", flush=True)
        memory = {name: workers[name].do("memory") for name in names}
    return {
        measure: {name: _medians(took) for name, took in by_subject.items() if took}
        for measure, by_subject in taken.items()
    }, memory


def _medians(took: list[dict[str, float]]) -> dict[str, float]:
    return {
        "cpu_us": statistics.median(one["cpu_s"] for one in took) * 1e6,
        "clock_us": statistics.median(one["clock_s"] for one in took) * 1e6,
    }
