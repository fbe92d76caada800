"""Strings and numbers as Python and JSON have them, and as models write them, such as with quotes within strings."""

from __future__ import annotations

import json
import re
from enum import Enum, auto
from typing import Any, NamedTuple

__all__ = ["SPACE", "LooseString", "Style", "after", "read_bare", "read_string", "write_json"]

SPACE = re.compile(r"\s*")


def after(pattern: re.Pattern[str], text: str, place: int) -> int:
    """Return the place behind a match of `pattern`, or `place` where it does not match."""
    match = pattern.match(text, place)
    return place if match is None else match.end()


class Style(Enum):
    """Where a value is written, which decides what counts as a value and where a string ends."""

    JSON = auto()  # in a call that is written as JSON
    PYTHON = auto()  # in a list or dict of a call that is written as Python
    ARGUMENT = auto()  # an argument of such a call: `f(a="x")`
    ANSWER = auto()  # in an answer, of which all is read: bare words are strings, stray characters are dropped


_encode = json.JSONEncoder(ensure_ascii=False).encode
_SURROGATE = re.compile("[\ud800-\udfff]")


def write_json(value: Any) -> str:
    """Return a value as JSON in which surrogates are escaped, for UTF-8 has none."""
    return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", _encode(value))


class LooseString(NamedTuple):
    """A string: its characters as JSON has them between quotes, the place behind it, and whether it was closed."""

    json: str
    end: int
    is_closed: bool

    @property
    def text(self) -> str:
        """What the string says."""
        return str(json.loads(f'"{self.json}"')) if "\\" in self.json else self.json


# What follows a quote that closes a string. In what Python or JSON would read, every quote that is not escaped closes.
# LFMs also leave quotes in a string unescaped, as their templates do: https://github.com/ggml-org/llama.cpp/issues/26658.
# More than 100 characters of white space close a string as well.
_AFTER_STRING = {
    Style.JSON: re.compile(r"\s{0,100}(?:[,:\]}]|\Z)|\s{100}"),
    Style.PYTHON: re.compile(r"""\s{0,100}(?:[,:\]})"']|\Z)|\s{100}"""),
    # The end of the call, or the next argument.
    Style.ARGUMENT: re.compile(
        r"""\s{0,100}(?:
              \Z
            | \) (?: \s{0,100}(?:\Z|[<`]|\](?!['")\]])) | [^\S\n]{0,100}\n | \s{0,100}(?![\]'").:=\s]) )
            | , \s{0,100}(?: \Z | \) | ["']?[^\s()\[\]{}<>"'=,:]{1,128}["']?\s{0,100}[=:] )
            )
          | \s{1,100}["'] | \s{100}""",
        re.VERBOSE,
    ),
    # A comma is followed by a key or a value. Where it is missing, a new line or a key follows.
    Style.ANSWER: re.compile(
        r"""\s{0,100}(?:
              [:\]}] | \Z | // | /\* | \#
            | , \s{0,100}(?: [,"'\]}\[{\d+.-] | // | /\* | \# | \Z | [\w$-]{1,100}\s{0,100}:
                | (?:[tT]rue|[fF]alse|null|None)\b )
            | (["'])[^"'\n]{1,100}\1\s{0,100}:
            )
          | [^\S\n]{0,100}\n\s{0,100}(?: ["'\[{] | [\w$-]{1,100}\s{0,100}: ) | \s{100}""",
        re.VERBOSE,
    ),
}


_PLAIN = {'"': re.compile(r'[^"\\\x00-\x1f]+'), "'": re.compile(r"""[^'"\\\x00-\x1f]+""")}
_JSON_ESCAPE = re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})')
_OTHER_ESCAPE = re.compile(
    r"\\(?:x(?P<two>HH)|'|\n|(?P<python>U(?P<eight>HHHHHHHH)|(?P<octal>[0-7]{1,3})|[av]))".replace("H", "[0-9a-fA-F]")
)
_LAST_QUOTE = re.compile(r"\\['\"]\s{0,100}\)\s{0,100}\]?\s{0,100}\Z")


