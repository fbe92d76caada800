"""Compares two checkouts of this package in one run: `python -m benchmarks.compare PATH_OF_THE_OTHER`.

Each measure is taken in turn from both, in separate processes and at the same depths of the stack, so that a slow
moment of the machine slows down both. What counts is the ratio.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks.calls import MEASURES
from benchmarks.server import running_server
from benchmarks.startup import LANGCHAIN
from benchmarks.worker import DEPTHS, running_worker

__all__ = ["compare"]

SUBJECTS = ("ChatLFM", "ChatLFM, tools by prompt", "LFMClient", "LiteLLM, lfm/")
COMPARED = ("invoke", "ainvoke", "ainvoke, 100 at once", "stream, an event", "astream, an event", "an instance")
IMPORTS = {
    "import lfm_adapter": ("", "import lfm_adapter"),
    "import of ChatLFM, after LangChain": (f"import {LANGCHAIN}", "from lfm_adapter import ChatLFM"),
    "import of LFMClient": ("", "from lfm_adapter import LFMClient"),
}
_IMPORT_ROUNDS = 25
_CODE = "{}\nfrom time import process_time\nbefore = process_time()\n{}\nprint(process_time() - before)"


def compare(other: Path, rounds: int = 2 * len(DEPTHS)) -> list[tuple[str, float, float]]:
    """Return each measure with its medians in µs: of the other checkout, and of this one."""
    here = Path(__file__).parents[1]
    taken: dict[str, tuple[list[float], list[float]]] = {}
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(running_server())
        workers = {
            name: [stack.enter_context(running_worker(name, checkout=tree)) for tree in (other, here)]
            for name in SUBJECTS
        }
        for number in range(rounds + 1):
            for name in SUBJECTS:
                for measure in COMPARED:
                    task, way, facts = MEASURES[measure]
                    for place in (0, 1) if number % 2 else (1, 0):
                        took = workers[name][place].do(
                            task, url=f"{server}/{way}/v1", depth=DEPTHS[number % len(DEPTHS)], **facts
                        )
                        if took is not None and number:
                            pair = taken.setdefault(f"{name}: {measure}", ([], []))
                            pair[place].append(took["cpu_s"] * 1e6)
    for name, (before, code) in IMPORTS.items():
        pair = taken.setdefault(name, ([], []))
        for number in range(_IMPORT_ROUNDS + 1):
            for place, tree in enumerate((other, here)):
                seconds = _import_s(tree, _CODE.format(before, code))
                if number:
                    pair[place].append(seconds * 1e6)
    return [(name, statistics.median(first), statistics.median(second)) for name, (first, second) in taken.items()]


def _import_s(tree: Path, script: str) -> float:
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    return float(ran.stdout.split()[-1])


def main() -> None:
    """Print a table."""
    print(f"| CPU, µs | {sys.argv[1]} | here | ratio |\n| --- | ---: | ---: | ---: |")
    for name, before, now in compare(Path(sys.argv[1]).resolve()):
        print(f"| {name} | {before:,.1f} | {now:,.1f} | {now / before:.2f} |")


if __name__ == "__main__":
    main()
