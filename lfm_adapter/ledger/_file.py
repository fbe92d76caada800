"""The ledger's file as one process uses it: a thread that writes rows, and a connection for budgets."""

from __future__ import annotations

import atexit
import logging
import os
import sqlite3
import threading
import time
from collections import defaultdict
from contextlib import closing, contextmanager, suppress
from decimal import Decimal
from functools import lru_cache
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from lfm_adapter.errors import BudgetExceededError, ConfigurationError, RateLimitError
from lfm_adapter.ledger import _queries
from lfm_adapter.ledger._amounts import PICO, to_pico
from lfm_adapter.ledger._budget import Reservation
from lfm_adapter.ledger._database import connect, insert

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from lfm_adapter.ledger._budget import Budget
    from lfm_adapter.ledger._record import CallRecord, ModelStats, UsageRow

__all__ = ["LedgerFile", "ledger_file"]

logger = logging.getLogger("lfm_adapter.ledger")

WRITE_TIMEOUT_S = 10.0  # of the background thread, for other processes that write
RESERVE_TIMEOUT_S = 2.0  # of a call, likewise
RETRY_S = 0.5
FLUSH_TIMEOUT_S = 5.0
MAX_BATCH = 500
MAX_WAITING = 100_000  # rows that a full disk keeps in memory

WINDOW_S = 60.0  # of `Budget.rpm`


