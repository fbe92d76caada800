"""Strings in quotes, as Python or JSON has them, and as models write them: with quotes and line breaks in them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, TypeAlias

from lfm_adapter._toolcalls.heads import CALL_END
from lfm_adapter._toolcalls.source import MAX_SPACE_CHARS, Cursor, NeedMore

if TYPE_CHECKING:
    from collections.abc import Callable

    from lfm_adapter._toolcalls.source import Source, Steps

__all__ = ["Closes", "closes_argument", "closes_json", "closes_python", "encoded", "json_of", "read_string"]

Closes: TypeAlias = "Callable[[Cursor], bool]"
"""Whether a quote is the closing one, by what stands behind it; it may raise `NeedMore`."""

_encode = json.JSONEncoder(ensure_ascii=False).encode
_SURROGATE = re.compile("[\ud800-\udfff]")
# Characters and plain escapes up to the next one that needs a look; in a frame with an end marker "<" does too.
_RUN = {
    quote: (re.compile(rf"(?:[^\\{quote}]+|\\[\\ntr/{other}])+"), re.compile(rf"(?:[^\\{quote}<]+|\\[\\ntr/{other}])+"))
    for quote, other in ("\"'", "'\"")
}
_PLAIN_ESCAPE = re.compile(r"\\(.)")
_SIMPLE = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "a": "\a", "v": "\v", "\n": ""} | {
    char: char for char in "\\'\"/"
}
_CODE = re.compile(
    r"\\(?:u(?P<high>[dD][89abAB]HH)\\u(?P<low>[dD][c-fC-F]HH)|u(?P<four>HHHH)|x(?P<two>HH)|U(?P<eight>HHHHHHHH)"
    r"|(?P<octal>[0-7]{1,3}))".replace("H", "[0-9a-fA-F]")
)
_LONGEST_ESCAPE = len(r"\ud83d\ude00")
_KEY = re.compile(r"[\w$.-]{0,128}")


def encoded(text: str) -> str:
    """Return what stands for `text` between the quotes of a JSON string."""
    return json_of(text)[1:-1]


def json_of(value: Any) -> str:
    """Return a value as JSON in which surrogates are escaped, for UTF-8 has none."""
    dumped = _encode(value)
    return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", dumped)


def closes_json(cursor: Cursor) -> bool:
    """Tell whether a quote closes a JSON string: one that does is followed by one of `,:]}`, or by nothing."""
    return len(cursor.skip_space()) == MAX_SPACE_CHARS or cursor.char() in ("", *",:]}")


def closes_python(cursor: Cursor) -> bool:
    """Tell whether a quote closes a string within a list or dict of Python."""
    return len(cursor.skip_space()) == MAX_SPACE_CHARS or cursor.char() in ("", *",:]})\"'")


def closes_argument(cursor: Cursor) -> bool:
    """Tell whether a quote closes an argument of Python: what follows is a call's end, or the next argument.

    In what Python itself would read, every quote that is not escaped closes. LFMs also leave quotes in a string
    unescaped, as their templates do: https://github.com/ggml-org/llama.cpp/issues/26658.
    """
    space = cursor.skip_space()
    char = cursor.char()
    if char == ")":
        cursor.at += 1
        behind = cursor.skip_space()
        if "\n" in behind or cursor.char() in ("", "<", "`"):
            return True
        if cursor.take("]"):
            return cursor.char() not in ("'", '"', ")", "]")
        return cursor.char() not in "'\").:="
    if char == ",":
        cursor.at += 1
        cursor.skip_space()
        if cursor.char() in ("", ")"):
            return True
        key = cursor.match(_KEY, 128)
        cursor.skip_space()
        return bool(key) and cursor.char() in ("=", ":")
    return char == "" or (bool(space) and char in "\"'") or len(space) == MAX_SPACE_CHARS


def read_string(source: Source, emit: Callable[[str], None], closes: Closes, end_marker: str) -> Steps[bool]:
    """Read a string whose opening quote comes next.

    Args:
        source: The text.
        emit: Takes the characters of the string, piece by piece.
        closes: Whether a quote in it closes it.
        end_marker: What ends the call. LFM2's own marker does so even within quotes: the model writes it as one token,
            which is never part of a string. "" for none.

    Returns:
        Whether the string was closed, and not cut off by the end of the text or of the call.
    """
    quote = source.text[source.place]
    end_marker = end_marker if end_marker == CALL_END else ""
    run = _RUN[quote][bool(end_marker)]
    if closes is not closes_json and (yield from _is_triple(source, quote)):
        source.take(source.place + 3)
        closing = quote * 3
    else:
        source.take(source.place + 1)
        closing = quote
    while True:
        if source.place == len(source.text):
            if source.closed:
                return False
            yield
            continue
        if plain := run.match(source.text, source.place):
            emit(_unescaped(source.take(plain.end())))
            continue
        try:
            step = _special(source, closing, closes, end_marker)
        except NeedMore:
            yield
            continue
        if isinstance(step, bool):
            return step
        emit(step)


def _unescaped(text: str) -> str:
    return _PLAIN_ESCAPE.sub(lambda match: _SIMPLE[match[1]], text) if "\\" in text else text


def _is_triple(source: Source, quote: str) -> Steps[bool]:
    while True:
        try:
            return source.comes(quote * 3)
        except NeedMore:
            yield


def _special(source: Source, closing: str, closes: Closes, end_marker: str) -> str | bool:
    """Take a quote, an escape or a "<", and return what it stands for, or whether the string ends here closed."""
    char = source.text[source.place]
    if char == "\\":
        return _escape(source, closing, end_marker)
    if char == "<":
        return False if source.comes(end_marker) else source.take(source.place + 1)
    if len(closing) > 1:
        if not source.comes(closing):
            return source.take(source.place + 1)
    elif not _closes(source, closes, 1):
        return source.take(source.place + 1)
    source.take(source.place + len(closing))
    return True


def _closes(source: Source, closes: Closes, length: int) -> bool:
    cursor = Cursor(source)
    cursor.at += length
    return closes(cursor)


def _escape(source: Source, closing: str, end_marker: str) -> str | bool:
    """Take an escape, and return what it stands for; a backslash that escapes nothing stands for itself."""
    text, place = source.text, source.place
    if end_marker and len(closing) == 1 and _closes(source, lambda cursor: _is_last(cursor, closing, end_marker), 1):
        # The string ends in a backslash, not escaped: https://github.com/vllm-project/vllm/pull/48171
        return source.take(place + 1)
    if len(text) - place < 2 and not source.closed:
        raise NeedMore
    char = text[place + 1 : place + 2]
    if char in _SIMPLE:
        source.take(place + 2)
        return _SIMPLE[char]
    code = _CODE.match(text, place)
    if not source.closed and len(text) - place < _LONGEST_ESCAPE and char and char in "uUx01234567":
        raise NeedMore
    if code is None:
        return source.take(place + 1)
    source.take(code.end())
    return _decoded(code)


def _is_last(cursor: Cursor, quote: str, end_marker: str) -> bool:
    if not cursor.take(quote):
        return False
    cursor.skip_space()
    if not cursor.take(")"):
        return False
    cursor.skip_space()
    cursor.take("]")
    cursor.skip_space()
    return cursor.take(end_marker)


def _decoded(code: re.Match[str]) -> str:
    if code["low"]:
        return bytes.fromhex(code["high"] + code["low"]).decode("utf-16-be")
    number = int(code["octal"], 8) if code["octal"] else int(code["four"] or code["two"] or code["eight"], 16)
    return chr(number) if number < 0x110000 else code[0]
