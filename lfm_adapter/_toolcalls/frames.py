"""What frames calls in text: how a frame begins, which decides whether text can stream, and where it closes.

    <|tool_call_start|>[f(a=1)]<|tool_call_end|>                  LFM2 and LFM2.5, also with JSON inside
    <tool_call><function=f><parameter=a>1</parameter>…            LFM3
    <tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>   what models without a form of their own are asked for
    {"name": "f", "arguments": {"a": 1}}                          at the start of a line, also in a list or a code fence
    [f(a=1)]                                                      likewise: some servers drop the markers
    Let me see. [f(a=1)]                                          at the end of the answer
    f(a=1)                                                        as the whole answer

Without a marker, only bound tools count, and whatever merely looks like a call is text: a link
(`[f(x)](https://…)`), an object with a tool's name and no arguments.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from lfm_adapter._json import after

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lfm_adapter._toolcalls.tools import Tools

CALL_START, CALL_END = "<|tool_call_start|>", "<|tool_call_end|>"
TAG_START, TAG_END = "<tool_call>", "</tool_call>"
# Models of other families write what they were trained on, whatever the prompt says.
_MARKERS = {
    CALL_START: CALL_END,
    TAG_START: TAG_END,
    "<function_call>": "</function_call>",
    "<|python_start|>": "<|python_end|>",
    "<\uff5cDSML\uff5cfunction_calls>": "</\uff5cDSML\uff5cfunction_calls>",
}
_ENDS = frozenset(_MARKERS.values())
XML_CALL = re.compile(r"""<(?:\uff5cDSML\uff5c)?(?:function|invoke)(?:=|\sname=)"?(?P<name>[^<>"\n]{1,500})"?>""")
_XML_START = re.compile(r"<(?:\uff5cDSML\uff5c)?(?:function|invoke)(?:=|\s)")
_XML_STARTS = ("<function=", "<function ", "<\uff5cDSML\uff5cinvoke ")
FENCE = "```"
NAME_KEYS = ("name", "function", "tool", "tool_name")
ARGUMENT_KEYS = frozenset({"arguments", "parameters", "args", "tool_input"})
NAME = r"""[^\s()\[\]{}<>"'=,:;`]"""  # a character of a tool's name as Python has it

# What may still become a marker, "" included.
_MARKER_STARTS = frozenset(
    marker[:length] for marker in (*_MARKERS, *_XML_STARTS, FENCE) for length in range(len(marker))
)
_LONGEST_MARKER = max(map(len, _MARKERS))
_MAX_SPACE = 100
_SPACE = re.compile(rf"\s{{0,{_MAX_SPACE}}}")
_FENCE = re.compile(rf"```[\w+-]{{0,20}}\s{{0,{_MAX_SPACE}}}")
# A fence at the end of the text, and one around other code.
_OPEN_FENCE = re.compile(r"(?:`{1,2}|```[\w+-]{0,20}\s{0,100})\Z")
_CODE_FENCE = re.compile(r"```[\w+-]{0,20}(?:\s{1,100}(?![\s<\[{`]|\Z)|(?![\s\w+<\[{`-]|\Z))")
_KEYWORD = re.compile(r"[^\W\d][\w.-]*")
_TOKEN = re.compile(
    r"""(?P<space>\s{0,100})(?:"[^"\\]*(?:\\.[^"\\]*)*(?P<end>")?|'[^'\\]*(?:\\.[^'\\]*)*(?P<end2>')?"""
    rf"""|(?P<word>{NAME}+)|(?P<sign>\S))""",
    re.DOTALL,
)
_XML_TAG = re.compile(r"\s{0,100}(?:\{|<(?:\uff5cDSML\uff5c)?(?:param(?:eter)?[=\s]|/(?:function|invoke)>))")
_XML_PART = re.compile(r"<[^<>]{0,500}(?:>\s{0,100}(?:<[^<>=\s]{0,20})?)?\Z")
_LONGEST_UNKNOWN_NAME = 64


