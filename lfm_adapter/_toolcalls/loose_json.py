"""Reads JSON and Python values as models write them, and rewrites them as JSON. Nothing is evaluated.

One reader serves tool calls and answers. It takes either kind of quotes, line breaks in strings, Python's constants,
tuples and sets, comments, missing and extra commas, and brackets that were left open. Where strings end, `quotes` says.
Strict JSON comes out byte for byte.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lfm_adapter._json import UP_TO_QUOTE, after, finite, json_end, parse, write_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfm_adapter._toolcalls.quotes import Strings

MAX_DEPTH = 64  # of lists and objects in an argument
MAX_ANSWER_DEPTH = 500  # in an answer; from there on it is dropped, as no parser would take it
UNREADABLE: Final = object()
SPACE = re.compile(r"\s*")


class LooseValue(NamedTuple):
    """A value."""

    json: str
    end: int  # the place behind it
    is_whole: bool = True  # all of it is part of one value, and no bracket was left open
    is_in_string: bool = False  # the text ends within a string
    strays: Sequence[str] = ()  # what was dropped from an answer, and keys that had no colon

    @property
    def value(self) -> Any:
        """What it says, or `UNREADABLE`."""
        try:
            return _decoder.decode(f'{self.json}"' if self.is_in_string else self.json) if self.is_whole else UNREADABLE
        except (ValueError, RecursionError):
            return UNREADABLE


_decoder = json.JSONDecoder(parse_constant=finite, parse_float=finite)
_SPACE = re.compile(r"\s+")
_UNREAD = re.compile(r"""[^"'()\[\]{},]+|,""")  # what is skipped in a value that cannot be read
_COMMENT = re.compile(r"#[^\n]*")
_ANSWER_COMMENT = re.compile(r"(?:#|//)[^\n]*|/\*(?:(?!\*/).)*(?:\*/)?", re.DOTALL)
_CLOSERS = {"{": "}", "[": "]", "(": ")"}
_CONSTANTS = {"true": "true", "True": "true", "false": "false", "False": "false", "null": "null", "None": "null"}
_ANSWER_CONSTANTS = _CONSTANTS | {"undefined": "null", "NaN": "NaN", "Infinity": "Infinity", "-Infinity": "-Infinity"}
_WORD = re.compile(r"[\w$-]+")
_CURLY = re.compile("“([^“”\n]*)”")
_LETTER = r"""(?:[^\s,{}\[\]()"':]|(?<=\w)'(?=\w))"""
_WORDS = re.compile(rf"[\w$-]{_LETTER}*(?:[^\S\n]+{_LETTER}+(?!\s*:))*")
# Where a key must follow a comma: 1,500.50
_GROUPED = re.compile(r"-?[1-9][0-9]{0,2}(?:,[0-9]{3}){1,6}(?:\.[0-9]+)?(?=\s{0,100}[,}])")


class LooseString(NamedTuple):
    """A string: its characters as JSON has them between quotes, the place behind it, and whether it was closed."""

    json: str
    end: int
    is_closed: bool


_IRREGULAR = re.compile(
    r"""\\(?:(?P<json>["\\/bfnrt]|u[0-9a-fA-F]{4})|x(?P<hex>[0-9a-fA-F]{2})|['`\n]
        |(?P<python>U(?P<long>[0-9a-fA-F]{8})|(?P<octal>[0-7]{1,3})|[av]))|["\\\x00-\x1f]""",
    re.VERBOSE,
)
_ESCAPES = {"\\a": "\a", "\\v": "\v", "\\'": "'", "\\`": "`", "\\\n": ""}
# A path of Windows whose backslashes are not escaped. One of a share has some that no escape has.
_PART = r"""[^\\/:*?"'<>|\r\n]"""
_WINDOWS_PATH = re.compile(
    rf"""(?!.*\\u[0-9a-fA-F]{{4}})(?:[A-Za-z]:|(?=.*[^\\]\\[^\\"/bfnrtux0-9])\\\\{_PART}+)(?:\\{_PART}+)+\\?"""
)
# In an answer, what comes before the first escape that JSON does not have may have been passed on.
_STRAY_ESCAPE = re.compile(r"""[^\\]*\\(?!["\\/bfnrt]|u[0-9a-fA-F]{4})""")


