"""Reads the calls in a frame that is complete, in each of the forms that LFMs write."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from lfm_adapter._json import as_dict
from lfm_adapter._toolcalls.call_arguments import CUT_OFF, CallArguments, read_members
from lfm_adapter._toolcalls.call_prefix import ARGUMENT_KEYS, FENCE, FUNCTION_START, NAME_KEYS
from lfm_adapter._toolcalls.coercion import is_of
from lfm_adapter._toolcalls.loose_json import UNREADABLE, read_value
from lfm_adapter._toolcalls.loose_tokens import SPACE, Style, after, write_json

if TYPE_CHECKING:
    from lfm_adapter._toolcalls.call_arguments import Member
    from lfm_adapter._toolcalls.call_prefix import CallPrefix
    from lfm_adapter._toolcalls.tools import Tools

__all__ = ["FramePart", "read_frame"]

_ABOUT_THE_CALL = ("id", "type")
# What the `parameters` of a tool's definition begin with.
_SCHEMA_KEYS = frozenset({"$defs", "$schema", "additionalProperties", "properties", "required"})

_SEPARATOR = re.compile(r"\s*,?\s*")
_PYTHON_CALL = re.compile(r"""([^\s()\[\]{}<>"'=,:`]+)\s{0,100}\(\s*""")
_XML_CALL = re.compile(r"<function=([^<>\n]+)>")
_PARAMETER = re.compile(r"""<parameter=([^\s()\[\]{}<>"'=,:]{1,128})>\n?""")
_PARAMETER_END = re.compile(r"\n?(?:</parameter>|(?=</function>|</tool_call>))")
_FUNCTION_END = re.compile(r"</function>|(?=</?tool_call>|<function=)|\Z")
_STRAY_END = re.compile(r"(?=<parameter=|</function>|</?tool_call>|<function=)|\Z")
_UNKNOWN_XML_END = re.compile(r"</function>|(?=<function=)|\Z")


class FramePart(NamedTuple):
    """A call in a frame, or the text before it."""

    name: str  # the tool; for text, the unknown tool that it calls, or ""
    text: str  # the arguments as JSON, or as written where they cannot be read; or the text
    end: int  # the place behind it
    is_call: bool = False
    error: str | None = None
    open: str = ""  # within what the frame ends: a "string", a "bracket", or ""


def read_frame(text: str, prefix: CallPrefix, tools: Tools, *, is_answer_end: bool) -> list[FramePart]:
    """Return what a frame holds, up to the last call in it and what closes that; nothing if no call begins it.

    Args:
        text: The frame, without what closes it.
        prefix: How it begins, with the place of the first call in `text`.
        tools: The tools that are bound.
        is_answer_end: Whether the answer ended before the frame was closed.
    """
    forms = _CallForms(text, tools, prefix, is_answer_end=is_answer_end)
    parts: list[FramePart] = []
    place, done = prefix.place, 0
    while part := forms.read(place):
        parts.append(part if part.is_call else part._replace(text=text[done : part.end]))
        done = part.end
        place = after(_SEPARATOR, text, done)
        if not prefix.closers:
            break
    if parts and parts[-1].is_call:
        for closer in prefix.closers:
            behind = after(_SEPARATOR if closer == "]" else SPACE, text, done)
            done = behind + len(closer) if text.startswith(closer, behind) else done
        parts[-1] = parts[-1]._replace(end=done)
    return parts


def _search(pattern: re.Pattern[str], text: str, place: int) -> int:
    match = pattern.search(text, place)
    return len(text) if match is None else match.end()


class _CallForms:
    """Reads one call at a time out of the text of a frame."""

    def __init__(self, text: str, tools: Tools, prefix: CallPrefix, *, is_answer_end: bool) -> None:
        self._text = text
        self._tools = tools
        self._is_marked = prefix.is_marked
        self._may_be_python = prefix.closers != (FENCE,)
        self._is_answer_end = is_answer_end

    def read(self, place: int) -> FramePart | None:
        """Read the call that begins at `place`, or return None where none does."""
        text = self._text
        if text.startswith("{", place):
            return self._json(place)
        if text.startswith(FUNCTION_START, place):
            start = _XML_CALL.match(text, place)
            if start and start[1] in self._tools.names:
                return self._xml(start[1], start.end())
            return self._other(start[1], place, _search(_UNKNOWN_XML_END, text, place + 1)) if start else None
        start = _PYTHON_CALL.match(text, place) if self._may_be_python else None
        if start is None:
            return None
        name = self._tools.called(start[1])
        if name is None:
            return self._other(start[1], place, read_value(text, place, ",)]}", Style.PYTHON).end)
        return self._python(name, start.end())

    def _other(self, name: str, place: int, end: int) -> FramePart | None:
        return FramePart(name, self._text[place:end], end) if self._is_marked else None

    def _arguments(self, name: str) -> CallArguments:
        return CallArguments(name, self._tools, is_answer_end=self._is_answer_end)

    def _call(self, given: CallArguments, end: int) -> FramePart:
        given.finish()
        return FramePart(given.name, given.text, end, True, given.error, given.open)

    def _python(self, name: str, place: int) -> FramePart:
        text, given = self._text, self._arguments(name)
        if not text.startswith("{", place):
            return self._call(given, given.add_members(text, place, Style.ARGUMENT))
        end = after(SPACE, text, given.add_members(text, place + 1, Style.JSON))  # f({"a": 1})
        if text.startswith(")", end):
            return self._call(given, end + 1)
        rest = read_value(text, end, ")", Style.PYTHON)
        given.fail(CUT_OFF, text[end : rest.end].rstrip())
        return self._call(given, rest.end + text.startswith(")", rest.end))

    def _json(self, place: int) -> FramePart | None:
        text = self._text
        read = read_members(text, place + 1, Style.JSON)
        members = read.members
        nested = next((one for one in members if one.key == "function" and one.raw[:1] == "{"), None)
        if nested is not None:
            inner = read_members(nested.raw, 1, Style.JSON).members
            members = [one for one in members if one is not nested] + inner
        keys = [one.key for one in members if one.key not in _ABOUT_THE_CALL]
        names = (one.value for key in NAME_KEYS[: 1 if nested else None] for one in members if one.key == key)
        name = next((value for value in names if isinstance(value, str)), "")
        if name not in self._tools.names or not (self._is_marked or self._is_bare_call(members, keys, name)):
            is_late = not self._is_marked and keys[:1] == ["arguments"]
            return FramePart("", text[place : read.end], read.end) if is_late else self._other(name, place, read.end)
        given = self._arguments(name)
        for member in members:
            if member.key in ARGUMENT_KEYS:
                _add_json(given, member)
        # A bracket too few, behind arguments that are whole, does no harm.
        if read.error and not given.open and (read.open != "bracket" or self._is_answer_end):
            given.fail("it is not JSON", read.rest, open_=read.open)
        others = [one for one in members if one.key in {*keys} - ARGUMENT_KEYS - {*NAME_KEYS}]
        if others and ARGUMENT_KEYS.isdisjoint(keys):
            written = ", ".join(f"{write_json(one.key)}: {one.raw}" for one in others)
            given.fail(f"{', '.join(f'`{one.key}`' for one in others)} must be in `arguments`", written)
        return self._call(given, read.end)._replace(open=read.open)

    def _is_bare_call(self, members: list[Member], keys: list[str], name: str) -> bool:
        """Tell whether an object that no marker frames is a call: it has arguments, or nothing but a name."""
        if keys[0] != "arguments" and (keys[0] not in NAME_KEYS or not ARGUMENT_KEYS.issuperset(keys[1:2])):
            return False
        if len(keys) == 1:
            return all(member.key != "id" for member in members)
        return not any(member.key == "parameters" and self._is_schema(member.value, name) for member in members)

    def _is_schema(self, value: Any, name: str) -> bool:
        first = next(iter(as_dict(value)), "")
        if self._tools.has_argument(name, first):
            return False
        return first in _SCHEMA_KEYS or (first == "type" and value["type"] == "object")

    def _xml(self, name: str, place: int) -> FramePart:
        text, given = self._text, self._arguments(name)
        while True:
            place = after(SPACE, text, place)
            if parameter := _PARAMETER.match(text, place):
                place = self._parameter(parameter, given)
            elif end := _FUNCTION_END.match(text, place):
                return self._call(given, end.end())
            else:
                behind = _search(_STRAY_END, text, place + 1)
                given.fail("it contains something other than parameters", text[place:behind].rstrip())
                place = behind

    def _parameter(self, parameter: re.Match[str], given: CallArguments) -> int:
        """Take the value of a parameter: text where the tool takes nothing else, or JSON, or text."""
        key, start = parameter[1], parameter.end()
        closing = _PARAMETER_END.search(self._text, start)
        written = self._text[start : closing.start() if closing else len(self._text)]
        types = self._tools.argument_types(given.name, key)
        value = UNREADABLE
        if types != {"string"} or written[:1] == '"':
            value = read_value(written.strip(), 0, "", Style.PYTHON).value
        is_text = value is UNREADABLE or (types and "string" in types and not is_of(value, types))
        given.add(key, written if is_text else value, written)
        if closing is None and self._is_answer_end:
            given.fail(CUT_OFF, open_="bracket")
        return closing.end() if closing else len(self._text)


def _add_json(given: CallArguments, member: Member) -> None:
    """Add the arguments in a member, which may also be the text of an object, as in OpenAI's own replies."""
    written = member.value if isinstance(member.value, str) else member.raw
    if (stripped := written.strip())[:1] == "{":
        given.add_members(stripped, 1, Style.JSON)
    elif not member.raw:
        given.fail(CUT_OFF, open_="bracket")
    elif member.value is not None:
        given.fail("`arguments` is not a JSON object", written)
