"""Text that is still being written, for readers that are generators: they yield when they need more of it."""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import TypeAlias, TypeVar

__all__ = ["Cursor", "NeedMore", "Source", "Steps", "next_char", "run"]

T = TypeVar("T")

Steps: TypeAlias = Generator[None, None, T]
"""What reads a `Source`: it yields when it has read all that there is, and returns what it found."""

MAX_SPACE_CHARS = 100
"""White space that is looked across before it is decided what stands behind it; more than this ends a form."""

_SPACE = re.compile(r"\s+")
_SOME_SPACE = re.compile(rf"\s{{0,{MAX_SPACE_CHARS}}}")


class NeedMore(Exception):  # noqa: N818 - a signal, no error
    """What comes next decides, and has not come yet."""


class Source:
    """Text of which the beginning has been taken and the end may still be to come.

    Attributes:
        text: What has not been dropped yet.
        place: How far it has been taken.
        closed: Nothing will be added.
        record: Where it is not None, what is taken is added here.
    """

    __slots__ = ("closed", "place", "record", "text")

    def __init__(self, text: str = "", *, closed: bool = False) -> None:
        self.text = text
        self.place = 0
        self.closed = closed
        self.record: list[str] | None = None

    def feed(self, text: str) -> None:
        """Add to the end."""
        self.text = self.text[self.place :] + text
        self.place = 0

    def take(self, end: int) -> str:
        """Take what stands before `end`."""
        piece = self.text[self.place : end]
        self.place = end
        if self.record is not None:
            self.record.append(piece)
        return piece

    def comes(self, *literals: str) -> bool:
        """Tell whether one of `literals` comes next.

        Raises:
            NeedMore: That is not yet certain.
        """
        cursor = Cursor(self)
        return any(map(cursor.take, literals))


class Cursor:
    """Looks ahead in a source and takes nothing of it. Each method raises `NeedMore` where it cannot know yet."""

    __slots__ = ("_closed", "at", "text")

    def __init__(self, source: Source) -> None:
        self.text = source.text
        self.at = source.place
        self._closed = source.closed

    def char(self) -> str:
        """Return the next character, or "" at the end."""
        if self.at < len(self.text):
            return self.text[self.at]
        if self._closed:
            return ""
        raise NeedMore

    def take(self, literal: str) -> bool:
        """Step across `literal`, if it comes next."""
        if self.text.startswith(literal, self.at):
            self.at += len(literal)
            return True
        if not self._closed and literal.startswith(self.text[self.at : self.at + len(literal)]):
            raise NeedMore
        return False

    def skip_space(self) -> str:
        """Step across white space, and return it."""
        return self.match(_SOME_SPACE, MAX_SPACE_CHARS)

    def match(self, pattern: re.Pattern[str], max_chars: int) -> str:
        """Step across what matches a pattern, and return it, or "" if nothing does.

        Where the text ends in it, it may go on, unless it already has `max_chars` characters.
        """
        match = pattern.match(self.text, self.at)
        found = "" if match is None else match[0]
        if self.at + len(found) == len(self.text) and len(found) < max_chars and not self._closed:
            raise NeedMore
        self.at += len(found)
        return found


def next_char(source: Source) -> Steps[str]:
    """Take white space, and return the character behind it, or "" at the end."""
    while True:
        if source.place < len(source.text):
            if space := _SPACE.match(source.text, source.place):
                source.take(space.end())
                continue
            return source.text[source.place]
        if source.closed:
            return ""
        yield


def run(steps: Steps[T]) -> T:
    """Return what a reader finds in a source that is closed."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: T = end.value
            return found