class LedgerFile:
    """One file, as one process uses it."""

    def __init__(self, path: Path, process_id: int) -> None:
        self.process_id = process_id
        self._path = path
        self._queue: SimpleQueue[CallRecord | threading.Event] = SimpleQueue()
        self._writer: threading.Thread | None = None
        self._starting = threading.Lock()
        self._lock = threading.Lock()  # of the connection that budgets use
        self._connection: sqlite3.Connection | None = None
        self._spent: defaultdict[tuple[str, str], int] = defaultdict(int)  # by this process, where the file fails
        self._has_warned = False

    def add(self, item: CallRecord | threading.Event) -> None:
        """Have an item written; an event is set once all before it are written."""
        if self._queue.qsize() < MAX_WAITING:
            self._queue.put(item)
        if self._writer is None:
            with self._starting:
                if self._writer is None:
                    self._writer = threading.Thread(target=self._write, name="lfm-ledger", daemon=True)
                    self._writer.start()
                    atexit.register(self.flush, FLUSH_TIMEOUT_S)

    def flush(self, timeout: float) -> bool:
        """See `Ledger.flush`."""
        if self._writer is None or self.process_id != os.getpid():
            return True
        written = threading.Event()
        self.add(written)
        return written.wait(timeout)

    def _write(self) -> None:
        connection: sqlite3.Connection | None = None
        while True:
            items = [self._queue.get()]
            with suppress(Empty):
                while len(items) < MAX_BATCH:
                    items.append(self._queue.get_nowait())
            records = [item for item in items if not isinstance(item, threading.Event)]
            while records:
                try:
                    connection = connection or connect(self._path, timeout=WRITE_TIMEOUT_S)
                    insert(connection, records)
                    break
                except (OSError, sqlite3.Error) as error:
                    self._warn(error)
                    connection = None  # a file that was replaced or mended is opened anew
                    time.sleep(RETRY_S)
            for item in items:
                if isinstance(item, threading.Event):
                    item.set()

    def spent(self, place: tuple[str, str]) -> int:
        """See `Ledger.spent`."""
        try:
            with closing(connect(self._path, timeout=RESERVE_TIMEOUT_S)) as connection:
                return _queries.spent(connection, place)
        except (OSError, sqlite3.Error) as error:
            self._warn(error)
            return self._spent[place]

    def usage(self, by: Sequence[str], since: float) -> list[UsageRow]:
        """See `Ledger.usage`."""
        with self._reading() as connection:
            return _queries.usage(connection, by, since)

    def model_stats(self, since: float) -> list[ModelStats]:
        """See `Ledger.model_stats`."""
        with self._reading() as connection:
            return _queries.model_stats(connection, since)

    def calls(self, limit: int, since: float) -> list[CallRecord]:
        """See `Ledger.calls`."""
        with self._reading() as connection:
            return _queries.calls(connection, limit, since)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection for queries, once all that this process recorded is written."""
        self.flush(FLUSH_TIMEOUT_S)
        try:
            with closing(connect(self._path, timeout=WRITE_TIMEOUT_S)) as connection:
                yield connection
        except (OSError, sqlite3.Error) as error:
            raise ConfigurationError(f"The ledger {self._path} cannot be read: {error}.") from error

    def reserve(self, budgets: Sequence[Budget], usd: Decimal | None, model: str) -> Reservation:
        """See `Ledger.reserve`."""
        now = time.time()
        if usd is None:
            for budget in budgets:
                if budget.limit is not None and not budget.allow_unknown_price:
                    raise BudgetExceededError(
                        f"The price of `{model}` is unknown, so its cost cannot be checked against the budget. "
                        "Nothing was sent. Ask a model with a known price.",
                        model=model,
                    )
        amount = 0 if usd is None else to_pico(usd)
        limiting = [budget for budget in budgets if (budget.limit is not None and amount) or budget.rpm is not None]
        places = tuple((budget.name, budget.period(now)) for budget in limiting if budget.limit is not None and amount)
        if not limiting:
            return Reservation(0)
        with self._lock:
            try:
                return self._reserve(limiting, amount, places, now, model)
            except (OSError, sqlite3.Error) as error:
                self._warn(error)
                self._connection = None
                for budget in limiting:  # other processes cannot be seen, but this one keeps to the limit
                    spent = self._spent[budget.name, budget.period(now)]
                    if budget.limit is not None and amount and spent + amount > budget.limit:
                        raise _exceeded(budget, amount, budget.limit - spent, now, model) from None
                return Reservation(amount, places)

    def _reserve(
        self, budgets: Sequence[Budget], amount: int, places: tuple[tuple[str, str], ...], now: float, model: str
    ) -> Reservation:
        connection = self._connection = self._connection or connect(self._path, timeout=RESERVE_TIMEOUT_S)
        with _Transaction(connection):
            for budget in budgets:
                if budget.limit is not None and amount:
                    place = (budget.name, budget.period(now))
                    left = budget.limit - _queries.committed(connection, place)
                    if amount > left:
                        raise _exceeded(budget, amount, left, now, model)
                if budget.rpm is not None:
                    since = now - WINDOW_S
                    connection.execute("DELETE FROM requests WHERE name = ? AND time <= ?", (budget.name, since))
                    found = connection.execute(
                        "SELECT count(*), min(time) FROM requests WHERE name = ?", (budget.name,)
                    ).fetchone()
                    if found[0] >= budget.rpm:
                        raise RateLimitError(
                            f"The limit of {budget.rpm} requests per minute is reached.",
                            model=model,
                            retry_after=max(0.1, found[1] - since),
                            code="rate_limit_exceeded",
                        )
                    connection.execute("INSERT INTO requests VALUES (?, ?)", (budget.name, now))
            ids = [
                connection.execute("INSERT INTO reserved (name, period, amount) VALUES (?, ?, ?)", (*place, amount))
                for place in places
            ]
            return Reservation(amount, places, tuple(int(row.lastrowid or 0) for row in ids))

    def settle(self, reservation: Reservation, amount: int) -> None:
        """See `Ledger.settle`; `amount` is in 10^-12 US$."""
        if not reservation.places:
            return
        with self._lock:
            for place in reservation.places:
                self._spent[place] += amount
            try:
                connection = self._connection = self._connection or connect(self._path, timeout=RESERVE_TIMEOUT_S)
                with _Transaction(connection):
                    connection.executemany("DELETE FROM reserved WHERE id = ?", [(row,) for row in reservation.ids])
                    connection.executemany(
                        "INSERT INTO spent VALUES (?, ?, ?) "
                        "ON CONFLICT (name, period) DO UPDATE SET amount = amount + excluded.amount",
                        [(*place, amount) for place in reservation.places],
                    )
            except (OSError, sqlite3.Error) as error:
                # The reservation stays in the file, so that the limit holds.
                self._warn(error)
                self._connection = None

    def _warn(self, error: Exception) -> None:
        if not self._has_warned:
            self._has_warned = True
            logger.warning("The ledger %s cannot be written: %s. Its rows wait in memory.", self._path, error)


@lru_cache(maxsize=64)
def ledger_file(path: Path, process_id: int) -> LedgerFile:
    """Return what the ledgers of one path share in this process."""
    return LedgerFile(path, process_id)


class _Transaction:
    """A transaction that writes: it commits, or rolls back what failed."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._connection.execute("COMMIT" if kind is None else "ROLLBACK")


def _exceeded(budget: Budget, amount: int, left: int, now: float, model: str) -> BudgetExceededError:
    ends = budget.ends(now)
    until = f" It resets at {ends:%Y-%m-%d %H:%M} UTC." if ends else ""
    period = {"day": " a day", "month": " a month", "total": ""}[budget.per]
    return BudgetExceededError(
        f"The budget of US$ {budget.usd}{period} has US$ {_shown(left)} left, and asking `{model}` could cost up to "
        f"US$ {_shown(amount)}. Nothing was sent.{until}",
        model=model,
        retry_after=None if ends is None else ends.timestamp() - now,
    )


def _shown(pico: int) -> str:
    """Format an amount with four significant digits and without an exponent."""
    return f"{Decimal(f'{max(0, pico) / PICO:.4g}'):f}"
