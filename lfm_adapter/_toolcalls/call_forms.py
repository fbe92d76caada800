"""Reads the calls in a frame that is complete, in each of the forms that LFMs write."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from lfm_adapter._json import as_dict
from lfm_adapter._toolcalls.call_prefix import ARGUMENT_KEYS, FENCE, FUNCTION_START, NAME_KEYS
from lfm_adapter._toolcalls.coercion import is_of
from lfm_adapter._toolcalls.loose_json import MAX_DEPTH, UNREADABLE, parse_literal, read_value
from lfm_adapter._toolcalls.loose_strings import Style, read_string, write_json
from lfm_adapter._toolcalls.schema import WorkBudget

if TYPE_CHECKING:
    from lfm_adapter._toolcalls.call_prefix import CallPrefix
    from lfm_adapter._toolcalls.tools import Tools

__all__ = ["FramePart", "read_frame"]

_CUT_OFF = "it was cut off"
_MAX_ARGUMENTS = 10_000
_ABOUT_THE_CALL = ("id", "type")
# What the `parameters` of a tool's definition begin with.
_SCHEMA_KEYS = frozenset({"$defs", "$schema", "additionalProperties", "properties", "required"})

_SPACE = re.compile(r"\s*")
_SEPARATOR = re.compile(r"\s*,?\s*")
_PYTHON_CALL = re.compile(r"""([^\s()\[\]{}<>"'=,:`]+)\s{0,100}\(\s*""")
_XML_CALL = re.compile(r"<function=([^<>\n]+)>")
_KEY = re.compile(r"""(?P<quote>["']?)(?P<key>[^\s()\[\]{}<>"'=,:]{1,128})(?P=quote)\s*[=:](?!=)""")
_PARAMETER = re.compile(r"""<parameter=([^\s()\[\]{}<>"'=,:]{1,128})>\n?""")
_PARAMETER_END = re.compile(r"\n?(?:</parameter>|(?=</function>|</tool_call>))")
_FUNCTION_END = re.compile(r"</function>|(?=</?tool_call>|<function=)|\Z")
_STRAY_END = re.compile(r"(?=<parameter=|</function>|</?tool_call>|<function=)|\Z")
_UNKNOWN_XML_END = re.compile(r"</function>|(?=<function=)|\Z")


class FramePart(NamedTuple):
    """A call in a frame, or the text before it.

    Attributes:
        name: The tool; for text, the unknown tool that it calls, or "".
        text: The arguments as JSON, or as written where they cannot be read; or the text.
        end: The place behind it.
        is_call: Whether it calls a bound tool.
        error: What is wrong with the call.
        open: Within what the frame ends: a "string", a "bracket", or "".
    """

    name: str
    text: str
    end: int
    is_call: bool = False
    error: str | None = None
    open: str = ""


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
        place = _after(_SEPARATOR, text, done)
        if not prefix.closers:
            break
    if parts and parts[-1].is_call:
        for closer in prefix.closers:
            behind = _after(_SEPARATOR if closer == "]" else _SPACE, text, done)
            done = behind + len(closer) if text.startswith(closer, behind) else done
        parts[-1] = parts[-1]._replace(end=done)
    return parts


def _after(pattern: re.Pattern[str], text: str, place: int) -> int:
    match = pattern.match(text, place)
    return place if match is None else match.end()


def _search(pattern: re.Pattern[str], text: str, place: int) -> int:
    match = pattern.search(text, place)
    return len(text) if match is None else match.end()


class _Member(NamedTuple):
    """A member of an object, or an argument: its key, its value, what was written and where."""

    key: str
    value: Any
    raw: str
    start: int


class _Members(NamedTuple):
    """The members between two brackets.

    Attributes:
        members: The members.
        end: The place behind the closing bracket.
        open: Within what the text ends: a "string", a "bracket", or "".
        error: What is wrong.
        rest: What was written from there on.
    """

    members: list[_Member]
    end: int
    open: str = ""
    error: str | None = None
    rest: str = ""


def _read_members(text: str, place: int, style: Style) -> _Members:
    """Read members up to the closing bracket. The opening one is right before `place`."""
    closer = "}" if style is Style.JSON else ")"
    members: list[_Member] = []
    error = None
    while error is None:
        place = _after(_SPACE, text, place)
        char = text[place : place + 1]
        if not char:
            return _Members(members, place, "bracket", _CUT_OFF)
        if char in (",", closer):
            place += 1
            if char == closer:
                return _Members(members, place)
            continue
        key, start = _read_key(text, place, style)
        if key is None or len(members) == _MAX_ARGUMENTS:
            unnamed = "it is not a JSON object" if style is Style.JSON else "an argument has no name"
            error = unnamed if key is None else f"it has more than {_MAX_ARGUMENTS:,} arguments"
            break
        member, place, is_in_string = _read_member(text, start, key, style)
        members.append(member)
        if is_in_string:
            return _Members(members, place, "string", _CUT_OFF)
        if text[place : place + 1] not in ("", ",", closer):
            error = f"the value of `{key}` is followed by no comma"
    rest = read_value(text, place, closer, Style.PYTHON)
    end = rest.end + text.startswith(closer, rest.end)
    return _Members(members, end, "string" if rest.is_in_string else "", error, text[place : rest.end].rstrip())


def _read_key(text: str, place: int, style: Style) -> tuple[str | None, int]:
    if style is Style.JSON and text[place] in "\"'":
        key = read_string(text, place, style)
        colon = _after(_SPACE, text, key.end)
        return (key.text if text.startswith(":", colon) else None), _after(_SPACE, text, colon + 1)
    found = _KEY.match(text, place)
    return (found["key"], _after(_SPACE, text, found.end())) if found else (None, place)


def _read_member(text: str, start: int, key: str, style: Style) -> tuple[_Member, int, bool]:
    """Read a value, and return it with the place behind it, and whether the text ends within a string."""
    place = start
    if text[place : place + 1] not in ('"', "'"):
        ends, style = (",}", style) if style is Style.JSON else (",)", Style.PYTHON)
        value = read_value(text, place, ends, style)
        raw = text[start : value.end].rstrip()
        return _Member(key, value.value, raw, start), value.end, value.is_in_string
    parts: list[str] = []
    is_closed = True
    while is_closed and text[place : place + 1] in ('"', "'") and (not parts or style is Style.ARGUMENT):
        string = read_string(text, place, style)  # Python joins strings that follow each other
        parts.append(string.text)
        is_closed = string.is_closed
        place = _after(_SPACE, text, string.end)
    return _Member(key, "".join(parts), text[start:place].rstrip(), start), place, not is_closed


class ToolCallBuilder:
    """Collects the arguments of a call, in the types that the tool wants.

    Args:
        name: The tool.
        tools: The tools that are bound.
        is_answer_end: Whether the text of the call ends because the answer did.
    """

    def __init__(self, name: str, tools: Tools, *, is_answer_end: bool) -> None:
        self._name = name
        self._tools = tools
        self._is_answer_end = is_answer_end
        self._given: dict[str, Any] = {}
        self._written: list[str] = []
        self._error: str | None = None
        self._is_broken = False
        self._budget = WorkBudget()
        self.open = ""

    def fail(self, reason: str, written: str = "", *, open_: str = "") -> None:
        """Note what is wrong with the call, and keep what was `written` and cannot be read.

        Args:
            reason: What is wrong.
            written: What cannot be read.
            open_: Within what the text of the call ends.
        """
        self.open = self.open or open_
        if open_:
            reason = "a quote is not closed" if open_ == "string" and not self._is_answer_end else _CUT_OFF
        self._error = self._error or reason
        self._is_broken = True
        self._written.append(written)

    def add_members(self, text: str, place: int, style: Style) -> int:
        """Add the arguments from `place` on, behind their opening bracket. Return the place behind them."""
        read = _read_members(text, place, style)
        if read.open and not read.rest:
            self.fail(_CUT_OFF, open_=read.open)
        for key, value, raw, _ in read.members:
            self.add(key, value, raw)
        if read.error:
            self.fail(read.error, read.rest)
            self.open = self.open or read.open
        return read.end

    def add(self, key: str, value: Any, raw: str) -> None:
        """Add an argument.

        Args:
            key: Its name.
            value: What it says, or `UNREADABLE`.
            raw: What was written.
        """
        if key in self._given:
            self._error = self._error or f"`{key}` is given twice"
        self._written.append(f"{', ' if self._given else '{'}{write_json(key)}: ")
        self._given[key] = None
        if value is UNREADABLE:
            self.fail(f"the value of `{key}` cannot be read: it must be JSON, at most {MAX_DEPTH} levels deep", raw)
            return
        types = self._tools.argument_types(self._name, key)
        if isinstance(value, int | float) and not isinstance(value, bool) and types == {"string"}:
            value = raw  # "1.10" may be a version, "007" an agent
        self._given[key] = value = self._tools.coerced(self._name, key, value, self._budget)
        self._written.append(write_json(value))

    def build(self, end: int) -> FramePart:
        """Return the call, which ends at `end`."""
        if not self._is_broken:
            self._written.append("}" if self._given else "{}")
            self._error = self._error or self._tools.problem(self._name, self._given, self._budget)
        return FramePart(self._name, "".join(self._written), end, True, self._error, self.open)


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

    def _builder(self, name: str) -> ToolCallBuilder:
        return ToolCallBuilder(name, self._tools, is_answer_end=self._is_answer_end)

    def _python(self, name: str, place: int) -> FramePart:
        text, builder = self._text, self._builder(name)
        if not text.startswith("{", place):
            return builder.build(builder.add_members(text, place, Style.ARGUMENT))
        end = _after(_SPACE, text, builder.add_members(text, place + 1, Style.JSON))  # f({"a": 1})
        if text.startswith(")", end):
            return builder.build(end + 1)
        rest = read_value(text, end, ")", Style.PYTHON)
        builder.fail(_CUT_OFF, text[end : rest.end].rstrip())
        return builder.build(rest.end + text.startswith(")", rest.end))

    def _json(self, place: int) -> FramePart | None:
        text = self._text
        read = _read_members(text, place + 1, Style.JSON)
        members = read.members
        nested = next((one for one in members if one.key == "function" and one.raw[:1] == "{"), None)
        if nested is not None:
            inner = _read_members(text[: nested.start + len(nested.raw)], nested.start + 1, Style.JSON)
            members = [one for one in members if one is not nested] + inner.members
        keys = [one.key for one in members if one.key not in _ABOUT_THE_CALL]
        names = (one.value for key in NAME_KEYS[: 1 if nested else None] for one in members if one.key == key)
        name = next((value for value in names if isinstance(value, str)), "")
        if name not in self._tools.names or not (self._is_marked or self._is_bare_call(members, keys, name)):
            is_late = not self._is_marked and keys[:1] == ["arguments"]
            return FramePart("", text[place : read.end], read.end) if is_late else self._other(name, place, read.end)
        builder = self._builder(name)
        for member in members:
            if member.key in ARGUMENT_KEYS:
                self._json_arguments(member, builder)
        # A bracket too few, behind arguments that are whole, does no harm.
        if read.error and not builder.open and (read.open != "bracket" or self._is_answer_end):
            builder.fail("it is not JSON", read.rest, open_=read.open)
        unknown_keys = [one for one in members if one.key in {*keys} - ARGUMENT_KEYS - {*NAME_KEYS}]
        if unknown_keys and ARGUMENT_KEYS.isdisjoint(keys):
            written = ", ".join(f"{write_json(one.key)}: {one.raw}" for one in unknown_keys)
            builder.fail(f"{', '.join(f'`{one.key}`' for one in unknown_keys)} must be in `arguments`", written)
        return builder.build(read.end)._replace(open=read.open)

    def _is_bare_call(self, members: list[_Member], keys: list[str], name: str) -> bool:
        """Tell whether an object that no marker frames is a call: it has arguments, or nothing but a name."""
        if keys[0] != "arguments" and (keys[0] not in NAME_KEYS or not ARGUMENT_KEYS.issuperset(keys[1:2])):
            return False
        if len(keys) == 1:
            return all(member.key != "id" for member in members)
        return not any(member.key == "parameters" and self._is_schema(member, name) for member in members)

    def _is_schema(self, member: _Member, name: str) -> bool:
        value = as_dict(member.value)
        first = next(iter(value), "")
        if self._tools.has_argument(name, first):
            return False
        return first in _SCHEMA_KEYS or (first == "type" and value["type"] == "object")

    def _json_arguments(self, member: _Member, builder: ToolCallBuilder) -> None:
        if member.raw[:1] == "{":
            builder.add_members(member.raw, 1, Style.JSON)
        elif isinstance(member.value, str) and member.value.strip()[:1] == "{":  # as in OpenAI's own replies
            builder.add_members(member.value.strip(), 1, Style.JSON)
        elif not member.raw:
            builder.fail(_CUT_OFF, open_="bracket")
        elif member.value is not None:
            builder.fail(
                "`arguments` is not a JSON object", member.value if isinstance(member.value, str) else member.raw
            )

    def _xml(self, name: str, place: int) -> FramePart:
        text, builder = self._text, self._builder(name)
        while True:
            place = _after(_SPACE, text, place)
            if parameter := _PARAMETER.match(text, place):
                place = self._parameter(name, parameter, builder)
            elif end := _FUNCTION_END.match(text, place):
                return builder.build(end.end())
            else:
                behind = _search(_STRAY_END, text, place + 1)
                builder.fail("it contains something other than parameters", text[place:behind].rstrip())
                place = behind

    def _parameter(self, name: str, parameter: re.Match[str], builder: ToolCallBuilder) -> int:
        """Take the value of a parameter: text where the tool takes nothing else, or JSON, or text."""
        key, start = parameter[1], parameter.end()
        closing = _PARAMETER_END.search(self._text, start)
        written = self._text[start : closing.start() if closing else len(self._text)]
        types = self._tools.argument_types(name, key)
        value = UNREADABLE
        if types != {"string"} or written[:1] == '"':
            value = parse_literal(written.strip())
        is_text = value is UNREADABLE or (types and "string" in types and not is_of(value, types))
        builder.add(key, written if is_text else value, written)
        if closing is None and self._is_answer_end:
            builder.fail(_CUT_OFF, open_="bracket")
        return closing.end() if closing else len(self._text)
