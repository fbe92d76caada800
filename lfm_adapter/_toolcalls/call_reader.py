"""Calls out of text while it is written: `CallReader`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lfm_adapter._toolcalls.calls import read_frame
from lfm_adapter._toolcalls.frames import CALL_END, NAME, UNDECIDED, Frame, find_prefix
from lfm_adapter.types import ToolCall

if TYPE_CHECKING:
    from collections.abc import Callable

    from lfm_adapter._toolcalls.frames import Closing, FramePart
    from lfm_adapter._toolcalls.tools import Tools

MAX_CALLS = 1_000  # in one answer

_SPACE = re.compile(r"\s+")
# Text up to the end of the line, or to what may begin a call: a "<" of the forms that `frames` knows, and at the
# start of a line also a fence, or a bracket that has what a call would have behind it.
_WORD = rf"(?:[^<\s\[]+|<(?=[^|tf\uff5c])|\[(?!\s{{0,9}}{NAME}{{0,64}}(?:\(|\Z)))+"
_TEXT = re.compile(rf"{_WORD}(?:[^\S\r\n]+{_WORD})*")
_LINE_TEXT = re.compile(
    rf"""(?!\[\s{{0,100}}(?:[^\s\[\](){{}}'",:;=]|{{|\Z)|{{\s{{0,100}}(?:["']|\Z)|```|`{{1,2}}\Z){_TEXT.pattern}"""
)
_NAME = re.compile(rf"{NAME}+")
_MAX_SPACE = 100

# Frames that did not close are read again, as long as all that is read stays in proportion to the text.
_MAX_READINGS = 8
_READ_CHARS_FREE = 200_000
_READ_CHARS_A_CHAR = 2
_BROKEN_CHARS = 4  # what a character of a broken frame counts, since all its readings are weighed
_VAIN_CHARS = 20  # what a place counts where no frame begins, though it seemed so


class CallReader:
    r"""Finds calls in text while it is written, in the forms that `frames` shows.

    Text is returned as it comes, without the calls. What may begin a call is held back until that is certain: a marker
    at most, or as much as `{"name": "`, the longest name and the key behind it. From there on the text is collected
    until the frame closes, and read as a whole. What turns out to be no call is returned as it was written.

    White space around a call is dropped, except between two texts, where the white space before the call stays. A call
    that is broken or does not fit the tool counts too, and has an `error`. All that follows `MAX_CALLS` calls is text.

    Args:
        tools: The bound tools. A call of another is text.
        make_id: Makes the id of a call, from its place.

    Attributes:
        tools: The bound tools.
        calls: The calls so far, in order.
        unknown_tools: Names called between markers that no bound tool has. Such calls are text.
        has_too_many_calls: Whether there are more than `MAX_CALLS`, those of unknown tools among them.

    >>> from lfm_adapter._toolcalls.tools import Tools
    >>> tools = Tools.from_openai([{"type": "function", "function": {"name": "f"}}])
    >>> reader = CallReader(tools, make_id="call_{}".format)
    >>> reader.feed("Well, <|tool_call")
    'Well,'
    >>> reader.feed('_start|>[f(city="Paris")]<|tool_call_end|> Bye.')
    ' Bye.'
    >>> reader.calls
    [ToolCall(index=0, id='call_0', name='f', arguments='{"city": "Paris"}', error=None)]
    """

    def __init__(self, tools: Tools, *, make_id: Callable[[int], str]) -> None:
        self.calls: list[ToolCall] = []
        self.unknown_tools: list[str] = []
        self.has_too_many_calls = False
        self.tools = tools
        self._make_id = make_id
        self._text = ""
        self._place = 0  # how far `_text` was read
        self._dropped_chars = 0  # of what came before `_text`
        self._frame: Frame | None = None
        self._pending: list[str] = []  # what comes behind `_text` and does not close the frame
        self._read_chars = 0  # of all frames
        self._out: list[str] = []
        self._space: list[str] = []
        self._is_start = True
        self._is_line_start = True
        self._has_text = False
        self._follows_call = False
        self._last_calls: list[tuple[str, str]] = []  # of the last frame, if a marker began it
        self._closers: tuple[str, ...] = ()  # that may follow a call
        self._keeps_space = True
        self._backticks = 0  # that end the text so far

    def feed(self, text: str) -> str:
        """Take the next characters, and return the text that is not part of a call."""
        if not text or not self.tools:
            return text
        if self._frame is not None:
            self._pending.append(text)
            closing = self._frame.next_closing(text)
            if closing is None or not self._close_frame(self._frame, closing, is_closed=False):
                return ""
        elif self._is_plain(text):
            self._backticks = 0
            return text
        else:
            self._dropped_chars += self._place
            self._text = self._text[self._place :] + text
            self._place = 0
        self._read(is_closed=False)
        return self._taken()

    def close(self) -> str:
        """Return the text that is left at the end of the answer."""
        self._read(is_closed=True)
        if not self._follows_call:
            self._out += self._space
        return self._taken()

    def _is_plain(self, text: str) -> bool:
        """Return whether text can be returned as it is: it neither ends nor begins anything, and ends in no space."""
        return not (
            self._is_line_start
            or self._space
            or self._place < len(self._text)
            or "<" in text
            or "[" in text
            or "\n" in text
            or "\r" in text
            or text[-1] == "`"
            or text[-1].isspace()
        )

    def _taken(self) -> str:
        """Return the text that was found since the last time."""
        out = "".join(self._out)
        self._out.clear()
        return out

    def _read(self, *, is_closed: bool) -> None:
        """Read as much as is certain."""
        while True:
            if self._frame is not None:
                closing = self._frame.next_closing(is_closed=is_closed)
                if not self._close_frame(self._frame, closing, is_closed=is_closed):
                    return
            elif self._place == len(self._text):
                return
            elif self._closers:
                if not self._skip_closer(self._closers[0], is_closed=is_closed):
                    return
            elif space := _SPACE.match(self._text, self._place):
                self._add_space(space[0])
                self._place = space.end()
            elif not self._read_text(is_closed=is_closed):
                return

    def _read_text(self, *, is_closed: bool) -> bool:
        """Read text, or open a frame. Return False where more must be known."""
        opened: bool | None = False
        if self._is_start and self._may_begin_bare_call(is_closed=is_closed):
            opened = self._open_frame(is_start=True, is_closed=is_closed)
        text = (_LINE_TEXT if self._is_line_start else _TEXT).match(self._text, self._place)
        if opened is False and text is None:
            opened = self._open_frame(is_closed=is_closed)
        if opened is False:
            self._add_text(text[0] if text else self._text[self._place])
            self._place += len(text[0]) if text else 1
        return opened is not None

    def _may_begin_bare_call(self, *, is_closed: bool) -> bool:
        """Return whether the answer begins with the name of a tool, or with what may become one."""
        word = _NAME.match(self._text, self._place)
        is_whole = word is not None and (word.end() < len(self._text) or is_closed)
        return word is not None and self.tools.may_be_called(word[0], is_whole=is_whole)

    def _open_frame(self, *, is_start: bool = False, is_closed: bool) -> bool | None:
        """Open a frame where one begins, and return whether one does; None where more must be known."""
        # A marker right behind one or two backticks is quoted; behind three it is in a fence.
        is_quoted = self._backticks in (1, 2)
        if is_quoted or self.has_too_many_calls or not self._may_read(self._dropped_chars + self._place):
            return False
        prefix = find_prefix(
            self._text,
            self._place,
            self.tools,
            is_start=is_start,
            is_line_start=self._is_line_start,
            is_closed=is_closed,
        )
        if prefix is UNDECIDED:
            return None
        if prefix is None:
            self._read_chars += _VAIN_CHARS
            return False
        self._frame = Frame(self._text, self._place, prefix)
        return True

    def _close_frame(self, frame: Frame, closing: Closing | None, *, is_closed: bool) -> bool:
        """Read a frame, if it is complete, and return whether it is. `closing` is where it may close."""
        self._text = "".join((self._text, *self._pending))
        self._pending.clear()
        while closing:
            if frame.first and not self._may_read(self._dropped_chars + closing.end, closing.start - frame.start):
                break
            parts = self._parts(frame, closing.start, is_answer_end=False)
            if frame.is_whole(parts, closing):
                self._take_frame(frame, parts, closing)
                return True
            frame.first = frame.first or (parts, closing)
            frame.readings += 1
            if frame.readings == _MAX_READINGS:
                break
            closing = frame.next_closing(is_closed=is_closed)
        if not closing and not is_closed:
            return False
        if frame.first and (closing or frame.closers):
            self._take_frame(frame, *frame.first)
        else:
            self._take_frame(frame, self._parts(frame, len(self._text), is_answer_end=True), None)
        return True

    def _parts(self, frame: Frame, end: int, *, is_answer_end: bool) -> list[FramePart]:
        text = self._text[frame.start : end]
        left = self._left_calls()
        parts = read_frame(text, frame.prefix, self.tools, is_answer_end=is_answer_end, max_calls=left)
        is_clean = all(part.error is None and not part.open for part in parts)
        self._read_chars += len(text) * (1 if is_clean else _BROKEN_CHARS)
        return parts

    def _left_calls(self) -> int:
        """Return how many more calls are read."""
        return MAX_CALLS - len(self.calls) - len(self.unknown_tools)

    def _may_read(self, place: int, chars: int = 0) -> bool:
        """Return whether to read more, `place` characters into the answer."""
        return self._read_chars + chars <= _READ_CHARS_FREE + _READ_CHARS_A_CHAR * place

    def _take_frame(self, frame: Frame, parts: list[FramePart], closing: Closing | None) -> None:
        self._frame = None
        self._is_start = False
        rest = self._text[frame.start + parts[-1].end :] if parts and frame.prefix.is_last else ""
        if not parts or rest.strip(" \t\r\n,"):
            self._add_text(self._text[frame.start])
            self._place = frame.start + 1
            return
        made = [(part.name, part.text) for part in parts if part.is_call]
        # LFM2 may repeat a call behind its end marker: https://github.com/vllm-project/vllm/pull/39243
        is_echo = made == self._last_calls and self._follows_call and not frame.prefix.is_marked
        is_echo = is_echo and len(made) <= self._left_calls()
        self._last_calls = made if frame.prefix.is_marked else []
        for part in parts:
            if part.name and not is_echo and not self._left_calls():
                self.has_too_many_calls = True
                return
            if part.is_call and not is_echo:
                index = len(self.calls)
                self.calls.append(ToolCall(index, self._make_id(index), part.name, part.text, part.error))
            elif not part.is_call:
                self.unknown_tools += [part.name] if part.name else []
                self._add_text(part.text)
            self._place = frame.start + part.end
        if not parts[-1].is_call:
            return
        # An end marker may come without a start marker, or twice.
        self._closers = frame.closers[-1:] or (CALL_END,)
        if frame.closers and closing:
            closer = self._text[closing.start : closing.end]
            outer = frame.closers[frame.closers.index(closer) + 1 if closer in frame.closers else 0 :]
            self._closers = (*outer, *self._closers)
            if behind := self._text[self._place : closing.start].strip():
                self._add_text(behind)
            self._place = closing.end
        self._backticks = 0
        self._is_line_start = True
        self._follows_call = True
        self._keeps_space = not self._space

    def _skip_closer(self, closer: str, *, is_closed: bool) -> bool:
        """Step across what closes an outer frame, if it comes next. Return False where more must be known."""
        rest = self._text[self._place : self._place + _MAX_SPACE + len(closer)]
        behind = rest.lstrip()
        if behind.startswith(closer):
            self._place += len(rest) - len(behind) + len(closer)
        elif not is_closed and len(rest) < _MAX_SPACE and closer.startswith(behind):
            return False
        self._closers = self._closers[1:]
        return True

    def _add_space(self, space: str) -> None:
        if self._keeps_space:
            self._space.append(space)
        self._backticks = 0
        self._is_line_start = self._is_line_start or "\n" in space or "\r" in space

    def _add_text(self, text: str) -> None:
        self._is_start = False
        if self._has_text or not self._follows_call:
            self._out += self._space
        self._space.clear()
        self._out.append(text)
        before = text.rstrip("`")
        self._backticks = len(text) - len(before) + (0 if before else self._backticks)
        self._has_text = True
        self._follows_call = False
        self._keeps_space = True
        self._is_line_start = False
