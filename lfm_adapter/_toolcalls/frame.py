"""What frames calls in text, and where it closes: `Frame`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from lfm_adapter._toolcalls.call_prefix import CALL_END, FENCE, FUNCTION_START, TAG_END

if TYPE_CHECKING:
    from lfm_adapter._toolcalls.call_forms import FramePart
    from lfm_adapter._toolcalls.call_prefix import CallPrefix

__all__ = ["Closing", "Frame"]

# What may close a frame, by its innermost closer and the marker around a fence. LFM2's markers are tokens of their own,
# which are part of no string. The others may be text within a string.
_CLOSING = {
    (CALL_END,): re.compile(r"<\|tool_call_(?:end|start)\|>"),
    (TAG_END,): re.compile(r"</?tool_call>"),
    (FENCE,): re.compile(FENCE),
    (FENCE, CALL_END): re.compile(rf"{FENCE}|<\|tool_call_(?:end|start)\|>"),
    (FENCE, TAG_END): re.compile(rf"{FENCE}|</?tool_call>"),
    (FUNCTION_START,): re.compile(r"</function>|</?tool_call>|<function="),
}
_OPENERS = ("<|tool_call_start|>", "<tool_call>", FUNCTION_START)
_LONGEST_CLOSING = len("<|tool_call_start|>")
_BRACKETS = re.compile(r"""["'()\[\]{}]""")
_QUOTED = {quote: re.compile(rf"(?:[^\\{quote}]+|\\.)*", re.DOTALL) for quote in "\"'"}


class Closing(NamedTuple):
    """Where what closes a frame begins and ends."""

    start: int
    end: int


class Frame:
    """A frame that is being collected.

    It closes at its end marker, its closing fence, or where the brackets match with which it began. It goes on where
    reading shows that this is within a string.

    Attributes:
        start: Where it begins in the text.
        prefix: How it begins, with the place of the first call counted from `start`.
        closing: What may close it; None for brackets.
        closers: What may close it, the innermost first; the others may follow.
        readings: How often it was read.
        first: The first reading, and what closed the frame there.
    """

    __slots__ = (
        "_checked", "_depth", "_is_peeking", "_quote", "_tail", "closers", "closing", "first", "prefix", "readings",
        "start",
    )  # fmt: skip

    def __init__(self, text: str, start: int, prefix: CallPrefix) -> None:
        self.closers = tuple(closer for closer in prefix.closers if closer != "]")
        is_bare_xml = not self.closers and text.startswith(FUNCTION_START, prefix.place)
        if is_bare_xml:
            self.closers = (TAG_END,)
        self.start = start
        self.prefix = prefix._replace(place=prefix.place - start)
        kind = (FUNCTION_START,) if is_bare_xml else self.closers if self.closers[:1] == (FENCE,) else self.closers[:1]
        self.closing = _CLOSING[kind] if kind else None
        self.readings = 0
        self.first: tuple[list[FramePart], Closing] | None = None
        self._checked = start if self.closing is None else prefix.place + len(FUNCTION_START) * is_bare_xml
        self._tail = text[self._checked :][-_LONGEST_CLOSING:]
        self._depth = 0
        self._quote = ""  # the quote that is open, with a backslash before it if the next character is escaped
        self._is_peeking = False

    def is_whole(self, parts: list[FramePart]) -> bool:
        """Tell whether the frame closes where it was read to, which is not within a string, or a bracket."""
        return not parts or parts[-1].open not in (("string",) if self.closing else ("string", "bracket"))

    def may_close(self, piece: str) -> bool:
        """Tell whether the next characters may close the frame, all before them having been searched."""
        if self.closing is not None:
            tail = self._tail + piece
            self._tail = tail[-_LONGEST_CLOSING:]
            return self.closing.search(tail) is not None
        if self._is_peeking:
            return True
        before = self._depth, self._quote
        if self._match_brackets(piece, 0) < 0:
            self._checked += len(piece)
            return False
        self._depth, self._quote = before
        return True

    def find_closing(self, text: str, *, is_closed: bool) -> Closing | None:
        """Return the next place at which the frame may close, if the text so far has one."""
        if self.closing is not None:
            match = self.closing.search(text, self._checked)
            if match is None:
                self._checked = max(self._checked, len(text) - _LONGEST_CLOSING)
                return None
            self._checked = match.end()
            if match[0] in _OPENERS:
                return Closing(match.start(), match.start())
            return Closing(match.end() if match[0] == "</function>" else match.start(), match.end())
        while True:
            if not self._is_peeking:
                end = self._match_brackets(text, self._checked)
                self._checked = len(text) if end < 0 else end
                if end < 0:
                    return None
            self._is_peeking = self._checked == len(text) and not is_closed
            if self._is_peeking:
                return None
            if text[self._checked : self._checked + 1] not in ("'", '"', ")"):  # which follow brackets in a string
                return Closing(self._checked, self._checked)

    def _match_brackets(self, text: str, place: int) -> int:
        """Return the place behind the bracket that closes the first one, or -1 where none does."""
        while True:
            if len(self._quote) > 1 and place < len(text):
                place += 1
                self._quote = self._quote[1]
            if self._quote:
                quoted = _QUOTED[self._quote[-1]].match(text, place)
                place = quoted.end() if quoted else place
                if place == len(text):
                    return -1
                if text[place] == "\\":
                    self._quote = f"\\{self._quote}"
                    return -1
                self._quote = ""
                place += 1
            bracket = _BRACKETS.search(text, place)
            if bracket is None:
                return -1
            place = bracket.end()
            if bracket[0] in "\"'":
                self._quote = bracket[0]
            else:
                self._depth += 1 if bracket[0] in "([{" else -1
                if self._depth <= 0 and bracket[0] in ")]}":
                    return place
