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
        closers: What may close it, the innermost first; the others may follow. None where brackets close it.
        readings: How often it was read.
        first: The first reading, and what closed the frame there.
    """

    def __init__(self, text: str, start: int, prefix: CallPrefix) -> None:
        self.closers = tuple(closer for closer in prefix.closers if closer != "]")
        is_bare_xml = not self.closers and text.startswith(FUNCTION_START, prefix.place)
        if is_bare_xml:
            self.closers = (TAG_END,)
        kind = (FUNCTION_START,) if is_bare_xml else self.closers[: 2 if FENCE in self.closers[:1] else 1]
        self.start = start
        self.prefix = prefix._replace(place=prefix.place - start)
        self.readings = 0
        self.first: tuple[list[FramePart], Closing] | None = None
        self._closing = _CLOSING[kind] if kind else None
        self._end = len(text)
        self._unread = text[prefix.place + len(FUNCTION_START) * is_bare_xml if kind else start :]  # not searched yet
        self._at = 0  # how far that was, where brackets close it
        self._depth = 0
        self._is_matched = False  # where the next character decides
        self._quote = ""

    def is_whole(self, parts: list[FramePart]) -> bool:
        """Tell whether the frame closes where it was read to, which is not within a string, or a bracket."""
        return not parts or parts[-1].open not in (("string",) if self.closers else ("string", "bracket"))

    def next_closing(self, piece: str = "", *, is_closed: bool = False) -> Closing | None:
        """Take the next characters, and return the next place at which the frame may close, if the text has one."""
        self._end += len(piece)
        if self._closing is None:
            return self._next_bracket(piece, is_closed=is_closed)
        unread = self._unread + piece
        match = self._closing.search(unread)
        if match is None:
            self._unread = unread[-_LONGEST_CLOSING:]
            return None
        self._unread = unread[match.end() :]
        end = self._end - len(self._unread)
        start = end - (0 if match[0] == "</function>" else len(match[0]))
        return Closing(start, start if match[0] in _OPENERS else end)

    def _next_bracket(self, piece: str, *, is_closed: bool) -> Closing | None:
        """Return the next place where the brackets match, and nothing follows that would only follow in a string."""
        self._unread = self._unread[self._at :] + piece
        self._at = 0
        while self._is_matched or self._match_brackets():
            self._is_matched = self._at == len(self._unread) and not is_closed
            if self._is_matched:
                return None
            if not self._unread.startswith(("'", '"', ")"), self._at):
                place = self._end - len(self._unread) + self._at
                return Closing(place, place)
        return None

    def _match_brackets(self) -> bool:
        """Step behind the bracket that closes the first one, and return whether the text has it."""
        while self._at < len(self._unread):
            if self._quote:
                quoted = _QUOTED[self._quote].match(self._unread, self._at)
                self._at = quoted.end() if quoted else self._at
                if not self._unread.startswith(self._quote, self._at):
                    return False
                self._quote = ""
                self._at += 1
            bracket = _BRACKETS.search(self._unread, self._at)
            self._at = bracket.end() if bracket else len(self._unread)
            if bracket is None:
                return False
            if bracket[0] in "\"'":
                self._quote = bracket[0]
            else:
                self._depth += 1 if bracket[0] in "([{" else -1
                if self._depth <= 0 and bracket[0] in ")]}":
                    return True
        return False
