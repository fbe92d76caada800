"""Masks keys and account ids in what errors say. Servers and providers repeat them in their messages."""

from __future__ import annotations

import json
import math
import re
import string
from base64 import b32encode, b64encode, urlsafe_b64encode
from html import escape
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

MAX_MESSAGE_CHARS = 1_000
_MAX_VALUE_CHARS = 80

# Levels of lists and objects, and values in them, that an error keeps. More come from hostile servers alone.
MAX_DEPTH = 32
MAX_VALUES = 1_000

_REDACTED = "[redacted]"

# A shorter "key", such as "x" for a local server, is part of many words.
_MIN_SECRET_CHARS = 8

# Servers and proxies cut what they repeat, wrap it, and change its case. Fewer characters could be a word.
_PART_CHARS = 12
_LOWER = {ord(letter): letter.lower() for letter in string.ascii_uppercase}

# Keys, bearer tokens and account ids by their form. Compiled on first use.
_SECRETS = (
    r"(?i)sk-or-v1-[a-z0-9]{8,}|\b(?:sk-[a-z0-9-]*[a-z0-9_-]{8,}|bearer\s+[^\s\"',;]+|(?:user|org|liquid)_[a-z0-9]{8,})"
)


def redact(text: str, secret: str | None = None) -> str:
    """Return `text` with keys and account ids masked, and then cut to `MAX_MESSAGE_CHARS`.

    Args:
        text: What a server said.
        secret: A key to look for whatever its form, before all others.

    >>> redact("key sk-or-v1-0123456789abcdef of user_2wT5abcdefgh")
    'key [redacted] of [redacted]'
    >>> redact("you sent a,key;of my own", "a,key;of my own")
    'you sent [redacted]'
    """
    clean = re.sub(_SECRETS, _REDACTED, mask(text, secret))
    return clean if len(clean) <= MAX_MESSAGE_CHARS else f"{clean[:MAX_MESSAGE_CHARS]}…"


def shown(value: object) -> str:
    """Return the beginning of a value's `repr`, for an error; its class where it has none.

    >>> shown([1, "two"])
    "[1, 'two']"
    """
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - nested too deep, an integer of thousands of digits, or any error of its class
        return f"`{type(value).__name__}`"
    return text if len(text) <= _MAX_VALUE_CHARS else f"{text[:_MAX_VALUE_CHARS]}…"


def redact_json(value: Any, secret: str | None = None) -> Any:
    """Return a value of JSON whose texts are all redacted, and in which no account is named.

    Args:
        value: What a server sent. Python reads NaN and Infinity, which JSON does not have: they become None. Of more
            than `MAX_DEPTH` levels or `MAX_VALUES` values the rest is left out.
        secret: See `redact`.
    """
    left = iter(range(MAX_VALUES))

    def redacted(value: Any, depth: int) -> Any:
        if isinstance(value, str):
            return redact(value)
        if isinstance(value, float) and not math.isfinite(value):
            return None
        if not isinstance(value, dict | list):
            return value
        if depth == 0:
            return "…"
        if isinstance(value, list):
            return [redacted(item, depth - 1) for item in value if next(left, None) is not None]
        return {
            redact(key): redacted(item, depth - 1)
            for key, item in value.items()
            if key != "user_id" and next(left, None) is not None
        }

    return redacted(mask(value, secret), MAX_DEPTH)


def mask(value: T, secret: str | None) -> T:
    """Return `value` without `secret` and its longer parts, in text, in bytes, or anywhere in an object of JSON."""
    if not secret or len(secret) < _MIN_SECRET_CHARS:
        return value
    forms = [form.translate(_LOWER) for form in _forms(secret)]
    size = min(_PART_CHARS, *map(len, forms))
    parts = {form[start : start + size] for form in forms for start in range(len(form) - size + 1)}
    masked: T = _mask(value, parts, size)
    return masked


def _mask(value: Any, parts: set[str], size: int, depth: int = MAX_DEPTH) -> Any:
    match value:
        case dict() | list() if depth == 0:
            return "…"
        case str():
            return _mask_text(value, parts, size)
        case bytes():
            text = value.decode(errors="surrogateescape")
            return _mask_text(text, parts, size).encode(errors="surrogateescape")
        case dict():
            return {_mask(key, parts, size): _mask(item, parts, size, depth - 1) for key, item in value.items()}
        case list():
            return [_mask(item, parts, size, depth - 1) for item in value]
    return value


def _mask_text(text: str, parts: set[str], size: int) -> str:
    lower = text.translate(_LOWER)
    masked, end = "", 0
    for start in range(len(text) - size + 1):
        if lower[start : start + size] in parts:
            if start >= end:
                masked += text[end:start] + _REDACTED
            end = start + size
    return masked + text[end:]


def _forms(secret: str) -> list[str]:
    """Return the ways in which a server may write `secret`: escaped, backwards, in hexadecimal, base64 or base32."""
    data = secret.encode(errors="surrogatepass")
    forms = [
        secret,
        secret[::-1],
        json.dumps(secret)[1:-1],
        repr(secret)[1:-1],
        quote(secret, safe=""),
        escape(secret),
        data.hex(),
        data.hex().upper(),
        *_within(data, b32encode, bits=5),
    ]
    for encode in (b64encode, urlsafe_b64encode):
        for form in _within(data, encode, bits=6):
            forms += [form, *_within(form.encode(), encode, bits=6)]
    return forms


def _within(data: bytes, encode: Callable[[bytes], bytes], *, bits: int) -> Iterator[str]:
    """Yield `data` as it is encoded, `bits` a character, behind a user name and the like."""
    for skipped in range(math.lcm(8, bits) // 8):  # until the encoding begins anew
        # The first characters hold bits of what comes before, and the last of what comes behind.
        whole = slice(-(-skipped * 8 // bits), (skipped + len(data)) * 8 // bits)
        yield encode(b"\0" * skipped + data).decode()[whole]
