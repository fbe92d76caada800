"""How a call begins: what is looked at before text counts as one.

    <|tool_call_start|>[f(a=1)]<|tool_call_end|>                  LFM2 and LFM2.5; JSON may stand there too
    <tool_call><function=f><parameter=a>1</parameter>…            LFM3
    <tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>   what models without a form of their own are asked for
    {"name": "f", "arguments": {"a": 1}}                          at the start of a line, also in a list or a code fence
    [f(a=1)]                                                      likewise: some servers drop the markers

Whatever names no tool that is bound is text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lfm_adapter.toolcalls.source import Cursor

if TYPE_CHECKING:
    from lfm_adapter.toolcalls.source import Source
    from lfm_adapter.toolcalls.tools import Tools

__all__ = ["CALL_END", "TAG_END", "TAG_START", "Head", "find_head", "next_head"]

CALL_START = "<|tool_call_start|>"
CALL_END = "<|tool_call_end|>"
TAG_START = "<tool_call>"
TAG_END = "</tool_call>"
FENCE = "```"

_PYTHON_NAME = re.compile(r"""[^\s()\[\]{}<>"'=,:]*""")
_LANGUAGE = re.compile(r"[\w+-]{0,20}")
_NAME_KEYS = frozenset({"name", "function", "tool"})
_LONGEST_KEY = len("function")


@dataclass(frozen=True, slots=True)
class Head:
    """The beginning of a call.

    Attributes:
        form: How its arguments are written.
        name: The tool, one that is bound.
        end: The place behind its name, and behind the bracket that opens the arguments where that is Python's.
        closers: What may follow its last call, the innermost first.
        nested: Whether the name stands in an object within the call's: `{"function": {"name": …}}`.
    """

    form: Literal["python", "json", "xml"]
    name: str
    end: int
    closers: tuple[str, ...] = ()
    nested: bool = False


def find_head(source: Source, tools: Tools, *, is_line_start: bool) -> Head | None:
    """Return the beginning of a call, if one comes next, with all that frames it.

    Args:
        source: The text.
        tools: The tools that are bound.
        is_line_start: Whether only white space stands before it in its line.

    Raises:
        NeedMore: It may be one.
    """
    cursor = Cursor(source)
    closers: list[str] = []
    if is_line_start and cursor.take(FENCE):
        closers.insert(0, FENCE)
        cursor.match(_LANGUAGE, 20)
        cursor.skip_space()
    is_marked = True
    if cursor.take(CALL_START):
        closers.insert(0, CALL_END)
    elif cursor.take(TAG_START):
        closers.insert(0, TAG_END)
    else:
        is_marked = False
    cursor.skip_space()
    is_listed = (is_marked or is_line_start) and cursor.take("[")
    if is_listed:
        closers.insert(0, "]")
        cursor.skip_space()
    return _call(cursor, tools, tuple(closers), python=is_marked or is_listed, json=is_marked or is_line_start)


def next_head(source: Source, tools: Tools, closers: tuple[str, ...]) -> Head | None:
    """Return the beginning of another call in the same frame, if one comes next.

    Raises:
        NeedMore: It may be one.
    """
    if not closers:
        return None
    cursor = Cursor(source)
    cursor.skip_space()
    if cursor.take(","):
        cursor.skip_space()
    return _call(cursor, tools, closers, python=closers != (FENCE,), json=True)


def _call(cursor: Cursor, tools: Tools, closers: tuple[str, ...], *, python: bool, json: bool) -> Head | None:
    if cursor.take("<function="):
        name = _quoted(cursor, ">", tools.longest_name)
        return Head("xml", name, cursor.at, closers or (TAG_END,)) if name in tools.names else None
    if json and cursor.take("{"):
        return _json_call(cursor, tools, closers)
    if not python:
        return None
    called = tools.called(cursor.match(_PYTHON_NAME, tools.longest_name + 1))
    cursor.skip_space()
    return Head("python", called, cursor.at, closers) if called is not None and cursor.take("(") else None


def _json_call(cursor: Cursor, tools: Tools, closers: tuple[str, ...]) -> Head | None:
    key = _key(cursor)
    if key == "type" and _string(cursor, _LONGEST_KEY) == "function":
        cursor.skip_space()
        if not cursor.take(","):
            return None
        key = _key(cursor)
    if key not in _NAME_KEYS:
        return None
    nested = key == "function" and cursor.take("{")
    if nested and _key(cursor) != "name":
        return None
    name = _string(cursor, tools.longest_name)
    return Head("json", name, cursor.at, closers, nested) if name in tools.names else None


def _key(cursor: Cursor) -> str:
    """Step across a key and its colon, and return it, or "" where none comes next."""
    cursor.skip_space()
    key = _string(cursor, _LONGEST_KEY)
    cursor.skip_space()
    if not cursor.take(":"):
        return ""
    cursor.skip_space()
    return key


def _string(cursor: Cursor, max_chars: int) -> str:
    quote = cursor.char()
    return _quoted(cursor, quote, max_chars) if quote and quote in "\"'" and cursor.take(quote) else ""


def _quoted(cursor: Cursor, closer: str, max_chars: int) -> str:
    """Step across up to `max_chars` characters and the `closer` behind them, and return them, or "" if that fails."""
    end = cursor.text.find(closer, cursor.at, cursor.at + max_chars + 1)
    if end < 0:
        if len(cursor.text) - cursor.at <= max_chars:
            cursor.at = len(cursor.text)
            cursor.char()  # which may still come
        return ""
    text = cursor.text[cursor.at : end]
    cursor.at = end + 1
    return text
