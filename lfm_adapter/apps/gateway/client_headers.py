"""What the headers of a client say about its app and its timeout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lfm_adapter._json import as_number
from lfm_adapter._openrouter.request import Attribution

if TYPE_CHECKING:
    from aiohttp import web

# The client's timeout; the first two are those of OpenAI's SDKs.
_WAIT_HEADERS = ("X-Stainless-Read-Timeout", "X-Stainless-Timeout", "X-Request-Timeout")
MAX_WAIT_S = 3600.0
MAX_NAME_CHARS = 80

# The headers that identify an app, and others that OpenRouter reads. Keys are not among them.
_PASSED_HEADERS = (
    "HTTP-Referer", "X-Title", "X-OpenRouter-Title", "X-OpenRouter-Categories", "X-OpenRouter-App-Visibility",
    "X-OpenRouter-Metadata", "X-OpenRouter-Cache", "X-OpenRouter-Cache-TTL", "X-OpenRouter-Cache-Clear", "X-Session-Id",
)  # fmt: skip
_ATTRIBUTION_HEADERS = _PASSED_HEADERS[:4]


def app_name(request: web.Request) -> str:
    """Return the app's name: its title, else its URL, else its user agent."""
    headers = request.headers
    for name in ("X-OpenRouter-Title", "X-Title", "HTTP-Referer"):
        if name in headers and (value := _shown(headers[name])):
            return value
    return _shown(headers.get("User-Agent", "").partition("/")[0]) or "unknown"


def identity_of(request: web.Request) -> dict[str, Any]:
    """Return the settings that credit the client's app, if it names one, and pass its headers on to OpenRouter."""
    headers = request.headers
    passed = {name: value for name in _PASSED_HEADERS if name in headers and (value := _clean(headers[name]))}
    if not passed:
        return {}
    is_credited = any(name in passed for name in _ATTRIBUTION_HEADERS)
    return {"default_headers": passed} | ({"attribution": Attribution()} if is_credited else {})


def _clean(header: str) -> str:
    """Return a header as valid Unicode. aiohttp decodes bytes that are not UTF-8 as lone surrogates."""
    return header.encode("utf-8", "surrogateescape").decode("utf-8", "replace").strip()


def _shown(name: str) -> str:
    """Return a name without characters that change how the text around it is shown, such as U+202E."""
    return "".join(filter(str.isprintable, _clean(name))).strip()[:MAX_NAME_CHARS]


def wait_of(request: web.Request, default: float) -> float:
    """Return the client's timeout in seconds; `default` if it sends none."""
    asked = (as_number(request.headers.get(name)) for name in _WAIT_HEADERS)
    longest = max((seconds for seconds in asked if seconds is not None and seconds > 0), default=default)
    return min(longest, MAX_WAIT_S)
