"""Where the strings in a text end, also where quotes within them are not escaped.

LFM2.5's chat template writes strings as they are, and so do the models: `run(code='print('a')')`
(https://github.com/ggml-org/llama.cpp/issues/26658).

If every string can end at its first quote, it does, as in Python and JSON. Otherwise all readings are weighed in which
each string ends before something that may follow it. An unlikely reading costs more: brackets and quotes in a string do
not match, a key is not in the schema, a string goes on where it could well have ended. The cheapest reading counts if
it is cheaper than the next by `_MARGIN`; otherwise the text is ambiguous.
"""

from __future__ import annotations

import re
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from lfm_adapter._json import UP_TO_QUOTE, after, json_end

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

AMBIGUOUS = "quotes within a string are not escaped, so that it is unclear where the string ends"

_MAX_STEPS = 50_000  # signs that the search looks at, and one more for every 50th character
_MARGIN = 0.7  # by which a reading must be better than the next
_MAX_COST = 5.0
_JUNK = 3.0  # something follows that belongs to nothing
_UNCLOSED = 0.6  # a bracket
_MAX_DEPTH = 520

_RUN = re.compile(r"(?:[^\"'`()\[\]{}/#]+|/(?![/*])|//[^\n]*|/\*(?:[^*]|\*(?!/))*(?:\*/)?|#[^\n]*)+")
_CLOSERS = {"a": ")", "(": ")", "[": "]", "{": "}"}  # "a" are the arguments of a call
_NAME_BEFORE = re.compile(r"""([^\s()\[\]{}<>"'=,:`]+)\s{0,100}\Z""")
_PREFIX = re.compile(r"([=:,(\[{])\s{0,20}[fFrRbBuU]{1,2}\Z")
_KEY = re.compile(r"""(["'`])((?:\\.|(?!\1)[^\\\n]){0,200})\1\s{0,100}(?:(?P<sign>[:=])|(?=["'`]))""")
_SPECIAL = {quote: re.compile(rf"\\.|[{quote}()\[\]{{}}]", re.DOTALL) for quote in "\"'`"}

# What follows a string: in a call, in an object, and in a list.
_AFTER_ARGUMENT = re.compile(
    r"""\s{0,100}(?: \Z | (?P<closer>,?\s{0,100}\)) | ,\s{0,100}(?: \*\*\s{0,9}\{ | \Z
        | ["']?(?P<key>[^\s()\[\]{}<>"'=,:]{1,128})["']?\s{0,100}(?P<sign>=(?!=)|:) )
        | \s{1,100}(?P<spaced>[^\W\d]\w{0,63})=(?!=) )""",
    re.VERBOSE,
)
_AFTER_MEMBER = re.compile(
    r"""\s{0,100}(?: (?P<closer>\}) | \Z | (?P<comment>(?:,\s{0,100})?(?://|/\*|\#))
        | ,\s{0,100}(?: \} | \.\.\. | \Z )
        | ,?\s{0,100}(?P<quote>["'`])(?P<key>(?:\\.|(?!(?P=quote))[^\\\n]){0,100})(?P=quote)\s{0,100}:
        | (?:,|\n)\s{0,100}(?P<bare>[\w$-]{1,100})\s{0,100}: )""",
    re.VERBOSE,
)
_AFTER_ITEM = re.compile(
    r"""\s{0,100}(?: (?P<closer>[\])}]) | \Z | (?P<comment>(?:,\s{0,100})?(?://|/\*|\#)) | (?P<joined>\s{1,100}["'`])
        | ,\s{0,100}(?: [fFrRbBuU]?["'`] | [\[{(\])\d+.-] | [A-Za-z_]\w{0,60}\(
            | [tT]rue\b | [fF]alse\b | null\b | None\b | \Z ))""",
    re.VERBOSE,
)
_AFTER_CALL = re.compile(
    r"""\s{0,100}(?: \Z | [,;]?\s{0,100}(?: \] | `{3} | \{ | (?P<name>[^\s()\[\]{}<>"'=,:;`]{1,128})\s{0,9}\( ))""",
    re.VERBOSE,
)
_OTHER_STRING = {'"': re.compile(r"\s{1,100}'"), "'": re.compile(r'\s{1,100}"'), "`": re.compile(r"(?!)")}
_OPENING = "([{=,:;|<>&!+-*/%$~^?\"'\\"
_CLOSING = ")]},:;.!?|<>&=+-*/%\\\"'"
_EXPRESSION = re.compile(r"""\s{0,20}(?:[+*%]|if\b|\.\w{1,30}\(|,\s{0,20}["'`])""")
_BEFORE_STRING = ("", *"=:,([{\"'`")
_AFTER_JSON = re.compile(r"\s{0,100}(?:[,)\]}]|\Z)")
_APOSTROPHE = re.compile(r"'(?:\d0s|em|til|tis|twas|cause|n)\b")


