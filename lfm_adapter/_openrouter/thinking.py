"""Takes reasoning that a server left in the text, as `<think>…</think>`, out of it.

- An answer that begins with `<think>`, after white space, is reasoning up to the first `</think>`, or all of it.
- A whole answer with `</think>` and no `<think>` before it, as from models whose prompt ends in `<think>`, is reasoning
  up to there, unless the tag is in quotes or code, or nothing follows, or the server sent its reasoning apart. A stream
  cannot tell: what has been passed on as text stays text, the tag too.
- Tags elsewhere are text.
"""

from __future__ import annotations

import re

__all__ = ["ThinkingSplitter", "split_thinking"]

_OPEN, _CLOSE = "<think>", "</think>"
_UNQUOTED_CLOSE = re.compile(r"(?<![`'\"])</think>(?![`'\"])")


def split_thinking(text: str, *, is_separate: bool = False) -> tuple[str, str]:
    """Return the reasoning and the text of a whole answer; `is_separate` if the server sent its reasoning apart."""
    if text.lstrip().startswith(_OPEN):
        reasoning, _, rest = text.lstrip().removeprefix(_OPEN).partition(_CLOSE)
        return reasoning, rest.lstrip()
    found = None if is_separate else _UNQUOTED_CLOSE.search(text)
    if found is None:
        return "", text
    reasoning, rest = text[: found.start()], text[found.end() :].lstrip()
    is_code = reasoning.count("```") % 2 == 1
    return ("", text) if _OPEN in reasoning or is_code or not rest else (reasoning, rest)


class ThinkingSplitter:
    """Splits the answer of a stream.

    Attributes:
        is_over: Whether the rest of the answer is text.
    """

    def __init__(self) -> None:
        self.is_over = False
        self._is_open = self._is_closed = False
        self._held = ""

    def add(self, piece: str) -> tuple[str, str]:
        """Add the next piece of the answer, and return what it adds to the reasoning and to the text."""
        self._held += piece
        if not self._is_open:
            begun = self._held.lstrip()
            if begun.startswith(_OPEN):
                self._is_open = True
                self._held = begun.removeprefix(_OPEN)
            elif _OPEN.startswith(begun):
                return "", ""
            else:
                return "", self.close()[1]
        reasoning = ""
        if not self._is_closed:
            reasoning, tag, rest = self._held.partition(_CLOSE)
            if not tag:
                kept = next(size for size in range(len(_CLOSE) - 1, -1, -1) if reasoning.endswith(_CLOSE[:size]))
                self._held = _CLOSE[:kept]
                return reasoning[: len(reasoning) - kept], ""
            self._is_closed = True
            self._held = rest
        self._held = self._held.lstrip()
        return reasoning, self.close()[1] if self._held else ""

    def close(self) -> tuple[str, str]:
        """End the answer, or its reasoning, and return what was held back."""
        rest, self._held = self._held, ""
        self.is_over = True
        return (rest, "") if self._is_open and not self._is_closed else ("", rest)
