"""Budgets: reserved before, settled after, and exact across processes."""

from __future__ import annotations

import multiprocessing
import sqlite3
from contextlib import closing
from decimal import Decimal
from typing import TYPE_CHECKING, Any, get_type_hints

import pytest

from lfm_adapter.errors import BudgetExceededError, ConfigurationError, RateLimitError
from lfm_adapter.ledger import Budget, Ledger

if TYPE_CHECKING:
    from pathlib import Path

SPAWN = multiprocessing.get_context("spawn")
CENT = Decimal("0.01")


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.db")


def test_holds_what_is_reserved_and_what_is_spent(ledger: Ledger):
    budget = Budget("0.03")
    first = ledger.reserve([budget], CENT, model="m")
    ledger.reserve([budget], CENT, model="m")
    ledger.settle(first, CENT * 2)
    assert ledger.spent(budget) == CENT * 2
    with pytest.raises(BudgetExceededError, match=r"has US\$ 0 left, and asking `m` could cost up to US\$ 0.01"):
        ledger.reserve([budget], CENT, model="m")


def test_unknown_outcome_counts_with_its_maximum(ledger: Ledger):
    budget = Budget("0.03")
    ledger.settle(ledger.reserve([budget], CENT, model="m"), None)
    assert ledger.spent(budget) == CENT


def test_free_requests_still_go_when_it_is_spent(ledger: Ledger):
    budget = Budget(0)
    assert ledger.reserve([budget], Decimal(0), model="m").amount == 0


def test_unknown_price_is_refused_unless_it_is_allowed(ledger: Ledger):
    with pytest.raises(BudgetExceededError, match="price of `m` is unknown"):
        ledger.reserve([Budget(1)], None, model="m")
    ledger.reserve([Budget(1, allow_unknown_price=True)], None, model="m")


def test_every_budget_must_have_room(ledger: Ledger):
    roomy, tight = Budget(1), Budget("0.001", per="day")
    with pytest.raises(BudgetExceededError, match=r"It resets at \d{4}-\d\d-\d\d 00:00 UTC") as caught:
        ledger.reserve([roomy, tight], CENT, model="m")
    assert 0 < caught.value.retry_after <= 86_400
    ledger.reserve([roomy], Decimal(1), model="m")  # nothing was set aside


def test_a_new_day_begins_anew(ledger: Ledger, monkeypatch: pytest.MonkeyPatch):
    from lfm_adapter.ledger import _file

    budget = Budget("0.01", per="day")
    monkeypatch.setattr(_file.time, "time", lambda: 1_795_000_000.0)
    ledger.settle(ledger.reserve([budget], CENT, model="m"), CENT)
    monkeypatch.setattr(_file.time, "time", lambda: 1_795_086_400.0)
    ledger.reserve([budget], CENT, model="m")


def test_requests_a_minute_are_counted(ledger: Ledger, monkeypatch: pytest.MonkeyPatch):
    from lfm_adapter.ledger import _file

    budget = Budget(rpm=2)
    for second in (0.0, 10.0):
        monkeypatch.setattr(_file.time, "time", lambda second=second: 1_795_000_000.0 + second)
        ledger.reserve([budget], Decimal(0), model="m")
    with pytest.raises(RateLimitError, match="limit of 2 requests per minute") as caught:
        ledger.reserve([budget], Decimal(0), model="m")
    assert caught.value.retry_after == pytest.approx(50)
    monkeypatch.setattr(_file.time, "time", lambda: 1_795_000_060.5)
    ledger.reserve([budget], Decimal(0), model="m")


def race(path: Path, spent: Any) -> None:
    ledger, budget = Ledger(path), Budget("0.01", name="shared")
    price = Decimal("0.0003")
    while True:
        try:
            reservation = ledger.reserve([budget], price, model="m")
        except BudgetExceededError:
            return
        ledger.settle(reservation, price)
        with spent.get_lock():
            spent.value += 1


def test_processes_that_race_do_not_exceed_it(ledger: Ledger):
    spent = SPAWN.Value("i", 0)
    racers = [SPAWN.Process(target=race, args=(ledger.path, spent)) for _ in range(8)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(60)
    assert spent.value == 33
    assert ledger.spent(Budget("0.01", name="shared")) == Decimal("0.0099")


def test_locked_file_keeps_this_process_to_the_limit(ledger: Ledger, monkeypatch: pytest.MonkeyPatch):
    from lfm_adapter.ledger import _file

    monkeypatch.setattr(_file, "RESERVE_TIMEOUT_S", 0.05)
    budget = Budget("0.015")
    ledger.spent(budget)
    with closing(sqlite3.connect(ledger.path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        ledger.settle(ledger.reserve([budget], CENT, model="m"), CENT)
        with pytest.raises(BudgetExceededError):
            ledger.reserve([budget], CENT, model="m")


@pytest.mark.parametrize("wrong", [{"usd": "much"}, {"usd": -1}, {"usd": "NaN"}, {"per": "week"}, {"rpm": 0}])
def test_malformed_budget_is_an_error(wrong: dict[str, Any]):
    with pytest.raises(ConfigurationError):
        Budget(**wrong)


def test_annotations_of_a_budget_name_classes_that_pydantic_finds():
    assert get_type_hints(Budget)["ledger"] == Ledger | None