class Keys(NamedTuple):
    """The keys that an object may have."""

    names: frozenset[str] = frozenset()
    is_open: bool = True  # whether others are as likely

    def cost(self, key: str) -> float:
        """Return how unlikely it is that `key` is a key."""
        return 0.0 if key in self.names else 0.5 if self.is_open else 2.0


class Strings(NamedTuple):
    """Where the strings are: the place of the last quote by that of the first. All others end at the first quote."""

    ends: dict[int, int]
    is_ambiguous: bool = False


class _Open(NamedTuple):
    """A bracket that is open: one of `_CLOSERS`."""

    kind: str
    keys: Keys


class _Node(NamedTuple):
    """A reading up to a place."""

    place: int
    stack: tuple[_Open, ...]
    cost: float
    ends: tuple[Any, ...] | None  # the strings before: (first quote, last quote, those before)
    kind: str = "["  # of the bracket around it
    sign: str = ""  # before the string that begins here

    def strings(self) -> Strings:
        """Return the strings before."""
        found: dict[int, int] = {}
        ends = self.ends
        while ends is not None:
            first, last, ends = ends
            found[first] = last
        return Strings(found)


def find_strings(
    text: str,
    place: int,
    keys: Keys,
    *,
    call_keys: Callable[[str], Keys | None] | None = None,
    strict_until: int = 0,
) -> Strings:
    """Return where the strings of a value end that begins at `place`, or of calls where `call_keys` is given.

    Args:
        text: The text.
        place: Where to begin.
        keys: What the objects have.
        call_keys: Returns the names of a tool's arguments, or None for a name that is not a tool's.
        strict_until: Up to where every quote ends its string.
    """
    search = _Search(text, keys, call_keys, strict_until)
    start = _Node(place, (), 0.0, None)
    return search.strict(start) or search.best(start)


