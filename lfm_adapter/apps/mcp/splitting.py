"""Cuts a text into parts that fit a model, at the best places there are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lfm_adapter.catalog import estimate_tokens

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["likely_tokens", "packed", "split"]

_BYTES_PER_TOKEN = 3
"""English prose has about four, source code three, Chinese three for a character that is often one token."""

# From the best place to the worst: before a file of a diff, after a paragraph, a line, a sentence, a word.
_PLACES = tuple(
    re.compile(pattern)
    for pattern in (r"(?m)^(?=diff --git )", r"(?<=\n)\n+", r"(?<=\n)", r"(?<=[.!?。！？])\s*", r"(?<=\s)")  # noqa: RUF001 - they end sentences in Chinese
)


def likely_tokens(text: str) -> int:
    """Return about how many tokens a text has, rather too many than too few."""
    at_least = estimate_tokens([{"role": "user", "content": text}])
    return max(at_least, -(-len(text.encode("utf-8", "surrogatepass")) // _BYTES_PER_TOKEN))


def split(text: str, max_tokens: int) -> list[str]:
    """Cut a text into parts of at most about `max_tokens` each. Joined, they are the text again.

    >>> split("One. Two. Three.", 3)
    ['One. ', 'Two. ', 'Three.']
    """
    return packed(_pieces(text, max_tokens, 0), max_tokens) or [text]


def packed(pieces: Iterable[str], max_tokens: int) -> list[str]:
    """Join neighbours as long as they stay within `max_tokens`."""
    parts: list[str] = []
    tokens = 0
    for piece in pieces:
        more = likely_tokens(piece)
        if parts and tokens + more <= max_tokens:
            parts[-1] += piece
            tokens += more
        else:
            parts.append(piece)
            tokens = more
    return parts


def _pieces(text: str, max_tokens: int, place: int) -> Iterator[str]:
    if likely_tokens(text) <= max_tokens:
        yield text
    elif place == len(_PLACES):
        half = max(1, len(text) // 2)
        if half == len(text):
            yield text
            return
        yield from _pieces(text[:half], max_tokens, place)
        yield from _pieces(text[half:], max_tokens, place)
    else:
        # So many characters have hardly more than a quarter of the tokens. Smaller pieces would take longer to count.
        for piece in _cut(text, _PLACES[place], max_tokens // 4):
            yield from _pieces(piece, max_tokens, place + 1)


def _cut(text: str, place: re.Pattern[str], min_chars: int) -> Iterator[str]:
    start = 0
    while (found := place.search(text, start + max(1, min_chars))) and found.end() < len(text):
        yield text[start : found.end()]
        start = found.end()
    yield text[start:]
