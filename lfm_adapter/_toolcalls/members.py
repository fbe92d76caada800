"""What stands among calls and is none of a tool that is bound, or shows that it is one only at its end."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lfm_adapter._toolcalls.heads import FUNCTION_END, FUNCTION_START, NAME_KEYS
from lfm_adapter._toolcalls.literals import literal
from lfm_adapter._toolcalls.source import NeedMore
from lfm_adapter._toolcalls.strings import closes_python, read_string

if TYPE_CHECKING:
    from collections.abc import Callable

    from lfm_adapter._toolcalls.source import Source, Steps

__all__ = ["name_in", "pass_member"]

# Up to what may end a call, or the frame that it stands in: a tag, or a fence.
_TO_END = re.compile(r".[^<`]*", re.DOTALL)
_RUN = re.compile(r"""[^"'()\[\]{},<`]+""")


def pass_member(source: Source, emit: Callable[[str], None], end_marker: str) -> Steps[None]:
    """Hand on one call as it was written: `f(…)`, an object, XML, or what stands before the next comma.

    Args:
        source: The text.
        emit: Takes the text, piece by piece.
        end_marker: What ends the frame; "" for none.
    """
    record: list[str] = []
    source.record = record
    is_xml = source.text.startswith(FUNCTION_START, source.place)
    for _ in (_function if is_xml else _member)(source, end_marker):
        emit("".join(record))
        record.clear()
        yield
    source.record = None
    emit("".join(record))


def _function(source: Source, end_marker: str) -> Steps[None]:
    source.take(source.place + len(FUNCTION_START))
    while True:
        if source.place == len(source.text):
            if source.closed:
                return
            yield
            continue
        try:
            if source.comes(FUNCTION_END):
                source.take(source.place + len(FUNCTION_END))
                return
            if source.comes(FUNCTION_START) or (end_marker and source.comes(end_marker)):
                return
        except NeedMore:
            yield
            continue
        if run := _TO_END.match(source.text, source.place):
            source.take(run.end())


def _member(source: Source, end_marker: str) -> Steps[None]:
    depth = 0
    while True:
        if source.place == len(source.text):
            if source.closed:
                return
            yield
            continue
        char = source.text[source.place]
        if char in "\"'":
            yield from read_string(source, _ignore, closes_python, end_marker)
            continue
        try:
            if end_marker and char == end_marker[0] and source.comes(end_marker):
                return
        except NeedMore:
            yield
            continue
        if depth == 0 and char in ",)]}":
            return
        run = _RUN.match(source.text, source.place)
        source.take(run.end() if run else source.place + 1)
        depth += (char in "([{") - (char in ")]}")
        if depth == 0 and char in ")]}":
            return


def _ignore(_text: str) -> None:
    pass


def name_in(written: str) -> str:
    """Return the name of a call in an object, in whatever order its keys stand; "" where that is none.

    >>> name_in('{"arguments": {"city": "Paris"}, "name": "get_weather"}')
    'get_weather'
    """
    value = literal(written)
    if not isinstance(value, dict):
        return ""
    if isinstance(value.get("function"), dict):
        value = value["function"]
    return next((value[key] for key in NAME_KEYS if isinstance(value.get(key), str)), "")