class _Search:
    def __init__(
        self, text: str, keys: Keys, call_keys: Callable[[str], Keys | None] | None, strict_until: int
    ) -> None:
        self._text = text
        self._strict_until = strict_until
        self._keys = keys
        self._call_keys = call_keys
        self._steps = _MAX_STEPS + len(text) // 50
        self._is_json = True  # all objects and lists so far, with `strict`

    def strict(self, node: _Node) -> Strings | None:
        """Return the reading in which every string ends at its first quote, or None if one cannot end there."""
        for _ in range(2 * _MAX_STEPS):
            node = self._to_string(node, is_strict=True)
            if node.place < 0:
                return node.strings() if node.cost < _JUNK else None
            following = self._certain(node) or self._at_first_quote(node)
            if following is None:
                return None
            node = following
        return None

    def best(self, start: _Node) -> Strings:
        """Return the reading that is better than all others."""
        order = count()
        heap = [(0.0, next(order), start)]
        seen: dict[tuple[int, tuple[_Open, ...]], int] = {}
        found: list[_Node] = []
        while heap and self._steps >= 0 and len(found) < 2:
            self._steps -= 1
            cost, _, node = heappop(heap)
            if cost > (found[0].cost + _MARGIN if found else _MAX_COST):
                break
            if node.place < 0:
                found.append(node)
                continue
            node = self._to_string(node)
            if node.cost > cost or node.place < 0:
                heappush(heap, (node.cost, next(order), node))
                continue
            site = node.place, node.stack
            seen[site] = seen.get(site, 0) + 1
            if seen[site] <= 2:  # two readings are enough to see that they differ
                for following in self._readings(node):
                    heappush(heap, (following.cost, next(order), following))
        if self._steps < 0 or len(found) == 2:
            return Strings({}, is_ambiguous=True)
        return found[0].strings() if found else Strings({})

    def _to_string(self, node: _Node, *, is_strict: bool = False) -> _Node:
        """Go on to the next string. The place is -1 at the end of the value, or the text."""
        text, place, stack, cost = self._text, node.place, list(node.stack), node.cost
        while len(stack) <= _MAX_DEPTH:
            run = _RUN.match(text, place)
            before, place = place, run.end() if run else place
            char = text[place : place + 1]
            if not char:
                return _Node(-1, (), cost + _UNCLOSED * len(stack), node.ends)
            if char in _CLOSERS:
                may_be_json = is_strict and self._is_json and 0 < len(stack) <= 2 and char != "("
                if may_be_json and (end := self._json_end(place)):
                    place = end
                    continue
                kind, keys = char, stack[-1].keys if stack else self._keys
                if char == "(" and not stack and self._call_keys:
                    name = _NAME_BEFORE.search(text, before, place)
                    kind, keys = "a", (self._call_keys(name[1]) if name else None) or Keys()
                stack.append(_Open(kind, self._keys if char == "{" else keys))
            elif char in "\"'`":
                is_apostrophe = text[place - 1 : place].isalnum() and text[place + 1 : place + 2].isalnum()
                is_apostrophe = is_apostrophe and not _PREFIX.search(text, max(0, place - 30), place)
                if not is_apostrophe and (stack or char != "`"):
                    kind = stack[-1].kind if stack else "["
                    return _Node(place, tuple(stack), cost, node.ends, kind, self._sign_before(place))
            else:
                cost += self._close(stack, char, place)
                if not stack and not self._call_keys:
                    return _Node(-1, (), cost + _JUNK * (text[place + 1 : place + 2] in ("'", '"')), node.ends)
            place += 1
        return _Node(-1, (), 2 * _MAX_COST, node.ends)

    def _json_end(self, place: int) -> int | None:
        """Return the place behind strict JSON, if there is any."""
        end = json_end(self._text, place)
        self._is_json = end is not None  # a failure counts the lines of all the text before it, so it is the last
        return end if end and _AFTER_JSON.match(self._text, end) else None

    def _close(self, stack: list[_Open], char: str, place: int) -> float:
        """Close the bracket that `char` closes, and return the cost."""
        if stack and all(_CLOSERS[one.kind] != char for one in reversed(stack)):
            return 1.0
        cost = 0.0
        while stack and _CLOSERS[stack.pop().kind] != char:
            cost = 1.0
        if stack or char != ")" or not self._call_keys:
            return cost
        return cost + self._call_end(place)

    def _call_end(self, place: int) -> float:
        """Return how unlikely it is that a call ends at `place`."""
        behind = _AFTER_CALL.match(self._text, place + 1)
        if behind is None or self._call_keys is None:
            return _JUNK
        return 0.0 if behind["name"] is None or self._call_keys(behind["name"]) else 2.0

    def _sign_before(self, place: int) -> str:
        """Return the sign before a string, and before its prefix."""
        sign = self._text[place - 1 : place]
        if sign.isspace() or sign.isalpha():
            before = self._text[max(0, place - 110) : place].rstrip()
            prefix = _PREFIX.search(before)
            sign = prefix[1][-1] if prefix else before[-1:]
        return sign

    def _certain(self, node: _Node) -> _Node | None:
        """Return the node behind a key, a string in three quotes, or one that must end at its first quote."""
        text, place = self._text, node.place
        kind, sign = node.kind, node.sign
        if kind in ("a", "{") and sign not in (":", "="):
            key = _KEY.match(text, place)
            if key and (key["sign"] or kind == "{"):  # in an object the colon may be missing
                return _Node(key.end(), node.stack, node.cost, node.ends)
        triple = text[place] * 3
        if text.startswith(triple, place) and (end := text.find(triple, place + 3)) >= 0:
            return _Node(end + 3, node.stack, node.cost, (place, end, node.ends))
        is_sent = place < self._strict_until and after(UP_TO_QUOTE[text[place]], text, place + 1) < self._strict_until
        return self._at_first_quote(node) if is_sent else None

    def _at_first_quote(self, node: _Node) -> _Node | None:
        """Return the node behind a string that ends at the next quote, if it can end there."""
        end = after(UP_TO_QUOTE[self._text[node.place]], self._text, node.place + 1)
        is_sent = end < self._strict_until
        if end == len(self._text) or not (is_sent or (node.sign in _BEFORE_STRING and self._follow(node, end))):
            return None
        return _Node(end + 1, node.stack, node.cost, node.ends)

    def _follow(self, node: _Node, end: int) -> tuple[float, float] | None:
        """Return the cost of a string that ends at `end`, and of one that goes on; None if it cannot end there."""
        kind, sign = node.kind, node.sign
        if kind == "[" or sign not in (":", "="):
            return self._follow_item(node, end)
        keys = node.stack[-1].keys
        return self._follow_member(end, keys) if kind == "{" else self._follow_argument(node, end, keys, sign)

    def _follow_argument(self, node: _Node, end: int, keys: Keys, sign: str) -> tuple[float, float] | None:
        text = self._text
        behind = _AFTER_ARGUMENT.match(text, end + 1)
        if behind is None:
            return (0.5, 0.0) if _OTHER_STRING[text[end]].match(text, end + 1) else None
        if behind["spaced"]:  # the comma is missing
            return (0.3, 1.0) if behind["spaced"] in keys.names else None
        if behind["key"]:
            cost = keys.cost(behind["key"])
            return (cost, 0.5 if cost else 1.6) if behind["sign"] == sign else (cost + 2.0, 0.3)
        if behind["closer"] and len(node.stack) == 1:
            cost = self._call_end(behind.end("closer") - 1)
            return cost, 1.0 if not cost and behind.end() < len(text) else 0.0
        return 0.0, 0.2

    def _follow_member(self, end: int, keys: Keys) -> tuple[float, float] | None:
        behind = _AFTER_MEMBER.match(self._text, end + 1)
        if behind is None:
            return None
        key = behind["key"] or behind["bare"]
        if not key:
            return (1.0 if behind["comment"] else 0.0), 0.2
        cost = keys.cost(key)
        return cost, 0.5 if cost else 1.6

    def _follow_item(self, node: _Node, end: int) -> tuple[float, float] | None:
        behind = _AFTER_ITEM.match(self._text, end + 1)
        if behind is None:
            return None
        is_other_closer = behind["closer"] and node.stack and behind["closer"] != _CLOSERS[node.stack[-1].kind]
        is_odd = behind["comment"] or behind["joined"] or is_other_closer
        return (1.0 if is_odd else 0.0), 0.2 if behind["closer"] else 0.5

    def _readings(self, node: _Node) -> Iterator[_Node]:
        """Yield the readings of the string at a node, each with its cost."""
        text, place = self._text, node.place
        if not node.stack and self._call_keys:
            return  # between calls
        if certain := self._certain(node):
            yield certain
            return
        cost = node.cost if node.sign in _BEFORE_STRING else node.cost + 2.0
        quotation = _Quotation(text, place)
        is_found = False
        for match in _SPECIAL[text[place]].finditer(text, place + 1):
            self._steps -= 1
            if self._steps < 0:
                return
            end = match.end() - 1
            if text[end] in "()[]{}":
                quotation.take_bracket(text[end])
            if text[end] != text[place]:
                continue
            is_escaped = end > match.start()
            follow = self._follow(node, end)
            if follow:
                is_found = True
                against = quotation.cost_of_end(end) + follow[0] + 2.0 * is_escaped
                yield _Node(end + 1, node.stack, cost + against, (place, end, node.ends))
            if not is_escaped:
                quotation.take_quote(end, against=follow[1] if follow else 0.0)
        if not is_found:
            yield _Node(len(text), node.stack, cost + _JUNK, node.ends)


