"""The conversations that `lfm chat` keeps if the user wants it, in a table of the ledger's file."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lfm_adapter.errors import ConfigurationError
from lfm_adapter.ledger import Ledger
from lfm_adapter.ledger._database import connect

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lfm_adapter.types import JSONDict

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
        messages: All messages, including the system message.
    """

    id: int
    updated: float
    model: str
    title: str
    messages: list[JSONDict]


class ConversationStore:
    """Saves, finds and deletes conversations. Its methods raise `ConfigurationError` if the file cannot be used."""

    def __init__(self) -> None:
        self._path = Ledger().path

    def save(self, number: int | None, model: str, messages: Sequence[JSONDict]) -> int:
        """Save a conversation and return its number.

        Args:
            number: The number of the conversation to replace; None for a new one.
            model: The model that answered last.
            messages: All messages.
        """
        question = next((str(message["content"]) for message in messages if message["role"] == "user"), "")
        title = " ".join(question.split())[:TITLE_CHARS]
        row = (number, time.time(), model, title, json.dumps(messages, ensure_ascii=False))
        with self._connection("write") as connection:
            return connection.execute("INSERT OR REPLACE INTO conversations VALUES (?, ?, ?, ?, ?)", row).lastrowid or 0

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
        """Delete conversations, or all with None, and return how many were deleted."""
        with self._connection("write") as connection:
            if numbers is None:
                return connection.execute("DELETE FROM conversations").rowcount
            deletions = [connection.execute("DELETE FROM conversations WHERE id = ?", (number,)) for number in numbers]
            return sum(deletion.rowcount for deletion in deletions)

    def _select(self, condition: str, *values: object) -> list[KeptConversation]:
        if not self._path.exists():
            return []
        with self._connection("read") as connection:
            rows = connection.execute(f"{_SELECT} {condition}", values).fetchall()
        return [
            KeptConversation(number, updated, model, title, json.loads(messages))
            for number, updated, model, title, messages in rows
        ]

    @contextmanager
    def _connection(self, verb: str) -> Iterator[sqlite3.Connection]:
        try:
            with closing(connect(self._path, timeout=TIMEOUT_S)) as connection:
                connection.execute(_TABLE)
                connection.execute("PRAGMA secure_delete=ON")  # overwrites what is deleted
                yield connection
        except (sqlite3.Error, OSError) as error:
            raise ConfigurationError(f"Cannot {verb} {self._path}: {error}.") from error
