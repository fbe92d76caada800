r"""Joins the halves of characters that a server cut in two, and replaces those that stay alone by U+FFFD.

A character outside the Basic Multilingual Plane, such as an emoji, is two escapes in JSON: `\ud83d\ude00`. Servers that
stream token by token send one in each event. A half alone is not valid Unicode: it cannot be printed or sent back.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeAlias

from lfm_adapter._json import parse_received

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lfm_adapter.types import JSONDict

_Path: TypeAlias = "tuple[str | int, ...]"

# The texts that come in pieces. The half at the end of one waits for the next piece.
_PIECES = frozenset(
    {"arguments", "content", "reasoning", "reasoning_content", "refusal", "summary", "text", "transcript"}
)

_ESCAPE = re.compile(
    r"""(?xs)
      (?P<pair> \\u[dD][89abAB][0-9a-fA-F]{2} \\u[dD][c-fC-F][0-9a-fA-F]{2} )
    | (?P<tail> \\ (?: u (?: [0-9a-fA-F]{0,3} | [dD][89abAB][0-9a-fA-F]{2} (?: \\ (?: u [0-9a-fA-F]{0,3} )? )? ) )? \Z )
    | (?P<half> \\u[dD][89a-fA-F][0-9a-fA-F]{2} )
    | \\ .
    """
)
_MAY_HAVE_HALVES = re.compile(r"\\(?:u[dD]|u?[0-9a-fA-F]{0,3}\Z)")


def has_halves(data: bytes) -> bool:
    """Return whether JSON may contain halves of characters."""
    return b"\\ud" in data or b"\\uD" in data


def parse_whole(data: bytes) -> Any:
    """Return the JSON value of a whole body, in whose texts no half is left; None for invalid JSON."""
    return HalfJoiner(is_stream=False).join(data) if has_halves(data) else parse_received(data)


def joined_halves(text: str) -> str:
    """Return `text` with halves that follow each other joined, and the others replaced."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


class HalfJoiner:
    """Joins what the events of one stream cut in two, in any of their texts.

    Attributes:
        held: The halves that wait for the next piece of their text.
    """

    def __init__(self, *, is_stream: bool = True) -> None:
        self.held: dict[_Path, str] = {}
        self._joined_keys = _PIECES if is_stream else frozenset[str]()

    def join(self, data: bytes) -> Any:
        """Return the JSON value of an event, in whose texts no half is left."""
        try:
            return self._join(parse_received(data), ())
        except RecursionError:
            return None

    def rest(self) -> Iterator[JSONDict]:
        """Yield, at the end of the stream, an event for each half that stayed alone."""
        for path in self.held:
            value: Any = "\ufffd"
            for key in reversed(path):
                value = {key: value} if isinstance(key, str) else [{"index": key} | value]
            yield value
        self.held.clear()

    def _join(self, value: Any, path: _Path) -> Any:
        if isinstance(value, str):
            text = self.held.pop(path, "") + value
            if "\ud800" <= text[-1:] <= "\udbff" and path and path[-1] in self._joined_keys and "logprobs" not in path:
                self.held[path] = text[-1]
                text = text[:-1]
            return joined_halves(text)
        if isinstance(value, dict):
            return {joined_halves(key): self._join(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self._join(item, (*path, _place(item, place))) for place, item in enumerate(value)]
        return value


class EscapeJoiner:
    r"""Does the same to escapes within a text that is JSON itself, such as the arguments of a call: `"\\ud83d"`."""

    def __init__(self) -> None:
        self._held = ""

    def add(self, text: str, *, is_last: bool = False) -> str:
        """Add the next piece, and return what is ready."""
        text = self._held + text
        self._held = ""
        if not _MAY_HAVE_HALVES.search(text):
            return text
        ready = _ESCAPE.sub(self._replace, text)
        if is_last:
            rest, self._held = self._held, ""
            ready += re.sub(r"\\u[dD][89abAB][0-9a-fA-F]{2}", r"\\ufffd", rest)
        return ready

    def _replace(self, found: re.Match[str]) -> str:
        if found["tail"] is not None:
            self._held = found["tail"]
            return ""
        return r"\ufffd" if found["half"] else found[0]


def _place(item: object, place: int) -> int:
    index = item.get("index") if isinstance(item, dict) else None
    return index if isinstance(index, int) else place
