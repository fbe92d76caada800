"""How a call begins: what is looked at before text counts as one.

    <|tool_call_start|>[f(a=1)]<|tool_call_end|>                  LFM2 and LFM2.5; JSON may stand there too
    <tool_call><function=f><parameter=a>1</parameter>…            LFM3
    <tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>   what models without a form of their own are asked for
    {"name": "f", "arguments": {"a": 1}}                          at the start of a line, also in a list or a code fence
    [f(a=1)]                                                      likewise: some servers drop the markers

Whatever names no tool that is bound is text. So is what only looks like a call where no marker frames it: a link
(`[f(x)](https://…)`), an object that has a tool's name and no arguments, the definition of a tool. In an object other
keys may stand before the name.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lfm_adapter._toolcalls.source import Cursor

if TYPE_CHECKING:
    from lfm_adapter._toolcalls.source import Source
    from lfm_adapter._toolcalls.tools import Tools

__all__ = [
    "ARGUMENT_KEYS", "CALL_END", "FUNCTION_END", "FUNCTION_START", "NAME_KEYS", "TAG_END", "TAG_START", "Head",
    "find_head", "next_head",
]  # fmt: skip

CALL_START = "<|tool_call_start|>"
CALL_END = "<|tool_call_end|>"
TAG_START = "<tool_call>"
TAG_END = "</tool_call>"
FUNCTION_START = "<function="
FUNCTION_END = "</function>"
FENCE = "```"

_PYTHON_NAME = re.compile(r"""[^\s()\[\]{}<>"'=,:`]*""")  # what ends a frame begins none
_KEYWORD = re.compile(r"[^\W\d][\w.-]{0,127}")
_MAX_KEYWORD_CHARS = 128
_LANGUAGE = re.compile(r"[\w+-]{0,20}")
NAME_KEYS = ("name", "function", "tool")
ARGUMENT_KEYS = frozenset({"arguments", "parameters", "args"})
_KEYS_BEFORE = frozenset({"id", "type"})
_SCALAR = re.compile(r'"[^"]{0,128}"?|[\w.+-]{1,128}')
_MAX_SCALAR_CHARS = 130
_LONGEST_UNBOUND = 64
_ESCAPED = re.compile(r'(?:[^"\\]|\\(?:.|\Z))*"?', re.DOTALL)
_LONGEST_ESCAPE = len(r"\u0000")
_LONGEST_KEY = len("parameters")
# What the `parameters` of a tool's definition begin with.
_SCHEMA_KEYS = frozenset({"$defs", "$schema", "additionalProperties", "properties", "required"})
_LONGEST_SCHEMA_KEY = len("additionalProperties")


@dataclass(frozen=True, slots=True)
class Head:
    """The beginning of a call.

    Attributes:
        form: How its arguments are written; "late" where they stand before the name, in an object that has not been
            entered, and "other" for a call of no tool that is bound.
        name: The tool, one that is bound; of the form "other" whatever was called, and of "late" nothing.
        end: The place behind its name, and behind the bracket that opens the arguments where that is Python's; of the
            forms "late" and "other" the place where it begins.
        closers: What may follow its last call, the innermost first.
        nested: Whether the name stands in an object within the call's: `{"function": {"name": …}}`.
    """

    form: Literal["python", "json", "xml", "late", "other"]
    name: str
    end: int
    closers: tuple[str, ...] = ()
    nested: bool = False

    @property
    def end_marker(self) -> str:
        """What ends the frame that the call stands in; "" for nothing."""
        return next((closer for closer in self.closers if closer != "]"), "")


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
    if is_marked and FENCE not in closers and cursor.take(FENCE):
        closers.insert(0, FENCE)
        cursor.match(_LANGUAGE, 20)
        cursor.skip_space()
    is_listed = (is_marked or is_line_start) and cursor.take("[")
    if is_listed:
        closers.insert(0, "]")
        cursor.skip_space()
    if cursor.take(FUNCTION_START):
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
    if cursor.take(FUNCTION_START):
        return _xml_call(cursor, tools, closers)
    if cursor.take("{"):
        return _json_call(cursor, tools, closers)
    return _python_call(cursor, tools, closers) if closers != (FENCE,) else None


