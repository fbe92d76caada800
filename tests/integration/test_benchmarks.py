"""That the benchmarks run; what they measure is no test's business."""

from __future__ import annotations

import asyncio

import pytest

from benchmarks import embeddings
from benchmarks.decisions import measure_decisions, table
from benchmarks.growth import Growth
from benchmarks.paced import read_streams
from benchmarks.server import running_server
from benchmarks.subjects import subject
from benchmarks.worker import running_worker


@pytest.fixture(scope="module")
def address():
    with running_server() as server:
        yield server


@pytest.mark.parametrize("name", ["ChatLFM", "ChatLFM, tools by prompt", "LFMClient", "LiteLLM, lfm/"])
def test_subject_does_its_tasks(address, name):
    whole, streamed = f"{address}/whole/v1", f"{address}/stream/5/v1"
    with running_worker(name) as worker:
        took = [
            worker.do("invoke", url=whole, count=2),
            worker.do("ainvoke", url=whole, count=4, at_once=2),
            worker.do("stream", url=streamed, count=2, events=5),
            worker.do("astream", url=streamed, count=2, events=5),
            worker.do("batch", url=whole, count=4, threads=2),
            worker.do("make", url=whole, count=2),
        ]
        assert worker.do("memory") > 1e6
    assert len([one for one in took if one and one["cpu_s"] >= 0 and one["clock_s"] > 0]) >= 3


def test_decisions_are_measured():
    rows = measure_decisions(2, subjects=["LFMClient.decide", "LFMDecisions"])
    assert [row.subject for row in rows] == ["LFMClient.decide", "LFMDecisions"]
    assert all(us > 0 for row in rows for us in row[1:])
    assert table(rows).count("\n") == len(rows) + 1


def test_live_streams_tell_their_lag(address):
    held = asyncio.run(read_streams(subject("LFMClient"), f"{address}/paced/1/v1", streams=3))
    assert held["errors"] == 0
    assert held["tokens"] >= 3 * 31
    assert 0 < held["p50_ms"] <= held["p99_ms"]


def test_exponent_of_what_grows_linearly_is_1():
    grown = Growth("work", (1, 10, 100), cpu_ms=[5.0, 6.0, 60.0], peak_mb=[1.0, 1.0, 100.0])
    assert (grown.exponent(grown.cpu_ms), grown.exponent(grown.peak_mb)) == (pytest.approx(1), pytest.approx(2))


def test_vectors_of_many_texts_are_measured():
    with embeddings._running_server() as url:
        for name in ("LFMEmbeddings", "LFMEmbeddings, async"):
            row = embeddings._measured(name, url, 130)
            assert row.cpu_s > 0
            assert f"| {name} |" in embeddings.table([row])
