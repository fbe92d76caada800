"""Budgets: reserved before, settled after, and exact across processes."""

from __future__ import annotations

import gc
import multiprocessing
import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any, get_type_hints

import pytest

from lfm_adapter.errors import BudgetExceededError, ConfigurationError, RateLimitError
from lfm_adapter.ledger import Budget, Ledger, _reservations
from lfm_adapter.ledger._file import LedgerFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SPAWN = multiprocessing.get_context("spawn")
CENT = Decimal("0.01")
PATIENCE_S = 120.0  # as much time as eight processes on a busy machine may take


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.db")


def test_counts_what_is_reserved_and_what_is_spent(ledger: Ledger):
    budget = Budget("0.03")
    first = ledger.reserve([budget], CENT, model="m")
    ledger.reserve([budget], CENT, model="m")
    ledger.settle(first, CENT * 2)
    assert ledger.spent(budget) == CENT * 2
    with pytest.raises(
        BudgetExceededError, match=r"has US\$ 0 left, and asking `m` could cost up to US\$ 0.01.*Lower `max_tokens`"
    ):
        ledger.reserve([budget], CENT, model="m")


def test_unknown_outcome_counts_as_the_maximum(ledger: Ledger):
    budget = Budget("0.03")
    ledger.settle(ledger.reserve([budget], CENT, model="m"), None)
    assert ledger.spent(budget) == CENT


def test_free_requests_are_allowed_when_the_budget_is_spent(ledger: Ledger):
    budget = Budget(0)
    assert ledger.reserve([budget], Decimal(0), model="m").amount == 0


def test_unknown_price_is_refused_unless_it_is_allowed(ledger: Ledger):
    with pytest.raises(BudgetExceededError, match="price of `m` is unknown"):
        ledger.reserve([Budget(1)], None, model="m")
    ledger.reserve([Budget(1, allow_unknown_price=True)], None, model="m")


def test_cost_of_an_unknown_price_counts_afterwards(ledger: Ledger):
    budget = Budget("0.01", allow_unknown_price=True)
    ledger.settle(ledger.reserve([budget], None, model="m"), CENT)
    assert ledger.spent(budget) == CENT
    with pytest.raises(BudgetExceededError, match=r"US\$ 0 left, and asking `m` has an unknown price"):
        ledger.reserve([budget], None, model="m")


def test_request_must_fit_into_every_budget(ledger: Ledger):
    roomy, tight = Budget(1), Budget("0.001", per="day")
    with pytest.raises(BudgetExceededError, match=r"It resets at \d{4}-\d\d-\d\d 00:00 UTC") as caught:
        ledger.reserve([roomy, tight], CENT, model="m")
    assert 0 < caught.value.retry_after <= 86_400
    ledger.reserve([roomy], Decimal(1), model="m")  # nothing was set aside


def test_daily_budget_resets_on_a_new_day(ledger: Ledger, monkeypatch: pytest.MonkeyPatch):
    budget = Budget("0.01", per="day")
    monkeypatch.setattr(_reservations.time, "time", lambda: 1_795_000_000.0)
    ledger.settle(ledger.reserve([budget], CENT, model="m"), CENT)
    monkeypatch.setattr(_reservations.time, "time", lambda: 1_795_086_400.0)
    ledger.reserve([budget], CENT, model="m")


def test_requests_a_minute_are_counted(ledger: Ledger, monkeypatch: pytest.MonkeyPatch):
    budget = Budget(rpm=2)
    for second in (0.0, 10.0):
        monkeypatch.setattr(_reservations.time, "time", lambda second=second: 1_795_000_000.0 + second)
        ledger.reserve([budget], Decimal(0), model="m")
    with pytest.raises(RateLimitError, match="limit of 2 requests per minute") as caught:
        ledger.reserve([budget], Decimal(0), model="m")
    assert caught.value.retry_after == pytest.approx(50)
    monkeypatch.setattr(_reservations.time, "time", lambda: 1_795_000_060.5)
    ledger.reserve([budget], Decimal(0), model="m")


def race(path: Path, spent: Any) -> None:
    _reservations.RESERVE_TIMEOUT_S = PATIENCE_S
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


