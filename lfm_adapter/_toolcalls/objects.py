"""The JSON in an answer: found among prose and fences, and mended where a model wrote it loosely."""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from lfm_adapter._json import as_dict, parse
from lfm_adapter._toolcalls.coercion import Coercion
from lfm_adapter._toolcalls.schemas import Budget

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["JSONReader", "read_json", "root_of", "schema_problem"]

_SPACE = re.compile(r"[ \t\n\r]+")
_NUMBER = re.compile(r"[-+.0-9eE]+")
_WORD = re.compile(r"[\w$-]+")
_IN_QUOTES = {'"': re.compile(r'[^"\\\x00-\x1f]+'), "'": re.compile(r"""[^'"\\\x00-\x1f]+""")}
_ESCAPE = re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})')
_ESCAPE_OF_PYTHON = re.compile(r"\\x([0-9a-fA-F]{2})")
_ESCAPE_BEGUN = re.compile(r"\\(?:u[0-9a-fA-F]{0,3}|x[0-9a-fA-F]?)?")
_LITERALS = {"True": "true", "False": "false", "None": "null", "undefined": "null"} | {
    name: name for name in ("true", "false", "null", "NaN", "Infinity")
}
_CLOSERS = {"{": "}", "[": "]"}

# What may follow the bracket that begins the JSON of an answer, and what may still become it. An object begins with a
# key or is empty, so that "{name}" in prose is none; a list begins with what may stand in one.
_BEGINS = {
    "{": re.compile(r"""\{\s{0,200}(?:["'}#]|//|/\*|[A-Za-z_$][\w$-]{0,100}\s{0,200}:)"""),
    "[": re.compile(r"""\[\s{0,200}(?:["'{\[\]#\d-]|//|/\*|true|false|null)"""),
}
_MAY_BEGIN = {
    "{": re.compile(r"\{\s{0,200}(?:/|[A-Za-z_$][\w$-]{0,100}\s{0,200})?"),
    "[": re.compile(r"\[\s{0,200}(?:/|[a-z]{0,4})?"),
}

# A word this long is none of `_LITERALS`.
_LONG_WORD = 16


class _Wants(Enum):
    """What comes next in JSON."""

    START = auto()
    KEY = auto()
    COLON = auto()
    VALUE = auto()
    COMMA = auto()
    NOTHING = auto()


class _In(Enum):
    """Where the reader stands: between tokens, or in one that may be cut in the middle."""

    GAP = auto()
    STRING = auto()
    NUMBER = auto()
    WORD = auto()
    LINE_COMMENT = auto()
    COMMENT = auto()