def read_string(text: str, place: int, style: Style, *, strict_until: int = 0) -> LooseString:
    """Read a string whose opening quote is at `place`. Before `strict_until`, only a backslash keeps it open."""
    quote = text[place]
    is_python = style in (Style.PYTHON, Style.ARGUMENT)
    closing = quote * 3 if is_python and text.startswith(quote * 3, place) else quote
    place += len(closing)
    plain, out = _PLAIN[quote], []
    while place < len(text):
        if run := plain.match(text, place):
            out.append(run[0])
            place = run.end()
            continue
        char = text[place]
        if char == "\\":
            piece, place = _escape(text, place, style)
            out.append(piece)
            continue
        if char == quote and text.startswith(closing, place):
            end = place + len(closing)
            if len(closing) > 1 or place < strict_until or _AFTER_STRING[style].match(text, end):
                return LooseString("".join(out), end, is_closed=True)
        out.append(char if char == "'" else _encode(char)[1:-1])
        place += 1
    return LooseString("".join(out), place, is_closed=False)


def _escape(text: str, place: int, style: Style) -> tuple[str, int]:
    """Return what an escape is in JSON, and the place behind it. A backslash that escapes nothing is kept."""
    if style is Style.ARGUMENT and _LAST_QUOTE.match(text, place):
        # The string ends in a backslash that is not escaped: https://github.com/vllm-project/vllm/pull/48171
        return "\\\\", place + 1
    if escape := _JSON_ESCAPE.match(text, place):
        return escape[0], escape.end()
    escape = _OTHER_ESCAPE.match(text, place)
    if escape is None or (escape["python"] and style is Style.ANSWER):
        return "\\\\", place + 1
    digits = escape["two"] or escape["eight"]
    if digits or escape["octal"]:
        number = int(digits, 16) if digits else int(escape["octal"], 8)
        char = chr(number) if number < 0x110000 else escape[0]
    else:
        char = {"'": "'", "\n": "", "a": "\a", "v": "\v"}[escape[0][1]]
    return write_json(char)[1:-1], escape.end()


_WORD = re.compile(r"[\w$-]+")
_CONSTANTS = {"true": "true", "True": "true", "false": "false", "False": "false", "null": "null", "None": "null"}
_ANSWER_CONSTANTS = _CONSTANTS | {"undefined": "null", "NaN": "NaN", "Infinity": "Infinity", "-Infinity": "-Infinity"}
_NUMBER = re.compile(
    r"(?P<sign>[+-]?)(?:0[xX](?P<hex>[0-9a-fA-F]{1,64})|(?P<whole>[0-9][0-9_]*)?(?P<fraction>\.[0-9]*)?"
    r"(?P<exponent>[eE][+-]?[0-9]+)?)(?![\w$.+-])"
)


def _read_number(text: str, place: int) -> tuple[str, int]:
    """Return a number as JSON writes it, or "", and the place behind it.

    Python also has "+1", ".5", "5.", "1_000" and "0x1f", and LFMs write "007".
    """
    match = _NUMBER.match(text, place)
    if match is None:
        return "", place
    sign = match["sign"].strip("+")
    if match["hex"]:
        return f"{sign}{int(match['hex'], 16)}", match.end()
    whole, fraction = match["whole"] or "", match["fraction"] or ""
    if not whole and len(fraction) < 2:
        return "", place
    digits = whole.replace("_", "").lstrip("0") or "0"
    written = f"{sign}{digits}{f'{fraction}0' if fraction == '.' else fraction}{match['exponent'] or ''}"
    return written, match.end()


def read_bare(text: str, place: int, style: Style, *, is_key: bool) -> tuple[str, int]:
    """Return as JSON what has no quotes, "" where it says nothing, and the place behind it."""
    number, end = _read_number(text, place)
    if number:
        return f'"{number}"' if is_key else number, end
    word = _WORD.match(text, place)
    if word is None:
        return "", place + 1
    is_answer = style is Style.ANSWER
    constant = (_ANSWER_CONSTANTS if is_answer else _CONSTANTS).get(word[0])
    if constant and not is_key:
        return constant, word.end()
    return f'"{word[0]}"' if is_answer else "", word.end()