class CallPrefix(NamedTuple):
    """The beginning of a frame that may hold calls."""

    place: int  # where the first call begins
    closers: tuple[str, ...] = ()  # what closes the frame, the innermost first
    is_last: bool = False  # whether it counts only at the end of the answer

    @property
    def is_marked(self) -> bool:
        """Whether a marker begins the frame."""
        return not _ENDS.isdisjoint(self.closers)


UNDECIDED: Final = CallPrefix(-1)  # the next characters decide


class _UndecidedError(Exception):
    """The next characters decide."""


class _Token(NamedTuple):
    text: str  # "" where there is none, or it is too long
    space: str  # before it


def _tokens(text: str, place: int, max_chars: int, *, is_closed: bool) -> Iterator[_Token]:
    """Yield the tokens from `place` on that are certain."""
    while True:
        window = place + _MAX_SPACE + max_chars
        token = _TOKEN.match(text, place, window)
        is_long = token is None or token.end() - place > max_chars
        is_whole = token is not None and (token["sign"] or token["end"] or token["end2"])
        if not is_closed and not is_whole and (len(text) if token is None else token.end()) == len(text) < window:
            raise _UndecidedError
        space = "" if token is None else token["space"]
        if token is None or is_long:
            while True:
                yield _Token("", space)
        place = token.end()
        yield _Token(token[0][len(space) :], space)


def find_prefix(
    text: str, place: int, tools: Tools, *, is_start: bool, is_line_start: bool, is_closed: bool
) -> CallPrefix | None:
    """Return the beginning of a frame that may hold calls, if there is one at `place`, or `UNDECIDED`.

    Args:
        text: The text so far.
        place: Where to look.
        tools: The tools that are bound.
        is_start: Whether a call without a frame may begin here: only white space precedes it in the answer.
        is_line_start: Whether only white space precedes it in its line.
        is_closed: Whether the text is complete.
    """
    if text[place] == "`":
        if not is_closed and _OPEN_FENCE.match(text, place):
            return UNDECIDED
        if _CODE_FENCE.match(text, place):
            return None
    prefix = None
    if is_start:
        prefix = CallPrefix(place, is_last=True)
    elif is_line_start or text.startswith((*_MARKERS,), place):
        prefix = _step_in(text, place)
    elif text[place] == "[":
        prefix = _step_in(text, place)._replace(is_last=True)
    at = place if prefix is None else prefix.place
    if not is_closed and text[at : at + _LONGEST_MARKER] in _MARKER_STARTS:
        return UNDECIDED
    if prefix is None:
        return None
    max_chars = 6 * max(tools.longest_name, _LONGEST_UNKNOWN_NAME)  # each character may be an escape
    try:
        begins = _begins_call(text, prefix, tools, _tokens(text, at, max_chars, is_closed=is_closed))
    except _UndecidedError:
        return UNDECIDED
    return prefix if begins else None


def _step_in(text: str, place: int) -> CallPrefix:
    """Step across fence, marker and bracket, where they come next."""
    closers: tuple[str, ...] = ()
    if fence := _FENCE.match(text, place):
        closers, place = (FENCE,), fence.end()
    for start, end in _MARKERS.items():
        if text.startswith(start, place):
            closers, place = (end, *closers), after(_SPACE, text, place + len(start))
            break
    if closers and FENCE not in closers and (fence := _FENCE.match(text, place)):
        closers, place = (FENCE, *closers), fence.end()
    if text.startswith("[", place):
        closers, place = ("]", *closers), after(_SPACE, text, place + 1)
    return CallPrefix(place, closers)


def _begins_call(text: str, prefix: CallPrefix, tools: Tools, tokens: Iterator[_Token]) -> bool:
    if _XML_START.match(text, prefix.place):
        return prefix.is_marked or _begins_xml(text, prefix.place, tools, tokens)
    name = next(tokens).text
    if name == "{":
        return prefix.is_marked or (not prefix.is_last and _begins_json(tokens, tools))
    if not re.match(NAME, name) or not (prefix.closers or prefix.is_last):
        return False
    behind = next(tokens).text
    if prefix.is_marked:
        return behind in ("(", "=") or (behind == "<" and tools.called(name) is not None)
    return behind == "(" and tools.called(name) is not None and _begins_arguments(tokens, prefix)


