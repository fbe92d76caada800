"""How a call begins: decides from the first few characters whether text may be one, so that other text can stream.

    <|tool_call_start|>[f(a=1)]<|tool_call_end|>                  LFM2 and LFM2.5, also with JSON inside
    <tool_call><function=f><parameter=a>1</parameter>…            LFM3
    <tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>   what models without a form of their own are asked for
    {"name": "f", "arguments": {"a": 1}}                          at the start of a line, also in a list or a code fence
    [f(a=1)]                                                      likewise: some servers drop the markers

Without a marker, only bound tools count, and whatever merely looks like a call is text: a link
(`[f(x)](https://…)`), an object with a tool's name and no arguments.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from lfm_adapter._toolcalls.loose_tokens import after

if TYPE_CHECKING:
    from lfm_adapter._toolcalls.tools import Tools

__all__ = [
    "ARGUMENT_KEYS", "CALL_END", "FENCE", "FUNCTION_END", "FUNCTION_START", "NAME_KEYS", "TAG_END", "UNDECIDED",
    "CallPrefix", "find_prefix", "unquote",
]  # fmt: skip

CALL_START = "<|tool_call_start|>"
CALL_END = "<|tool_call_end|>"
TAG_START = "<tool_call>"
TAG_END = "</tool_call>"
FUNCTION_START = "<function="
FUNCTION_END = "</function>"
FENCE = "```"
NAME_KEYS = ("name", "function", "tool")
ARGUMENT_KEYS = frozenset({"arguments", "parameters", "args"})

# What may still become a marker, "" included.
_MARKER_STARTS = frozenset(
    marker[:length] for marker in (CALL_START, TAG_START, FUNCTION_START, FENCE) for length in range(len(marker))
)
_MAX_SPACE = 100
_SPACE = re.compile(rf"\s{{0,{_MAX_SPACE}}}")
_FENCE = re.compile(rf"```[\w+-]{{0,20}}\s{{0,{_MAX_SPACE}}}")
_NAME = re.compile(r"""[^\s()\[\]{}<>"'=,:`]+""")
# A fence at the end of the text, and one around other code.
_OPEN_FENCE = re.compile(r"(?:`{1,2}|```[\w+-]{0,20}\s{0,100})\Z")
_CODE_FENCE = re.compile(r"```[\w+-]{0,20}(?:\s{1,100}(?![\s<\[{`]|\Z)|(?![\s\w+<\[{`-]|\Z))")
_KEYWORD = re.compile(r"[^\W\d][\w.-]*")
_TOKEN = re.compile(
    r"""\s{0,100}(?:(?P<string>"[^"\\]*(?:\\.[^"\\]*)*(?P<end>")?|'[^'\\]*(?:\\.[^'\\]*)*(?P<end2>')?)"""
    rf"""|(?P<word>{_NAME.pattern})|(?P<sign>\S))""",
    re.DOTALL,
)
_XML = re.compile(r"<function=(?P<name>[^<>]{0,500})(?:>\s{0,100}(?P<tag><[^<>=]{0,20}[>=]?)?)?")
_LONGEST_UNKNOWN_NAME = 64


class CallPrefix(NamedTuple):
    """The beginning of a frame that may hold calls."""

    place: int  # where the first call begins
    closers: tuple[str, ...] = ()  # what closes the frame, the innermost first

    @property
    def is_marked(self) -> bool:
        """Whether a marker begins the frame."""
        return CALL_END in self.closers or TAG_END in self.closers


UNDECIDED: Final = CallPrefix(-1)  # the next characters decide


class _Lookahead:
    """Takes the next tokens. `is_at_end` says that the end of the text was seen, and more of it could change them."""

    def __init__(self, text: str, place: int, max_chars: int, *, is_closed: bool) -> None:
        self.text = text
        self.place = place
        self.is_at_end = False
        self._max_chars = max_chars
        self._is_closed = is_closed

    def take(self) -> str:
        """Return the next token, or ""."""
        window = self.place + _MAX_SPACE + self._max_chars
        token = _TOKEN.match(self.text, self.place, window)
        if token is None or token.end() - self.place > self._max_chars:
            if len(self.text) < window:
                self.see_end(len(self.text))
            return ""
        if not (token["sign"] or token["end"] or token["end2"]):
            self.see_end(token.end())
        self.place = token.end()
        return token["string"] or token["word"] or token["sign"]

    def take_key(self) -> str:
        """Return the next key, or ""."""
        key = unquote(self.take())
        return key if self.take() == ":" else ""

    def space_and_char(self) -> tuple[str, str]:
        """Return the white space that comes next, and the character behind it."""
        end = after(_SPACE, self.text, self.place)
        self.see_end(end)
        return self.text[self.place : end], self.text[end : end + 1]

    def see_end(self, place: int) -> None:
        """Note whether the text ends at a place that was looked at."""
        self.is_at_end = self.is_at_end or (place == len(self.text) and not self._is_closed)


