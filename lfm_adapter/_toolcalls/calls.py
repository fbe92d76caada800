"""Reads the calls in a frame that is complete, in each of the forms that LFMs write."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from lfm_adapter._json import after, as_dict, write_json
from lfm_adapter._openrouter.tool_calls import as_object
from lfm_adapter._toolcalls.call_arguments import CUT_OFF, CallArguments, read_members
from lfm_adapter._toolcalls.frames import ARGUMENT_KEYS, FENCE, NAME, NAME_KEYS, XML_CALL, FramePart
from lfm_adapter._toolcalls.json_schema import WorkBudget
from lfm_adapter._toolcalls.loose_json import SPACE, read_value
from lfm_adapter._toolcalls.quotes import AMBIGUOUS, Strings, find_strings
from lfm_adapter._toolcalls.xml_calls import read_xml, skip_xml

if TYPE_CHECKING:
    from lfm_adapter._toolcalls.call_arguments import Member
    from lfm_adapter._toolcalls.frames import CallPrefix
    from lfm_adapter._toolcalls.tools import Tools

_STRICT = Strings({})
_MAX_NAMED = 10
_ABOUT_THE_CALL = ("id", "type")
_CALL_KEYS = frozenset({*_ABOUT_THE_CALL, *NAME_KEYS}) | ARGUMENT_KEYS
# What the `parameters` of a tool's definition begin with.
_SCHEMA_KEYS = frozenset({"$defs", "$schema", "additionalProperties", "properties", "required"})

_SEPARATOR = re.compile(r"\s*(?:[,;]|\]\s*(?:,\s*)?\[)?\s*")
_PYTHON_CALL = re.compile(rf"""(?:[^\W\d]\w{{0,63}}\s{{0,9}}=\s{{0,9}})?({NAME}+)\s{{0,100}}\(\s*""")
# Calls in which every string ends at its first quote. They need no search for its end, which takes 20 µs a call.
_PLAIN_CALL = rf"""{NAME}+\((?:[^\W\d]\w*=(?:"[^"\\]*"|'[^'\\]*'|[\w.+-]+)(?:,\s*|(?=\))))*\)"""
_PLAIN_CALLS = re.compile(rf"{_PLAIN_CALL}(?:,\s*{_PLAIN_CALL})*\s*(?:\]\s*)?")


def read_frame(text: str, prefix: CallPrefix, tools: Tools, *, is_answer_end: bool, max_calls: int) -> list[FramePart]:
    """Return the calls in a frame and the text before each, or nothing if the frame begins with no call.

    Args:
        text: The frame, without what closes it.
        prefix: How it begins, with the place of the first call in `text`.
        tools: The tools that are bound.
        is_answer_end: Whether the answer ended before the frame was closed.
        max_calls: How many calls count, those of unknown tools among them. If there are more, one more is returned, and
            ends with the text.
    """
    name = tools.called(text[prefix.place :].strip())
    if prefix.is_marked and name:
        error = tools.problem(name, {}, WorkBudget())
        return [FramePart(name, "{}", len(text), is_call=True, error=error)]
    forms = _CallForms(text, tools, prefix, is_answer_end=is_answer_end)
    parts: list[FramePart] = []
    place, done = prefix.place, 0
    while part := forms.read(place):
        max_calls -= bool(part.name)
        if max_calls < 0:
            return [*parts, part._replace(end=len(text))]
        parts.append(part if part.is_call else part._replace(text=text[done : part.end]))
        done = part.end
        place = after(_SEPARATOR, text, done)
        if not (prefix.closers or prefix.is_last):
            break
    if not parts or not parts[-1].is_call:
        return parts
    for closer in prefix.closers:
        at = after(_SEPARATOR if closer == "]" else SPACE, text, done)
        done = at + len(closer) if text.startswith(closer, at) else done
    last = parts[-1]._replace(end=done)
    behind = text[done:].strip()
    if behind and behind[0] != "#" and not last.open and not is_answer_end:
        if not prefix.is_marked and prefix.closers[:1] == ("]",):
            return []  # a list of something else
        last = last._replace(error=last.error or "text follows it")
    return [*parts[:-1], last]


class _CallForms:
    """Reads one call at a time out of the text of a frame."""

    def __init__(self, text: str, tools: Tools, prefix: CallPrefix, *, is_answer_end: bool) -> None:
        self._text = text
        self._tools = tools
        self._is_marked = prefix.is_marked
        self._may_be_python = prefix.closers != (FENCE,)
        self._is_answer_end = is_answer_end
        self._strings = _STRICT
        if not (text.startswith("<", prefix.place) or _PLAIN_CALLS.fullmatch(text, prefix.place)):
            self._strings = find_strings(text, prefix.place, tools.keys, call_keys=tools.call_keys)

    def read(self, place: int) -> FramePart | None:
        """Read the call that begins at `place`, or return None where none does."""
        text = self._text
        if text.startswith("{", place):
            return self._json(place)
        if start := XML_CALL.match(text, place):
            if start["name"] not in self._tools.names:
                return self._other(start["name"], place, skip_xml(text, start.end()))
            given = self._arguments(start["name"])
            return given.part(read_xml(text, start.end(), given, self._tools))
        start = _PYTHON_CALL.match(text, place) if self._may_be_python else None
        if start is None:
            return None
        name = self._tools.called(start[1])
        if name is None:
            return self._other(start[1], place, read_value(text, place, ",)]}", self._strings).end)
        return self._python(name, start.end())

    def _other(self, name: str, place: int, end: int) -> FramePart | None:
        return FramePart(name, self._text[place:end], end) if self._is_marked else None

    def _arguments(self, name: str) -> CallArguments:
        given = CallArguments(name, self._tools, is_answer_end=self._is_answer_end)
        if self._strings.is_ambiguous:
            given.error = AMBIGUOUS
        return given

    def _python(self, name: str, place: int) -> FramePart:
        text, given = self._text, self._arguments(name)
        if not text.startswith("{", place):
            end = given.add_members(text, place, ")", self._strings)
            return (self._unwrapped(given) or given).part(end)
        end = after(SPACE, text, given.add_members(text, place + 1, "}", self._strings))  # f({"a": 1})
        if text.startswith(")", end):
            return given.part(end + 1)
        rest = read_value(text, end, ")", self._strings)
        given.fail(CUT_OFF, text[end : rest.end].rstrip())
        return given.part(rest.end + text.startswith(")", rest.end))

    def _unwrapped(self, given: CallArguments) -> CallArguments | None:
        """Return the arguments within `f(arguments={…})`, where the tool has none of this name."""
        inner = next(iter(given.values.values()), None)
        if given.error or not (isinstance(inner, dict) and given.are_wrapped()):
            return None
        unwrapped = self._arguments(given.name)
        for key, value in inner.items():
            unwrapped.add(key, value, write_json(value))
        return unwrapped

    def _json(self, place: int) -> FramePart | None:
        text = self._text
        read = read_members(text, place + 1, "}", self._strings)
        members = read.members
        nested = next((one for one in members if one.key == "function" and one.raw[:1] == "{"), None)
        if nested is not None:
            inner = read_members(text, nested.place + 1, "}", self._strings).members
            members = [one for one in members if one is not nested] + inner
        keys = [one.key for one in members if one.key not in _ABOUT_THE_CALL]
        names = (one.value for key in NAME_KEYS[: 1 if nested else None] for one in members if one.key == key)
        name = next((value for value in names if isinstance(value, str)), "")
        if self._is_marked and len(members) == 1 and members[0].key in self._tools.names:  # {"f": {"a": 1}}
            name, members = members[0].key, [members[0]._replace(key="arguments")]
            keys = ["arguments"]
        if name not in self._tools.names or not (self._is_marked or self._is_bare_call(members, keys, name)):
            is_late = not self._is_marked and keys[:1] == ["arguments"]
            return FramePart("", text[place : read.end], read.end) if is_late else self._other(name, place, read.end)
        given = self._arguments(name)
        for member in members:
            if member.key in ARGUMENT_KEYS:
                self._add_json(given, member)
        # A bracket too few, behind arguments that are whole, does no harm.
        if read.error and not given.open and (read.open != "bracket" or self._is_answer_end):
            given.fail("it is not JSON", read.rest, open_=read.open)
        others = [one for one in members if one.key not in _CALL_KEYS]
        if others and ARGUMENT_KEYS.isdisjoint(keys):
            written = ", ".join(f"{write_json(one.key)}: {one.raw}" for one in others)
            named = ", ".join(f"`{one.key}`" for one in others[:_MAX_NAMED])
            given.fail(f"{named} must be in `arguments`", written)
        return given.part(read.end)._replace(open=read.open)

    def _add_json(self, given: CallArguments, member: Member) -> None:
        """Add the arguments in a member, which may also be the text of an object, as in OpenAI's own replies."""
        written = as_object(member.value) if isinstance(member.value, str) else member.raw
        if member.raw[:1] == "{":
            given.add_members(self._text, member.place + 1, "}", self._strings)
        elif written.lstrip()[:1] == "{":
            given.add_object(written)
        elif not member.raw:
            given.fail(CUT_OFF, open_="bracket")
        elif member.value is not None and written.strip():  # null and "" mean no arguments
            given.fail("`arguments` is not a JSON object", written)

    def _is_bare_call(self, members: list[Member], keys: list[str], name: str) -> bool:
        """Return whether an object that no marker frames is a call: it has arguments, or nothing but a name."""
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