def read_string(text: str, place: int, strings: Strings, *, is_answer: bool = False) -> LooseString:
    """Read the string whose first quote is at `place`."""
    quote = text[place]
    end = strings.ends.get(place) or after(UP_TO_QUOTE[quote], text, place + 1)
    length = 3 if end >= place + 3 and text.startswith(quote * 3, place) and text.startswith(quote * 3, end) else 1
    written = text[place + length : end]
    if quote == '"' == written[:1] and written.count('"') == 1:  # the first quote was doubled
        written = written[1:]
    is_closed = end < len(text)
    if _WINDOWS_PATH.fullmatch(written) and (not is_answer or _STRAY_ESCAPE.match(written)):
        found = write_json(written)[1:-1]
    else:
        found = _IRREGULAR.sub(_escape_of_answer if is_answer else _escape, written)
    return LooseString(found, end + length * is_closed, is_closed)


def _escape(match: re.Match[str]) -> str:
    """Return as JSON an escape, or what has to be one. A backslash that escapes nothing is kept."""
    if match["json"]:
        return match[0]
    number = int(match["hex"] or match["long"] or "110000", 16) if match["octal"] is None else int(match["octal"], 8)
    char = chr(number) if number < 0x110000 else _ESCAPES.get(match[0], match[0])
    return write_json(char)[1:-1]


def _escape_of_answer(match: re.Match[str]) -> str:
    return write_json(match[0])[1:-1] if match["python"] else _escape(match)


_NUMBER = re.compile(
    r"(?P<sign>[+-]?)(?:0[xX](?P<hex>[0-9a-fA-F]{1,64})|(?=\.?[0-9])(?P<whole>[0-9_]*)(?:\.(?P<fraction>[0-9]*))?"
    r"(?P<exponent>[eE][+-]?[0-9]+)?)(?![\w$.+-])"
)


def read_number(text: str, place: int) -> tuple[str, int]:
    """Return a number as JSON writes it, or "", and the place behind it.

    Python also has "+1", ".5", "5.", "1_000" and "0x1f", and LFMs write "007".
    """
    match = _NUMBER.match(text, place)
    if match is None:
        return "", place
    sign = match["sign"].strip("+")
    if match["hex"]:
        return f"{sign}{int(match['hex'], 16)}", match.end()
    digits = match["whole"].replace("_", "").lstrip("0") or "0"
    fraction = "" if match["fraction"] is None else f".{match['fraction'] or 0}"
    return f"{sign}{digits}{fraction}{match['exponent'] or ''}", match.end()


@dataclass(slots=True)
class _OpenBracket:
    closer: str
    start: int  # in the output
    is_object: bool
    has_colon: bool = False


