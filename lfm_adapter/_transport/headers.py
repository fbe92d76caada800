"""What both transports ask of headers, going out and coming in."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from lfm_adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["AUTOMATIC_HEADERS", "check_headers", "lower_names"]

# What urllib3 or aiohttp add when it is not there: a request has the headers that it was given and no others.
AUTOMATIC_HEADERS = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")

_CONTROL_CHARACTER = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_is_name = lru_cache(maxsize=256)(re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch)


def check_headers(headers: Mapping[str, str]) -> None:
    """Check that `headers` can be sent: the HTTP libraries would say so with the value, which may be a key.

    Raises:
        ConfigurationError: A name is not one, or a value holds a line break or half a character.
    """
    for name, value in headers.items():
        if not _is_name(name):
            raise ConfigurationError(f"{name!r} is no name of a header.")
        if value.isascii() and value.isprintable():
            continue
        if _CONTROL_CHARACTER.search(value):
            raise ConfigurationError(f"The header {name!r} holds a line break. Was it read with the end of its line?")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ConfigurationError(f"The header {name!r} holds half a character (a lone surrogate).") from None


def lower_names(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return `headers` with their names in lower case, and those that come repeatedly joined, as RFC 9110 5.3 says.

    >>> lower_names([("Via", "a"), ("X-Id", "1"), ("via", "b")])
    {'via': 'a, b', 'x-id': '1'}
    """
    lower: dict[str, str] = {}
    for name, value in headers:
        key = name.lower()
        lower[key] = f"{lower[key]}, {value}" if key in lower else value
    return lower