def _is_marked(closers: tuple[str, ...]) -> bool:
    return CALL_END in closers or TAG_END in closers


def _longest_name(tools: Tools, closers: tuple[str, ...]) -> int:
    """Return how many characters a name may have: in a marked frame, also that of a tool that is not bound."""
    return max(tools.longest_name, _LONGEST_UNBOUND) if _is_marked(closers) else tools.longest_name


def _unbound(name: str, start: int, closers: tuple[str, ...]) -> Head | None:
    return Head("other", name, start, closers) if name and _is_marked(closers) else None


def _xml_call(cursor: Cursor, tools: Tools, closers: tuple[str, ...]) -> Head | None:
    start = cursor.at - len(FUNCTION_START)
    name = _quoted(cursor, ">", _longest_name(tools, closers))
    if name not in tools.names:
        return _unbound(name, start, closers)
    head = Head("xml", name, cursor.at, closers if _is_marked(closers) else (TAG_END, *closers))
    if _is_marked(closers):
        return head
    cursor.skip_space()
    return head if cursor.take("<parameter=") or cursor.take(FUNCTION_END) else None


def _python_call(cursor: Cursor, tools: Tools, closers: tuple[str, ...]) -> Head | None:
    start = cursor.at
    written = cursor.match(_PYTHON_NAME, _longest_name(tools, closers) + 1)
    cursor.skip_space()
    if not cursor.take("("):
        return None
    called = tools.called(written)
    return _unbound(written, start, closers) if called is None else Head("python", called, cursor.at, closers)


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
    start = cursor.at - 1
    is_marked = _is_marked(closers)
    key = _key(cursor)
    has_id = False
    while key in _KEYS_BEFORE:
        has_id = has_id or key == "id"
        cursor.match(_SCALAR, _MAX_SCALAR_CHARS)
        cursor.skip_space()
        if not cursor.take(","):
            return None
        key = _key(cursor)
    nested = key == "function" and cursor.take("{")
    if nested:
        key = _key(cursor)
    if key == "arguments" or (is_marked and key in ARGUMENT_KEYS):
        return Head("late", "", start, closers) if is_marked or cursor.char() in ("{", '"') else None
    if key not in NAME_KEYS or (nested and key != "name"):
        return None
    name = _string(cursor, _longest_name(tools, closers))
    if name not in tools.names:
        return _unbound(name, start, closers)
    head = Head("json", name, cursor.at, closers, nested)
    return head if is_marked or _goes_on_as_a_call(cursor, tools, head, has_id=has_id) else None


def _goes_on_as_a_call(cursor: Cursor, tools: Tools, head: Head, *, has_id: bool) -> bool:
    """Tell whether arguments stand behind the name, or nothing more in the line; what has an id may be any thing."""
    cursor.skip_space()
    if cursor.take("}"):
        if has_id:
            return False
        if head.nested:
            cursor.skip_space()
            if not cursor.take("}"):
                return False
        return "\n" in cursor.skip_space() or cursor.char() in ("", *",]`")
    if not cursor.take(","):
        return False
    key = _key(cursor)
    return key in ARGUMENT_KEYS and not (key == "parameters" and _is_schema(cursor, tools, head.name))


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
    if not quote or quote not in "\"'" or not cursor.take(quote):
        return ""
    start = cursor.at
    text = _quoted(cursor, quote, max_chars)
    if "\\" not in text or quote == "'":
        return text
    cursor.at = start
    written = cursor.match(_ESCAPED, max_chars * _LONGEST_ESCAPE)
    try:
        return str(json.loads(f'"{written}'))
    except ValueError:
        return ""


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
