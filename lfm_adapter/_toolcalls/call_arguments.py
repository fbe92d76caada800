"""The arguments of a call: read as they were written, and brought into the types that the tool wants."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from lfm_adapter._toolcalls.loose_json import MAX_DEPTH, UNREADABLE, read_value
from lfm_adapter._toolcalls.loose_tokens import SPACE, Style, after, read_string, write_json
from lfm_adapter._toolcalls.schema import WorkBudget

if TYPE_CHECKING:
    from lfm_adapter._toolcalls.tools import Tools

__all__ = ["CUT_OFF", "CallArguments", "Member", "Members", "read_members"]

CUT_OFF = "it was cut off"
_MAX_ARGUMENTS = 10_000
_KEY = re.compile(r"""(?P<quote>["']?)(?P<key>[^\s()\[\]{}<>"'=,:]{1,128})(?P=quote)\s*[=:](?!=)""")


class Member(NamedTuple):
    """A member of an object, or an argument."""

    key: str
    value: Any
    raw: str  # what was written


class Members(NamedTuple):
    """The members between two brackets, and the place behind the second."""

    members: list[Member]
    end: int
    open: str = ""  # within what the text ends: a "string", a "bracket", or ""
    error: str = ""
    rest: str = ""  # what was written from the error on


def read_members(text: str, place: int, style: Style) -> Members:
    """Read members up to the closing bracket. The opening one is right before `place`."""
    closer = "}" if style is Style.JSON else ")"
    members: list[Member] = []
    error = ""
    while not error:
        place = after(SPACE, text, place)
        char = text[place : place + 1]
        if not char:
            return Members(members, place, "bracket", CUT_OFF)
        if char == closer:
            return Members(members, place + 1)
        if char == ",":
            place += 1
            continue
        key, start = _read_key(text, place, style)
        if key is None:
            error = "it is not a JSON object" if style is Style.JSON else "an argument has no name"
        elif len(members) == _MAX_ARGUMENTS:
            error = f"it has more than {_MAX_ARGUMENTS:,} arguments"
        else:
            value, place, is_in_string = _read_argument(text, start, closer, style)
            members.append(Member(key, value, text[start:place].rstrip()))
            if is_in_string:
                return Members(members, place, "string", CUT_OFF)
            if text[place : place + 1] not in ("", ",", closer):
                error = f"the value of `{key}` is followed by no comma"
    rest = read_value(text, place, closer, Style.PYTHON)
    end = rest.end + text.startswith(closer, rest.end)
    return Members(members, end, "string" if rest.is_in_string else "", error, text[place : rest.end].rstrip())


def _read_key(text: str, place: int, style: Style) -> tuple[str | None, int]:
    if style is Style.JSON and text[place] in "\"'":
        key = read_string(text, place, style)
        colon = after(SPACE, text, key.end)
        return (key.text if text.startswith(":", colon) else None), after(SPACE, text, colon + 1)
    found = _KEY.match(text, place)
    return (found["key"], after(SPACE, text, found.end())) if found else (None, place)


def _read_argument(text: str, place: int, closer: str, style: Style) -> tuple[Any, int, bool]:
    """Return a value, the place behind it, and whether the text ends within a string."""
    if text[place : place + 1] not in ('"', "'"):
        value = read_value(text, place, f",{closer}", style if style is Style.JSON else Style.PYTHON)
        return value.value, value.end, value.is_in_string
    parts: list[str] = []
    is_closed = True
    while is_closed and text[place : place + 1] in ('"', "'") and (not parts or style is Style.ARGUMENT):
        string = read_string(text, place, style)  # Python joins strings that follow each other
        parts.append(string.text)
        is_closed = string.is_closed
        place = after(SPACE, text, string.end)
    return "".join(parts), place, not is_closed


class CallArguments:
    """Collects the arguments of a call to the tool `name`.

    Attributes:
        error: What is wrong with the call.
        open: Within what the text of the call ends: a "string", a "bracket", or "".
    """

    def __init__(self, name: str, tools: Tools, *, is_answer_end: bool) -> None:
        self.name = name
        self.error: str | None = None
        self.open = ""
        self._tools = tools
        self._is_answer_end = is_answer_end
        self._given: dict[str, Any] = {}
        self._written: list[str] = []
        self._is_broken = False
        self._budget = WorkBudget()

    @property
    def text(self) -> str:
        """The arguments as JSON, as far as they could be read."""
        return "".join(self._written)

    def fail(self, reason: str, written: str = "", *, open_: str = "") -> None:
        """Note what is wrong with the call, and keep what was `written` and cannot be read."""
        self.open = self.open or open_
        if open_:
            reason = "a quote is not closed" if open_ == "string" and not self._is_answer_end else CUT_OFF
        self.error = self.error or reason
        self._is_broken = True
        self._written.append(written)

    def add_members(self, text: str, place: int, style: Style) -> int:
        """Add the arguments from `place` on, behind their opening bracket. Return the place behind them."""
        read = read_members(text, place, style)
        if read.open and not read.rest:
            self.fail(CUT_OFF, open_=read.open)
        for member in read.members:
            self.add(*member)
        if read.error:
            self.fail(read.error, read.rest)
            self.open = self.open or read.open
        return read.end

    def add(self, key: str, value: Any, raw: str) -> None:
        """Add an argument: its name, what it says or `UNREADABLE`, and what was written."""
        if key in self._given:
            self.error = self.error or f"`{key}` is given twice"
        self._written.append(f"{', ' if self._given else '{'}{write_json(key)}: ")
        self._given[key] = None
        if value is UNREADABLE:
            self.fail(f"the value of `{key}` cannot be read: it must be JSON, at most {MAX_DEPTH} levels deep", raw)
            return
        types = self._tools.argument_types(self.name, key)
        if isinstance(value, int | float) and not isinstance(value, bool) and types == {"string"}:
            value = raw  # "1.10" may be a version, "007" an agent
        self._given[key] = value = self._tools.coerced(self.name, key, value, self._budget)
        self._written.append(write_json(value))

    def finish(self) -> None:
        """Close the arguments, and hold them against the tool's schema."""
        if not self._is_broken:
            self._written.append("}" if self._given else "{}")
            self.error = self.error or self._tools.problem(self.name, self._given, self._budget)
