"""How a call begins: what is looked at before text counts as one.

    <|tool_call_start|>[f(a=1)]<|tool_call_end|>                  LFM2 and LFM2.5; JSON may stand there too
    <tool_call><function=f><parameter=a>1</parameter>…            LFM3
    <tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>   what models without a form of their own are asked for
    {"name": "f", "arguments": {"a": 1}}                          at the start of a line, also in a list or a code fence
    [f(a=1)]                                                      likewise: some servers drop the markers

Whatever names no tool that is bound is text. So is what only looks like a call where no marker frames it: a link
(`[f(x)](https://…)`), an object that has a tool's name and no arguments, the definition of a tool.
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
_KEYWORD = re.compile(r"[^\W\d][\w.-]{0,127}")
_MAX_KEYWORD_CHARS = 128
_LANGUAGE = re.compile(r"[\w+-]{0,20}")
_NAME_KEYS = frozenset({"name", "function", "tool"})
_ARGUMENT_KEYS = frozenset({"arguments", "parameters", "args"})
_LONGEST_KEY = len("parameters")
# What the `parameters` of a tool's definition begin with.
_SCHEMA_KEYS = frozenset({"$defs", "$schema", "additionalProperties", "properties", "required"})
_LONGEST_SCHEMA_KEY = len("additionalProperties")


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
    if cursor.take("<function="):
        return _xml_call(cursor, tools, tuple(closers)) if is_marked or is_line_start else None
    if (is_marked or is_line_start) and cursor.take("{"):
        return _json_call(cursor, tools, tuple(closers))
    if not is_listed and not is_marked:
        return None
    head = _python_call(cursor, tools, tuple(closers))
    return head if head is None or is_marked or _has_arguments(cursor) else None


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
    if cursor.take("<function="):
        return _xml_call(cursor, tools, closers)
    if cursor.take("{"):
        return _json_call(cursor, tools, closers)
    return _python_call(cursor, tools, closers) if closers != (FENCE,) else None


def _is_marked(closers: tuple[str, ...]) -> bool:
    return CALL_END in closers or TAG_END in closers


def _xml_call(cursor: Cursor, tools: Tools, closers: tuple[str, ...]) -> Head | None:
    name = _quoted(cursor, ">", tools.longest_name)
    if name not in tools.names:
        return None
    head = Head("xml", name, cursor.at, closers if _is_marked(closers) else (TAG_END, *closers))
    if _is_marked(closers):
        return head
    cursor.skip_space()
    return head if cursor.take("<parameter=") or cursor.take("</function>") else None


def _python_call(cursor: Cursor, tools: Tools, closers: tuple[str, ...]) -> Head | None:
    called = tools.called(cursor.match(_PYTHON_NAME, tools.longest_name + 1))
    cursor.skip_space()
    return Head("python", called, cursor.at, closers) if called is not None and cursor.take("(") else None


def _has_arguments(cursor: Cursor) -> bool:
    """Tell whether what stands behind `[f(` is a call's and no prose, as in `[f(x)](https://…)`."""
    cursor.skip_space()
    if cursor.take(")"):
        cursor.skip_space()
        return not cursor.take("(") if cursor.take("]") else cursor.char() == ","
    if cursor.take("{"):
        cursor.skip_space()
        return cursor.take('"') or cursor.take("'")
    is_named = bool(cursor.match(_KEYWORD, _MAX_KEYWORD_CHARS))
    cursor.skip_space()
    return is_named and cursor.take("=") and cursor.char() != "="


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
    if name not in tools.names:
        return None
    head = Head("json", name, cursor.at, closers, nested)
    return head if _is_marked(closers) or _goes_on_as_a_call(cursor, tools, head) else None


def _goes_on_as_a_call(cursor: Cursor, tools: Tools, head: Head) -> bool:
    """Tell whether arguments stand behind the name, or nothing more in the line."""
    cursor.skip_space()
    if cursor.take("}"):
        if head.nested:
            cursor.skip_space()
            if not cursor.take("}"):
                return False
        return "\n" in cursor.skip_space() or cursor.char() in ("", *",]`")
    if not cursor.take(","):
        return False
    key = _key(cursor)
    return key in _ARGUMENT_KEYS and not (key == "parameters" and _is_schema(cursor, tools, head.name))


def _is_schema(cursor: Cursor, tools: Tools, name: str) -> bool:
    if not cursor.take("{"):
        return False
    key = _key(cursor, _LONGEST_SCHEMA_KEY)
    if tools.has_argument(name, key):
        return False
    return key in _SCHEMA_KEYS or (key == "type" and _string(cursor, len("object")) == "object")


def _key(cursor: Cursor, max_chars: int = _LONGEST_KEY) -> str:
    """Step across a key and its colon, and return it, or "" where none comes next."""
    cursor.skip_space()
    key = _string(cursor, max_chars)
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
