"""Reads JSON whose shape is uncertain, without raising, and writes JSON.

OpenRouter adds fields and values without notice and asks clients to tolerate null
(https://openrouter.ai/docs/api-reference/versioning).
"""

from __future__ import annotations

import json
import math
import re
from codecs import BOM_UTF8
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lfm_adapter.types import JSONDict

_decoder = json.JSONDecoder()
_encode = json.JSONEncoder(ensure_ascii=False).encode
_SURROGATE = re.compile("[\ud800-\udfff]")
UP_TO_QUOTE = {quote: re.compile(rf"(?:[^\\{quote}]+|\\.)*\\?", re.DOTALL) for quote in "\"'`"}
MAX_DIGITS = 4_000  # Python reads 4,300, its sign included


def parse(data: bytes | str) -> Any:
    r"""Return the JSON value; None for invalid JSON, too deep nesting, and numbers that JSON or Python cannot hold.

    Surrounding whitespace is fine: OpenRouter pads half of its plain responses while it waits for the provider.

    >>> parse(b'\n         \n{"a": 1}')
    {'a': 1}
    >>> parse('{"a": NaN}')
    """
    return _loads(data, parse_constant=finite, parse_float=finite)


def parse_received(data: bytes) -> Any:
    """Return the JSON value of what a server sent, in which NaN may stand.

    An integer of thousands of digits becomes null: such a count or cost is a mistake of the server, and no reason to
    lose a reply that is paid for.
    """
    value = _loads(data)
    return _loads(data, parse_int=_integer) if value is None and len(data) > MAX_DIGITS else value


def _loads(data: bytes | str, **readers: Any) -> Any:
    try:
        return json.loads(data if isinstance(data, str) else data.removeprefix(BOM_UTF8).decode(), **readers)
    except (ValueError, RecursionError):
        return None


def finite(written: str) -> float:
    """Return a number, or raise `ValueError` for one that JSON or Python cannot hold."""
    number = float(written)
    if not math.isfinite(number):  # NaN or 1e999
        raise ValueError(written)
    return number


def _integer(digits: str) -> int | None:
    return int(digits) if len(digits) <= MAX_DIGITS else None


def json_end(text: str, place: int) -> int | None:
    """Return the index after the JSON value that starts at `place`; None if no valid value starts there."""
    try:
        return _decoder.raw_decode(text, place)[1]
    except (ValueError, RecursionError):
        return None


def after(pattern: re.Pattern[str], text: str, place: int) -> int:
    """Return the place behind a match of `pattern`, or `place` where it does not match."""
    match = pattern.match(text, place)
    return place if match is None else match.end()


def as_str(value: object) -> str | None:
    """Return `value` if it is a string with at least one character."""
    return value if isinstance(value, str) and value else None


def as_text(value: object) -> str:
    """Return a string unchanged, None as "", and other values as JSON, or "" if they are nested too deep."""
    if isinstance(value, str):
        return value
    try:
        return "" if value is None else json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return ""


def as_number(value: object) -> float | None:
    """Return a finite number, also one written as a string ("1.5"), else None."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    if not math.isfinite(number):
        return None
    return value if isinstance(value, int) else number


def as_count(value: object) -> int | None:
    """Return a count from 0 to 2^62, which databases and tracing backends can hold, else None."""
    number = as_number(value)
    return None if number is None or not 0 <= number < 2**62 else int(number)


def as_dict(value: object) -> JSONDict:
    """Return `value` if it is a dict, else an empty one."""
    return value if isinstance(value, dict) else {}


def dicts(value: object) -> Iterator[JSONDict]:
    """Yield the dicts in a list; nothing for any other value."""
    if isinstance(value, list):
        for item in value:
            if isinstance(item, dict):
                yield item


def is_deeper(value: object, levels: int) -> bool:
    """Return whether lists and objects are nested in more than `levels` levels."""
    level = [value]
    for _ in range(levels + 1):
        level = [
            child
            for item in level
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return False
    return True


def write_json(value: Any) -> str:
    """Return a value as JSON in which surrogates are escaped, for UTF-8 has none."""
    return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", _encode(value))
