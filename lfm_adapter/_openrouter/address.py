"""Addresses of APIs: which are valid, whose they are, and where a key may go."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from urllib.parse import urlsplit, urlunsplit

from lfm_adapter.errors import ConfigurationError

__all__ = ["OPENROUTER_URL", "base_url_of", "is_loopback", "is_openrouter", "sends_env_key"]

OPENROUTER_URL = "https://openrouter.ai/api/v1"


def base_url_of(url: str) -> str:
    """Return `url` ready to have "/chat/completions" appended.

    Raises:
        ConfigurationError: It is not http or https, has credentials, or has a query.
    """
    text = url.strip()
    shown = re.sub(r"//.*@", "//", re.split(r"[?#]", url, maxsplit=1)[0])  # without secrets
    invalid = ConfigurationError(f"`base_url` must be like 'https://openrouter.ai/api/v1', got {shown!r}.")
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 # raises if it is not a number
    except ValueError:
        raise invalid from None
    # `urlsplit` silently removes line breaks, and keeps other characters that are invalid in a URL.
    if parts.scheme not in ("http", "https") or not parts.hostname or not text.isprintable() or " " in text:
        raise invalid
    if parts.username or parts.password:
        raise ConfigurationError("`base_url` must not have a user name or password. Pass `default_headers` instead.")
    if parts.query or parts.fragment:
        raise ConfigurationError(f"`base_url` must not have a query or fragment, got {shown!r}.")
    path = parts.path.rstrip("/").removesuffix("/chat/completions")
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))


# The following are asked several times in a request, of the same few addresses, which took 15 µs of it.
@lru_cache(maxsize=256)
def is_loopback(url: str) -> bool:
    """Return whether the host of `url` is this machine.

    >>> is_loopback("http://127.0.0.1:8080/v1"), is_loopback("https://openrouter.ai/api/v1")
    (True, False)
    """
    host = (urlsplit(url).hostname or "").rstrip(".")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


@lru_cache(maxsize=256)
def is_openrouter(url: str) -> bool:
    """Return whether `url` is OpenRouter's, one of its regions', or that of `lfm_adapter.testing` in its place."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    is_scripted = parts.path.startswith("/openrouter.ai/") and is_loopback(url)
    return is_scripted or host == "openrouter.ai" or host.endswith(".openrouter.ai")


def sends_env_key(url: str) -> bool:
    """Return whether `OPENROUTER_API_KEY` may go to an address that the environment did not name."""
    return url.startswith("https:") and not is_loopback(url)
