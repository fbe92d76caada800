"""Values as Python or JSON writes them, read and never evaluated: rewritten as JSON while their end is looked for."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any, Final

from lfm_adapter._toolcalls.source import NeedMore, Source, run
from lfm_adapter._toolcalls.strings import closes_python, encoded, read_string

if TYPE_CHECKING:
    from lfm_adapter._toolcalls.source import Steps
    from lfm_adapter._toolcalls.strings import Closes

__all__ = ["MAX_DEPTH", "UNREADABLE", "Value", "literal", "read_value"]

MAX_DEPTH = 64
"""Lists and objects within each other that a value may have."""

UNREADABLE: Final = object()
"""What a value is that is none."""

_SPACE = re.compile(r"\s+")
_WORD = re.compile(r"""[^\s"'()\[\]{},:<`]+|`""")
_CONSTANTS = {
    "true": "true", "True": "true", "false": "false", "False": "false", "null": "null", "None": "null",
}  # fmt: skip
_NUMBER = re.compile(r"([+-]?)([0-9][0-9_]*)?(\.[0-9]*)?([eE][+-]?[0-9]+)?")
_NUMBERS = re.compile(r"(?:-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,17})?,[ \n]{0,8})+")
_HEX = re.compile(r"-?0[xX][0-9a-fA-F]{1,64}")
_CLOSER = {"(": ")", "[": "]", "{": "}"}
_TOO_DEEP = {closer: (closer, 0, False) for closer in _CLOSER.values()}


class Value:
    """Reads one value.

    Attributes:
        raw: What was written.
        value: What it says, or `UNREADABLE`.
    """

    def __init__(self, source: Source, ends_at: str, closes: Closes, end_marker: str) -> None:
        self.raw = ""
        self.value: Any = UNREADABLE
        self._source = source
        self._ends_at = ends_at
        self._closes = closes
        self._end_marker = end_marker
        self._json: list[str] = []
        self._word: list[str] = []
        # For each open bracket: its closer, where in `_json` it stands, and whether it has a colon.
        self._open: list[tuple[str, int, bool]] = []
        self._awaited = dict.fromkeys(_CLOSER.values(), 0)
        self._is_good = True

    def read(self) -> Steps[None]:
        """Read up to where the value ends, which is not taken."""
        source = self._source
        record: list[str] = []
        source.record = record
        while True:
            if source.place == len(source.text):
                if source.closed:
                    break
                yield
                continue
            char = source.text[source.place]
            if char in "\"'":
                yield from self._string()
                continue
            try:
                if self._is_at_end(char):
                    break
            except NeedMore:
                yield
                continue
            self._step(char)
        source.record = None
        self.raw = "".join(record).rstrip()
        self._end_word()
        self.value = self._loaded()

    def _is_at_end(self, char: str) -> bool:
        if self._end_marker and char == self._end_marker[0] and self._source.comes(self._end_marker):
            return True
        # Where brackets were left open, the one that closes the call still does.
        return char in self._ends_at and (not self._open or self._awaited.get(char) == 0)

    def _step(self, char: str) -> None:
        source = self._source
        # Embeddings and the like: thousands of numbers at once.
        if self._open and not self._word and (numbers := _NUMBERS.match(source.text, source.place)):
            self._json += (source.take(numbers.end()).rstrip()[:-1], ",")
        elif space := _SPACE.match(source.text, source.place):
            source.take(space.end())
            self._end_word()
        elif char in "()[]{},:":
            source.take(source.place + 1)
            self._end_word()
            self._punctuation(char)
        elif word := _WORD.match(source.text, source.place):
            self._word.append(source.take(word.end()))
        else:
            source.take(source.place + 1)
            self._is_good = False

    def _string(self) -> Steps[None]:
        self._end_word()
        if self._json and self._json[-1] == '"':  # Python joins strings that follow each other
            self._json.pop()
        else:
            self._json.append('"')
        closed = yield from read_string(self._source, self._emit, self._closes, self._end_marker)
        self._json.append('"')
        self._is_good = self._is_good and closed

    def _emit(self, text: str) -> None:
        self._json.append(encoded(text))

    def _punctuation(self, char: str) -> None:
        if char in _CLOSER:
            closer = _CLOSER[char]
            self._is_good = self._is_good and len(self._open) < MAX_DEPTH
            self._open.append((closer, len(self._json), False) if self._is_good else _TOO_DEEP[closer])
            self._awaited[closer] += 1
            self._json.append("{" if char == "{" else "[")
        elif char in ")]}":
            if not self._open or self._open[-1][0] != char:
                self._is_good = False
                return
            closer, start, has_colon = self._open.pop()
            self._awaited[closer] -= 1
            if self._json[-1] == ",":
                self._json.pop()
            is_set = closer == "}" and not has_colon and len(self._json) > start + 1
            if is_set:
                self._json[start] = "["
            self._json.append("]" if closer == ")" or is_set else closer)
        else:
            if char == ":" and self._open:
                closer, start, _ = self._open[-1]
                self._open[-1] = (closer, start, True)
            self._json.append(char)

    def _end_word(self) -> None:
        if not self._word:
            return
        word = "".join(self._word)
        self._word.clear()
        written = _CONSTANTS.get(word) or _number(word)
        self._is_good = self._is_good and written is not None
        self._json.append(f"{written} ")

    def _loaded(self) -> Any:
        if not self._is_good or self._open:
            return UNREADABLE
        try:
            return _decode("".join(self._json))
        except (ValueError, RecursionError):
            return UNREADABLE


def read_value(source: Source, ends_at: str, closes: Closes, end_marker: str) -> Steps[Value]:
    """Read a value, up to the end of the text or one of `ends_at` outside of quotes and brackets.

    Args:
        source: The text.
        ends_at: The characters that end it.
        closes: Whether a quote in it closes a string.
        end_marker: What ends the call; "" for none.
    """
    value = Value(source, ends_at, closes, end_marker)
    yield from value.read()
    return value


def literal(text: str) -> Any:
    """Return what a text says in Python or JSON, or `UNREADABLE`.

    >>> literal("{'a': (1, True,), 'b': None}")
    {'a': [1, True], 'b': None}
    """
    return run(read_value(Source(text, closed=True), "", closes_python, "")).value


def _number(word: str) -> str | None:
    """Return a number as JSON writes it. Python also has "+1", ".5", "5.", "1_000" and "0x1f", and LFMs write "007"."""
    match = _NUMBER.fullmatch(word)
    if match is None:
        return str(int(word, 16)) if _HEX.fullmatch(word) else None
    sign, whole, fraction, exponent = match.groups(default="")
    if not whole and len(fraction) < 2:
        return None
    digits = whole.replace("_", "").lstrip("0") or "0"
    return f"{sign.strip('+')}{digits}{f'{fraction}0' if fraction == '.' else fraction}{exponent}"


def _finite(written: str) -> float:
    number = float(written)
    if math.isinf(number):  # 1e999
        raise ValueError(written)
    return number


def _refuse(constant: str) -> Any:
    raise ValueError(constant)


_decode = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite).decode
