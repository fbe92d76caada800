"""Writes what was measured to `RESULTS.md`, and beside each target whether it was met."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks import embeddings, texts
from benchmarks.calls import MEASURES
from benchmarks.load import HELD_BACK
from benchmarks.subjects import SUBJECTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from benchmarks.calls import Measured
    from benchmarks.embeddings import EmbeddingRow
    from benchmarks.growth import Growth
    from benchmarks.texts import TextRow

__all__ = ["RESULTS", "Results", "written"]

RESULTS = Path(__file__).with_name("RESULTS.md")
PACKAGES = (
    "lfm-adapter", "langchain-core", "langchain-openai", "langchain-openrouter", "langchain-litellm", "litellm",
    "openai", "openrouter", "httpx2", "urllib3", "aiohttp", "pydantic",
)  # fmt: skip
FLOOR = "floor: an empty chat model"
PEER = "ChatOpenAI"
BY_PROMPT = "ChatLFM, tools by prompt"

STREAMS_NOTE = """\
At 31 tokens a second each, one event a token, in one process on one core; the server has the other. LangChain keeps all
chunks of a stream to its end, and each full collection of Python's stops all streams to look through them: the row with
`gc.set_threshold` puts those off."""

GROWTH_NOTE = """\
The exponents are those of the last step: 1 is linear. Measured without Python's collector, as `timeit` does: its full
collections look through all that is kept, and with them events of `ChatLFM.stream`, which LangChain keeps to the end,
and calls at once came to 1.12 each (2026-11-26)."""

TEXTS_NOTE = """\
Calls and objects with strings whose quotes are not escaped, in every form and position (`tests/support/unescaped.py`).
What is refused costs one more turn, in which the model is told the reason. vLLM and SGLang, which need a GPU to be
installed, read calls by `ast.parse`, which stands for them."""


EMBEDDINGS_NOTE = """\
The vectors of 10,000 texts, of 1,024 numbers each. `OpenAIEmbeddings` has `check_embedding_ctx_length=False`, without
which it sends token ids, and must be told to ask for numbers: with base64, its default, some of OpenRouter's providers
return nothing. By default it sends 1,000 texts per request, and `LFMEmbeddings` 64. Texts a second are
those of a machine that did other things at the time."""


class Results(NamedTuple):
    """What one run measured.

    Attributes:
        calls: Medians by measure and subject.
        memory: Bytes that each subject's process held.
        imports: Milliseconds of CPU by import, compiled and not.
        growth: How cost grows.
        load: By subject and number of streams; see `benchmarks.paced`.
        texts: How many texts with quotes that are not escaped each reader reads right.
        embeddings: What the vectors of many texts took each class.
    """

    calls: Measured
    memory: dict[str, int]
    imports: dict[str, dict[str, float]]
    growth: list[Growth]
    load: dict[str, dict[int, dict[str, Any]]]
    texts: list[TextRow]
    embeddings: list[EmbeddingRow]


def written(results: Results) -> str:
    """Return the results as Markdown."""
    parts = [_head(), _targets(results), _calls(results), _imports(results), _load(results), _growth(results)]
    parts += ["## Quotes that are not escaped", TEXTS_NOTE, texts.table(results.texts)]
    parts += ["## Embeddings", EMBEDDINGS_NOTE, embeddings.table(results.embeddings)]
    return "\n\n".join(parts) + "\n"


def _head() -> str:
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    return (
        "# Measured\n\n"
        f"On {dt.datetime.now(dt.UTC):%Y-%m-%d}, by `make bench`, with CPython {platform.python_version()} on "
        f"{_processor()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}.\n\n"
        f"Versions: {versions}.\n\n"
        "A server in a process of its own answers at once from memory, on 127.0.0.1. Each subject has a process of its "
        "own too, and the subjects take turns. What is told is CPU time, of all threads, as the median of the rounds: "
        "how long a model takes is not in it. Each round works at another depth of the stack, because CPython before a "
        "release of 2026 is two to three times slower where a loop's calls cross the end of a chunk of frames "
        "(https://github.com/python/cpython/issues/142183). Other machines have other numbers; compare the ratios."
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "an unknown processor"


def _targets(results: Results) -> str:
    rows = [f"| {what} | {aim} | {value} | {'yes' if met else 'no'} |" for what, aim, value, met in _aims(results)]
    return "\n".join(["## Targets", "", "| what | target | measured | met |", "| --- | --- | --- | --- |", *rows])


def _aims(results: Results) -> Iterator[tuple[str, str, str, bool]]:
    def cpu(measure: str, subject: str = "ChatLFM") -> float:
        return results.calls[measure][subject]["cpu_us"]

    def at_most(what: str, ours: float, theirs: float, most: float) -> tuple[str, str, str, bool]:
        return what, f"at most {most:g}", f"{ours / theirs:.2f}", ours / theirs <= most

    yield at_most("`invoke`, of the floor", cpu("invoke"), cpu("invoke", FLOOR), 1.4)
    yield at_most("`invoke`, of ChatOpenAI", cpu("invoke"), cpu("invoke", PEER), 0.35)
    for way in ("stream", "astream"):
        event = f"{way}, an event"
        yield at_most(f"`{way}`, an event, of the floor", cpu(event), cpu(event, FLOOR), 1.3)
        yield at_most(f"`{way}`, an event, of ChatOpenAI", cpu(event), cpu(event, PEER), 0.25)
        more = cpu(event, BY_PROMPT) - cpu(event)
        yield f"`{way}`, an event more with tools by prompt", "at most 10 µs", f"{more:.1f} µs", more <= 10
    many = "ainvoke, 100 at once"
    times = cpu(many, PEER) / cpu(many)
    yield "`ainvoke`, 100 at once: times ChatOpenAI's requests a second", "at least 12", f"{times:.1f}", times >= 12
    share = cpu(many, FLOOR) / cpu(many)
    yield "`ainvoke`, 100 at once: of the floor's requests a second", "at least 0.6", f"{share:.2f}", share >= 0.6
    compiled = {name: ways["compiled"] for name, ways in results.imports.items()}
    ours = compiled["ChatLFM, after LangChain's"]
    yield "import of ChatLFM over LangChain's chat models", "at most 10 ms", f"{ours:.1f} ms", ours <= 10
    bare = compiled["lfm_adapter"]
    yield "`import lfm_adapter` over Python alone", "at most 15 ms", f"{bare:.1f} ms", bare <= 15
    instance = cpu("an instance") / 1_000
    yield "an instance", "at most 0.3 ms", f"{instance:.2f} ms", instance <= 0.3
    for measure in ("invoke", "ainvoke", "stream, an event", "astream, an event"):
        ratio = cpu(measure, "LiteLLM, lfm/") / cpu(measure, "LiteLLM, openrouter/")
        yield f"LiteLLM's `lfm/`, {measure}, of `openrouter/`", "at most 1", f"{ratio:.2f}", ratio <= 1
    took = {row.subject: row.cpu_s for row in results.embeddings}
    times = took["OpenAIEmbeddings, numbers"] / took["LFMEmbeddings"]
    yield "embeddings: times OpenAIEmbeddings' texts in the same CPU time", "at least 3", f"{times:.1f}", times >= 3
    for subject, streams in (("ChatLFM", 400), (HELD_BACK, 400), ("LFMClient", 1_000)):
        held = results.load.get(subject, {}).get(streams)
        if held:
            p99_ms = held["p99_ms"]
            good = p99_ms is not None and p99_ms < 250 and not held["errors"]
            yield f"{streams:,} live streams, {subject}: p99 lag", "under 250 ms", f"{p99_ms:.0f} ms", good


def _calls(results: Results) -> str:
    lines = [
        "## CPU, in microseconds",
        "",
        f"| | {' | '.join(MEASURES)} | process, MB |",
        "| --- |" + " ---: |" * (len(MEASURES) + 1),
    ]
    for subject in SUBJECTS:
        cells = [
            f"{took['cpu_us']:,.1f}" if took and took["cpu_us"] < 100 else f"{took['cpu_us']:,.0f}" if took else ""
            for took in (results.calls[measure].get(subject) for measure in MEASURES)
        ]
        lines.append(f"| {subject} | {' | '.join(cells)} | {results.memory[subject] / 1e6:.0f} |")
    wrapper = results.calls["invoke"]["LiteLLM, nothing behind it"]["cpu_us"]
    whole = results.calls["invoke"]["LiteLLM, lfm/"]["cpu_us"]
    notes = (
        f"Of a call of LiteLLM's `lfm/`, {wrapper / whole:.0%} is what LiteLLM takes with nothing behind it. What is "
        "made once a process, such as the pools behind `ChatLFM`, is not in the price of an instance; clients of "
        "`openai` and `httpx2` make their own each time."
    )
    return "\n".join([*lines, "", notes])


def _imports(results: Results) -> str:
    rows = [f"| {name} | {ways['compiled']:.1f} | {ways['uncompiled']:.1f} |" for name, ways in results.imports.items()]
    return "\n".join(
        ["## Imports, in milliseconds of CPU", "", "| | compiled | not compiled |", "| --- | ---: | ---: |", *rows]
    )


def _load(results: Results) -> str:
    rows = [
        f"| {subject} | {streams:,} | {_ms(held['p50_ms'])} | {_ms(held['p99_ms'])} | {held['kib_a_stream']:.0f} "
        f"| {held['errors']} | {held['sockets_after']} |"
        for subject, by_streams in results.load.items()
        for streams, held in by_streams.items()
    ]
    return "\n".join(
        [
            "## Live streams",
            "",
            STREAMS_NOTE,
            "",
            "| | streams | p50 lag, ms | p99 lag, ms | KiB a stream | errors | sockets after |",
            "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
            *rows,
        ]
    )


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:,.1f}"


def _listed(values: Iterable[float], form: str) -> str:
    return ", ".join(map(form.format, values))


def _growth(results: Results) -> str:
    rows = [
        f"| {one.work} | {_listed(one.sizes, '{:,}')} | {_listed(one.cpu_ms, '{:,.1f}')} "
        f"| {one.exponent(one.cpu_ms):.2f} | {_listed(one.peak_mb, '{:,.1f}')} | {one.exponent(one.peak_mb):.2f} |"
        for one in results.growth
    ]
    return "\n".join(
        [
            "## Growth",
            "",
            GROWTH_NOTE,
            "",
            "| | sizes | CPU, ms | exponent | peak memory, MB | exponent |",
            "| --- | --- | --- | ---: | --- | ---: |",
            *rows,
        ]
    )
