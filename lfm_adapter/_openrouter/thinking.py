"""Takes reasoning that a server left in the text, as `<think>…</think>`, out of it.

- `<think>` at the start of a line, or right after `</think>`, begins reasoning up to the next `</think>`, or to the
  end.
- Within a line it does so where `</think>` follows, unless a space or punctuation comes after the tag, as in prose that
  mentions it.
- A whole answer with `</think>` and no `<think>` before it, as from models whose prompt ends in `<think>`, is reasoning
  up to there, unless nothing follows, or the server sent its reasoning apart. In a stream, text that has been passed on
  stays text, the tag too.
- Tags in quotes, in code, in brackets that open on the same line, and within the markers of a call are text.

Case does not matter, and `<thinking>` counts as `<think>`.
"""

from __future__ import annotations

import re

_TAG = re.compile(r"<(/?)think(?:ing)?>", re.IGNORECASE)
_CLOSE = re.compile(r"</think(?:ing)?>", re.IGNORECASE)
_BEGUN = re.compile(r"</?(?:t|th|thi|thin|think|thinki|thinkin|thinking)?\Z", re.IGNORECASE)
_LONGEST = len("</thinking")
_SPACE = re.compile(r"\s*")
_QUOTES = ("`", "'", '"')
_MENTION = re.compile(r"[ ,.;:!?)]")
_CALL_MARKER = re.compile(r"<\|tool_call_(start|end)\|>")


def split_thinking(text: str, *, is_separate: bool = False) -> tuple[str, str]:
    """Return the reasoning and the text of a whole answer; `is_separate` if the server sent its reasoning apart."""
    before = ""
    tag = None if is_separate else closing_tag(text)
    if tag is not None and (rest := text[tag.end() :].lstrip()):
        before, text = text[: tag.start()], rest
    splitter = ThinkingSplitter()
    parts = [splitter.add(text), splitter.held]
    return before + "".join(reasoning for reasoning, _ in parts), "".join(answer for _, answer in parts)


def closing_tag(text: str) -> re.Match[str] | None:
    """Return the `</think>` up to which `text` is reasoning that no `<think>` opened, if there is one."""
    place = _Place()
    end = 0
    for tag in _TAG.finditer(text):
        place.advance(text[end : tag.start()])
        end = tag.start()
        if _is_closing(tag, place) if tag[1] else not place.is_literal():
            return tag if tag[1] else None
    return None


def _is_closing(tag: re.Match[str], place: _Place) -> bool:
    """Return whether a `</think>` at a place ends reasoning, rather than being quoted or mentioned."""
    after = tag.string[tag.end() : tag.end() + 1]
    return not (place.is_literal() or after in _QUOTES or (place.follows_space and _MENTION.match(after)))


