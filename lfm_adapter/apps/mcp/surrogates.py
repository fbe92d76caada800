"""Halves of characters: JavaScript cuts texts between the two halves of an emoji, and small models write them alone.

UTF-8 has no halves, so that a single one makes a whole message impossible to send or to read.
"""

from __future__ import annotations

import re
from typing import Any

__all__ = ["join_halves", "repair_json"]

# Every escape is matched, so that the backslash of `\\ud83d` (a backslash and letters) is not taken for one.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)


def join_halves(value: Any) -> Any:
    r"""Join the halves of characters in all strings of a JSON value; a half that stays alone becomes U+FFFD.

    >>> join_halves({"a": "\ud83d" + "\ude00", "b": ["cut \ud83d"]})
    {'a': '😀', 'b': ['cut �']}
    """
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, dict):
        return {join_halves(key): join_halves(item) for key, item in value.items()}
    return [join_halves(item) for item in value] if isinstance(value, list) else value


def repair_json(text: bytes) -> bytes:
    r"""Replace the escapes of single halves in JSON by that of U+FFFD, which is as long.

    >>> repair_json(rb'["cut \ud83d", "\ud83d\ude00", "C:\\ud83d"]')
    b'["cut \\ufffd", "\\ud83d\\ude00", "C:\\\\ud83d"]'
    """
    if rb"\ud" not in text and rb"\uD" not in text:
        return text
    return _ESCAPE.sub(lambda found: rb"\ufffd" if found[1] else found[0], text)
