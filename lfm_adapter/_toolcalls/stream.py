"""Calls out of text while it is written: `CallReader`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lfm_adapter._toolcalls.arguments import Call, Outlet
from lfm_adapter._toolcalls.calls import read_call, read_object
from lfm_adapter._toolcalls.heads import find_head, next_head
from lfm_adapter._toolcalls.members import name_in, pass_member
from lfm_adapter._toolcalls.source import Cursor, NeedMore, Source

if TYPE_CHECKING:
    from collections.abc import Callable

    from lfm_adapter._toolcalls.heads import Head
    from lfm_adapter._toolcalls.source import Steps
    from lfm_adapter._toolcalls.tools import Tools
    from lfm_adapter.types import ToolCall

__all__ = ["CallReader"]

_SPACE = re.compile(r"\s+")
# Text up to the end of the line, or to what may begin a call: a "<" of the forms that `heads` knows, and at the start
# of a line also a fence, or a bracket that has what a call would have behind it.
_WORD = r"(?:[^<\s]+|<(?=[^|tf]))+"
_TEXT = re.compile(rf"{_WORD}(?:[^\S\r\n]+{_WORD})*")
_LINE_TEXT = re.compile(
    rf"""(?!\[\s{{0,100}}(?:[^\s\[\](){{}}'",:;=]|{{|\Z)|{{\s{{0,100}}(?:["']|\Z)|```|`{{1,2}}\Z){_TEXT.pattern}"""
)


class CallReader:
    r"""Finds calls in text while it is written, in the forms that `heads` shows.

    Text is handed on as it comes. What may be the beginning of a call is held back until that is certain: a marker at
    most, or as much as `{"name": "`, the longest name and the key behind it. White space around a call is dropped, but
    where a call stands between two texts, what stood before it keeps them apart. Text without a call comes out as it
    was.

    A call is handed on while it is written: its name, then each argument, and a string character by character where the
    tool takes a string. One that is broken or does not fit the tool is handed on too, and has an `error` in `calls`.

    Args:
        tools: What may be called. All else is text.
        make_id: Makes the id of a call, from its place.

    Attributes:
        calls: The whole calls so far, in order.
        unbound: What was called between markers and is no tool that is bound; that is text.

    >>> from lfm_adapter._toolcalls.tools import Tools
    >>> tools = Tools.from_openai([{"type": "function", "function": {"name": "f"}}])
    >>> reader = CallReader(tools, make_id="call_{}".format)
    >>> reader.feed("Well, <|tool_call")
    ['Well,']
    >>> [piece.arguments for piece in reader.feed('_start|>[f(city="Pa')]
    ['{"city": "Pa']
    >>> [piece.arguments for piece in reader.feed('ris")]<|tool_call_end|>') + reader.close()]
    ['ris"}']
    >>> reader.calls
    [ToolCall(index=0, id='call_0', name='f', arguments='{"city": "Paris"}', error=None)]
    """

    def __init__(self, tools: Tools, *, make_id: Callable[[int], str]) -> None:
        self.calls: list[ToolCall] = []
        self.unbound: list[str] = []
        self._tools = tools
        self._make_id = make_id
        self._source = Source()
        self._outlet = Outlet()
        self._space: list[str] = []
        self._is_line_start = True
        self._is_in_text = True
        self._has_text = False
        self._follows_call = False
        self._keeps_space = True
        self._backticks = 0  # that end the text so far
        self._steps = self._read()

    def feed(self, text: str) -> list[str | ToolCall]:
        """Take the next characters, and return what is to be handed on: text, and pieces of calls.

        The first piece of a call has its id and name, and all pieces together its arguments.
        """
        if not text:
            return []
        if not self._tools:
            return [text]
        if self._is_in_text and self._is_plain(text):
            self._backticks = 0
            return [text]
        self._source.feed(text)
        next(self._steps, None)
        return self._outlet.taken()

    def close(self) -> list[str | ToolCall]:
        """Return what is left at the end of the answer."""
        self._source.closed = True
        next(self._steps, None)
        return self._outlet.taken()

    def _is_plain(self, text: str) -> bool:
        """Tell whether text goes through as it is: it is the end of nothing, the beginning of nothing, and no space."""
        source = self._source
        return not (
            self._is_line_start
            or self._space
            or source.place < len(source.text)
            or "<" in text
            or "\n" in text
            or "\r" in text
            or text[-1] == "`"
            or text[-1].isspace()
        )

    def _read(self) -> Steps[None]:
        source = self._source
        while True:
            if source.place == len(source.text):
                if source.closed:
                    break
                yield
            elif space := _SPACE.match(source.text, source.place):
                self._add_space(source.take(space.end()))
            elif text := (_LINE_TEXT if self._is_line_start else _TEXT).match(source.text, source.place):
                self._add_text(source.take(text.end()))
            else:
                yield from self._read_opener()
        if not self._follows_call:
            for held in self._space:
                self._outlet.add(held)

    def _read_opener(self) -> Steps[None]:
        while True:
            try:
                head = None
                # Right behind a backtick a marker is quoted; behind three it stands in a fence.
                if self._backticks not in (1, 2):
                    head = find_head(self._source, self._tools, is_line_start=self._is_line_start)
            except NeedMore:
                yield
                continue
            if head is None:
                self._add_text(self._source.take(self._source.place + 1))
            else:
                yield from self._read_calls(head)
            return

    def _add_space(self, space: str) -> None:
        if self._keeps_space:
            self._space.append(space)
        self._backticks = 0
        self._is_line_start = self._is_line_start or "\n" in space or "\r" in space

    def _add_text(self, text: str) -> None:
        if self._has_text or not self._follows_call:
            for held in self._space:
                self._outlet.add(held)
        self._space.clear()
        self._outlet.add(text)
        before = text.rstrip("`")
        self._backticks = len(text) - len(before) + (0 if before else self._backticks)
        self._has_text = True
        self._follows_call = False
        self._keeps_space = True
        self._is_line_start = False

    def _read_calls(self, head: Head) -> Steps[None]:
        source = self._source
        self._is_in_text = False
        found: Head | None = head
        count = 0
        while found is not None:
            count = len(self.calls)
            before = source.take(found.end)
            if found.form == "other":
                self.unbound.append(found.name)
                self._add_text(before)
                yield from pass_member(source, self._add_text, found.end_marker)
            elif found.form == "late":
                yield from self._read_late_call(before, found.end_marker)
            else:
                call = self._call(found.name)
                yield from read_call(source, call, found)
                self.calls.append(call.end())
            found = yield from self._next(head.closers)
        self._is_in_text = True
        if len(self.calls) == count:  # what the frame ends with is text, and so is its end
            return
        for closer in head.closers:
            yield from self._take_closer(closer)
        self._backticks = 0
        self._is_line_start = True
        self._follows_call = True
        self._keeps_space = not self._space

    def _call(self, name: str) -> Call:
        index = len(self.calls)
        return Call(index, self._make_id(index), name, self._tools, self._outlet)

    def _read_late_call(self, before: str, end_marker: str) -> Steps[None]:
        """Read an object in which arguments stand before the name, and which is text if it is no call."""
        parts: list[str] = []
        yield from pass_member(self._source, parts.append, end_marker)
        written = "".join(parts)
        name = name_in(written)
        if name not in self._tools.names:
            if name:
                self.unbound.append(name)
            self._add_text(before + written)
            return
        call = self._call(name)
        read_object(written, call)
        self.calls.append(call.end())

    def _next(self, closers: tuple[str, ...]) -> Steps[Head | None]:
        while True:
            try:
                return next_head(self._source, self._tools, closers)
            except NeedMore:
                yield

    def _take_closer(self, closer: str) -> Steps[None]:
        while True:
            cursor = Cursor(self._source)
            try:
                cursor.skip_space()
                if closer == "]" and cursor.take(","):
                    cursor.skip_space()
                if cursor.take(closer):
                    self._source.take(cursor.at)
            except NeedMore:
                yield
                continue
            return