def test_processes_that_race_do_not_exceed_the_budget(ledger: Ledger):
    spent = SPAWN.Value("i", 0)
    racers = [SPAWN.Process(target=race, args=(ledger.path, spent)) for _ in range(8)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(PATIENCE_S)
    assert spent.value == 33
    assert ledger.spent(Budget("0.01", name="shared")) == Decimal("0.0099")


def reserve_in_each(paths: list[Path], at_once: Any, in_file: Any) -> None:
    _reservations.RESERVE_TIMEOUT_S = PATIENCE_S
    for path in paths:
        at_once.wait(PATIENCE_S)
        reservation = Ledger(path).reserve([Budget(1)], CENT, model="m")
        with in_file.get_lock():
            in_file.value += bool(reservation.ids)


def test_processes_that_open_a_new_file_together_all_reserve_in_it(tmp_path: Path):
    paths = [tmp_path / f"{number}.db" for number in range(20)]
    at_once, in_file = SPAWN.Barrier(8), SPAWN.Value("i", 0)
    processes = [SPAWN.Process(target=reserve_in_each, args=(paths, at_once, in_file)) for _ in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(PATIENCE_S)
    assert in_file.value == 8 * 20


@contextmanager
def locked(ledger: Ledger) -> Iterator[None]:
    """Have another connection lock the file."""
    assert ledger.flush(PATIENCE_S)
    with closing(sqlite3.connect(ledger.path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait at most 50 ms for the file."""
    monkeypatch.setattr(_reservations, "RESERVE_TIMEOUT_S", 0.05)


@pytest.mark.usefixtures("impatient")
def test_budget_holds_within_a_process_while_the_file_is_locked(ledger: Ledger):
    budget = Budget("0.034")
    ledger.settle(ledger.reserve([budget], CENT, model="m"), CENT)
    with locked(ledger):
        held = [ledger.reserve([budget], CENT, model="m") for _ in range(2)]
        with pytest.raises(BudgetExceededError):
            ledger.reserve([budget], CENT, model="m")
        ledger.settle(held[0], CENT / 2)
        with pytest.raises(BudgetExceededError):
            ledger.reserve([budget], CENT, model="m")
        ledger.reserve([budget], CENT / 2, model="m")


def test_budget_holds_within_a_process_if_no_file_can_be_created(tmp_path: Path):
    (tmp_path / "file").touch()
    ledger, budget = Ledger(tmp_path / "file" / "ledger.db"), Budget("0.02")
    ledger.settle(ledger.reserve([budget], CENT, model="m"), CENT)
    ledger.reserve([budget], CENT, model="m")
    with pytest.raises(BudgetExceededError):
        ledger.reserve([budget], CENT, model="m")
    assert ledger.spent(budget) == CENT


@pytest.mark.usefixtures("impatient")
def test_requests_a_minute_are_counted_within_a_process_while_the_file_is_locked(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
):
    tight, roomy = Budget(rpm=2), Budget(rpm=3)
    with locked(ledger):
        for _ in range(2):
            ledger.reserve([roomy, tight], Decimal(0), model="m")
        with pytest.raises(RateLimitError, match="limit of 2 requests per minute"):
            ledger.reserve([roomy, tight], Decimal(0), model="m")
        ledger.reserve([roomy], Decimal(0), model="m")  # the refused request was not counted
        later = _reservations.time.time() + 60.5
        monkeypatch.setattr(_reservations.time, "time", lambda: later)
        ledger.reserve([roomy, tight], Decimal(0), model="m")


@pytest.mark.usefixtures("impatient")
def test_costs_from_while_the_file_was_locked_are_written_afterwards(ledger: Ledger):
    budget = Budget("0.03")
    before = ledger.reserve([budget], CENT, model="m")
    with locked(ledger):
        during = ledger.reserve([budget], CENT, model="m")
        for reservation in (before, during):
            ledger.settle(reservation, CENT / 2)
        assert ledger.spent(budget) == CENT
    assert ledger.flush(60)
    assert ledger.spent(budget) == Ledger(ledger.path).spent(budget) == CENT
    ledger.reserve([budget], CENT * 2, model="m")
    with pytest.raises(BudgetExceededError):
        ledger.reserve([budget], CENT / 100, model="m")


@pytest.mark.usefixtures("impatient")
def test_only_the_first_call_waits_for_a_locked_file(ledger: Ledger, monkeypatch: pytest.MonkeyPatch):
    budget = Budget("1")
    with locked(ledger):
        assert ledger.try_reserve([budget], CENT, model="m") is None
        ledger.reserve([budget], CENT, model="m")
        monkeypatch.setattr(_reservations, "RESERVE_TIMEOUT_S", 3600)
        assert ledger.reserve([budget], CENT, model="m").amount
        assert ledger.try_reserve([budget], CENT, model="m")
    assert ledger.reserve([budget], CENT, model="m").ids


@pytest.mark.usefixtures("impatient")
def test_threads_that_race_on_a_locked_file_do_not_exceed_the_budget(ledger: Ledger):
    budget = Budget("0.05")

    def reserve(_: int) -> bool:
        try:
            return bool(ledger.reserve([budget], CENT, model="m"))
        except BudgetExceededError:
            return False

    ledger.settle(ledger.reserve([budget], CENT, model="m"), CENT)
    with locked(ledger), ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(reserve, range(20))) == 4


@pytest.mark.parametrize(
    "wrong",
    [
        {"usd": "much"},
        {"usd": -1},
        {"usd": "NaN"},
        {"per": "week"},
        {"rpm": 0},
        {"rpm": 1.5},
        {"rpm": "2"},
        {"name": 5},
        {"allow_unknown_price": "no"},
    ],
)
def test_malformed_budget_is_an_error(wrong: dict[str, Any]):
    with pytest.raises(ConfigurationError):
        Budget(**wrong)


def test_annotations_of_a_budget_name_classes_that_pydantic_finds():
    assert get_type_hints(Budget)["usd"] == Decimal | str | float | None


def test_connection_of_a_ledger_that_is_no_longer_used_is_closed(tmp_path: Path):
    file = LedgerFile(tmp_path / "ledger.db", os.getpid())
    file.reservations.reserve([Budget("1", name="a")], Decimal("0.5"), "liquid/lfm-3-1.7b")
    connection = file.reservations._connection
    assert connection is not None
    del file
    gc.collect()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")