class JSONReader:
    r"""Takes the text of an answer while it is written, and hands on the JSON in it.

    What stands before the first bracket that can begin it, and behind its end, is dropped. Strict JSON comes out byte
    for byte. Else it is mended on the way: single quotes, `True`, `False` and `None`, keys and words without quotes,
    comments, commas too many or too few, line breaks in strings, and brackets that were not closed.

    Args:
        root: "{" where an object is wanted, "[" where a list is.

    >>> reader = JSONReader()
    >>> reader.feed("Sure!\n```json\n{'name': 'To") + reader.feed("m', }\n``` Bye")
    '{"name": "Tom" }'
    """

    def __init__(self, root: str = "{") -> None:
        self._root = root
        self._held = ""
        self._out: list[str] = []
        self._closers: list[str] = []
        self._open = {"}": 0, "]": 0}
        self._wants = _Wants.START
        self._in = _In.GAP
        self._quote = ""
        self._comma: list[str] = []

    def feed(self, text: str) -> str:
        """Take the next characters, and return the JSON that they add."""
        data = self._held + text
        self._held = ""
        place, end = 0, len(data)
        while place < end and self._wants is not _Wants.NOTHING:
            next_place = self._step(data, place)
            if next_place is None:  # a few characters whose meaning the next ones decide
                self._held = data[place:]
                break
            place = next_place
        return self._taken()

    def close(self, *, cut_off: bool) -> str:
        """Return what is left at the end of the answer.

        Args:
            cut_off: The answer was broken off, so it must not look whole: nothing is closed that was left open.
        """
        if self._wants in (_Wants.START, _Wants.NOTHING):
            return ""
        if cut_off:
            return "".join((*self._comma, self._held))
        if self._in in (_In.STRING, _In.WORD):
            self._out.append('"')
        elif self._held and _WORD.match(self._held):
            self._word(self._held)
        while self._closers:
            self._close_one()
        return self._taken()

    def _taken(self) -> str:
        out = "".join(self._out)
        self._out.clear()
        return out

    def _step(self, data: str, place: int) -> int | None:
        """Take what stands at `place`, return the place behind it, or None if more must be known."""
        if self._wants is _Wants.START:
            return self._seek(data, place)
        match self._in:
            case _In.GAP:
                return self._token(data, place)
            case _In.STRING:
                return self._string(data, place)
            case _In.NUMBER:
                return self._run(_NUMBER, data, place, ending="")
            case _In.WORD:
                return self._run(_WORD, data, place, ending='"')
            case _In.LINE_COMMENT:
                return self._skip("\n", data, place)
            case _In.COMMENT:
                return self._skip("*/", data, place)

    def _seek(self, data: str, place: int) -> int | None:
        start = data.find(self._root, place)
        if start < 0:
            return len(data)
        if _BEGINS[self._root].match(data, start):
            self._wants = _Wants.VALUE
            return start
        return None if start == place and _may(_MAY_BEGIN[self._root], data, start) else start + (start == place)

    def _token(self, data: str, place: int) -> int | None:
        char = data[place]
        if space := _SPACE.match(data, place):
            (self._comma or self._out).append(space[0])
            return space.end()
        if char in "\"'":
            self._begin()
            self._in, self._quote = _In.STRING, char
            self._out.append('"')
        elif char in "{}[],:":
            self._punctuation(char)
        else:
            return self._bare(char, data, place)
        return place + 1

    def _punctuation(self, char: str) -> None:
        """Take a bracket, comma or colon; one that is out of place says nothing, as the second in "{{" or ",,"."""
        match char:
            case "{" | "[" if not self._is_at_key():
                self._begin()
                self._push(char)
            case "}" | "]":
                while self._open[char] and self._close_one() != char:
                    pass
            case "," if self._wants is _Wants.COMMA:
                self._comma.append(char)
                self._wants = self._member()
            case ":" if self._wants is _Wants.COLON:
                self._out.append(char)
                self._wants = _Wants.VALUE

    def _bare(self, char: str, data: str, place: int) -> int | None:
        """Take what has no quotes: numbers, words, comments. All else is dropped."""
        following = data[place + 1 : place + 2]
        if char in "/.+" and not following:
            return None
        if char == "#" or (char == "/" and following in "/*"):
            self._in = _In.COMMENT if following == "*" and char == "/" else _In.LINE_COMMENT
            return place + 1 + (char == "/")
        if char in "-0123456789" or (char == "." and following.isdecimal()):
            self._begin()
            self._in = _In.NUMBER
            self._out.append("0" if char == "." else "")
            return place
        word = _WORD.match(data, place)
        if word is None:
            return place + 1
        if word.end() < len(data):
            self._word(word[0])
            return word.end()
        if len(word[0]) < _LONG_WORD:
            return None
        self._begin()
        self._in = _In.WORD
        self._out.append('"')
        return place

    def _word(self, word: str) -> None:
        literal = None if self._is_at_key() else _LITERALS.get(word)
        self._begin()
        self._out.append(f'"{word}"' if literal is None else literal)

    def _string(self, data: str, place: int) -> int | None:
        if run := _IN_QUOTES[self._quote].match(data, place):
            self._out.append(run[0])
            return run.end()
        char = data[place]
        if char == self._quote:
            self._in = _In.GAP
            self._out.append('"')
        elif char == '"':
            self._out.append('\\"')
        elif char == "\\":
            return self._escape(data, place)
        else:
            self._out.append({"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(char, f"\\u{ord(char):04x}"))
        return place + 1

    def _escape(self, data: str, place: int) -> int | None:
        if escape := _ESCAPE.match(data, place):
            self._out.append(escape[0])
            return escape.end()
        if escape := _ESCAPE_OF_PYTHON.match(data, place):
            self._out.append(f"\\u00{escape[1]}")
            return escape.end()
        if _may(_ESCAPE_BEGUN, data, place):
            return None
        if data[place + 1] in "'\n":
            self._out.append("'" if data[place + 1] == "'" else "")
            return place + 2
        self._out.append("\\\\")
        return place + 1

    def _run(self, pattern: re.Pattern[str], data: str, place: int, *, ending: str) -> int:
        run = pattern.match(data, place)
        if run is not None:
            self._out.append(run[0])
            place = run.end()
        if place < len(data):
            self._out.append(ending)
            self._in = _In.GAP
        return place

    def _skip(self, ending: str, data: str, place: int) -> int | None:
        end = data.find(ending, place)
        if end < 0:
            if len(ending) > 1 and data.endswith(ending[0]):
                return len(data) - 1 if place < len(data) - 1 else None
            return len(data)
        self._in = _In.GAP
        return end + (len(ending) if len(ending) > 1 else 0)

    def _begin(self) -> None:
        """Make ready for a key or a value."""
        if self._wants is _Wants.COLON:
            self._out.append(":")
            self._wants = _Wants.VALUE
        elif self._wants is _Wants.COMMA:
            self._out.append(",")
            self._wants = self._member()
        self._out += self._comma
        self._comma.clear()
        self._wants = _Wants.COLON if self._wants is _Wants.KEY else _Wants.COMMA

    def _push(self, opener: str) -> None:
        closer = _CLOSERS[opener]
        self._closers.append(closer)
        self._open[closer] += 1
        self._out.append(opener)
        self._wants = self._member()

    def _close_one(self) -> str:
        if self._wants is _Wants.COLON:
            self._out.append(": null")
        elif self._wants is _Wants.VALUE and self._closers[-1] == "}":
            self._out.append("null")
        self._out += self._comma[1:]
        self._comma.clear()
        closer = self._closers.pop()
        self._open[closer] -= 1
        self._out.append(closer)
        self._wants = _Wants.COMMA if self._closers else _Wants.NOTHING
        return closer

    def _is_at_key(self) -> bool:
        return self._wants is _Wants.KEY or (self._wants is _Wants.COMMA and self._member() is _Wants.KEY)

    def _member(self) -> _Wants:
        return _Wants.KEY if self._closers[-1] == "}" else _Wants.VALUE


def _may(pattern: re.Pattern[str], data: str, place: int) -> bool:
    """Tell whether all of `data` from `place` on matches."""
    return pattern.fullmatch(data, place) is not None


def read_json(text: str, *, root: str = "{", cut_off: bool = False) -> str | None:
    """Return the JSON in an answer, as `JSONReader` finds and mends it, or None where there is none.

    Args:
        text: The answer.
        root: See `JSONReader`.
        cut_off: See `JSONReader.close`.

    >>> read_json('The cat: {"name": "Tom", "age": 3')
    '{"name": "Tom", "age": 3}'
    """
    reader = JSONReader(root)
    return (reader.feed(text) + reader.close(cut_off=cut_off)) or None


def root_of(response_format: Mapping[str, Any]) -> str:
    """Return the bracket with which an answer begins that fits `response_format`."""
    return "[" if as_dict(_schema(response_format)).get("type") == "array" else "{"


def schema_problem(text: str, response_format: Mapping[str, Any]) -> str | None:
    """Return what keeps a text from fitting `response_format`, for the model to mend, or None if it fits.

    A value counts in the type that the schema wants, if nothing is lost by it: `"36"` is an integer.

    Args:
        text: The answer, or the JSON in it.
        response_format: `{"type": "json_object"}` or `{"type": "json_schema", "json_schema": {"schema": …}}`.

    >>> schema_problem("Tom", {"type": "json_object"})
    'the answer is no JSON'
    """
    value = parse(text)
    if value is None:
        return "the answer is no JSON"
    if response_format.get("type") == "json_object":
        return None if isinstance(value, dict) else "the answer is no JSON object"
    schema = _schema(response_format)
    coercion, budget = Coercion(schema), Budget()
    problem = coercion.checker.problem(coercion.coerced(value, schema, budget), budget)
    return None if problem is None else f"the JSON does not fit the schema: {problem}"


def _schema(response_format: Mapping[str, Any]) -> Any:
    return as_dict(response_format.get("json_schema")).get("schema")
