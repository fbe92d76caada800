"""Reads the arguments of a call, and checks them against the tool's schema."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from lfm_adapter._json import after, write_json
from lfm_adapter._toolcalls.frames import ARGUMENT_KEYS, FramePart
from lfm_adapter._toolcalls.json_schema import WorkBudget
from lfm_adapter._toolcalls.loose_json import MAX_DEPTH, SPACE, UNREADABLE, read_value
from lfm_adapter._toolcalls.quotes import AMBIGUOUS, Strings, find_strings

if TYPE_CHECKING:
    from lfm_adapter._toolcalls.tools import Tools

CUT_OFF = "it was cut off"
_MAX_ARGUMENTS = 10_000
_KEY = re.compile(r"""(?P<quote>["']?)(?P<key>[^\s()\[\]{}<>"'=,:\\]{1,128})(?P=quote)\s*[=:](?!=)""")
_GAP = re.compile(r"[\s,]*")
_UNPACKED = re.compile(r"\*\*\s*\{")
_PREFIXED = re.compile(r"([fFrRuU])(?=[\"'])")
_BARE_STRING = re.compile(r"[\w./~@:-]*\w[\w./~@:-]*(?:[^\S\n]+[\w./~@:-]*\w[\w./~@:-]*)*|“[^“”]*”")


class Member(NamedTuple):
    """A member of an object, or an argument."""

    key: str
    value: Any
    raw: str  # what was written
    place: int  # where that begins


class Members(NamedTuple):
    """The members between two brackets, and the place behind the second."""

    members: list[Member]
    end: int
    open: str = ""  # within what the text ends: a "string", a "bracket", or ""
    error: str = ""
    rest: str = ""  # what was written from the error on


def read_members(text: str, place: int, closer: str, strings: Strings) -> Members:
    """Read members up to the closing bracket. The opening one is right before `place`."""
    members: list[Member] = []
    closers = [closer]  # more than one within `**{…}`
    error = ""
    while closers and not error:
        place = after(_GAP, text, place)
        if place == len(text):
            return Members(members, place, "bracket", CUT_OFF)
        if unpacked := _UNPACKED.match(text, place):
            closers.append("}")
            place = unpacked.end()
        elif text[place] == closers[-1]:
            closers.pop()
            place += 1
        elif len(members) == _MAX_ARGUMENTS:
            error = f"it has more than {_MAX_ARGUMENTS:,} arguments"
        else:
            key, start = _read_key(text, place, strings)
            if key is None:
                error = "it is not a JSON object" if closers[-1] == "}" else "an argument has no name"
                break
            value, place, is_in_string = _read_argument(text, start, closers[-1], strings)
            members.append(Member(key, value, text[start:place].rstrip(), start))
            if is_in_string:
                return Members(members, place, "string", CUT_OFF)
            if text[place : place + 1] not in ("", ",", closers[-1]):
                error = f"the value of `{key}` is not followed by a comma"
    if not error:
        return Members(members, place)
    rest = read_value(text, place, closer, strings)
    end = rest.end + text.startswith(closer, rest.end)
    return Members(members, end, "string" if rest.is_in_string else "", error, text[place : rest.end].rstrip())


def _read_key(text: str, place: int, strings: Strings) -> tuple[str | None, int]:
    if found := _KEY.match(text, place):
        return found["key"], after(SPACE, text, found.end())
    if text[place] not in "\"'":
        return None, place
    key = read_value(text, place, ":", strings)
    said = key.value if isinstance(key.value, str) and text.startswith(":", key.end) else None
    return said, after(SPACE, text, key.end + 1)


def _read_argument(text: str, place: int, closer: str, strings: Strings) -> tuple[Any, int, bool]:
    """Return a value, the place behind it, and whether the text ends within a string."""
    prefixed = _PREFIXED.match(text, place)
    value = read_value(text, place + bool(prefixed), f",{closer}", strings)
    if prefixed and not value.is_in_string:
        written = text[place + 2 : value.end].rstrip()[:-1]
        is_template = prefixed[1] in "fF" and "{" in written.replace("{{", "")
        said = written if prefixed[1] in "rR" else value.value
        return UNREADABLE if is_template or value.value is UNREADABLE else said, value.end, False
    return value.value, value.end, value.is_in_string


class CallArguments:
    """Collects the arguments of a call to the tool `name`.

    Attributes:
        values: The arguments so far.
        error: What is wrong with the call.
        open: Within what the text of the call ends: a "string", a "bracket", or "".
    """

    def __init__(self, name: str, tools: Tools, *, is_answer_end: bool) -> None:
        self.name = name
        self.error: str | None = None
        self.open = ""
        self._tools = tools
        self._is_answer_end = is_answer_end
        self.values: dict[str, Any] = {}
        self._written: list[str] = []
        self._is_broken = False
        self._budget = WorkBudget()

    def fail(self, reason: str, written: str = "", *, open_: str = "") -> None:
        """Note what is wrong with the call, and keep what was `written` but cannot be read."""
        self.open = self.open or open_
        if open_:
            reason = "a quote is not closed" if open_ == "string" and not self._is_answer_end else CUT_OFF
        self.error = self.error or reason
        self._is_broken = True
        self._written.append(written)

    def cut_in_parameter(self) -> None:
        """Note that the text ends within a parameter."""
        self.open = "parameter"
        if self._is_answer_end:
            self.fail(CUT_OFF, open_="bracket")

    def add_members(self, text: str, place: int, closer: str, strings: Strings) -> int:
        """Add the arguments from `place` on, behind their opening bracket. Return the place behind them."""
        read = read_members(text, place, closer, strings)
        if read.open and not read.rest:
            self.fail(CUT_OFF, open_=read.open)
        for member in read.members:
            self.add(member.key, member.value, member.raw)
        if read.error:
            self.fail(read.error, read.rest)
            self.open = self.open or read.open
        return read.end

    def add_object(self, text: str) -> int:
        """Add the arguments in the object that begins a text. Return the place behind it."""
        start = after(SPACE, text, 0)
        strings = find_strings(text, start, self._tools.keys)
        if strings.is_ambiguous:
            self.error = self.error or AMBIGUOUS
        return self.add_members(text, start + 1, "}", strings)

    def add(self, key: str, value: Any, raw: str) -> None:
        """Add an argument: its name, what it says or `UNREADABLE`, and what was written."""
        if key in self.values:
            self.error = self.error or f"`{key}` is given twice"
        self._written.append(f"{', ' if self.values else '{'}{write_json(key)}: ")
        self.values[key] = None
        types = self._tools.argument_types(self.name, key)
        if value is UNREADABLE and types == {"string"} and _BARE_STRING.fullmatch(raw):
            value = raw.strip("“”")
        if value is UNREADABLE:
            self.fail(f"the value of `{key}` cannot be read: it must be JSON, at most {MAX_DEPTH} levels deep", raw)
            return
        if isinstance(value, int | float) and not isinstance(value, bool) and types == {"string"}:
            value = raw  # "1.10" may be a version, "007" an agent
        self.values[key] = value = self._tools.coerced(self.name, key, value, self._budget)
        self._written.append(write_json(value))

    def are_wrapped(self) -> bool:
        """Return whether the only argument is `arguments` or the like, and the tool has none of that name."""
        has_others = self._tools.knows_others(self.name, self.values)
        return bool(self.values) and ARGUMENT_KEYS.issuperset(self.values) and has_others

    def part(self, end: int) -> FramePart:
        """Close the arguments, check them against the tool's schema, and return the call."""
        if not self._is_broken:
            self._written.append("}" if self.values else "{}")
            if self.are_wrapped():
                self.error = self.error or f"{', '.join(map('`{}`'.format, self.values))} is not one of its arguments"
            if not (self.error or self.open):
                self.error = self._tools.problem(self.name, self.values, self._budget)
        return FramePart(self.name, "".join(self._written), end, True, self.error, self.open)
