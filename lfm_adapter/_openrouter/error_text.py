"""The texts of error objects and of bodies that are not JSON, as sentences for people and logs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lfm_adapter._json import as_dict, parse
from lfm_adapter._openrouter.surrogates import joined_halves
from lfm_adapter.errors import MAX_MESSAGE_CHARS

if TYPE_CHECKING:
    from lfm_adapter.types import JSONDict

_GENERIC = {"", "provider returned error", "error"}
_MARKUP = re.compile(r"<[!?/a-zA-Z]|\{|\[[{\"]")
_TITLE = re.compile(r"(?i)<title[^>]*>\s*([^<\s][^<]*)")
_MAX_TEXT_CHARS = 4 * MAX_MESSAGE_CHARS

# Where servers put their message, the most usual first: vLLM, FastAPI, Alibaba, Cloudflare, Baidu, RFC 9457.
_MESSAGE_KEYS = ("message", "error", "detail", "msg", "errors", "error_msg", "error_message", "title")
_KEYS_IN_ERRORS = (*_MESSAGE_KEYS, "reason", "description", "name")


def error_elsewhere(body: JSONDict) -> JSONDict | None:
    """Return the error in a body without an `error`, or None if it is a reply.

    Such bodies are `{"object": "error", "message": …}`, `{"detail": …}`, `{"message": …, "code": …}` and the like.
    """
    is_error = body.get("object") == "error" or body.get("type") == "error" or body.get("success") is False
    says_so = any(body.get(key) and isinstance(body[key], str | list) for key in _MESSAGE_KEYS)
    return body if is_error or says_so else None


def error_message(error: JSONDict, metadata: JSONDict, availability: JSONDict) -> str:
    """Return the text of an error object, or "".

    Its `metadata` have the provider's own message, the failed routing step and a remedy, its `availability` the setting
    that excludes every endpoint.
    """
    text = next((text for key in _KEYS_IN_ERRORS if (text := _text(error.get(key)))), "")
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
            text = join_sentences(text, sentence)
    return joined_halves(text[:_MAX_TEXT_CHARS])


def join_sentences(*sentences: str) -> str:
    """Join sentences, each with a full stop."""
    texts = [sentence.strip() for sentence in sentences if sentence.strip()]
    return " ".join(sentence if sentence[-1] in ".!?" else f"{sentence}." for sentence in texts)


def describe_body(body: bytes, status: int) -> str:
    """Describe a body that is not JSON. Of its content, only a page's title is quoted."""
    title = _TITLE.search(body[:4_096].decode("utf-8", "replace"))
    if title:
        name = " ".join(title[1].split())[:100]
        return (
            f"The server returned HTTP {status} with a web page ({name!r}), not JSON; the response came from a proxy "
            "or CDN in front of the API."
        )
    return f"The server returned HTTP {status} with {'a body that is not JSON' if body.strip() else 'an empty body'}."


def _text(value: object, depth: int = 4) -> str:
    """Return the message in a text, in a structure, or in JSON within a string.

    Providers send all of these: an object, a list of problems (Zod, FastAPI), a web page. Anything else is not quoted,
    because it may repeat the request.
    """
    if isinstance(value, str):
        parsed = parse(value)
        if not isinstance(parsed, dict | list):
            text = value.strip()
            return "" if _MARKUP.match(text) else text
        value = parsed
    if depth == 0:
        return ""
    if isinstance(value, dict):
        texts = (_text(value.get(key), depth - 1) for key in _MESSAGE_KEYS)
        return next((text for text in texts if text), "")
    if isinstance(value, list):
        return "; ".join(text for item in value if (text := _text(item, depth - 1)))
    return ""
