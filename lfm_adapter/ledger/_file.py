"""The ledger's file in one process: a thread that writes, and connections that read."""

from __future__ import annotations

import atexit
import logging
import os
import sqlite3
import threading
import time
from contextlib import closing, contextmanager
from functools import lru_cache
from queue import SimpleQueue
from typing import TYPE_CHECKING

from lfm_adapter.errors import ConfigurationError
from lfm_adapter.ledger._database import begin, connect
from lfm_adapter.ledger._queries import insert
from lfm_adapter.ledger._record import CallRecord
from lfm_adapter.ledger._reservations import Reservations, Settlement

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lfm_adapter.ledger._budget import Reservation

logger = logging.getLogger("lfm_adapter.ledger")

WRITE_TIMEOUT_S = 10.0  # that the background thread waits for other processes that write
RETRY_S = 0.5
FLUSH_TIMEOUT_S = 5.0
GATHER_S = 0.005  # to write the rows of a busy gateway together, and after its answers: the thread takes turns with it
MAX_BATCH = 500
MAX_WAITING = 100_000  # rows that wait in memory while the disk is full


class LedgerFile:
    """The ledger's file in one process.

    Attributes:
        process_id: The process.
        reservations: What the process has reserved of budgets.
    """

    def __init__(self, path: Path, process_id: int) -> None:
        self.process_id = process_id
        self._path = path
        self._waiting: SimpleQueue[CallRecord | Settlement | threading.Event] = SimpleQueue()
        self._writer: threading.Thread | None = None
        self._starting = threading.Lock()
        self._has_warned = False
        self.reservations = Reservations(path, self._warn)

    def add(self, item: CallRecord | Settlement | threading.Event) -> None:
        """Queue an item for the thread that writes. An event is set when all items before it are written."""
        if self._waiting.qsize() < MAX_WAITING:
            self._waiting.put(item)
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
            items = [self._waiting.get()]
            time.sleep(GATHER_S)
            items += [self._waiting.get() for _ in range(min(self._waiting.qsize(), MAX_BATCH))]
            records = [item for item in items if isinstance(item, CallRecord)]
            settlements = [item for item in items if isinstance(item, Settlement)]
            while records or settlements:
                try:
                    connection = connection or connect(self._path, timeout=WRITE_TIMEOUT_S)
                    begin(connection, timeout=WRITE_TIMEOUT_S)
                    with self.reservations.counting:
                        with connection:
                            insert(connection, records)
                            self.reservations.write(connection, settlements)
                        self.reservations.on_written(settlements)
                    break
                except (OSError, sqlite3.Error) as error:
                    self._warn(error)
                    if connection is not None:
                        connection.close()
                    connection = None  # a file that was replaced or repaired is opened again
                    time.sleep(RETRY_S)
            for item in items:
                if isinstance(item, threading.Event):
                    item.set()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection for queries, after writing what this process has recorded."""
        self.flush(FLUSH_TIMEOUT_S)
        try:
            with closing(connect(self._path, timeout=WRITE_TIMEOUT_S)) as connection:
                yield connection
        except (OSError, sqlite3.Error) as error:
            raise ConfigurationError(f"The ledger {self._path} cannot be read: {error}.") from error

    def settle(self, reservation: Reservation, amount: int) -> None:
        """See `Ledger.settle`; `amount` is in 10^-12 US$."""
        if reservation.places:
            settlement = Settlement(reservation, amount)
            self.reservations.settle(settlement)
            self.add(settlement)

    def _warn(self, error: Exception) -> None:
        if not self._has_warned:
            self._has_warned = True
            logger.warning("The ledger %s cannot be written: %s. Its rows wait in memory.", self._path, error)


ledger_file = lru_cache(maxsize=64)(LedgerFile)
"""Returns the one `LedgerFile` of a path and a process, which all its ledgers share."""
