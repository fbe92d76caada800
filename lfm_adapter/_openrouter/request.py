"""Builds a request: headers and body. The types of its fields are checked before."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, is_typeddict

from lfm_adapter._masking import shown
from lfm_adapter._version import __version__
from lfm_adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from lfm_adapter.types import JSONDict


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
    categories: Sequence[str] = ()

    def __post_init__(self) -> None:
        given: Any = self.categories
        if isinstance(given, str) or not isinstance(given, Sequence) or not all(isinstance(one, str) for one in given):
            raise ConfigurationError(f"App categories must be a list of strings, got {shown(given)}.")
        object.__setattr__(self, "categories", tuple(given))  # so that it can be hashed
        # MAX_CATEGORIES_PER_REQUEST and the length limit: https://openrouter.ai/docs/app-attribution
        if len(self.categories) > 2:
            raise ConfigurationError(f"OpenRouter accepts at most 2 app categories, got {shown(self.categories)}.")
        for category in self.categories:
            if len(category) > 30 or not _CATEGORY.fullmatch(category):
                raise ConfigurationError(
                    f"An app category must be lower case with hyphens and at most 30 characters, such as 'cli-agent'; "
                    f"got {shown(category)}."
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
            categories,
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


def _plain(value: object) -> object:
    """Return a number or a mapping of another class than Python's own, such as one of NumPy, as Python's."""
    from decimal import Decimal
    from numbers import Integral, Real

    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real | Decimal):
        return float(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{shown(value)} has no form in JSON")


_to_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain).encode


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


def _check_headers(headers: Mapping[Any, Any]) -> None:
    for name, value in headers.items():
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            raise ConfigurationError(f"Invalid header name: {shown(name)}.")
        if not isinstance(value, str) or _CONTROL.search(value):
            raise ConfigurationError(
                f"The header {name!r} must be a string without line breaks, control characters or lone surrogates."
            )


def check_types(parameters: Mapping[str, Any], known: type) -> None:
    """Refuse a parameter of another type than the `TypedDict` `known` says. None is the same as leaving it out."""
    types = _fields_of(known)
    for name, value in parameters.items():
        wanted = types.get(name)
        if wanted is None or value is None or (type(value) in wanted.plain and type(value) is not float):
            continue
        if misfit := wanted.misfit(value):
            path, words, part = misfit
            raise ConfigurationError(f"`{name}{path}` must be {words}, got {shown(part)}.")


_CLASSES: dict[Any, Any] = {list: (list, tuple), dict: (dict, Mapping)}
_WORDS: dict[Any, tuple[str, str]] = {
    bool: ("True or False", "booleans"),
    int: ("an integer", "integers"),
    float: ("a number", "numbers"),
    str: ("a string", "strings"),
    dict: ("a dict", "dicts"),
}


class _Type:
    """The type of a parameter or of a part of one, read from its annotation.

    Attributes:
        words: The type in words.
        plain: Classes of values without parts that would have to be looked at.
    """

    def __init__(self, annotation: Any) -> None:
        is_dict = is_typeddict(annotation)
        kind = dict if is_dict else get_origin(annotation) or annotation
        inner = get_args(annotation)
        self._choices = [*map(_Type, inner)] if kind is UnionType else [self]
        self._kind = str if kind is Literal else kind  # servers may know more words
        self._fields = _fields_of(annotation) if is_dict else {}
        self._parts = _Type(inner[-1]) if kind in (list, dict) and inner and inner[-1] is not Any else None
        self.plain: frozenset[Any] = frozenset()
        self.words: str
        if kind is UnionType:
            self.words = " or ".join(choice.words for choice in self._choices)
            self.plain = self.plain.union(*(choice.plain for choice in self._choices))
            return
        self.words, self._plural = _WORDS.get(self._kind, ("", ""))
        if kind is list and self._parts is not None:
            self.words = f"a list of {self._parts._plural}"
        elif self._parts is None and not self._fields:
            self.plain = frozenset((float, int) if kind is float else (self._kind,))

    def misfit(self, value: Any) -> tuple[str, str, object] | None:
        """Return the part of a value that has another type: the path to it, the right type in words, and the part."""
        kind = type(value)
        if kind in self.plain and (kind is not float or math.isfinite(value)):
            return None
        for choice in self._choices:
            if _is_of(value, choice._kind):
                return choice._misfit_within(value)
        return "", self.words, value

    def _misfit_within(self, value: Any) -> tuple[str, str, object] | None:
        if self._fields:
            parts = [(key, value[key], self._fields[key]) for key in value if key in self._fields]
        elif self._parts is None:
            return None
        else:
            items = value.items() if isinstance(value, Mapping) else enumerate(value)
            parts = [(key, part, self._parts) for key, part in items]
        for key, part, wanted in parts:
            if type(part) in wanted.plain or (part is None and isinstance(value, Mapping)):
                continue
            if misfit := wanted.misfit(part):
                return (f"[{shown(key)}]{misfit[0]}", *misfit[1:])
        return None


@cache
def _fields_of(known: Any) -> dict[str, _Type]:
    return {name: _Type(annotation) for name, annotation in known.__annotations__.items()}


def _is_of(value: Any, kind: Any) -> bool:
    if kind not in (int, float):
        return isinstance(value, _CLASSES.get(kind, kind))
    from decimal import Decimal  # on use, which is rare: Python's own numbers are `plain`, and these are NumPy's
    from numbers import Integral, Real

    if isinstance(value, Integral):
        return not isinstance(value, bool)
    return kind is float and isinstance(value, Real | Decimal) and math.isfinite(value)