def _begins_xml(text: str, place: int, tools: Tools, tokens: Iterator[_Token]) -> bool:
    if (found := XML_CALL.match(text, place)) and _XML_TAG.match(text, found.end()):
        return found["name"] in tools.names
    if _XML_PART.match(text, place):
        while next(tokens).text:  # it is undecided where the text may go on
            pass
    return False


def _begins_arguments(tokens: Iterator[_Token], prefix: CallPrefix) -> bool:
    """Return whether `[f(` goes on as a call and not as prose, as in `[f(x)](https://…)`."""
    key = next(tokens).text
    if key == ")":
        if prefix.is_last:
            return not prefix.closers  # `f()` may be the whole answer, and [f()] at its end a link
        behind = next(tokens).text
        return behind == "," or (behind == "]" and next(tokens) != ("(", ""))
    if key in ("{", "*"):
        return next(tokens).text[:1] in ('"', "'", "*")
    is_key = _KEYWORD.fullmatch(key) or _KEYWORD.fullmatch(_unquote(key))
    separator = next(tokens).text if is_key else ""
    return separator == ":" or (separator == "=" and next(tokens).text != "=")


def _begins_json(tokens: Iterator[_Token], tools: Tools) -> bool:
    key = _key(tokens)
    has_id = False
    while key in ("id", "type"):
        has_id = has_id or key == "id"
        if next(tokens).text in ("", "{", "[") or next(tokens).text != ",":
            return False
        key = _key(tokens)
    name = next(tokens).text
    is_nested = key == "function" and name == "{"
    if is_nested:
        key, name = _key(tokens), next(tokens).text
    if key == "arguments":  # the name follows them
        return name == "{" or name[:1] == '"'
    if key not in NAME_KEYS or (is_nested and key != "name") or _unquote(name) not in tools.names:
        return False
    sign = next(tokens).text
    if sign == "}" and not has_id and (not is_nested or next(tokens).text == "}"):
        behind = next(tokens)  # nothing more in the line
        return "\n" in behind.space or behind.text[:1] in ("", *",]`")
    return sign == "," and _key(tokens) in ARGUMENT_KEYS


def _key(tokens: Iterator[_Token]) -> str:
    """Return the next key, or ""."""
    key = _unquote(next(tokens).text)
    return key if next(tokens).text == ":" else ""


def _unquote(token: str) -> str:
    """Return the text of a string in quotes, or "" for anything else."""
    if token[:1] not in ("'", '"') or len(token) < 2 or token[-1] != token[0]:
        return ""
    if "\\" not in token or token[0] == "'":
        return token[1:-1]
    try:
        return str(json.loads(token))
    except ValueError:
        return ""


# What may close a frame, by its innermost closer and the marker around a fence. LFM2's markers are tokens of their own,
# which are part of no string. The others may be text within a string.
_OPENERS = (*_MARKERS, *_XML_STARTS)
_BARE_XML = "<"
_CLOSING: dict[tuple[str, ...], re.Pattern[str]] = {
    (FENCE,): re.compile(FENCE),
    (_BARE_XML,): re.compile(rf"</(?:\uff5cDSML\uff5c)?(?:function|invoke)>|</?tool_call>|{_XML_START.pattern}"),
}
for _start, _end in _MARKERS.items():
    _CLOSING[(_end,)] = re.compile(f"{re.escape(_end)}|{re.escape(_start)}")
    _CLOSING[FENCE, _end] = re.compile(f"{FENCE}|{re.escape(_end)}|{re.escape(_start)}")
# What follows calls that are the end of an answer: more of them.
_GOES_ON = re.compile(rf"[\s,;]{{0,100}}(?:\Z|(?P<call>\[|{NAME}{{1,128}}\()|{NAME}{{1,128}}\Z)")
_BRACKETS = re.compile(r"""["'()\[\]{}]""")
_QUOTED = {quote: re.compile(rf"(?:[^\\{quote}]+|\\.)*", re.DOTALL) for quote in "\"'"}


class Closing(NamedTuple):
    """Where what closes a frame begins and ends."""

    start: int
    end: int


