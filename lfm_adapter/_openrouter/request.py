"""Builds a request: URL, headers and body."""

from __future__ import annotations

import ipaddress
import json
import os
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from lfm_adapter._version import __version__
from lfm_adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lfm_adapter.types import JSONDict

__all__ = ["OPENROUTER_URL", "Attribution", "base_url_of", "body_of", "encode", "headers_of", "is_loopback"]

OPENROUTER_URL = "https://openrouter.ai/api/v1"

_to_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_CATEGORY = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")  # and what UTF-8 cannot encode
_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


@dataclass(frozen=True, slots=True)
class Attribution:
    """The app that is credited for a request (https://openrouter.ai/docs/app-attribution); none without `url`.

    Attributes:
        url: The app's URL, which identifies it.
        title: Its display name, in any language.
        categories: At most 2 of OpenRouter's categories, in lower case with hyphens, such as "cli-agent" or "roleplay".

    Raises:
        ConfigurationError: There are more than 2 categories, or a category or header value is invalid.
    """

    url: str | None = None
    title: str | None = None
    categories: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        # MAX_CATEGORIES_PER_REQUEST and the length limit: https://openrouter.ai/docs/app-attribution
        if len(self.categories) > 2:
            raise ConfigurationError(f"OpenRouter takes at most 2 app categories, got {self.categories!r}.")
        for category in self.categories:
            if len(category) > 30 or not _CATEGORY.fullmatch(category):
                raise ConfigurationError(
                    f"An app category must be lower case with hyphens and at most 30 characters, such as 'cli-agent'; "
                    f"got {category!r}."
                )
        _check_headers({"app_url": self.url or "", "app_title": self.title or ""})

    @classmethod
    def from_env(
        cls, url: str | None = None, title: str | None = None, categories: Sequence[str] | None = None
    ) -> Attribution:
        """Return the attribution from arguments, with environment variables for those left out.

        The variables are `OPENROUTER_APP_URL`, `OPENROUTER_APP_TITLE` and `OPENROUTER_APP_CATEGORIES` (with commas).
        """
        if categories is None:
            listed = os.environ.get("OPENROUTER_APP_CATEGORIES", "").split(",")
            categories = [category.strip() for category in listed if category.strip()]
        return cls(
            url if url is not None else os.environ.get("OPENROUTER_APP_URL") or None,
            title if title is not None else os.environ.get("OPENROUTER_APP_TITLE") or None,
            tuple(categories),
        )

    def headers(self) -> dict[str, str]:
        """Return its headers; `X-Title` is the older name of `X-OpenRouter-Title`."""
        headers: dict[str, str] = {}
        if self.url:
            headers["HTTP-Referer"] = self.url
        if self.title:
            headers["X-OpenRouter-Title"] = headers["X-Title"] = self.title
        if self.categories:
            headers["X-OpenRouter-Categories"] = ",".join(self.categories)
        return headers


@lru_cache(maxsize=256)  # called several times in a request
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


def base_url_of(url: str) -> str:
    """Return `url` ready to have "/chat/completions" appended.

    Raises:
        ConfigurationError: It is not http or https, has credentials, or has a query.
    """
    text = url.strip()
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 # raises if it is not a number
    except ValueError:
        raise _invalid_base_url(url) from None
    # `urlsplit` silently removes line breaks, and keeps other characters that are invalid in a URL.
    if parts.scheme not in ("http", "https") or not parts.hostname or not text.isprintable() or " " in text:
        raise _invalid_base_url(url)
    if parts.username or parts.password:
        raise ConfigurationError("`base_url` must not have a user name or password. Pass `default_headers` instead.")
    if parts.query or parts.fragment:
        raise ConfigurationError(f"`base_url` must not have a query or fragment, got {_without_secrets(url)!r}.")
    path = parts.path.rstrip("/").removesuffix("/chat/completions")
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))


def _invalid_base_url(url: str) -> ConfigurationError:
    return ConfigurationError(f"`base_url` must be like 'https://openrouter.ai/api/v1', got {_without_secrets(url)!r}.")


def _without_secrets(url: str) -> str:
    return re.sub(r"//.*@", "//", re.split(r"[?#]", url, maxsplit=1)[0])


def headers_of(
    key: str | None, attribution: Attribution, more: Mapping[str, str], *, body: bool, stream: bool = False
) -> dict[str, str]:
    """Return the headers of a request.

    They are checked here and nowhere else: the HTTP libraries would show the value, which may be a key. The caller's
    headers, `more`, replace ours.

    Raises:
        ConfigurationError: A header is malformed, or the key contains characters that no key has.
    """
    headers = {
        "User-Agent": f"lfm-adapter/{__version__}",
        "Accept": "text/event-stream" if stream else "application/json",
        "Accept-Encoding": "identity",  # responses are small, and what is not compressed cannot be a bomb
    }
    if body:
        headers["Content-Type"] = "application/json"
    key = (key or "").strip()
    if key:
        if not key.isascii() or not key.isprintable() or " " in key:
            raise ConfigurationError("The API key contains characters that no key has. Check what was pasted.")
        headers["Authorization"] = f"Bearer {key}"
    headers |= attribution.headers()
    if more:
        _check_headers(more)
        replaced = {name.lower() for name in more}
        headers = {name: value for name, value in headers.items() if name.lower() not in replaced} | dict(more)
    return headers


def body_of(model: str, messages: Sequence[Mapping[str, Any]], parameters: Mapping[str, Any]) -> JSONDict:
    """Return the body of a chat request.

    None and empty lists or dicts are left out: some providers reject an empty `stop` or `tools`.

    Raises:
        ConfigurationError: There are no messages.
    """
    if not messages:
        raise ConfigurationError("`messages` is empty. Pass at least one message.")
    body: JSONDict = {"model": model, "messages": list(messages)}
    for name, value in parameters.items():
        if value is not None and not (isinstance(value, list | tuple | dict) and not value):
            body[name] = value
    return body


def encode(body: Mapping[str, Any]) -> bytes:
    """Return the body as compact UTF-8 JSON.

    Raises:
        ConfigurationError: A value has no JSON form: NaN, an object, an unpaired surrogate.
    """
    try:
        return _to_json(body).encode()
    except UnicodeEncodeError as error:
        raise ConfigurationError(
            "The request has text with an unpaired surrogate, which is not valid Unicode. "
            'Clean it with text.encode("utf-8", "replace").decode().'
        ) from error
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"The request cannot be written as JSON: {error}.") from error


def _check_headers(headers: Mapping[str, Any]) -> None:
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise ConfigurationError(f"Invalid header name: {name!r}.")
        if not isinstance(value, str) or _CONTROL.search(value):
            raise ConfigurationError(
                f"The header {name!r} must be a string without line breaks, control characters and lone surrogates."
            )
