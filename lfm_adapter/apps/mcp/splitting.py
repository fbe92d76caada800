"""Splits a text into parts that fit into a prompt."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lfm_adapter.catalog import estimate_tokens

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_BYTES_PER_TOKEN = 3
"""About four in English prose, three in source code, and three in a Chinese character, which is often one token."""

# Where to split a text, best first: before a file of a diff, after a paragraph, a line, a sentence, a word.
_BREAKS = tuple(
    re.compile(pattern)
    for pattern in (r"(?m)^(?=diff --git )", r"(?<=\n)\n+", r"(?<=\n)", r"(?<=[.!?。！？])\s*", r"(?<=\s)")  # noqa: RUF001 - they end sentences in Chinese
)


def likely_tokens(text: str) -> int:
    """Estimate the tokens of a text, erring on the high side."""
    at_least = estimate_tokens([{"role": "user", "content": text}])
    return max(at_least, -(-len(text.encode("utf-8", "surrogatepass")) // _BYTES_PER_TOKEN))


def split(text: str, max_tokens: int) -> list[str]:
    """Split a text into parts of at most about `max_tokens`. Joined, they equal the text.

    >>> split("One. Two. Three.", 3)
    ['One. ', 'Two. ', 'Three.']
    """
    return packed(_pieces(text, max_tokens, 0), max_tokens) or [text]


def packed(pieces: Iterable[str], max_tokens: int) -> list[str]:
    """Join adjacent pieces up to `max_tokens`."""
    parts: list[str] = []
    total = 0
    for piece in pieces:
        tokens = likely_tokens(piece)
        if parts and total + tokens <= max_tokens:
            parts[-1] += piece
            total += tokens
        else:
            parts.append(piece)
            total = tokens
    return parts


def _pieces(text: str, max_tokens: int, level: int) -> Iterator[str]:
    if len(text) <= 1 or likely_tokens(text) <= max_tokens:
        yield text
    elif level == len(_BREAKS):
        half = len(text) // 2
        yield from _pieces(text[:half], max_tokens, level)
        yield from _pieces(text[half:], max_tokens, level)
    else:
        # So many characters have little more than a quarter of the tokens. Counting smaller pieces takes longer.
        for piece in _cut(text, _BREAKS[level], max_tokens // 4):
            yield from _pieces(piece, max_tokens, level + 1)


def _cut(text: str, pattern: re.Pattern[str], min_chars: int) -> Iterator[str]:
    start = 0
    while (found := pattern.search(text, start + max(1, min_chars))) and found.end() < len(text):
        yield text[start : found.end()]
        start = found.end()
    yield text[start:]
