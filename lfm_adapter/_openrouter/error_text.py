"""What a failed request's reply says, as sentences that a person can read and a log can keep."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lfm_adapter import errors
from lfm_adapter._json import as_dict, parse

if TYPE_CHECKING:
    from lfm_adapter.types import JSONDict

__all__ = ["described", "joined", "said"]

_GENERIC = {"", "provider returned error", "error"}
_TITLE = re.compile(r"(?i)<title[^>]*>\s*([^<\s][^<]*)")
_MAX_TEXT_CHARS = 4 * errors.MAX_MESSAGE_CHARS


def said(error: JSONDict, metadata: JSONDict, availability: JSONDict) -> str:
    """Return what an error object says in words, "" where it says nothing.

    Args:
        error: The object.
        metadata: Its `metadata`, where the provider's own words, the step of the routing and a remedy stand.
        availability: Its `availability`, where the setting stands that excluded every endpoint.
    """
    text = _text(error.get("message")) or _text(error.get("detail")) or _text(error.get("name"))
    upstream = _text(metadata.get("raw"))
    step, reasons = _text(metadata.get("failed_routing_step")), _text(metadata.get("reasons"))
    more = (
        upstream,
        f"It failed at the step {step!r}." if step and step not in text else "",
        f"Reasons: {reasons}." if reasons and reasons not in text else "",
        _text(as_dict(availability.get("constraint")).get("detail")),
        _text(metadata.get("remedy_hint")),
    )
    if upstream and text.lower() in _GENERIC:
        text = ""
    for sentence in more:
        if sentence not in text:
            text = joined(text, sentence)
    return text[:_MAX_TEXT_CHARS]


def joined(*sentences: str) -> str:
    """Return sentences one after the other, each with its full stop."""
    texts = [sentence.strip() for sentence in sentences if sentence.strip()]
    return " ".join(sentence if sentence[-1] in ".!?" else f"{sentence}." for sentence in texts)


def _text(value: object, depth: int = 4) -> str:
    """Return what a message says: it is text, or a structure that holds the text, or JSON of one in a string.

    Providers put all of these there: an object, a list of problems (Zod, FastAPI), a web page. What is none of them
    is not quoted, since it may repeat the request.
    """
    if isinstance(value, str):
        held = parse(value)
        if not isinstance(held, dict | list):
            text = value.strip()
            return "" if text.startswith(("<", "{", "[{", '["')) else text
        value = held
    if depth == 0:
        return ""
    if isinstance(value, dict):
        texts = (_text(value.get(key), depth - 1) for key in ("message", "error", "detail", "msg"))
        return next((text for text in texts if text), "")
    if isinstance(value, list):
        return "; ".join(text for item in value if (text := _text(item, depth - 1)))
    return ""


def described(body: bytes, status: int) -> str:
    """Describe a body that is no JSON, without quoting more of it than a page's title."""
    title = _TITLE.search(body[:4_096].decode("utf-8", "replace"))
    if title:
        named = " ".join(title[1].split())[:100]
        return f"The server answered HTTP {status} with a web page ({named!r}), not JSON: an edge or a proxy spoke."
    return f"The server answered HTTP {status} {'with a body that is no JSON' if body.strip() else 'without a body'}."