class _Reader:
    """Rewrites one value token by token."""

    def __init__(self, text: str, place: int, strings: Strings, *, ends: str = "", is_answer: bool = False) -> None:
        self._text = text
        self._place = place
        self._strings = strings
        self._is_answer = is_answer
        self._quotes = "\"'`" if is_answer else "\"'"
        self._ends = ends
        self._out: list[str] = []
        self._comma: list[str] = []  # a comma and the white space behind it, until something follows
        self._open: list[_OpenBracket] = []
        self._count = dict.fromkeys(_CLOSERS.values(), 0)
        self._wants = "value"  # or "key", "colon", "comma" or "nothing"
        self._is_clean = True
        self._is_in_string = False
        self._key_at = 0
        self._strays: list[str] = []

    def read(self) -> LooseValue:
        """Read the value."""
        text = self._text
        while self._place < len(text) and not (self._is_answer and self._wants == "nothing"):
            char = text[self._place]
            # Where brackets were left open, the one that closes the call still does.
            if char in self._ends and (not self._open or self._count.get(char) == 0):
                break
            self._token(char)
        is_whole = self._is_clean and not self._open
        return LooseValue("".join(self._out), self._place, is_whole, self._is_in_string, self._strays)

    def close(self) -> str:
        """Close what was left open, and return the JSON."""
        self._out.append('"' if self._is_in_string else "")
        while self._open:
            self._close_one()
        return "".join(self._out)

    def _token(self, char: str) -> None:
        if run := (_SPACE if self._is_clean else _UNREAD).match(self._text, self._place):
            (self._comma or self._out).append(run[0])
            self._place = run.end()
        elif self._is_answer and self._text.startswith("```", self._place):
            self._place = len(self._text)
        elif char in self._quotes:
            self._string()
        elif char in "{[(":
            self._opener(char)
        elif char in ")]}":
            self._closer(char)
        elif char in ",:":
            self._separator(char)
        else:
            self._bare()

    def _spoil(self) -> None:
        """Note that a value cannot be read. An answer always can."""
        self._is_clean = self._is_answer

    def _string(self) -> None:
        found = read_string(self._text, self._place, self._strings, is_answer=self._is_answer)
        if not self._joins(found.json):
            self._put(f'"{found.json}' + '"' * found.is_closed)
        self._place = found.end
        self._is_in_string = not found.is_closed

    def _joins(self, string: str) -> bool:
        """Join a string to the one before it, as Python does."""
        if self._is_answer or self._wants not in ("comma", "nothing"):
            return False
        while self._out and self._out[-1].isspace():
            self._out.pop()
        if not self._out or self._out[-1][-1:] != '"':
            return False
        # The quote becomes a piece of its own, so that the next string does not copy this one.
        self._out[-1] = self._out[-1][:-1]
        self._out += (string, '"')
        return True

    def _opener(self, char: str) -> None:
        self._place += 1
        if self._is_answer and self._is_at_answer_key():
            return  # as the second in "{{"
        if len(self._open) >= MAX_DEPTH:
            self._spoil()
        if len(self._open) >= MAX_ANSWER_DEPTH:
            self._place = len(self._text)
            return
        self._put("{" if char == "{" else "[")
        if self._wants == "colon":  # an item of a set
            self._to_list()
        self._open.append(_OpenBracket(_CLOSERS[char], len(self._out) - 1, is_object=char == "{"))
        self._count[_CLOSERS[char]] += 1
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
        if self._wants == "colon" and not self._is_answer:
            self._to_list()
        elif self._wants == "colon":
            self._note_key()
            self._out.append(": null")
        elif self._wants == "value" and last.is_object:
            self._out.append("null")
            self._spoil()
        self._out += self._comma[1:]
        self._comma.clear()
        self._open.pop()
        self._count[last.closer] -= 1
        self._out.append("}" if last.is_object else "]")
        self._wants = "comma" if self._open else "nothing"
        return last.closer

    def _separator(self, char: str) -> None:
        """Take a comma or a colon. One that is out of place says nothing, as the second in ",,"."""
        self._place += 1
        if char == "," and self._wants == "colon" and not self._is_answer:
            self._to_list()
        elif char == "," and self._wants == "value" and self._open and self._open[-1].is_object:
            self._out.append("null")
            self._spoil()
            self._wants = "comma"
        if char == "," and self._wants == "comma":
            self._comma.append(char)
            self._wants = self._member()
        elif char == ":" and self._wants == "colon":
            if self._out[self._key_at][:1] != '"':
                self._spoil()
            self._open[-1].has_colon = True
            self._out.append(char)
            self._wants = "value"
        else:
            self._spoil()

    def _bare(self) -> None:
        """Take what has no quotes: numbers, words, comments. All else is dropped."""
        if comment := (_ANSWER_COMMENT if self._is_answer else _COMMENT).match(self._text, self._place):
            self._place = comment.end()
            return
        written, self._place = self._read_bare(self._text, self._place)
        if written:
            self._put(written)
            return
        self._spoil()
        if self._text[self._place - 1] not in ".…":  # of an ellipsis
            self._strays.append(self._text[self._place - 1])

    def _note_key(self) -> None:
        """Note a key that has no colon."""
        key = self._out[self._key_at]
        name = parse(key)
        self._strays.append(name if isinstance(name, str) else key)

    def _read_bare(self, text: str, place: int) -> tuple[str, int]:
        """Return as JSON what has no quotes, "" where it says nothing, and the place behind it."""
        is_key = self._is_at_answer_key()
        number, end = read_number(text, place)
        is_member = self._is_answer and not is_key and self._open and self._open[-1].is_object
        if is_member and (grouped := _GROUPED.match(text, place)):
            number, end = grouped[0].replace(",", ""), grouped.end()
        if number:
            return f'"{number}"' if is_key else number, end
        if self._is_answer and (curly := _CURLY.match(text, place)):
            return write_json(curly[1]), curly.end()
        word = _WORD.match(text, place) if is_key or not self._is_answer else _WORDS.match(text, place)
        if word is None:
            return "", place + 1
        constant = (_ANSWER_CONSTANTS if self._is_answer else _CONSTANTS).get(word[0])
        if constant and not is_key:
            return constant, word.end()
        return write_json(word[0]) if self._is_answer else "", word.end()

    def _put(self, written: str) -> None:
        """Write a key or a value, and before it what is missing."""
        if self._wants == "colon":
            self._spoil()
            self._note_key()
            self._out.append(":")
            self._wants = "value"
        elif self._wants == "comma":
            self._out.append(",")
            self._wants = self._member()
        elif self._wants == "nothing":
            self._spoil()
        self._out += self._comma
        self._comma.clear()
        if self._wants == "key":
            self._wants = "colon"
            self._key_at = len(self._out)
        else:
            self._wants = "comma" if self._open else "nothing"
        self._out.append(written)

    def _to_list(self) -> None:
        """Take the innermost object for a set, which becomes a list."""
        last = self._open[-1]
        if last.has_colon:
            self._spoil()
        last.is_object = False
        self._out[last.start] = "["
        self._wants = "comma"

    def _is_at_answer_key(self) -> bool:
        wants = self._member() if self._wants == "comma" else self._wants
        return self._is_answer and wants == "key"

    def _member(self) -> str:
        return "key" if self._open[-1].is_object else "value"


