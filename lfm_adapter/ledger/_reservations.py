"""Reserves the costs of requests in the ledger's file, and settles them."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import Counter, defaultdict, deque
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from math import ceil
from typing import TYPE_CHECKING
from weakref import finalize

from lfm_adapter.errors import BudgetExceededError, RateLimitError
from lfm_adapter.ledger import _queries
from lfm_adapter.ledger._budget import Reservation
from lfm_adapter.ledger._database import begin, connect
from lfm_adapter.ledger._record import PICO, to_pico

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from lfm_adapter.ledger._budget import Budget

RESERVE_TIMEOUT_S = 5.0  # that a call waits for other processes that write
WINDOW_S = 60.0  # of `Budget.rpm`


@dataclass(frozen=True, slots=True)
class Settlement:
    """The actual cost of a request, in 10^-12 US$, which replaces its reservation."""

    reservation: Reservation
    amount: int

    @property
    def missing(self) -> int:
        """By how much it changes the sum of spent and reserved amounts in the file."""
        return self.amount - (self.reservation.amount if self.reservation.ids else 0)


@dataclass(frozen=True, slots=True)
class _BudgetedRequest:
    """A request that has to fit into budgets.

    Attributes:
        model: The model that it asks.
        amount: Its maximum cost in 10^-12 US$.
        time: When it is made, in Unix seconds.
        limits: The budgets that limit its cost, each with its limit in 10^-12 US$, and its name and period.
        rates: The name and the requests a minute of each budget that limits these.
    """

    model: str
    amount: int
    time: float
    limits: Sequence[tuple[Budget, int, tuple[str, str]]]
    rates: Sequence[tuple[str, int]]

    @classmethod
    def now(cls, budgets: Sequence[Budget], usd: Decimal | None, model: str) -> _BudgetedRequest:
        """Return a request of this moment.

        Raises:
            BudgetExceededError: Its price is unknown, and a budget does not allow that.
        """
        if usd is None and any(budget.needs_price for budget in budgets):
            raise BudgetExceededError(
                f"The price of `{model}` is unknown, so its cost cannot be checked against the budget. "
                "Nothing was sent. Choose a model with a known price, or let the budget allow unknown prices.",
                model=model,
            )
        now = time.time()
        amount = to_pico(usd or Decimal(0))
        limits = [
            (budget, limit, (budget.name, budget.period(now)))
            for budget in budgets
            if usd != 0 and (limit := budget.limit) is not None
        ]
        rates = [(budget.name, budget.rpm) for budget in budgets if budget.rpm is not None]
        return cls(model, amount, now, limits, rates)

    @property
    def places(self) -> tuple[tuple[str, str], ...]:
        """Where its cost counts."""
        return tuple(place for _, _, place in self.limits)


class Reservations:
    """Reserves amounts in the file, or in memory while the file cannot be written.

    In memory, a budget allows what the file says is left, if it can be read, minus what this process has reserved
    since, and limits this process's rate. Processes do not see each other's memory. `warn` is called with the error
    that prevents writing.

    Attributes:
        counting: Locked while amounts move from memory into the file, so that each counts once.
    """

    def __init__(self, path: Path, warn: Callable[[Exception], None]) -> None:
        self.counting = threading.Lock()
        self._path = path
        self._warn = warn
        self._is_writable = True
        self._connecting = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        # Amounts that are not in the file yet, by name and period.
        self._committed: Counter[tuple[str, str]] = Counter()
        self._spent: Counter[tuple[str, str]] = Counter()
        self._requests: defaultdict[str, deque[float]] = defaultdict(deque)  # the times of each budget's requests

    def reserve(self, budgets: Sequence[Budget], usd: Decimal | None, model: str) -> Reservation:
        """See `Ledger.reserve`. Only the first call waits for a file that stays locked."""
        request = _BudgetedRequest.now(budgets, usd, model)
        try:
            reservation = self._in_file(request, RESERVE_TIMEOUT_S if self._is_writable else 0)
        except (OSError, sqlite3.Error) as error:
            self._is_writable = False
            self._warn(error)
            return self._in_memory(request)
        self._is_writable = True
        return reservation

    def try_reserve(self, budgets: Sequence[Budget], usd: Decimal | None, model: str) -> Reservation | None:
        """See `Ledger.try_reserve`."""
        if not self._is_writable:
            return self.reserve(budgets, usd, model)
        try:
            return self._in_file(_BudgetedRequest.now(budgets, usd, model), 0)
        except (OSError, sqlite3.Error):
            return None

    def _in_file(self, request: _BudgetedRequest, timeout: float) -> Reservation:
        if not (request.limits or request.rates):
            return Reservation(0)
        if not self._connecting.acquire(timeout=timeout):
            raise TimeoutError("other threads are using the ledger")
        try:
            if self._connection is None:
                self._connection = connect(self._path, timeout=timeout)
                finalize(self, self._connection.close).atexit = False
            connection = self._connection
            begin(connection, timeout=timeout)
            with self.counting, connection:
                self._check(connection, request)
                _count_request(connection, request)
                rows = [
                    connection.execute(
                        "INSERT INTO reserved (name, period, amount) VALUES (?, ?, ?)", (*place, request.amount)
                    )
                    for place in request.places
                ]
            return Reservation(request.amount, request.places, tuple(int(row.lastrowid or 0) for row in rows))
        except (OSError, sqlite3.Error):
            if self._connection is not None:  # a file that was replaced or repaired is opened again
                self._connection.close()
                self._connection = None
            raise
        finally:
            self._connecting.release()

    def _in_memory(self, request: _BudgetedRequest) -> Reservation:
        with self.counting:
            try:
                with closing(connect(self._path, timeout=0)) as connection:
                    self._check(connection, request)
            except (OSError, sqlite3.Error):
                self._check(None, request)
            self._count_request(request)
            for place in request.places:
                _add(self._committed, place, request.amount)
        return Reservation(request.amount, request.places)

    def _check(self, connection: sqlite3.Connection | None, request: _BudgetedRequest) -> None:
        """Raise `BudgetExceededError` for a request that does not fit."""
        for budget, limit, place in request.limits:
            committed = 0 if connection is None else _queries.committed(connection, place)
            left = limit - committed - self._committed[place]
            if request.amount > left or left <= 0:
                raise _exceeded(budget, request, left)

    def _count_request(self, request: _BudgetedRequest) -> None:
        """Count a request in memory: see the function of this name."""
        for name, rpm in request.rates:
            times = self._requests[name]
            while times and times[0] <= request.time - WINDOW_S:
                times.popleft()
            if len(times) >= rpm:
                raise _too_many(request, rpm, times[0])
        for name, _ in request.rates:
            self._requests[name].append(request.time)

    def settle(self, settlement: Settlement) -> None:
        """Count a cost in memory until it is in the file."""
        with self.counting:
            for place in settlement.reservation.places:
                _add(self._committed, place, settlement.amount - settlement.reservation.amount)
                _add(self._spent, place, settlement.amount)

    def write(self, connection: sqlite3.Connection, settlements: Iterable[Settlement]) -> None:
        """Write settlements. The caller commits."""
        for settlement in settlements:
            reservation, amount = settlement.reservation, settlement.amount
            connection.executemany("DELETE FROM reserved WHERE id = ?", [(row,) for row in reservation.ids])
            connection.executemany(
                "INSERT INTO spent VALUES (?, ?, ?) "
                "ON CONFLICT (name, period) DO UPDATE SET amount = amount + excluded.amount",
                [(*place, amount) for place in reservation.places],
            )

    def on_written(self, settlements: Iterable[Settlement]) -> None:
        """Forget what is in the file now. The caller holds `counting`."""
        for settlement in settlements:
            for place in settlement.reservation.places:
                _add(self._committed, place, -settlement.missing)
                _add(self._spent, place, -settlement.amount)

    def spent(self, place: tuple[str, str]) -> int:
        """See `Ledger.spent`."""
        with self.counting:
            try:
                with closing(connect(self._path, timeout=0)) as connection:
                    written = _queries.spent(connection, place)
            except (OSError, sqlite3.Error) as error:
                self._warn(error)
                written = 0
            return written + self._spent[place]


def _add(counts: Counter[tuple[str, str]], place: tuple[str, str], amount: int) -> None:
    counts[place] += amount
    if not counts[place]:
        del counts[place]


def _count_request(connection: sqlite3.Connection, request: _BudgetedRequest) -> None:
    """Count a request for each budget that limits its rate; raise `RateLimitError` if there were too many."""
    since = request.time - WINDOW_S
    for name, rpm in request.rates:
        connection.execute("DELETE FROM requests WHERE name = ? AND time <= ?", (name, since))
        count, first = connection.execute("SELECT count(*), min(time) FROM requests WHERE name = ?", (name,)).fetchone()
        if count >= rpm:
            raise _too_many(request, rpm, first)
        connection.execute("INSERT INTO requests VALUES (?, ?)", (name, request.time))


def _too_many(request: _BudgetedRequest, rpm: int, first: float) -> RateLimitError:
    """Return the error for a request beyond `rpm`; `first` is when the first request of the last minute was made."""
    wait = max(0.1, first + WINDOW_S - request.time)
    return RateLimitError(
        f"The limit of {rpm} {'request' if rpm == 1 else 'requests'} per minute is reached. Another one is allowed in "
        f"{ceil(wait)} s.",
        model=request.model,
        retry_after=wait,
        code="rate_limit_exceeded",
    )


def _exceeded(budget: Budget, request: _BudgetedRequest, left: int) -> BudgetExceededError:
    ends = budget.ends(request.time)
    until = f" It resets at {ends:%Y-%m-%d %H:%M} UTC." if ends else ""
    period = {"day": " a day", "month": " a month", "total": ""}[budget.per]
    cost = f"could cost up to US$ {_shown(request.amount)}" if request.amount else "has an unknown price"
    return BudgetExceededError(
        f"The budget of US$ {budget.usd:f}{period} has US$ {_shown(left)} left, and asking `{request.model}` {cost}. "
        f"Nothing was sent. Lower `max_tokens`, or raise the budget.{until}",
        model=request.model,
        retry_after=None if ends is None else ends.timestamp() - request.time,
    )


def _shown(pico: int) -> str:
    """Format an amount with four significant digits and without an exponent."""
    return f"{Decimal(f'{max(0, pico) / PICO:.4g}'):f}"
