"""Reads JSON and Python values as models write them, and rewrites them as JSON. Nothing is evaluated.

One reader serves tool calls and answers. It takes either kind of quotes, unescaped quotes and line breaks in strings,
Python's constants, tuples and sets, comments, missing and extra commas, and brackets that were left open. Strict JSON
comes out as it was, byte for byte.
"""

from __future__ import annotations

import json
import math
import re
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lfm_adapter._toolcalls.loose_strings import Style, read_string

if TYPE_CHECKING:
    from lfm_adapter._toolcalls.loose_strings import LooseString

__all__ = ["MAX_ANSWER_DEPTH", "MAX_DEPTH", "UNREADABLE", "LooseValue", "parse_literal", "read_answer", "read_value"]

MAX_DEPTH = 64
"""How deep the lists and objects in an argument may nest."""

MAX_ANSWER_DEPTH = 500
"""How deep they may nest in an answer. What is deeper is dropped, as no parser would take it."""

UNREADABLE: Final = object()
"""Stands for a value that cannot be read."""


class LooseValue(NamedTuple):
    """A value, rewritten as JSON.

    Attributes:
        json: The JSON, which is whole only if nothing was left open.
        end: The place behind it.
        is_clean: Whether all of it is part of a value, with no more than one value.
        is_in_string: Whether the text ends within a string.
        is_open: Whether a bracket or a string was left open.
    """

    json: str
    end: int
    is_clean: bool
    is_in_string: bool
    is_open: bool

    @property
    def value(self) -> Any:
        """What it says, or `UNREADABLE`."""
        if not self.is_clean or self.is_open:
            return UNREADABLE
        try:
            return _decoder.decode(self.json)
        except (ValueError, RecursionError):
            return UNREADABLE


def _refuse(constant: str) -> Any:
    raise ValueError(constant)


def _finite(written: str) -> float:
    number = float(written)
    if math.isinf(number):  # 1e999
        raise ValueError(written)
    return number


_decoder = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite)
_SPACE = re.compile(r"\s+")
_NUMBER = re.compile(
    r"(?P<sign>[+-]?)(?:0[xX](?P<hex>[0-9a-fA-F]{1,64})|(?P<whole>[0-9][0-9_]*)?(?P<fraction>\.[0-9]*)?"
    r"(?P<exponent>[eE][+-]?[0-9]+)?)(?![\w$.+-])"
)
_WORD = re.compile(r"[\w$-]+")
_COMMENT = re.compile(r"(?:#|//)[^\n]*|/\*(?:(?!\*/).)*(?:\*/)?", re.DOTALL)
_CONSTANTS = {"true": "true", "True": "true", "false": "false", "False": "false", "null": "null", "None": "null"}
_ANSWER_CONSTANTS = _CONSTANTS | {"undefined": "null", "NaN": "NaN", "Infinity": "Infinity", "-Infinity": "-Infinity"}
_CLOSERS = {"{": "}", "[": "]", "(": ")"}


def _json_number(match: re.Match[str]) -> str | None:
    """Return a number as JSON writes it. Python also has "+1", ".5", "5.", "1_000" and "0x1f", and LFMs write "007"."""
    sign = match["sign"].strip("+")
    if match["hex"]:
        return f"{sign}{int(match['hex'], 16)}"
    whole, fraction = match["whole"] or "", match["fraction"] or ""
    if not whole and len(fraction) < 2:
        return None
    digits = whole.replace("_", "").lstrip("0") or "0"
    return f"{sign}{digits}{f'{fraction}0' if fraction == '.' else fraction}{match['exponent'] or ''}"


class _Wants(Enum):
    """What comes next in a value."""

    KEY = auto()
    COLON = auto()
    VALUE = auto()
    COMMA = auto()
    NOTHING = auto()


class _Open:
    """An open bracket: what closes it, where it is in the output, and whether it is an object and has a colon."""

    __slots__ = ("closer", "has_colon", "is_object", "start")

    def __init__(self, closer: str, start: int) -> None:
        self.closer = closer
        self.start = start
        self.is_object = closer == "}"
        self.has_colon = False


_UNREAD = {char: _Open(closer, 0) for char, closer in _CLOSERS.items()}
_UNREAD_RUN = re.compile(r"""[^"'()\[\]{},]+|,""")


