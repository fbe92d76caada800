"""An HTTP reply of the scripted server: any status, headers and bytes, at any pace."""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

REQUESTED_MODEL = "<requested model>"  # replaced when a reply is sent
_REQUESTED_MODEL = f'"{REQUESTED_MODEL}"'.encode()


class Break(Enum):
    """A way in which a reply breaks off, as its last part."""

    CUT = "the connection closes"
    RESET = "the connection is reset"
    SILENCE = "nothing more arrives until the client disconnects"


Part = bytes | float | threading.Event | Break


@dataclass(frozen=True)
class ScriptedReply:
    """What the server sends for one request. It is immutable, and may be sent many times.

    Attributes:
        status: The HTTP status. None sends `parts` alone, without a status line or headers.
        headers: Sent as they are. Without a `Content-Length` the body is sent in chunks, one for each part, as
            OpenRouter does.
        parts: The body: bytes are sent at once, a number is a pause in seconds, an event is waited for, and a `Break`
            ends the reply.
    """

    status: int | None
    headers: Mapping[str, str]
    parts: Sequence[Part] = field(repr=False)

    @property
    def body(self) -> bytes:
        """All bytes that are sent in answer to a request for `liquid/lfm-3b`."""
        return with_model(self._joined(), "liquid/lfm-3b")

    def in_pieces(self, size: int) -> ScriptedReply:
        """Return the same body, sent `size` bytes at a time."""
        return replace(self, parts=re.findall(b"(?s)(?:%b|.){1,%d}" % (_REQUESTED_MODEL, size), self._joined()))

    def broken(self, after: int, how: Break = Break.CUT) -> ScriptedReply:
        """Return a reply that breaks off.

        Args:
            after: How many parts to send before.
            how: How it breaks off.
        """
        return replace(self, parts=(*self.parts[:after], how))

    def held(self, after: int, until: threading.Event | float) -> ScriptedReply:
        """Return a reply that waits.

        Args:
            after: How many parts to send before.
            until: The event to wait for, or seconds.
        """
        return replace(self, parts=(*self.parts[:after], until, *self.parts[after:]))

    def _joined(self) -> bytes:
        return b"".join(part for part in self.parts if isinstance(part, bytes))


def json_reply(
    body: Any, *, status: int = 200, headers: Mapping[str, str] | None = None, padding: bytes = b""
) -> ScriptedReply:
    """Return a reply in JSON.

    Args:
        body: What to encode.
        status: The HTTP status.
        headers: Headers to add or replace.
        padding: Whitespace before the JSON.
    """
    parts = (padding, compact_json(body)) if padding else (compact_json(body),)
    return ScriptedReply(status, {"Content-Type": "application/json", **(headers or {})}, parts)


def html(status: int, title: str = "Bad gateway") -> ScriptedReply:
    """Return a page of the content delivery network in front of OpenRouter."""
    page = f"<!DOCTYPE html>\n<html><head><title>{status}: {title}</title></head><body>{title}</body></html>\n"
    return ScriptedReply(status, {"Content-Type": "text/html; charset=UTF-8"}, (page.encode(),))


def compact_json(value: Any) -> bytes:
    """Return JSON as OpenRouter writes it, without spaces or escaped letters."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def with_model(part: bytes, model: Any) -> bytes:
    """Return `part` with the name of the requested model."""
    return part.replace(_REQUESTED_MODEL, compact_json(model))
