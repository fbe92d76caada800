"""Reads strings and numbers as models write them, and rewrites them as JSON. Nothing is evaluated."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from lfm_adapter._toolcalls.quotes import Strings

__all__ = ["SPACE", "LooseString", "after", "read_number", "read_string", "write_json"]

SPACE = re.compile(r"\s*")


def after(pattern: re.Pattern[str], text: str, place: int) -> int:
    """Return the place behind a match of `pattern`, or `place` where it does not match."""
    match = pattern.match(text, place)
    return place if match is None else match.end()


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


_UP_TO_QUOTE = {quote: re.compile(rf"(?:[^\\{quote}]+|\\.)*\\?", re.DOTALL) for quote in "\"'`"}
_IRREGULAR = re.compile(
    r"""\\(?:(?P<json>["\\/bfnrt]|u[0-9a-fA-F]{4})|x(?P<two>HH)|(?P<same>['`])|(?P<none>\n)
        |(?P<python>U(?P<eight>HHHHHHHH)|(?P<octal>[0-7]{1,3})|[av]))|["\\\x00-\x1f]""".replace("H", "[0-9a-fA-F]"),
    re.VERBOSE,
)
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
    end = strings.ends.get(place)
    if end is None:
        match = _UP_TO_QUOTE[quote].match(text, place + 1)
        end = place + 1 if match is None else match.end()
    length = 3 if end >= place + 3 and text.startswith(quote * 3, place) and text.startswith(quote * 3, end) else 1
    written = text[place + length : end]
    if quote == '"' == written[:1] and written.count('"') == 1:  # the first quote was doubled
        written = written[1:]
    is_closed = end < len(text)
    if _WINDOWS_PATH.fullmatch(written) and (not is_answer or _STRAY_ESCAPE.match(written)):
        found = _encode(written)[1:-1]
    elif is_answer:
        found = _IRREGULAR.sub(_mended_in_answer, written)
    else:
        found = _IRREGULAR.sub(_mended, written)
    return LooseString(found, end + length * is_closed, is_closed)


def _mended(match: re.Match[str]) -> str:
    """Return as JSON an escape, or what has to be one. A backslash that escapes nothing is kept."""
    if match["json"]:
        return match[0]
    if digits := match["two"] or match["eight"]:
        number = int(digits, 16)
        return write_json(chr(number) if number < 0x110000 else match[0])[1:-1]
    if match["octal"]:
        return write_json(chr(int(match["octal"], 8)))[1:-1]
    if match["same"] or match["none"]:
        return match["same"] or ""
    return _encode({"\\a": "\a", "\\v": "\v"}.get(match[0], match[0]))[1:-1]


def _mended_in_answer(match: re.Match[str]) -> str:
    return _encode(match[0])[1:-1] if match["python"] else _mended(match)


_NUMBER = re.compile(
    r"(?P<sign>[+-]?)(?:0[xX](?P<hex>[0-9a-fA-F]{1,64})|(?P<whole>[0-9][0-9_]*)?(?P<fraction>\.[0-9]*)?"
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
    whole, fraction = match["whole"] or "", match["fraction"] or ""
    if not whole and len(fraction) < 2:
        return "", place
    digits = whole.replace("_", "").lstrip("0") or "0"
    written = f"{sign}{digits}{f'{fraction}0' if fraction == '.' else fraction}{match['exponent'] or ''}"
    return written, match.end()
