"""Values of any type for hypothesis, as a user may hand them to the library, and a transport that answers anything."""

from __future__ import annotations

import json
import warnings
from contextlib import suppress
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from lfm_adapter.errors import LFMError, RetiredModelWarning

if TYPE_CHECKING:
    from collections.abc import Callable

    from lfm_adapter.types import HTTPRequest

__all__ = ["ANYTHING", "KEYS", "MESSAGES", "SHOWABLE", "AnsweringTransport", "any_object", "sent_or_refused"]


class Word(StrEnum):
    """A subclass of `str`."""

    AUTO = "auto"


def _nested(levels: int) -> Any:
    value: Any = "end"
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


def _circular() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["a"] = [value, value]
    return value


BYTES = b"\x80BYTES"
# Made on use: Python cannot show them.
_UNSHOWABLE = {
    "an integer of 5,000 digits": lambda: 10**5_000,
    "150 levels": lambda: _nested(150),
    "700 levels": lambda: _nested(700),
    "20,000 levels": lambda: _nested(20_000),
    "a circle": _circular,
}
_SHOWABLE: st.SearchStrategy[Any] = st.sampled_from([
    None, True, False, 0, 1, -1, 7, 0.5, float("nan"), float("-inf"), Decimal("0.5"), Decimal("NaN"), Fraction(1, 3),
    "", " ", "a", "auto", "liquid/lfm-3-1.7b", "\ud800", "<|im_end|>", "{", Word.AUTO, BYTES, bytearray(BYTES),
    object(), int, {1}, frozenset({BYTES}), MappingProxyType({"a": 1}), range(2),
])  # fmt: skip
KEYS = st.sampled_from(["a", "type", "text", "name", "function", "content", "", "\ud800", 5, None, BYTES, (1,)])


def _values(scalars: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=2) | st.tuples(inner) | st.dictionaries(KEYS, inner, max_size=2),
        max_leaves=4,
    )


SHOWABLE = _values(_SHOWABLE)
"""Values that Python can show."""

ANYTHING = _values(_SHOWABLE | st.sampled_from(sorted(_UNSHOWABLE)).map(lambda name: _UNSHOWABLE[name]()))


def any_object(
    *names: str, values: st.SearchStrategy[Any] = ANYTHING, **usual: st.SearchStrategy[Any]
) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with some of these keys: of `names` with any value, of the others also with a usual one."""
    optional = dict.fromkeys(names, values) | {name: value | values for name, value in usual.items()}
    return st.fixed_dictionaries({}, optional=optional)


_PARTS = any_object(type=st.sampled_from(["text", "image_url"]), text=st.just("Hi"), image_url=any_object("url"))
_CALLS = any_object(
    id=st.just("c"), type=st.just("function"), function=any_object(name=st.just("f"), arguments=st.just("{}"))
)
MESSAGES = st.lists(
    any_object(
        "name", "tool_call_id", "refusal", "reasoning", "reasoning_details",
        role=st.sampled_from(["user", "assistant", "tool", "system"]),
        content=st.just("Hi") | st.lists(_PARTS, max_size=2),
        tool_calls=st.lists(_CALLS, max_size=2),
    ),
    max_size=3,
)  # fmt: skip


class AnsweringTransport:
    """Answers each request with the same text, and keeps its body."""

    def __init__(self, data: bytes = b"") -> None:
        self.bodies: list[bytes] = []
        self._data = data or _ANSWER

    def send(self, request: HTTPRequest) -> Any:
        """See `types.Transport`."""
        assert request.body is None or json.loads(request.body)
        self.bodies.append(request.body or b"")
        return _Response(self._data)


class _Response:
    status_code = 200

    def __init__(self, data: bytes) -> None:
        self.headers = {"content-type": "application/json"}
        self._data = iter([data])

    def read(self, timeout: float) -> bytes:
        return next(self._data, b"")

    def close(self) -> None: ...


_ANSWER = json.dumps({
    "id": "gen-1", "model": "m", "data": [{"index": 0, "embedding": [0.5]}],
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "{}"}, "finish_reason": "stop"}],
}).encode()  # fmt: skip


def sent_or_refused(ask: Callable[[AnsweringTransport], object], *refusals: type[Exception]) -> None:
    """Ask, where an error may only be one of ours, or one of `refusals` that is no accident.

    No body that was sent holds how Python shows a value.
    """
    transport = AnsweringTransport()
    with warnings.catch_warnings(), suppress(LFMError):
        warnings.simplefilter("ignore", RetiredModelWarning)
        try:
            ask(transport)
        except refusals as error:
            if isinstance(error, UnicodeError) or "set_int_max_str_digits" in str(error):
                raise AssertionError("an accident") from error
    for body in transport.bodies:
        for made_up in (b"BYTES", b'"None"', b"<object", b"<class", b"NaN", b"Infinity", b"range("):
            assert made_up not in body, body[:500]
