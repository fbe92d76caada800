"""The conversations that `lfm chat` keeps, where the user wants that, in a table of the ledger's file."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lfm_adapter.errors import ConfigurationError
from lfm_adapter.ledger import Ledger
from lfm_adapter.ledger._database import connect

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lfm_adapter.types import JSONDict

__all__ = ["ConversationStore", "KeptConversation"]

TIMEOUT_S = 5.0
TITLE_CHARS = 60

_TABLE = """
CREATE TABLE IF NOT EXISTS conversations (
    id INTEGER PRIMARY KEY, updated REAL NOT NULL, model TEXT NOT NULL, title TEXT NOT NULL, messages TEXT NOT NULL
)
"""
_SELECT = "SELECT id, updated, model, title, messages FROM conversations"


@dataclass(frozen=True)
class KeptConversation:
    """A conversation in the file.

    Attributes:
        id: Its number.
        updated: When its last answer came, in Unix seconds.
        model: The model that answered last.
        title: The beginning of its first question.
        messages: All messages, that of the system included.
    """

    id: int
    updated: float
    model: str
    title: str
    messages: list[JSONDict]


class ConversationStore:
    """Saves conversations, finds and deletes them.

    Args:
        path: The file. Default: the ledger's.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or Ledger().path

    def save(self, number: int | None, model: str, messages: Sequence[JSONDict]) -> int:
        """Save a conversation in place of the one with the same number, and return its number; None for a new one.

        Raises:
            ConfigurationError: The file cannot be written.
        """
        question = next((str(message["content"]) for message in messages if message["role"] == "user"), "")
        title = " ".join(question.split())[:TITLE_CHARS]
        row = (number, time.time(), model, title, json.dumps(list(messages), ensure_ascii=False))
        return self._execute("INSERT OR REPLACE INTO conversations VALUES (?, ?, ?, ?, ?)", row)[1]

    def find(self, text: str = "", limit: int = 20) -> list[KeptConversation]:
        """Return the last conversations that contain a text, in any case, the newest first."""
        return self._select("WHERE instr(lower(messages), lower(?)) ORDER BY updated DESC LIMIT ?", text, limit)

    def get(self, number: int) -> KeptConversation:
        """Return one conversation.

        Raises:
            ConfigurationError: There is none with this number.
        """
        found = self._select("WHERE id = ?", number)
        if not found:
            raise ConfigurationError(f"There is no conversation {number}. `lfm log` lists them.")
        return found[0]

    def delete(self, numbers: Sequence[int] | None) -> int:
        """Delete conversations, all with None, and return how many they were."""
        if numbers is None:
            return self._execute("DELETE FROM conversations")[0]
        return sum(self._execute("DELETE FROM conversations WHERE id = ?", (number,))[0] for number in numbers)

    def _select(self, condition: str, *values: object) -> list[KeptConversation]:
        if not self._path.exists():
            return []
        try:
            with closing(self._connect()) as connection:
                rows = connection.execute(f"{_SELECT} {condition}", values).fetchall()
        except (sqlite3.Error, OSError) as error:
            raise ConfigurationError(f"Cannot read {self._path}: {error}.") from error
        return [
            KeptConversation(number, updated, model, title, json.loads(messages))
            for number, updated, model, title, messages in rows
        ]

    def _execute(self, statement: str, values: tuple[object, ...] = ()) -> tuple[int, int]:
        """Return how many rows it changed, and the number of the last that it inserted."""
        try:
            with closing(self._connect()) as connection:
                # What was deleted is gone, and not only marked as free.
                connection.execute("PRAGMA secure_delete=ON")
                cursor = connection.execute(statement, values)
                return cursor.rowcount, cursor.lastrowid or 0
        except (sqlite3.Error, OSError) as error:
            raise ConfigurationError(f"Cannot write {self._path}: {error}.") from error

    def _connect(self) -> sqlite3.Connection:
        connection = connect(self._path, timeout=TIMEOUT_S)
        connection.execute(_TABLE)
        return connection
