"""Reads a call in XML, as LFM3 writes it: `<function=f><parameter=a>1</parameter></function>`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lfm_adapter._toolcalls.arguments import CUT_OFF
from lfm_adapter._toolcalls.coercion import is_of
from lfm_adapter._toolcalls.heads import FUNCTION_END, FUNCTION_START, TAG_END, TAG_START
from lfm_adapter._toolcalls.literals import UNREADABLE, literal
from lfm_adapter._toolcalls.source import Cursor, NeedMore, next_char

if TYPE_CHECKING:
    from collections.abc import Callable

    from lfm_adapter._toolcalls.arguments import Call
    from lfm_adapter._toolcalls.source import Source, Steps

__all__ = ["read_xml"]

_PARAMETER = "<parameter="
_ENDS = (FUNCTION_END, TAG_END, TAG_START, FUNCTION_START)
_VALUE_ENDS = ("</parameter>", FUNCTION_END, TAG_END)
_TEXT = re.compile(r"[^<\n]+")
_KEY = re.compile(r"[^\s()\[\]{}<>\"'=,:]{0,128}")
_MAX_KEY_CHARS = 128


def read_xml(source: Source, call: Call) -> Steps[None]:
    """Read the parameters of a call and its end tag, which may be missing.

    Args:
        source: The text, of which `<function=…>` was taken.
        call: Takes the arguments.
    """
    while True:
        char = yield from next_char(source)
        if not char:
            return
        try:
            key = _key(source)
            is_at_end = key is None and source.comes(*_ENDS)
        except NeedMore:
            yield
            continue
        if key is not None:
            yield from _value(source, call, key)
        elif is_at_end:
            if source.comes(FUNCTION_END):
                source.take(source.place + len(FUNCTION_END))
            return
        else:
            call.fail("something else than a parameter stands in it", (yield from _stray(source)))


def _stray(source: Source) -> Steps[str]:
    """Take what stands where a parameter or the end of a call should."""
    parts = [source.take(source.place + 1)]
    while True:
        end = source.text.find("<", source.place)
        parts.append(source.take(len(source.text) if end < 0 else end))
        try:
            if end >= 0 and source.comes(_PARAMETER, *_ENDS):
                break
        except NeedMore:
            yield
            continue
        if end >= 0:
            parts.append(source.take(end + 1))
        elif source.closed:
            break
        else:
            yield
    return "".join(parts).rstrip()


def _key(source: Source) -> str | None:
    cursor = Cursor(source)
    if not cursor.take(_PARAMETER):
        return None
    key = cursor.match(_KEY, _MAX_KEY_CHARS)
    if not key or not cursor.take(">"):
        return None
    source.take(cursor.at)
    return key


def _value(source: Source, call: Call, key: str) -> Steps[None]:
    """Read the value of a parameter, with its end tag: text where the tool takes nothing else, or JSON, or text."""
    quote = yield from _after_line_feed(source)
    types = call.types(key)
    if types == {"string"} and quote != '"':
        call.begin_text(key)
        if (yield from _text(source, call.add_text)):
            call.end_text()
        else:
            call.fail(CUT_OFF)
        return
    parts: list[str] = []
    if not (yield from _text(source, parts.append)):
        call.fail(CUT_OFF)
    text = "".join(parts)
    value = literal(text.strip())
    is_text = value is UNREADABLE or (types and "string" in types and not is_of(value, types))
    call.add(key, text if is_text else value, text)


def _after_line_feed(source: Source) -> Steps[str]:
    """Take a line feed, if one comes next, and return the character behind it, or "" at the end."""
    is_taken = False
    while True:
        char = source.text[source.place : source.place + 1]
        if char == "\n" and not is_taken:
            source.take(source.place + 1)
            is_taken = True
        elif char or source.closed:
            return char
        else:
            yield


def _text(source: Source, emit: Callable[[str], None]) -> Steps[bool]:
    """Read text up to its end tag, without a line feed before that, and return whether the tag came."""
    line_feed = ""
    while True:
        if source.place == len(source.text):
            if source.closed:
                emit(line_feed)
                return False
            yield
            continue
        if run_of_text := _TEXT.match(source.text, source.place):
            emit(line_feed + source.take(run_of_text.end()))
            line_feed = ""
            continue
        try:
            if source.comes(*_VALUE_ENDS):
                if source.comes("</parameter>"):
                    source.take(source.place + len("</parameter>"))
                return True
        except NeedMore:
            yield
            continue
        emit(line_feed)
        line_feed = source.take(source.place + 1)  # a line feed, or a "<" that begins no tag
        if line_feed != "\n":
            emit(line_feed)
            line_feed = ""
