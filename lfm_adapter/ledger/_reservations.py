"""What this process sets aside of budgets in the ledger's file, and what it has settled since."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING
from weakref import finalize

from lfm_adapter.errors import BudgetExceededError, RateLimitError
from lfm_adapter.ledger import _queries
from lfm_adapter.ledger._amounts import PICO, to_pico
from lfm_adapter.ledger._budget import Reservation
from lfm_adapter.ledger._database import connect, transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from lfm_adapter.ledger._budget import Budget

__all__ = ["BudgetedRequest", "Reservations", "Settlement"]

RESERVE_TIMEOUT_S = 2.0  # of a call, for others that write
WINDOW_S = 60.0  # of `Budget.rpm`


@dataclass(frozen=True, slots=True)
class Settlement:
    """The actual cost of a request, in 10^-12 US$, in place of its reservation."""

    reservation: Reservation
    amount: int

    @property
    def missing(self) -> int:
        """What the file has to add to the sum of what is spent and reserved."""
        return self.amount - (self.reservation.amount if self.reservation.ids else 0)


@dataclass(frozen=True, slots=True)
class BudgetedRequest:
    """A request that has to fit into budgets.

    Attributes:
        model: The model that it asks.
        amount: Its maximum cost in 10^-12 US$.
        time: When it is made, in Unix seconds.
        budgets: Those that limit it.
        places: The name and the period of those that limit its cost.
    """

    model: str
    amount: int
    time: float
    budgets: Sequence[Budget]
    places: tuple[tuple[str, str], ...]

    @classmethod
    def now(cls, budgets: Sequence[Budget], usd: Decimal | None, model: str) -> BudgetedRequest:
        """Return a request of this moment.

        Raises:
            BudgetExceededError: Its price is unknown, and a budget does not allow that.
        """
        if usd is None and any(budget.needs_price for budget in budgets):
            raise BudgetExceededError(
                f"The price of `{model}` is unknown, so its cost cannot be checked against the budget. "
                "Nothing was sent. Ask a model with a known price.",
                model=model,
            )
        now = time.time()
        amount = to_pico(usd or Decimal(0))
        costly = [budget for budget in budgets if amount and budget.limit is not None]
        limiting = [budget for budget in budgets if budget in costly or budget.rpm is not None]
        return cls(model, amount, now, limiting, tuple((budget.name, budget.period(now)) for budget in costly))


class Reservations:
    """Sets amounts aside in the file, and in memory while the file cannot be written.

    In memory, this process keeps to what the file says is left, if it can be read, less what it has set aside since. It
    does not see what other processes keep in theirs.

    Args:
        path: The file.
        warn: Is called with what keeps the file from being written.

    Attributes:
        counting: Is held while what is in memory goes into the file, so that nothing counts twice or not at all.
    """

    def __init__(self, path: Path, warn: Callable[[Exception], None]) -> None:
        self.counting = threading.Lock()
        self._path = path
        self._warn = warn
        self._is_writable = True  # as far as is known
        self._connecting = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        # What the file does not have yet, by name and period.
        self._committed: Counter[tuple[str, str]] = Counter()
        self._spent: Counter[tuple[str, str]] = Counter()

    def reserve(self, request: BudgetedRequest) -> Reservation:
        """See `Ledger.reserve`. Only the first call waits for a file that stays locked."""
        try:
            reservation = self._in_file(request, RESERVE_TIMEOUT_S if self._is_writable else 0)
        except (OSError, sqlite3.Error) as error:
            self._is_writable = False
            self._warn(error)
            return self._in_memory(request)
        self._is_writable = True
        return reservation

    def try_reserve(self, request: BudgetedRequest) -> Reservation | None:
        """See `Ledger.try_reserve`."""
        if not self._is_writable:
            return self.reserve(request)
        try:
            return self._in_file(request, 0)
        except (OSError, sqlite3.Error):
            return None

    def _in_file(self, request: BudgetedRequest, timeout: float) -> Reservation:
        if not request.budgets:
            return Reservation(0)
        if not self._connecting.acquire(timeout=timeout):
            raise TimeoutError("other threads are using it")
        try:
            if self._connection is None:
                self._connection = connect(self._path, timeout=timeout)
                finalize(self, self._connection.close).atexit = False
            connection = self._connection
            connection.execute(f"PRAGMA busy_timeout = {timeout * 1000:.0f}")
            with transaction(connection, self.counting):
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
            if self._connection is not None:  # a file that was replaced or mended is opened anew
                self._connection.close()
                self._connection = None
            raise
        finally:
            self._connecting.release()

    def _in_memory(self, request: BudgetedRequest) -> Reservation:
        with self.counting:
            try:
                with closing(connect(self._path, timeout=0)) as connection:
                    self._check(connection, request)
            except (OSError, sqlite3.Error):
                self._check(None, request)
            for place in request.places:
                _add(self._committed, place, request.amount)
        return Reservation(request.amount, request.places)

    def _check(self, connection: sqlite3.Connection | None, request: BudgetedRequest) -> None:
        """Check that a request fits.

        Raises:
            BudgetExceededError: It does not.
        """
        for budget in request.budgets:
            place = (budget.name, budget.period(request.time))
            if budget.limit is None or place not in request.places:
                continue
            committed = 0 if connection is None else _queries.committed(connection, place)
            left = budget.limit - committed - self._committed[place]
            if request.amount > left:
                raise _exceeded(budget, request, left)

    def settle(self, settlement: Settlement) -> None:
        """Count a cost from now on, in memory."""
        with self.counting:
            for place in settlement.reservation.places:
                _add(self._committed, place, settlement.amount - settlement.reservation.amount)
                _add(self._spent, place, settlement.amount)

    def write(self, connection: sqlite3.Connection, settlements: Iterable[Settlement]) -> None:
        """Write what was settled, in a transaction."""
        for settlement in settlements:
            reservation, amount = settlement.reservation, settlement.amount
            connection.executemany("DELETE FROM reserved WHERE id = ?", [(row,) for row in reservation.ids])
            connection.executemany(
                "INSERT INTO spent VALUES (?, ?, ?) "
                "ON CONFLICT (name, period) DO UPDATE SET amount = amount + excluded.amount",
                [(*place, amount) for place in reservation.places],
            )

    def on_written(self, settlements: Iterable[Settlement]) -> None:
        """Forget what the file has now. `counting` is held."""
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


def _count_request(connection: sqlite3.Connection, request: BudgetedRequest) -> None:
    """Count a request for each budget that limits them.

    Raises:
        RateLimitError: There were too many.
    """
    since = request.time - WINDOW_S
    for budget in request.budgets:
        if budget.rpm is None:
            continue
        connection.execute("DELETE FROM requests WHERE name = ? AND time <= ?", (budget.name, since))
        count, first = connection.execute(
            "SELECT count(*), min(time) FROM requests WHERE name = ?", (budget.name,)
        ).fetchone()
        if count >= budget.rpm:
            raise RateLimitError(
                f"The limit of {budget.rpm} requests per minute is reached.",
                model=request.model,
                retry_after=max(0.1, first - since),
                code="rate_limit_exceeded",
            )
        connection.execute("INSERT INTO requests VALUES (?, ?)", (budget.name, request.time))


def _exceeded(budget: Budget, request: BudgetedRequest, left: int) -> BudgetExceededError:
    ends = budget.ends(request.time)
    until = f" It resets at {ends:%Y-%m-%d %H:%M} UTC." if ends else ""
    period = {"day": " a day", "month": " a month", "total": ""}[budget.per]
    return BudgetExceededError(
        f"The budget of US$ {budget.usd}{period} has US$ {_shown(left)} left, and asking `{request.model}` could cost "
        f"up to US$ {_shown(request.amount)}. Nothing was sent.{until}",
        model=request.model,
        retry_after=None if ends is None else ends.timestamp() - request.time,
    )


def _shown(pico: int) -> str:
    """Format an amount with four significant digits and without an exponent."""
    return f"{Decimal(f'{max(0, pico) / PICO:.4g}'):f}"
