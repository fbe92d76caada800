"""The arguments of a call that is being read, and their way into JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lfm_adapter._toolcalls.literals import MAX_DEPTH, UNREADABLE
from lfm_adapter._toolcalls.schemas import Budget
from lfm_adapter._toolcalls.strings import encoded, json_of
from lfm_adapter.types import ToolCall

if TYPE_CHECKING:
    from lfm_adapter._toolcalls.tools import Tools

__all__ = ["CUT_OFF", "Call", "Outlet"]

CUT_OFF = "it was cut off"


class Outlet:
    """What is to be handed on: text, and pieces of calls, in order."""

    def __init__(self) -> None:
        self._pieces: list[tuple[Call | None, list[str]]] = []

    def add(self, text: str, call: Call | None = None) -> None:
        """Add text, or what it adds to the arguments of a call."""
        if not self._pieces or self._pieces[-1][0] is not call:
            self._pieces.append((call, []))
        self._pieces[-1][1].append(text)

    def taken(self) -> list[str | ToolCall]:
        """Return what was added since the last time."""
        if not self._pieces:
            return []
        pieces, self._pieces = self._pieces, []
        return ["".join(texts) if call is None else call.piece("".join(texts)) for call, texts in pieces]


class Call:
    """A call that is being read. Its arguments are handed on as JSON while they come.

    What was handed on stays: a call in which something is found wrong later keeps it, and says so in `error`.
    """

    def __init__(self, index: int, call_id: str, name: str, tools: Tools, outlet: Outlet) -> None:
        self.name = name
        self.given: dict[str, Any] = {}
        self._index = index
        self._id = call_id
        self._tools = tools
        self._budget = Budget()
        self._outlet = outlet
        self._written: list[str] = []
        self._error: str | None = None
        self._is_announced = False
        self._is_broken = False
        self._key = ""
        self._text: list[str] = []
        self._write("")

    def types(self, key: str) -> frozenset[str]:
        """Return the JSON types that an argument may have; none where the tool does not say."""
        return self._tools.argument_types(self.name, key)

    def fail(self, reason: str, written: str = "") -> None:
        """Say what is wrong with the call; what was `written` and cannot be read is handed on as it is."""
        self._error = self._error or reason
        self._is_broken = True
        self._write(written)

    def add(self, key: str, value: Any, raw: str) -> None:
        """Add an argument, in the type that the tool wants.

        Args:
            key: Its name.
            value: What it says, or `UNREADABLE`.
            raw: What was written.
        """
        self._begin(key)
        if value is UNREADABLE:
            self.fail(f"the value of `{key}` cannot be read: it must be JSON, at most {MAX_DEPTH} levels deep", raw)
            return
        if isinstance(value, int | float) and not isinstance(value, bool) and self.types(key) == {"string"}:
            value = raw  # "1.10" may be a version, "007" an agent
        self.given[key] = value = self._tools.coerced(self.name, key, value, self._budget)
        self._write(json_of(value))

    def begin_text(self, key: str) -> None:
        """Begin an argument that is a string, to be handed on piece by piece."""
        self._begin(key)
        self._write('"')
        self._key = key
        self._text.clear()

    def add_text(self, text: str) -> None:
        """Add to the string."""
        self._text.append(text)
        self._write(encoded(text))

    def end_text(self) -> None:
        """End the string."""
        self.given[self._key] = "".join(self._text)
        self._write('"')

    def end(self) -> ToolCall:
        """Return the whole call, after all of it was read."""
        if not self._is_broken:
            self._write("}" if self.given else "{}")
            self._error = self._error or self._tools.problem(self.name, self.given, self._budget)
        return ToolCall(self._index, self._id, self.name, "".join(self._written), self._error)

    def piece(self, arguments: str) -> ToolCall:
        """Return what `arguments` add to the call as a piece of it."""
        is_first = not self._is_announced
        self._is_announced = True
        return ToolCall(self._index, self._id if is_first else None, self.name if is_first else None, arguments)

    def _begin(self, key: str) -> None:
        if key in self.given:
            self._error = self._error or f"`{key}` is given twice"
        self._write(f'{", " if self.given else "{"}"{encoded(key)}": ')
        self.given[key] = None

    def _write(self, text: str) -> None:
        self._written.append(text)
        self._outlet.add(text, self)
