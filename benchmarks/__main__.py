"""Measures and writes `benchmarks/RESULTS.md`.

python -m benchmarks            what a call, an event, an instance and an import cost; growth; streams; texts; vectors
python -m benchmarks --quick    one round of each, to see that it works
"""

from __future__ import annotations

import argparse

from benchmarks.calls import ROUNDS, measure_calls
from benchmarks.embeddings import measure_embeddings
from benchmarks.growth import measure_growth
from benchmarks.load import measure_load
from benchmarks.results import RESULTS, Results, written
from benchmarks.startup import measure_imports
from benchmarks.texts import measure_texts


def main() -> None:
    """Measure all, and write it down."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one round of each")
    quick = parser.parse_args().quick
    calls, memory = measure_calls(rounds=1 if quick else ROUNDS)
    imports = measure_imports(rounds=1) if quick else measure_imports()
    load = measure_load(quick=quick)
    texts = measure_texts(share=50 if quick else 1)
    vectors = measure_embeddings(640) if quick else measure_embeddings()
    results = Results(calls, memory, imports, measure_growth(), load, texts, vectors)
    RESULTS.write_text(written(results), encoding="utf-8")
    print(RESULTS.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
