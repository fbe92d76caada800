"""What stands among calls and is none of a tool that is bound, or shows that it is one only at its end."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from lfm_adapter.toolcalls.heads import ARGUMENT_KEYS, NAME_KEYS
from lfm_adapter.toolcalls.literals import literal
from lfm_adapter.toolcalls.source import NeedMore
from lfm_adapter.toolcalls.strings import closes_python, read_string

if TYPE_CHECKING:
    from collections.abc import Callable

    from lfm_adapter.toolcalls.source import Source, Steps

__all__ = ["call_in", "pass_member"]

_RUN = re.compile(r"""[^"'()\[\]{},<]+|<""")


def pass_member(source: Source, emit: Callable[[str], None], end_marker: str) -> Steps[None]:
    """Hand on one member of a list as it was written: `f(…)`, an object, or what stands before the next comma.

    Args:
        source: The text.
        emit: Takes the text, piece by piece.
        end_marker: What ends the frame; "" for none.
    """
    record: list[str] = []
    source.record = record
    for _ in _member(source, end_marker):
        emit("".join(record))
        record.clear()
        yield
    source.record = None
    emit("".join(record))


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


def call_in(written: str) -> tuple[str, dict[str, Any]] | None:
    """Return the name and the arguments of a call in an object, in whatever order its keys stand, or None.

    >>> call_in('{"arguments": {"city": "Paris"}, "name": "get_weather"}')
    ('get_weather', {'city': 'Paris'})
    """
    value = literal(written)
    if not isinstance(value, dict):
        return None
    if isinstance(value.get("function"), dict):
        value = value["function"]
    name = next((value[key] for key in NAME_KEYS & value.keys()), None)
    arguments = next((value[key] for key in ARGUMENT_KEYS & value.keys()), None)
    if isinstance(arguments, str):  # as in the `arguments` of OpenAI's own replies
        arguments = literal(arguments)
    return (name, arguments) if isinstance(name, str) and isinstance(arguments, dict) else None
