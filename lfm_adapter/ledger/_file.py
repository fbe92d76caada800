"""The ledger's file as one process uses it: a thread that writes, and connections that read."""

from __future__ import annotations

import atexit
import logging
import os
import sqlite3
import threading
import time
from contextlib import closing, contextmanager, suppress
from functools import lru_cache, partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from lfm_adapter.errors import ConfigurationError
from lfm_adapter.ledger import _queries
from lfm_adapter.ledger._database import connect, insert, transaction
from lfm_adapter.ledger._record import CallRecord
from lfm_adapter.ledger._reservations import BudgetedRequest, Reservations, Settlement

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from decimal import Decimal
    from pathlib import Path

    from lfm_adapter.ledger._budget import Budget, Reservation
    from lfm_adapter.ledger._record import ModelStats, UsageRow

__all__ = ["LedgerFile", "ledger_file"]

logger = logging.getLogger("lfm_adapter.ledger")

WRITE_TIMEOUT_S = 10.0  # of the background thread, for other processes that write
RETRY_S = 0.5
FLUSH_TIMEOUT_S = 5.0
MAX_BATCH = 500
MAX_WAITING = 100_000  # rows that a full disk keeps in memory


class LedgerFile:
    """One file, as one process uses it."""

    def __init__(self, path: Path, process_id: int) -> None:
        self.process_id = process_id
        self._path = path
        self._queue: SimpleQueue[CallRecord | Settlement | threading.Event] = SimpleQueue()
        self._writer: threading.Thread | None = None
        self._starting = threading.Lock()
        self._has_warned = False
        self._reservations = Reservations(path, self._warn)

    def add(self, item: CallRecord | Settlement | threading.Event) -> None:
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
            records = [item for item in items if isinstance(item, CallRecord)]
            settlements = [item for item in items if isinstance(item, Settlement)]
            while records or settlements:
                try:
                    connection = connection or connect(self._path, timeout=WRITE_TIMEOUT_S)
                    with transaction(
                        connection, self._reservations.counting, partial(self._reservations.on_written, settlements)
                    ):
                        insert(connection, records)
                        self._reservations.write(connection, settlements)
                    break
                except (OSError, sqlite3.Error) as error:
                    self._warn(error)
                    if connection is not None:
                        connection.close()
                    connection = None  # a file that was replaced or mended is opened anew
                    time.sleep(RETRY_S)
            for item in items:
                if isinstance(item, threading.Event):
                    item.set()

    def spent(self, place: tuple[str, str]) -> int:
        """See `Ledger.spent`."""
        return self._reservations.spent(place)

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
        return self._reservations.reserve(BudgetedRequest.now(budgets, usd, model))

    def try_reserve(self, budgets: Sequence[Budget], usd: Decimal | None, model: str) -> Reservation | None:
        """See `Ledger.try_reserve`."""
        return self._reservations.try_reserve(BudgetedRequest.now(budgets, usd, model))

    def settle(self, reservation: Reservation, amount: int) -> None:
        """See `Ledger.settle`; `amount` is in 10^-12 US$."""
        if reservation.places:
            settlement = Settlement(reservation, amount)
            self._reservations.settle(settlement)
            self.add(settlement)

    def _warn(self, error: Exception) -> None:
        if not self._has_warned:
            self._has_warned = True
            logger.warning("The ledger %s cannot be written: %s. Its rows wait in memory.", self._path, error)


@lru_cache(maxsize=64)
def ledger_file(path: Path, process_id: int) -> LedgerFile:
    """Return what the ledgers of one path share in this process."""
    return LedgerFile(path, process_id)
