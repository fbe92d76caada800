"""Reads a call whose head was found, in each of the forms that LFMs write."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lfm_adapter._toolcalls.arguments import CUT_OFF
from lfm_adapter._toolcalls.heads import ARGUMENT_KEYS
from lfm_adapter._toolcalls.literals import read_value
from lfm_adapter._toolcalls.source import Cursor, NeedMore, Source, next_char, run
from lfm_adapter._toolcalls.strings import closes_argument, closes_json, closes_python, encoded, read_string
from lfm_adapter._toolcalls.xml_calls import read_xml

if TYPE_CHECKING:
    from lfm_adapter._toolcalls.arguments import Call
    from lfm_adapter._toolcalls.heads import Head
    from lfm_adapter._toolcalls.source import Steps
    from lfm_adapter._toolcalls.strings import Closes

__all__ = ["read_call", "read_object"]

_ABOUT_THE_CALL = frozenset({"id", "type"})
_KEY = re.compile(r"[^\s()\[\]{}<>\"'=,:]{0,128}")
_MAX_KEY_CHARS = 128
_MAX_ARGUMENTS = 10_000


@dataclass(frozen=True, slots=True)
class _Style:
    """How arguments are written."""

    closer: str
    string_closes: Closes
    value_string_closes: Closes
    is_json: bool


_PYTHON = _Style(")", closes_argument, closes_python, is_json=False)
_JSON = _Style("}", closes_json, closes_json, is_json=True)


def read_call(source: Source, call: Call, head: Head) -> Steps[None]:
    """Read a call up to its end.

    Args:
        source: The text, of which the head was taken.
        call: Takes the arguments.
        head: How the call began.
    """
    end_marker = head.end_marker
    if head.form == "xml":
        yield from read_xml(source, call)
    elif head.form == "json":
        yield from _json(source, call, end_marker, depth=1 + head.nested)
    elif (yield from next_char(source)) == "{":  # f({"a": 1})
        source.take(source.place + 1)
        yield from _arguments(source, call, _JSON, end_marker)
        yield from _closing_parenthesis(source, call, end_marker)
    else:
        yield from _arguments(source, call, _PYTHON, end_marker)


def read_object(written: str, call: Call) -> None:
    """Read a call that is a whole object, in whatever order its keys stand."""
    source = Source(written, closed=True)
    source.take(1)
    run(_json(source, call, "", depth=1))


def _closing_parenthesis(source: Source, call: Call, end_marker: str) -> Steps[None]:
    if (yield from next_char(source)) == ")":
        source.take(source.place + 1)
    else:
        yield from _fail(source, call, CUT_OFF, ")", end_marker)


def _arguments(source: Source, call: Call, style: _Style, end_marker: str) -> Steps[None]:
    """Read arguments, whose opening bracket was taken, and the closing one."""
    for _ in range(2 * _MAX_ARGUMENTS):  # and the commas between them
        char = yield from next_char(source)
        if char in (",", style.closer) and char:
            source.take(source.place + 1)
            if char == style.closer:
                return
            continue
        if not char or (yield from _comes(source, end_marker)):
            call.fail(CUT_OFF)
            return
        key = yield from _key(source, style)
        if key is None:
            reason = "it is no JSON object" if style.is_json else "an argument has no name"
            yield from _fail(source, call, reason, style.closer, end_marker)
            return
        yield from _argument(source, call, key, style, end_marker)
        char = yield from next_char(source)
        if char and char not in (",", style.closer) and not (yield from _comes(source, end_marker)):
            yield from _fail(source, call, f"the value of `{key}` is followed by no comma", style.closer, end_marker)
            return
    yield from _fail(source, call, f"it has more than {_MAX_ARGUMENTS:,} arguments", style.closer, end_marker)


def _fail(source: Source, call: Call, reason: str, closer: str, end_marker: str) -> Steps[None]:
    """Hand on the rest of a broken call as it was written."""
    rest = yield from read_value(source, closer, closes_python, end_marker)
    call.fail(reason, rest.raw)
    if source.place < len(source.text) and source.text[source.place] == closer:
        source.take(source.place + 1)


def _key(source: Source, style: _Style) -> Steps[str | None]:
    """Take the name of an argument and the sign behind it, or nothing and return None."""
    if style.is_json and source.text[source.place] in "\"'":
        key = yield from _string(source, style.string_closes)
        if (yield from next_char(source)) != ":":
            return None
        source.take(source.place + 1)
        return key
    while True:
        try:
            return _bare_key(source)
        except NeedMore:
            yield


def _bare_key(source: Source) -> str | None:
    cursor = Cursor(source)
    quote = cursor.char()
    is_quoted = quote in "\"'" and cursor.take(quote)
    key = cursor.match(_KEY, _MAX_KEY_CHARS)
    if not key or (is_quoted and not cursor.take(quote)):
        return None
    cursor.skip_space()
    if not (cursor.take("=") or cursor.take(":")) or cursor.char() == "=":
        return None
    source.take(cursor.at)
    return key


def _string(source: Source, closes: Closes) -> Steps[str]:
    parts: list[str] = []
    yield from read_string(source, parts.append, closes, "")
    return "".join(parts)


def _argument(source: Source, call: Call, key: str, style: _Style, end_marker: str) -> Steps[None]:
    char = yield from next_char(source)
    types = call.types(key)
    if not char or char not in "\"'" or (types and "string" not in types):
        value = yield from read_value(source, f",{style.closer}", style.value_string_closes, end_marker)
        if source.place == len(source.text):
            call.fail(CUT_OFF)
        call.add(key, value.value, value.raw)
        return
    call.begin_text(key)
    while char and char in "\"'":  # Python joins strings that follow each other
        if not (yield from read_string(source, call.add_text, style.string_closes, end_marker)):
            call.fail(CUT_OFF if source.place == len(source.text) else "a quote is not closed")
            return
        char = "" if style.is_json else (yield from next_char(source))
    call.end_text()


def _json(source: Source, call: Call, end_marker: str, depth: int) -> Steps[None]:
    """Read the object of a call, whose name was taken, with `depth` brackets open."""
    has_arguments = False
    strangers: dict[str, str] = {}
    while depth:
        char = yield from next_char(source)
        if char in (",", "}"):
            source.take(source.place + 1)
            depth -= char == "}"
        elif char and char in "\"'":
            key = yield from _string(source, closes_json)
            if (yield from next_char(source)) == ":":
                source.take(source.place + 1)
            if key in ARGUMENT_KEYS:
                has_arguments = True
                yield from _json_arguments(source, call, end_marker)
            elif key == "function" and (yield from next_char(source)) == "{":
                source.take(source.place + 1)
                depth += 1
            else:
                value = yield from read_value(source, ",}", closes_json, end_marker)
                strangers.update({} if key in _ABOUT_THE_CALL else {key: value.raw})
        elif not char:
            call.fail(CUT_OFF)
            break
        elif (yield from _comes(source, end_marker)):
            break  # a bracket too few, behind arguments that are whole
        else:
            rest = yield from read_value(source, ",}", closes_json, end_marker)
            call.fail("it is no JSON", rest.raw)
    if strangers and not has_arguments:
        written = ", ".join(f'"{encoded(key)}": {raw}' for key, raw in strangers.items())
        call.fail(f"{', '.join(f'`{key}`' for key in strangers)} must stand in `arguments`", written)


def _json_arguments(source: Source, call: Call, end_marker: str) -> Steps[None]:
    char = yield from next_char(source)
    if char == "{":
        source.take(source.place + 1)
        yield from _arguments(source, call, _JSON, end_marker)
    elif char and char in "\"'":  # as in the `arguments` of OpenAI's own replies
        text = yield from _string(source, closes_json)
        inner = Source(text.strip(), closed=True)
        if inner.text[:1] != "{":
            call.fail("`arguments` is no JSON object", text)
            return
        inner.take(1)
        run(_arguments(inner, call, _JSON, ""))
    else:
        value = yield from read_value(source, ",}", closes_json, end_marker)
        if value.value is not None:
            call.fail("`arguments` is no JSON object" if value.raw else CUT_OFF, value.raw)


def _comes(source: Source, end_marker: str) -> Steps[bool]:
    while end_marker:
        try:
            return source.comes(end_marker)
        except NeedMore:
            yield
    return False
