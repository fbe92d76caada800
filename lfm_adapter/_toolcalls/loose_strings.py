"""Strings in quotes as Python and JSON have them, and as models write them: with quotes and line breaks in them."""

from __future__ import annotations

import json
import re
from enum import Enum, auto
from typing import Any, NamedTuple

__all__ = ["LooseString", "Style", "ends_string", "read_string", "write_json"]


class Style(Enum):
    """Where a value is written, which decides what counts as a value and where a string ends."""

    JSON = auto()
    """In a call that is written as JSON."""
    PYTHON = auto()
    """In a list or dict of a call that is written as Python."""
    ARGUMENT = auto()
    """An argument of such a call: `f(a="x")`."""
    ANSWER = auto()
    """In an answer. All that can be read is read: words without quotes are strings, stray characters are dropped."""


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


# What follows a quote that closes a string. More than 100 characters of white space close it as well.
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


def ends_string(text: str, place: int, style: Style) -> bool:
    """Tell whether the quote before `place` closes its string, judged by what follows it.

    In what Python or JSON would read, every quote that is not escaped closes. LFMs also leave quotes in a string
    unescaped, as their templates do: https://github.com/ggml-org/llama.cpp/issues/26658.
    """
    return _AFTER_STRING[style].match(text, place) is not None


_PLAIN = {'"': re.compile(r'[^"\\\x00-\x1f]+'), "'": re.compile(r"""[^'"\\\x00-\x1f]+""")}
_JSON_ESCAPE = re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})')
_OTHER_ESCAPE = re.compile(
    r"\\(?:x(?P<two>HH)|'|\n|(?P<python>U(?P<eight>HHHHHHHH)|(?P<octal>[0-7]{1,3})|[av]))".replace("H", "[0-9a-fA-F]")
)
_LAST_QUOTE = re.compile(r"\\['\"]\s{0,100}\)\s{0,100}\]?\s{0,100}\Z")


def read_string(text: str, place: int, style: Style, *, strict_until: int = 0) -> LooseString:
    """Read a string whose opening quote is at `place`.

    Args:
        text: The text.
        place: Where the quote is.
        style: Where the string is written.
        strict_until: Before this place, any quote closes it that is not escaped.
    """
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
            if len(closing) > 1 or place < strict_until or ends_string(text, end, style):
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
