"""The ledger's SQLite file: its tables, its connections, and its statements."""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager
from dataclasses import astuple
from decimal import Decimal
from typing import TYPE_CHECKING

from lfm_adapter.ledger._amounts import PICO, to_pico
from lfm_adapter.ledger._record import CallRecord

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

__all__ = ["connect", "insert", "to_record", "transaction"]

# `user_version` counts the changes of these tables.
_VERSION = 1
_TABLES = """
CREATE TABLE IF NOT EXISTS calls (
    time REAL NOT NULL, source TEXT NOT NULL, app TEXT NOT NULL, model TEXT NOT NULL, served_model TEXT, provider TEXT,
    is_stream INTEGER NOT NULL, prompt_tokens INTEGER, completion_tokens INTEGER, reasoning_tokens INTEGER,
    cached_tokens INTEGER, cost INTEGER, first_token_s REAL, duration_s REAL NOT NULL, status TEXT NOT NULL,
    http_status INTEGER
);
CREATE INDEX IF NOT EXISTS calls_by_time ON calls (time);
CREATE TABLE IF NOT EXISTS spent (
    name TEXT NOT NULL, period TEXT NOT NULL, amount INTEGER NOT NULL, PRIMARY KEY (name, period)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reserved (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, period TEXT NOT NULL, amount INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS reserved_by_name ON reserved (name, period);
CREATE TABLE IF NOT EXISTS requests (name TEXT NOT NULL, time REAL NOT NULL);
CREATE INDEX IF NOT EXISTS requests_by_name ON requests (name, time);
"""

_COLUMNS = (
    "time, source, app, model, served_model, provider, is_stream, prompt_tokens, completion_tokens, reasoning_tokens, "
    "cached_tokens, cost, first_token_s, duration_s, status, http_status"
)
_COST = _COLUMNS.split(", ").index("cost")
_INSERT = f"INSERT INTO calls ({_COLUMNS}) VALUES ({', '.join('?' * len(_COLUMNS.split(', ')))})"  # noqa: S608


def connect(path: Path, *, timeout: float) -> sqlite3.Connection:
    """Open the file, which only its owner can read, and create what is missing.

    Args:
        path: The file.
        timeout: Seconds to wait for other processes that write.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    connection = sqlite3.connect(path, timeout=timeout, isolation_level=None, check_same_thread=False)
    try:
        # In WAL mode, readers do not wait for writers. A commit survives the death of a process without a sync.
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        if connection.execute("PRAGMA user_version").fetchone()[0] < _VERSION:
            connection.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version={_VERSION}; COMMIT;")
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def transaction(
    connection: sqlite3.Connection, lock: threading.Lock, on_commit: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Write to the file, all or nothing.

    Args:
        connection: The connection; it waits for other processes that write.
        lock: Is held until the end.
        on_commit: Is called at the end, if all was written.
    """
    connection.execute("BEGIN IMMEDIATE")
    with lock:
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        on_commit()


def insert(connection: sqlite3.Connection, records: Iterable[CallRecord]) -> None:
    """Insert the records, in a transaction."""
    connection.executemany(_INSERT, map(_row, records))


def _row(record: CallRecord) -> list[object]:
    row = list(astuple(record))
    row[_COST] = None if record.cost is None else to_pico(record.cost)
    return row


def to_record(row: tuple[object, ...]) -> CallRecord:
    """Return the record of a row of `calls`."""
    names = _COLUMNS.split(", ")
    facts = dict(zip(names, row, strict=True))
    cost = facts["cost"]
    facts["cost"] = None if cost is None else Decimal(str(cost)) / PICO
    facts["is_stream"] = bool(facts["is_stream"])
    return CallRecord(**facts)  # type: ignore[arg-type]
