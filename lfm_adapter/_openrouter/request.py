"""Builds a request: headers and body."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence  # noqa: TC003  # `typing.get_type_hints` needs it
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lfm_adapter._version import __version__
from lfm_adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lfm_adapter.types import JSONDict

__all__ = ["Attribution", "body_of", "encode", "headers_of"]

_to_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_CATEGORY = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")  # and what UTF-8 cannot encode
_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


@dataclass(frozen=True, slots=True)
class Attribution:
    """The app to credit for a request (https://openrouter.ai/docs/app-attribution). None is credited without `url`.

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
            raise ConfigurationError(f"OpenRouter accepts at most 2 app categories, got {self.categories!r}.")
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


def headers_of(
    key: str | None, attribution: Attribution, more: Mapping[str, str], *, body: bool, stream: bool = False
) -> dict[str, str]:
    """Return the headers of a request, in which the caller's own, `more`, replace ours.

    All are checked here, since the errors of the HTTP libraries would show the value, which may be a key.
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
            raise ConfigurationError("The API key contains invalid characters. Check that it was copied correctly.")
        headers["Authorization"] = f"Bearer {key}"
    headers |= attribution.headers()
    if more:
        _check_headers(more)
        replaced = {name.lower() for name in more}
        headers = {name: value for name, value in headers.items() if name.lower() not in replaced} | dict(more)
    return headers


def body_of(
    model: str, messages: Sequence[Mapping[str, Any]], parameters: Mapping[str, Any], *, keep_empty: bool = False
) -> JSONDict:
    """Return the body of a chat request.

    None and empty lists or dicts are left out unless `keep_empty`: some providers reject an empty `stop` or `tools`.
    """
    if not messages:
        raise ConfigurationError("`messages` is empty. Pass at least one message.")
    body: JSONDict = {"model": model, "messages": list(messages)}
    for name, value in parameters.items():
        if keep_empty or (value is not None and not (isinstance(value, list | tuple | dict) and not value)):
            body[name] = value
    return body


def encode(body: object) -> bytes:
    """Return a body, or a part of one, as compact UTF-8 JSON.

    Raises:
        ConfigurationError: A value has no JSON form: NaN, an object, an unpaired surrogate.
    """
    try:
        return _to_json(body).encode()
    except UnicodeEncodeError as error:
        raise ConfigurationError(
            "The request contains text with an unpaired surrogate, which is not valid Unicode. "
            'Clean it with text.encode("utf-8", "replace").decode().'
        ) from error
    except (TypeError, ValueError, RecursionError) as error:
        reason = "an integer has thousands of digits" if "digits" in str(error) else error
        raise ConfigurationError(f"The request cannot be encoded as JSON: {reason}.") from error


def _check_headers(headers: Mapping[str, Any]) -> None:
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise ConfigurationError(f"Invalid header name: {name!r}.")
        if not isinstance(value, str) or _CONTROL.search(value):
            raise ConfigurationError(
                f"The header {name!r} must be a string without line breaks, control characters or lone surrogates."
            )