class _Quotation:
    """A string up to a place: whether its brackets match, and whether its quotes come in pairs."""

    def __init__(self, text: str, start: int) -> None:
        self._text = text
        self._start = start
        self._cost = 0.0
        self._is_open = False
        self._depth = self._lowest = 0

    def take_bracket(self, bracket: str) -> None:
        """Take the next bracket."""
        self._depth += 1 if bracket in _CLOSERS else -1
        self._lowest = min(self._lowest, self._depth)

    def cost_of_end(self, end: int) -> float:
        """Return the cost of a string that ends here."""
        matches = self._depth == self._lowest == 0
        padding = self._text[self._start + 1].isspace() + self._text[end - 1].isspace()
        return self._cost + self._is_open + (0.0 if matches else 1.0) + 0.5 * padding

    def take_quote(self, at: int, *, against: float) -> None:
        """Take the next quote. `against` is the cost of a string that does not end with it."""
        was_open = self._is_open
        self._is_open, cost = self._turn(at)
        is_stray = not self._is_open and not was_open
        if is_stray and _EXPRESSION.match(self._text, at + 1) and not self._text[at - 1].isdigit():
            cost += 10.0
        # A quote outside any quotation is likely to end the string.
        self._cost += cost + against * (3 if is_stray else 1)

    def _turn(self, at: int) -> tuple[bool, float]:
        """Return whether a quotation is open behind a quote, and the cost of that."""
        quote = self._text[at]
        before = self._text[at - 1] if at > self._start + 1 else " "
        behind = self._text[at + 1 : at + 2] or " "
        if quote == "'" and ((before.isalnum() and behind.isalnum()) or _APOSTROPHE.match(self._text, at)):
            return self._is_open, 0.0
        may_close, may_open = behind.isspace() or behind in _CLOSING, before.isspace() or before in _OPENING
        closes = may_close and not (before.isspace() or before in "([{=,:")
        opens = may_open and not may_close
        if self._is_open:
            return (True, 1.0) if opens and not closes else (False, 0.0 if closes else 0.2)
        if closes and not opens:
            return False, 0.3 if before.isdigit() else 0.5 if quote == "'" else 1.0
        return True, 0.0 if opens else 0.3
