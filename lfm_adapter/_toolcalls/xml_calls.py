"""Reads calls in XML: LFM3's, and those of other families with names in attributes or a prefix before their tags."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lfm_adapter._json import after
from lfm_adapter._toolcalls.frames import XML_CALL
from lfm_adapter._toolcalls.json_schema import is_of
from lfm_adapter._toolcalls.loose_json import SPACE, UNREADABLE, read_value
from lfm_adapter._toolcalls.quotes import find_strings

if TYPE_CHECKING:
    from lfm_adapter._toolcalls.call_arguments import CallArguments
    from lfm_adapter._toolcalls.tools import Tools

_PARAMETER = re.compile(
    r"""<(?:\uff5cDSML\uff5c)?param(?:eter)?(?:=|\sname=)"?(?P<key>[^\s()\[\]{}<>"'=,:]{1,128})"?[^<>\n]{0,40}>\n?"""
)
_END = r"</(?:\uff5cDSML\uff5c)?(?:function|invoke)>"
_NEXT = r"</?tool_call>|<(?:\uff5cDSML\uff5c)?(?:function|invoke)[=\s]"
_PARAMETER_END = re.compile(
    rf"""\n?(?:</(?:\uff5cDSML\uff5c)?param(?:eter)?>|(?={_END}\s*(?:{_NEXT}|\Z)|</tool_call>\s*(?:<|\Z)|{XML_CALL.pattern}\s*<)
        |(?={_PARAMETER.pattern}))""".replace("(?P<name>", "(?:"),
    re.VERBOSE,
)
_FUNCTION_END = re.compile(rf"{_END}|(?={_NEXT})|\Z")
_STRAY_END = re.compile(rf"(?=<(?:\uff5cDSML\uff5c)?param|{_END}|{_NEXT})|\Z")
_UNKNOWN_END = re.compile(rf"{_END}|(?=<(?:\uff5cDSML\uff5c)?(?:function|invoke)[=\s])|\Z")


def skip_xml(text: str, place: int) -> int:
    """Return the place behind a call whose parameters begin at `place`."""
    return _search(_UNKNOWN_END, text, place)


def read_xml(text: str, place: int, given: CallArguments, tools: Tools) -> int:
    """Add the parameters from `place` on, behind the tag with the tool's name. Return the place behind the call."""
    place = after(SPACE, text, place)
    if text.startswith("{", place):
        place += given.add_object(text[place:])
    while True:
        place = after(SPACE, text, place)
        if parameter := _PARAMETER.match(text, place):
            place = _read_parameter(text, parameter, given, tools)
        elif end := _FUNCTION_END.match(text, place):
            return end.end()
        else:
            behind = _search(_STRAY_END, text, place + 1)
            given.fail("it contains something other than parameters", text[place:behind].rstrip())
            place = behind


def _read_parameter(text: str, parameter: re.Match[str], given: CallArguments, tools: Tools) -> int:
    """Take the value of a parameter: text where the tool takes nothing else, or JSON, or text."""
    key, start = parameter["key"], parameter.end()
    ends = _PARAMETER_END.finditer(text, start)
    closing = next((one for one in ends if not one["key"] or tools.has_argument(given.name, one["key"])), None)
    written = text[start : closing.start() if closing else len(text)]
    types = tools.argument_types(given.name, key)
    value = UNREADABLE
    if types != {"string"} or (written[:1] == '"' and "\\" in written):
        stripped = written.strip()
        value = read_value(stripped, 0, "", find_strings(stripped, 0, tools.keys)).value
    is_text = value is UNREADABLE or (types and "string" in types and not is_of(value, types))
    given.add(key, written if is_text else value, written)
    if closing is None:
        given.cut_in_parameter()
    return closing.end() if closing else len(text)


def _search(pattern: re.Pattern[str], text: str, place: int) -> int:
    match = pattern.search(text, place)
    return len(text) if match is None else match.end()
