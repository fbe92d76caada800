"""Lone surrogates: JavaScript cuts texts between the two of an emoji, and small models write single ones.

UTF-8 cannot encode them, so that a single one makes a whole message impossible to send or to read.
"""

from __future__ import annotations

from typing import Any

from lfm_adapter._openrouter.surrogates import EscapeJoiner, has_halves, joined_halves


def join_halves(value: Any) -> Any:
    r"""Join pairs of surrogates in all strings of a JSON value. A lone surrogate becomes U+FFFD.

    >>> join_halves({"a": "\ud83d" + "\ude00", "b": ["cut \ud83d"]})
    {'a': '😀', 'b': ['cut �']}
    """
    if isinstance(value, str):
        return value if value.isascii() else joined_halves(value)
    if isinstance(value, dict):
        return {join_halves(key): join_halves(item) for key, item in value.items()}
    return [join_halves(item) for item in value] if isinstance(value, list) else value


def repair_json(data: bytes) -> bytes:
    r"""Return JSON without a byte order mark, escapes of lone surrogates, and bytes that are not UTF-8.

    >>> repair_json(rb'["cut \ud83d", "\ud83d\ude00", "C:\\ud83d"]')
    b'["cut \\ufffd", "\\ud83d\\ude00", "C:\\\\ud83d"]'
    """
    text = data.decode("utf-8-sig", "replace")
    return (EscapeJoiner().add(text, is_last=True) if has_halves(data) else text).encode()
