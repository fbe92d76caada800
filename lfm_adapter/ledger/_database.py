"""The ledger's SQLite file, and its tables."""

from __future__ import annotations

import os
import sqlite3
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PAUSE_S = 0.002  # between two tries to lock the file

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


def connect(path: Path, *, timeout: float) -> sqlite3.Connection:
    """Open the file, which only its owner can read, or create it. `timeout` is how long statements wait for others."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    connection = sqlite3.connect(path, timeout=timeout, isolation_level=None, check_same_thread=False)
    try:
        # In WAL mode, readers do not wait for writers. A commit survives the death of a process without a sync.
        _when_free(lambda: connection.execute("PRAGMA journal_mode=WAL"), timeout=timeout)
        connection.execute("PRAGMA synchronous=NORMAL")
        if connection.execute("PRAGMA user_version").fetchone()[0] < _VERSION:
            connection.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version={_VERSION}; COMMIT;")
    except BaseException:
        connection.close()
        raise
    return connection


def begin(connection: sqlite3.Connection, *, timeout: float) -> None:
    """Begin a transaction that writes. `timeout` is how long it waits for others that write.

    SQLite's own wait pauses for up to 100 ms between two tries, and one of eight busy processes waited for seconds.
    """
    connection.execute("PRAGMA busy_timeout = 0")
    _when_free(lambda: connection.execute("BEGIN IMMEDIATE"), timeout=timeout)


def _when_free(write: Callable[[], object], *, timeout: float) -> None:
    """Call a function that locks the file, and call it again while others lock it, for `timeout` seconds at most.

    SQLite does not wait by itself where waiting could be a deadlock, as when two connections change a new file to WAL
    (https://www.sqlite.org/c3ref/busy_handler.html).
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            write()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                raise
            time.sleep(PAUSE_S)
        else:
            return