def find_prefix(text: str, place: int, tools: Tools, *, is_line_start: bool, is_closed: bool) -> CallPrefix | None:
    """Return the beginning of a frame that may hold calls, if there is one at `place`, or `UNDECIDED`.

    Args:
        text: The text so far.
        place: Where to look.
        tools: The tools that are bound.
        is_line_start: Whether only white space precedes it in its line.
        is_closed: Whether the text is complete.
    """
    if text[place] == "`":
        if not is_closed and _OPEN_FENCE.match(text, place):
            return UNDECIDED
        if _CODE_FENCE.match(text, place):
            return None
    prefix = _frame(text, place) if is_line_start or text.startswith((CALL_START, TAG_START), place) else None
    at = place if prefix is None else prefix.place
    if not is_closed and text[at : at + len(CALL_START)] in _MARKER_STARTS:
        return UNDECIDED
    if prefix is None:
        return None
    max_chars = 6 * max(tools.longest_name, _LONGEST_UNKNOWN_NAME)  # each character may be an escape
    ahead = _Lookahead(text, prefix.place, max_chars, is_closed=is_closed)
    begins = _begins_call(ahead, prefix, tools)
    return UNDECIDED if ahead.is_at_end else prefix if begins else None


def _frame(text: str, place: int) -> CallPrefix:
    """Step across fence, marker and bracket, where they come next."""
    closers: tuple[str, ...] = ()
    if fence := _FENCE.match(text, place):
        closers, place = (FENCE,), fence.end()
    for start, end in ((CALL_START, CALL_END), (TAG_START, TAG_END)):
        if text.startswith(start, place):
            closers, place = (end, *closers), after(_SPACE, text, place + len(start))
            break
    if closers and FENCE not in closers and (fence := _FENCE.match(text, place)):
        closers, place = (FENCE, *closers), fence.end()
    if text.startswith("[", place):
        closers, place = ("]", *closers), after(_SPACE, text, place + 1)
    return CallPrefix(place, closers)


def _begins_call(ahead: _Lookahead, prefix: CallPrefix, tools: Tools) -> bool:
    if ahead.text.startswith(FUNCTION_START, ahead.place):
        return prefix.is_marked or _begins_xml(ahead, tools)
    sign = ahead.take()
    if sign == "{":
        return prefix.is_marked or _begins_json(ahead, tools)
    if ("]" not in prefix.closers and not prefix.is_marked) or not _NAME.fullmatch(sign) or ahead.take() != "(":
        return False
    return prefix.is_marked or (tools.called(sign) is not None and _begins_arguments(ahead))


def _begins_xml(ahead: _Lookahead, tools: Tools) -> bool:
    found = _XML.match(ahead.text, ahead.place)
    if found and found["tag"] in ("<parameter=", FUNCTION_END):
        return found["name"] in tools.names
    if found:
        ahead.see_end(found.end())
    return False


def _begins_arguments(ahead: _Lookahead) -> bool:
    """Tell whether `[f(` goes on as a call and not as prose, as in `[f(x)](https://…)`."""
    sign = ahead.take()
    if sign == ")":
        behind = ahead.take()
        return behind == "," or (behind == "]" and ahead.space_and_char() != ("", "("))
    if sign == "{":
        return ahead.take()[:1] in ('"', "'")
    return bool(_KEYWORD.fullmatch(sign)) and ahead.take() == "=" and ahead.take() != "="


def _begins_json(ahead: _Lookahead, tools: Tools) -> bool:
    key = ahead.take_key()
    has_id = False
    while key in ("id", "type"):
        has_id = has_id or key == "id"
        if ahead.take() in ("", "{", "[") or ahead.take() != ",":
            return False
        key = ahead.take_key()
    name = ahead.take()
    is_nested = key == "function" and name == "{"
    if is_nested:
        key, name = ahead.take_key(), ahead.take()
    if key == "arguments":  # the name follows them
        return name == "{" or name[:1] == '"'
    if key not in NAME_KEYS or (is_nested and key != "name") or unquote(name) not in tools.names:
        return False
    sign = ahead.take()
    if sign == "}" and not has_id and (not is_nested or ahead.take() == "}"):
        space, char = ahead.space_and_char()  # nothing more in the line
        return "\n" in space or char in ("", *",]`")
    return sign == "," and ahead.take_key() in ARGUMENT_KEYS


def unquote(token: str) -> str:
    """Return the text of a string in quotes, or "" for anything else."""
    if token[:1] not in ("'", '"') or len(token) < 2 or token[-1] != token[0]:
        return ""
    if "\\" not in token or token[0] == "'":
        return token[1:-1]
    try:
        return str(json.loads(token))
    except ValueError:
        return ""
