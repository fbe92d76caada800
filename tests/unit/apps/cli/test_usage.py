"""`lfm usage`."""

from __future__ import annotations

import json
import re
import sys
import time
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from lfm_adapter.apps.cli import app
from lfm_adapter.ledger import CallRecord, Ledger

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    monkeypatch.setenv("LFM_LEDGER", str(tmp_path / "ledger.db"))
    monkeypatch.setenv("COLUMNS", "120")
    return Ledger()


def fill(ledger: Ledger) -> None:
    now = time.time()
    for days_ago, name, cost in ((0, "Mantella", "0.25"), (0, "Mantella", "0.5"), (3, "Roo Code", None)):
        ledger.record(
            CallRecord(
                time=now - 86_400 * days_ago, source="gateway", app=name, model="liquid/lfm-3-1.7b", prompt_tokens=1000,
                completion_tokens=100, cost=None if cost is None else Decimal(cost),
            )
        )  # fmt: skip
    assert ledger.flush(60)


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["usage", *arguments])
    assert result.exit_code == 0, result.stderr
    return result.stdout


def test_shows_a_table_with_bars(ledger: Ledger):
    fill(ledger)
    shown = run("--by", "app")
    mantella, roo = shown.splitlines()[1:3]
    assert mantella.split() == ["Mantella", "2", "0", "2,000", "200", "0.75", "█" * 20]
    assert roo.split() == ["Roo", "Code", "1", "0", "1,000", "100", "0+?", "█" * 10]


def test_narrow_terminal_gets_shorter_bars_or_none_rather_than_broken_words(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
):
    fill(ledger)
    for columns, bars in ((100, 20), (88, 14), (78, 0)):
        monkeypatch.setenv("COLUMNS", str(columns))
        today = next(line for line in run().splitlines() if "Mantella" in line)
        assert "liquid/lfm-3-1.7b" in today
        assert today.count("█") == bars


def record(ledger: Ledger, app: str, cost: str) -> None:
    ledger.record(
        CallRecord(time=time.time(), source="gateway", app=app, model="liquid/lfm-3-1.7b", cost=Decimal(cost))
    )
    assert ledger.flush(60)


def test_table_in_a_pipe_has_one_line_for_each_row(ledger: Ledger, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("COLUMNS")
    monkeypatch.setattr(sys, "__stdout__", None)
    record(ledger, "a name of an app " * 4, "1")
    assert len(run().splitlines()) == 2


def test_day_is_never_broken(ledger: Ledger, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "60")
    record(ledger, "a name of an app " * 4, "0.001012630578")
    assert re.match(r"\d{4}-\d\d-\d\d ", run().splitlines()[1])


@pytest.mark.parametrize(
    ("cost", "shown"),
    [("1234.56789", "1234.57"), ("44.8647", "44.86"), ("0.001012630578", "0.001013"), ("0.00000028", "0.00000028")],
)
def test_costs_have_as_many_digits_as_matter(ledger: Ledger, cost: str, shown: str):
    record(ledger, "Mantella", cost)
    assert run("--by", "app").splitlines()[1].split()[5] == shown
    assert json.loads(run("--json"))[0]["cost_usd"] == cost


def test_prints_json_and_csv(ledger: Ledger):
    fill(ledger)
    first = json.loads(run("--by", "app,model", "--json"))[0]
    assert first == {
        "app": "Mantella", "model": "liquid/lfm-3-1.7b", "calls": 2, "errors": 0, "prompt_tokens": 2000,
        "completion_tokens": 200, "cost_usd": "0.75", "unknown_costs": 0,
    }  # fmt: skip
    assert run("--by", "app", "--csv").splitlines()[:2] == [
        "app,calls,errors,prompt_tokens,completion_tokens,cost_usd", "Mantella,2,0,2000,200,0.75",
    ]  # fmt: skip


def test_since_leaves_older_calls_out(ledger: Ledger):
    fill(ledger)
    assert "Roo Code" not in run("--since", "12h")
    assert "Roo Code" in run("--since", "all")
    assert run("--since", "2999-01-01") == ""


def test_without_a_ledger_it_says_so(ledger: Ledger):
    result = CliRunner().invoke(app, ["usage"])
    assert (result.exit_code, result.stdout) == (0, "")
    assert "No calls" in result.stderr
    assert not ledger.path.exists()


@pytest.mark.parametrize("wrong", [["--by", "colour"], ["--since", "yesterday"]])
def test_wrong_options_are_errors(ledger: Ledger, wrong: list[str]):
    fill(ledger)
    result = CliRunner().invoke(app, ["usage", *wrong])
    assert result.exit_code == 1
    assert f"`{wrong[0]}`" in result.stderr