def read_value(text: str, place: int, ends: str, strings: Strings) -> LooseValue:
    """Read a value of a call, up to the end of the text or one of `ends` outside of quotes and brackets."""
    if text[place : place + 1] in ("'", '"'):  # most arguments are a string alone
        found = read_string(text, place, strings)
        behind = after(SPACE, text, found.end)
        if found.is_closed and (behind == len(text) or text[behind] in ends):
            return LooseValue(f'"{found.json}"', behind)
    may_be_json = not strings.ends and text[place : place + 1] in ("[", "{")
    if may_be_json and (end := json_end(text, place)):
        behind = after(SPACE, text, end)
        is_shallow = text.count("[", place, end) + text.count("{", place, end) <= MAX_DEPTH
        has_escape = text.find("\\", place, end) >= 0  # it may be one of a path
        if is_shallow and not has_escape and (behind == len(text) or text[behind] in ends):
            return LooseValue(text[place:end], behind)
    return _Reader(text, place, strings, ends=ends).read()


def read_answer(text: str, strings: Strings, *, closes: bool = True) -> LooseValue:
    """Read all that can be read of the object or list with which a text begins. What is open is closed if `closes`."""
    reader = _Reader(text, 0, strings, is_answer=True)
    read = reader.read()
    return read._replace(json=reader.close()) if closes else read
