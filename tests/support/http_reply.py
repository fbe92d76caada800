"""One HTTP reply as `scripted_openrouter` plays it: any status, any headers, any bytes, at any pace."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Break", "Part", "Reply", "compact_json", "html", "json_reply", "raw"]


class Break(Enum):
    """How a reply may break off, as the last of its parts."""

    CUT = "the connection closes before the body's end"
    RESET = "the connection is reset"


Part = bytes | float | threading.Event | Break


@dataclass(frozen=True)
class Reply:
    """What the server plays for one request.

    Attributes:
        status: The HTTP status.
        headers: Sent as they are. Without a `Content-Length` the body is sent in chunks, one for each part, as
            OpenRouter does.
        parts: The body: bytes are sent at once, a number is a pause in seconds, an event is waited for, and a `Break`
            ends the connection.
    """

    status: int
    headers: Mapping[str, str]
    parts: tuple[Part, ...] = field(repr=False)

    @property
    def body(self) -> bytes:
        """The bytes that are sent, joined."""
        return b"".join(part for part in self.parts if isinstance(part, bytes))

    def in_pieces(self, size: int) -> Reply:
        """The same body, `size` bytes at a time, wherever that cuts it."""
        body = self.body
        return replace(self, parts=tuple(body[start : start + size] for start in range(0, len(body), size)))

    def broken(self, after: int, how: Break = Break.CUT) -> Reply:
        """Only the first `after` parts, and then `how`."""
        return replace(self, parts=(*self.parts[:after], how))

    def held(self, after: int, until: threading.Event | float) -> Reply:
        """The same parts, with a wait after the first `after` of them: for an event, or for seconds."""
        return replace(self, parts=(*self.parts[:after], until, *self.parts[after:]))


def raw(status: int, headers: Mapping[str, str], parts: Sequence[Part]) -> Reply:
    """Anything at all."""
    return Reply(status, headers, tuple(parts))


def json_reply(
    body: Any,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    padding: bytes = b"",
) -> Reply:
    """`body` as JSON, after `padding`."""
    parts = (padding, compact_json(body)) if padding else (compact_json(body),)
    return Reply(status, {"Content-Type": "application/json", **(headers or {})}, parts)


def html(status: int, title: str = "Bad gateway") -> Reply:
    """A page of the content delivery network in front of OpenRouter, where JSON was expected."""
    page = f"<!DOCTYPE html>\n<html><head><title>{status}: {title}</title></head><body>{title}</body></html>\n"
    return Reply(status, {"Content-Type": "text/html; charset=UTF-8"}, (page.encode(),))


def compact_json(value: Any) -> bytes:
    """JSON as OpenRouter writes it: no spaces, and letters as they are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