class _Reader:
    """Rewrites one value token by token."""

    def __init__(self, text: str, place: int, style: Style, *, ends: str = "", strict_until: int = 0) -> None:
        self._text = text
        self._place = place
        self._style = style
        self._is_answer = style is Style.ANSWER
        self._ends = ends
        self._strict_until = strict_until
        self._out: list[str] = []
        self._comma: list[str] = []  # a comma and the white space behind it, until something follows
        self._open: list[_Open] = []
        self._count = dict.fromkeys(_CLOSERS.values(), 0)
        self._wants = _Wants.VALUE
        self._is_clean = True
        self._is_in_string = False
        self._key_at = 0

    def read(self, *, closes: bool = True) -> LooseValue:
        """Read the value. With `closes`, brackets that were left open are closed in the JSON."""
        text = self._text
        while self._place < len(text):
            char = text[self._place]
            # Where brackets were left open, the one that closes the call still does.
            if char in self._ends and (not self._open or self._count.get(char) == 0):
                break
            if self._is_clean:
                self._token(char)
            else:
                self._skip_token(char)
            if self._wants is _Wants.NOTHING and self._is_answer:
                break
        is_open = bool(self._open) or self._is_in_string
        if closes and self._is_answer:
            self._out.append('"' if self._is_in_string else "")
            while self._open:
                self._close_one()
        return LooseValue("".join(self._out), self._place, self._is_clean, self._is_in_string, is_open)

    def _token(self, char: str) -> None:
        if space := _SPACE.match(self._text, self._place):
            (self._comma or self._out).append(space[0])
            self._place = space.end()
        elif char in "\"'":
            self._string()
        elif char in "{[(":
            self._opener(char)
        elif char in ")]}":
            self._closer(char)
        elif char in ",:":
            self._separator(char)
        else:
            self._bare()

    def _skip_token(self, char: str) -> None:
        """Take a part of a value that cannot be read, of which only the end matters."""
        if char in "\"'":
            found = read_string(self._text, self._place, self._style)
            self._place, self._is_in_string = found.end, not found.is_closed
        elif run := _UNREAD_RUN.match(self._text, self._place):
            self._place = run.end()
        else:
            self._place += 1
            if char in _CLOSERS:
                self._open.append(_UNREAD[char])
                self._count[_CLOSERS[char]] += 1
            while self._count.get(char):
                closer = self._open.pop().closer
                self._count[closer] -= 1
                if closer == char:
                    break

    def _spoil(self) -> None:
        """Note that a value cannot be read; in an answer, all can be."""
        self._is_clean = self._is_answer

    def _string(self) -> None:
        strict_until = len(self._text) if self._is_answer and self._is_at_key() else self._strict_until
        found = read_string(self._text, self._place, self._style, strict_until=strict_until)
        if not self._joins(found):
            self._begin()
            self._out.append(f'"{found.json}"' if found.is_closed else f'"{found.json}')
        self._place = found.end
        self._is_in_string = not found.is_closed

    def _joins(self, found: LooseString) -> bool:
        """Join a string to the one before it, as Python does."""
        if self._style is not Style.PYTHON or self._wants not in (_Wants.COMMA, _Wants.NOTHING):
            return False
        while self._out and self._out[-1].isspace():
            self._out.pop()
        if not self._out or self._out[-1][-1:] != '"':
            return False
        self._out[-1] = f'{self._out[-1][:-1]}{found.json}"'
        return True

    def _opener(self, char: str) -> None:
        self._place += 1
        if self._is_answer and (self._is_at_key() or char == "("):
            return  # as the second in "{{"
        if self._is_answer and len(self._open) >= MAX_ANSWER_DEPTH:
            self._place = len(self._text)
            return
        if len(self._open) >= MAX_DEPTH:
            self._spoil()
        self._begin()
        if self._wants is _Wants.COLON:  # an item of a set
            self._to_list()
        self._open.append(_Open(_CLOSERS[char], len(self._out)))
        self._count[_CLOSERS[char]] += 1
        self._out.append("{" if char == "{" else "[")
        self._wants = self._member()

    def _closer(self, char: str) -> None:
        self._place += 1
        if not self._count[char]:
            self._spoil()
            return
        while self._close_one() != char:
            self._spoil()

    def _close_one(self) -> str:
        last = self._open[-1]
        if self._wants is _Wants.COLON and not self._is_answer:
            self._to_list()
        elif self._wants is _Wants.COLON:
            self._out.append(": null")
        elif self._wants is _Wants.VALUE and last.is_object:
            self._out.append("null")
            self._spoil()
        self._out += self._comma[1:]
        self._comma.clear()
        self._open.pop()
        self._count[last.closer] -= 1
        self._out.append("}" if last.is_object else "]")
        self._wants = _Wants.COMMA if self._open else _Wants.NOTHING
        return last.closer

    def _separator(self, char: str) -> None:
        """Take a comma or a colon. One that is out of place says nothing, as the second in ",,"."""
        self._place += 1
        if char == "," and self._wants is _Wants.COLON and not self._is_answer:
            self._to_list()
        elif char == "," and self._wants is _Wants.VALUE and self._open and self._open[-1].is_object:
            self._out.append("null")
            self._spoil()
            self._wants = _Wants.COMMA
        if char == "," and self._wants is _Wants.COMMA:
            self._comma.append(char)
            self._wants = self._member()
        elif char == ":" and self._wants is _Wants.COLON:
            if self._out[self._key_at][:1] != '"':
                self._spoil()
            self._open[-1].has_colon = True
            self._out.append(char)
            self._wants = _Wants.VALUE
        else:
            self._spoil()

    def _bare(self) -> None:
        """Take what has no quotes: numbers, words, comments. All else is dropped."""
        if comment := _COMMENT.match(self._text, self._place):
            # In Python, "//" divides.
            if self._style is Style.PYTHON and comment[0][0] != "#":
                self._spoil()
            self._place = comment.end()
            return
        number = _NUMBER.match(self._text, self._place)
        written = number and _json_number(number)
        if number and written:
            is_key = self._is_answer and self._is_at_key()
            self._begin()
            self._out.append(f'"{written}"' if is_key else written)
            self._place = number.end()
            return
        word = _WORD.match(self._text, self._place)
        self._place = word.end() if word else self._place + 1
        constant = (_ANSWER_CONSTANTS if self._is_answer else _CONSTANTS).get(word[0]) if word else None
        if constant and not (self._is_answer and self._is_at_key()):
            self._begin()
            self._out.append(constant)
            return
        self._spoil()
        if word and self._is_answer:
            self._begin()
            self._out.append(f'"{word[0]}"')

    def _begin(self) -> None:
        """Make ready for a key or a value."""
        if self._wants is _Wants.COLON:
            self._spoil()
            self._out.append(":")
            self._wants = _Wants.VALUE
        elif self._wants is _Wants.COMMA:
            self._out.append(",")
            self._wants = self._member()
        elif self._wants is _Wants.NOTHING:
            self._spoil()
        self._out += self._comma
        self._comma.clear()
        if self._wants is _Wants.KEY:
            self._wants = _Wants.COLON
            self._key_at = len(self._out)
        else:
            self._wants = _Wants.COMMA if self._open else _Wants.NOTHING

    def _to_list(self) -> None:
        """Take the innermost object for a set, which becomes a list."""
        last = self._open[-1]
        if last.has_colon or self._style is not Style.PYTHON:
            self._spoil()
        last.is_object = False
        self._out[last.start] = "["
        self._wants = _Wants.COMMA

    def _is_at_key(self) -> bool:
        return self._wants is _Wants.KEY or (self._wants is _Wants.COMMA and self._member() is _Wants.KEY)

    def _member(self) -> _Wants:
        return _Wants.KEY if self._open[-1].is_object else _Wants.VALUE