class ThinkingSplitter:
    """Splits an answer while it comes.

    Attributes:
        reasoning_end: How many characters of the text last returned end reasoning, by a `</think>` that none opened.
    """

    def __init__(self) -> None:
        self.reasoning_end = 0
        self._place = _Place()
        self._is_open = False
        self._is_edge = True  # only white space so far, or since `</think>`
        self._has_closed = False
        self._held = ""  # what may become a tag, and white space at an edge
        self._at = 0  # how far it was read
        self._pair: list[str] = []  # from a tag within a line on, which counts if it is closed
        self._pair_end = ""

    @property
    def is_idle(self) -> bool:
        """Whether text without a `<` would be returned as it is, so that it may be skipped."""
        return not (self._held or self._pair or self._is_open or self._is_edge)

    def skip(self, text: str) -> None:
        """Step across text that is not part of a tag."""
        self._place.advance(text)
        self._is_edge = self._is_edge and not text

    def add(self, piece: str) -> tuple[str, str]:
        """Add the next piece of the answer, and return what it adds to the reasoning and to the text."""
        if self._pair:
            self._pair.append(piece)
            self._pair_end = self._pair_end[-_LONGEST:] + piece
            if not _CLOSE.search(self._pair_end):
                return "", ""
            piece = "".join(self._pair)
            self._pair = []
        self._held += piece
        self.reasoning_end = 0
        reasoning: list[str] = []
        text: list[str] = []
        while self._read_reasoning(reasoning) if self._is_open else self._read_text(text):
            pass
        self._held, self._at = self._held[self._at :], 0
        return "".join(reasoning), "".join(text)

    @property
    def held(self) -> tuple[str, str]:
        """What is held back of the reasoning and of the text: what the end of the answer adds to them."""
        rest = "".join((*self._pair, self._held))
        return (rest, "") if self._is_open else ("", rest)

    def _read_reasoning(self, reasoning: list[str]) -> bool:
        """Read reasoning, and return whether it has ended."""
        tag = _CLOSE.search(self._held, self._at)
        end = tag.start() if tag else self._text_end()
        reasoning.append(self._held[self._at : end])
        self._at = tag.end() if tag else end
        if tag:
            self._is_open = False
            self._is_edge = self._has_closed = True
        return tag is not None

    def _read_text(self, text: list[str]) -> bool:
        """Read text up to the next tag, and return whether there is more to read."""
        space = _SPACE.match(self._held, self._at) if self._is_edge else None
        if space and self._has_closed:
            self._at = space.end()
        tag = _TAG.search(self._held, self._at)
        end = tag.start() if tag else self._text_end()
        if space and space.end() == end and (tag is None or not tag[1]):
            if tag:
                self._open(tag.end())
            return tag is not None
        self._is_edge = False
        self._pass(end, text)
        return tag is not None and self._read_tag(tag, text)

    def _read_tag(self, tag: re.Match[str], text: list[str]) -> bool:
        """Judge a tag, up to which the text was read, and return whether there is more to read."""
        end = tag.end()
        if tag[1]:
            if not self._has_closed and _is_closing(tag, self._place):
                if self._held[end:].strip() == "":
                    return False  # a tag that ends the answer is text
                self._has_closed = True
                self.reasoning_end = sum(map(len, text)) + len(tag[0])
        elif not self._place.is_literal():
            if self._place.is_line_start:
                self._open(end)
                return True
            if end == len(self._held):
                return False
            if not _MENTION.match(self._held, end):
                if _CLOSE.search(self._held, end):
                    self._open(end)
                    return True
                self._pair, self._pair_end, self._held = [self._held[self._at :]], self._held[-_LONGEST:], ""
                self._at = 0
                return False
        self._pass(end, text)
        return True

    def _open(self, at: int) -> None:
        self._is_open = True
        self._at = at

    def _pass(self, end: int, text: list[str]) -> None:
        passed = self._held[self._at : end]
        self._at = end
        self._place.advance(passed)
        text.append(passed)

    def _text_end(self) -> int:
        """Return where a tag may begin that is not complete yet, or the end of what is held."""
        begun = _BEGUN.search(self._held, max(self._at, len(self._held) - _LONGEST))
        return begun.start() if begun else len(self._held)


class _Place:
    """A place in the text: at the start of a line or not, and within what."""

    def __init__(self) -> None:
        self._unread: list[str] = []
        self._fences = 0
        self._is_in_call = False
        self._start_line()

    def _start_line(self) -> None:
        self._is_blank = True
        self._last = ""
        self._quotes = self._backticks = self._brackets = 0

    @property
    def is_line_start(self) -> bool:
        self._read()
        return self._is_blank

    @property
    def follows_space(self) -> bool:
        self._read()
        return self._last == " "

    def advance(self, text: str) -> None:
        """Step across `text`."""
        self._unread.append(text)

    def is_literal(self) -> bool:
        """Return whether a tag here is in quotes, code, brackets or a call."""
        self._read()
        is_quoted = self._last in _QUOTES or self._quotes % 2 == 1 or self._backticks % 2 == 1
        return self._is_in_call or self._fences % 2 == 1 or is_quoted or self._brackets > 0

    def _read(self) -> None:
        text = "".join(self._unread)
        self._unread.clear()
        if not text:
            return
        self._fences += text.count("```")
        for marker in _CALL_MARKER.finditer(text):
            self._is_in_call = marker[1] == "start"
        if "\n" in text:
            self._start_line()
        line = text.rpartition("\n")[2]
        self._is_blank = self._is_blank and not line.strip()
        self._last = line[-1:]
        self._quotes += line.count('"')
        self._backticks += line.count("`")
        self._brackets += sum(map(line.count, "([{")) - sum(map(line.count, ")]}"))
