"""The ledger: rows, in the background, from any number of processes."""

from __future__ import annotations

import multiprocessing
import pickle
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from lfm_adapter.errors import ConfigurationError
from lfm_adapter.ledger import Budget, CallRecord, Ledger, ledger_from_env

if TYPE_CHECKING:
    from pathlib import Path

NOW = 1_795_000_000.0  # 2026-11-18
SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.db")


def record(**facts: object) -> CallRecord:
    known = {"time": NOW, "source": "python", "app": "an app", "model": "liquid/lfm-3-1.7b", "duration_s": 1.0}
    return CallRecord(**known | facts)


def test_returns_what_was_recorded(ledger: Ledger):
    call = record(
        served_model="liquid/lfm-3-1.7b-20261106", provider="Liquid", is_stream=True, prompt_tokens=9,
        completion_tokens=5, reasoning_tokens=2, cached_tokens=1, cost=Decimal("2.8E-7"), first_token_s=0.25,
    )  # fmt: skip
    ledger.record(call)
    assert ledger.calls() == [call]
    assert call.tokens_per_second == pytest.approx(5 / 0.75)


def test_only_its_owner_can_read_the_file(ledger: Ledger):
    ledger.record(record())
    assert ledger.flush(60)
    assert ledger.path.stat().st_mode & 0o777 == 0o600


def test_usage_sums_by_day_model_and_app(ledger: Ledger):
    for cost in ("0.1", "0.2"):
        ledger.record(record(cost=Decimal(cost), prompt_tokens=10, completion_tokens=1))
    ledger.record(record(time=NOW + 86_400, app="other", status="rate_limit"))
    ledger.record(record(time=NOW + 86_400, app="other", status="cancelled"))
    first, second = ledger.usage()
    assert first.key == ("2026-11-18", "liquid/lfm-3-1.7b", "an app")
    assert (first.calls, first.errors, first.prompt_tokens, first.cost) == (2, 0, 20, Decimal("0.3"))
    assert (second.key[0], second.calls, second.errors, second.cost) == ("2026-11-19", 2, 1, 0)
    assert [row.calls for row in ledger.usage(["app"], since=NOW + 1)] == [2]
    assert ledger.usage([])[0].calls == 4


def test_an_empty_ledger_has_no_usage(ledger: Ledger):
    assert ledger.usage() == ledger.usage([]) == ledger.calls() == []


def write_many(path: Path, count: int) -> None:
    ledger = Ledger(path)
    for _ in range(count):
        ledger.record(record())
    assert ledger.flush(60)


def test_processes_that_write_at_once_lose_nothing(ledger: Ledger):
    writers = [SPAWN.Process(target=write_many, args=(ledger.path, 250)) for _ in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert ledger.usage([])[0].calls == 2000


def test_killed_process_keeps_the_rows_that_were_written(ledger: Ledger):
    program = (
        "import sys, time; from lfm_adapter.ledger import CallRecord, Ledger\n"
        "ledger = Ledger(sys.argv[1])\n"
        "for _ in range(20):\n"
        "    ledger.record(CallRecord(time=1.0, source='python', app='a', model='m'))\n"
        "    assert ledger.flush(60)\n"
        "print('done', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", program, ledger.path], stdout=subprocess.PIPE)  # noqa: S603
    assert process.stdout is not None
    assert process.stdout.readline() == b"done\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert ledger.usage([])[0].calls == 20


def test_program_that_ends_at_once_has_its_rows_written(ledger: Ledger):
    program = (
        "import sys; from lfm_adapter.ledger import CallRecord, Ledger\n"
        "Ledger(sys.argv[1]).record(CallRecord(time=1.0, source='python', app='a', model='m'))"
    )
    subprocess.run([sys.executable, "-c", program, ledger.path], check=True)  # noqa: S603
    assert ledger.usage([])[0].calls == 1


def test_locked_file_delays_rows_without_an_error(ledger: Ledger):
    ledger.record(record())
    assert ledger.flush(60)
    with closing(sqlite3.connect(ledger.path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        ledger.record(record())
        assert not ledger.flush(0.2)
        other.execute("COMMIT")
    assert ledger.usage([])[0].calls == 2


def test_unwritable_path_is_only_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    (tmp_path / "file").touch()
    ledger = Ledger(tmp_path / "file" / "ledger.db")
    ledger.record(record())
    assert not ledger.flush(0.2)
    deadline = time.monotonic() + 60
    while "cannot be written" not in caplog.text:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_reading_a_damaged_file_is_an_error(ledger: Ledger):
    ledger.path.write_text("This is no database, however long it may be. " * 30)
    with pytest.raises(ConfigurationError, match="cannot be read: file is not a database"):
        ledger.usage()
    assert ledger.spent(Budget(1)) == 0


def test_ledger_can_be_pickled(ledger: Ledger):
    assert pickle.loads(pickle.dumps(ledger)) == ledger  # noqa: S301


@pytest.mark.parametrize(("value", "default", "is_on"), [("", False, False), ("", True, True), ("0", True, False)])
def test_variable_turns_the_ledger_on_and_off(monkeypatch: pytest.MonkeyPatch, value: str, default: bool, is_on: bool):
    monkeypatch.setenv("LFM_LEDGER", value)
    assert (ledger_from_env(default=default) is not None) == is_on


def test_variable_may_be_a_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("LFM_LEDGER", str(tmp_path / "mine.db"))
    assert ledger_from_env() == Ledger(tmp_path / "mine.db")