class FramePart(NamedTuple):
    """A call in a frame, or the text before it."""

    name: str  # the tool; for text, the unknown tool that it calls, or ""
    text: str  # the arguments as JSON, or as written where they cannot be read; or the text
    end: int  # the place behind it
    is_call: bool = False
    error: str | None = None
    open: str = ""  # within what the frame ends: a "string", a "bracket", or ""


class Frame:
    """A frame that is being collected.

    It closes at its end marker, its closing fence, or where the brackets match with which it began. It goes on where
    reading shows that this is within a string.

    Attributes:
        start: Where it begins in the text.
        prefix: How it begins, with the place of the first call counted from `start`.
        closers: What may close it, the innermost first; the others may follow. None where brackets close it.
        readings: How often it was read.
        first: The first reading, and what closed the frame there.
    """

    def __init__(self, text: str, start: int, prefix: CallPrefix) -> None:
        self.closers = tuple(closer for closer in prefix.closers if closer != "]")
        is_bare_xml = not self.closers and _XML_START.match(text, prefix.place) is not None
        if is_bare_xml:
            self.closers = (TAG_END,)
        kind = (_BARE_XML,) if is_bare_xml else self.closers[: 2 if FENCE in self.closers[:1] else 1]
        self.start = start
        self.prefix = prefix._replace(place=prefix.place - start)
        self.readings = 0
        self.first: tuple[list[FramePart], Closing] | None = None
        self._closing = _CLOSING[kind] if kind else None
        self._end = len(text)
        self._unread = text[prefix.place + is_bare_xml if kind else start :]  # not searched yet
        self._at = 0  # how far that was, where brackets close it
        self._depth = 0
        self._is_matched = False  # where the next character decides
        self._quote = ""

    def is_whole(self, parts: list[FramePart], closing: Closing) -> bool:
        """Return whether the frame closes where it was read to, which is not within a string, or a bracket."""
        if not parts or not parts[-1].open or CALL_END in self.closers:
            return True
        return parts[-1].open == "parameter" and closing.start == closing.end

    def next_closing(self, piece: str = "", *, is_closed: bool = False) -> Closing | None:
        """Take the next characters, and return the next place at which the frame may close, if the text has one."""
        self._end += len(piece)
        if self._closing is None:
            return self._next_bracket(piece, is_closed=is_closed)
        unread = self._unread + piece
        match = self._closing.search(unread)
        if match is None:
            self._unread = unread[-_LONGEST_MARKER:]
            return None
        self._unread = unread[match.end() :]
        end = self._end - len(self._unread)
        is_function_end = match[0].startswith("</") and match[0] not in _ENDS
        start = end - (0 if is_function_end else len(match[0]))
        return Closing(start, start if match[0] in _OPENERS else end)

    def _next_bracket(self, piece: str, *, is_closed: bool) -> Closing | None:
        """Return the next place where the brackets match, and nothing follows that would only follow in a string."""
        self._unread = self._unread[self._at :] + piece
        self._at = 0
        while self._is_matched or self._match_brackets():
            if self.prefix.is_last:
                goes_on = _GOES_ON.match(self._unread, self._at)
                if goes_on and goes_on["call"]:
                    self._is_matched = False
                    self._at = goes_on.start("call")
                    continue
                self._is_matched = goes_on is not None and not is_closed
            else:
                self._is_matched = self._at == len(self._unread) and not is_closed
            if self._is_matched:
                return None
            if self.prefix.is_last or not self._unread.startswith(("'", '"', ")"), self._at):
                place = self._end - len(self._unread) + self._at
                return Closing(place, place)
        return None

    def _match_brackets(self) -> bool:
        """Step behind the bracket that closes the first one, and return whether the text has it."""
        while self._at < len(self._unread):
            if self._quote:
                self._at = after(_QUOTED[self._quote], self._unread, self._at)
                if not self._unread.startswith(self._quote, self._at):
                    return False
                self._quote = ""
                self._at += 1
            bracket = _BRACKETS.search(self._unread, self._at)
            self._at = bracket.end() if bracket else len(self._unread)
            if bracket is None:
                return False
            if bracket[0] in "\"'":
                self._quote = bracket[0]
            else:
                self._depth += 1 if bracket[0] in "([{" else -1
                if self._depth <= 0 and bracket[0] in ")]}":
                    return True
        return False