def read_value(text: str, place: int, ends: str, style: Style) -> LooseValue:
    """Read a value of a call, up to the end of the text or one of `ends` outside of quotes and brackets."""
    # What is strict JSON anyway is read in C.
    if text[place : place + 1] in ("[", "{"):
        try:
            _, end = _decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            pass
        else:
            rest = _SPACE.match(text, end)
            behind = rest.end() if rest else end
            is_shallow = text.count("[", place, end) + text.count("{", place, end) <= MAX_DEPTH
            if is_shallow and (behind == len(text) or text[behind] in ends):
                return LooseValue(text[place:end], behind, is_clean=True, is_in_string=False, is_open=False)
    return _Reader(text, place, style, ends=ends).read()


def read_answer(text: str, *, strict_until: int = 0, closes: bool = True) -> LooseValue:
    """Read the object or list with which a text begins, and all of it that can be read.

    Args:
        text: The text.
        strict_until: Before this place, any quote that is not escaped closes a string.
        closes: Whether to close in the JSON what was left open.
    """
    return _Reader(text, 0, Style.ANSWER, strict_until=strict_until).read(closes=closes)


def parse_literal(text: str) -> Any:
    """Return what a text says in Python or JSON, or `UNREADABLE`.

    >>> parse_literal("{'a': (1, True,), 'b': None}")
    {'a': [1, True], 'b': None}
    """
    return read_value(text.strip(), 0, "", Style.PYTHON).value
