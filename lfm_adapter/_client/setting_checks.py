"""What each setting of a client must be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, get_args

from lfm_adapter._masking import shown
from lfm_adapter.errors import ConfigurationError
from lfm_adapter.ledger import Budget, Ledger
from lfm_adapter.types import OnInvalidOutput, ToolCalling, WhenRetired

# Whether a value fits, and what it must be.
_Check: TypeAlias = tuple[Callable[[Any], bool], str]


def check_values(settings: Mapping[str, Any]) -> None:
    """Raise `ConfigurationError` for a setting of another type, or out of its range."""
    for name, (fits, words) in _CHECKS.items():
        if not fits(settings[name]):
            pause = ";" if "," in words else ","
            raise ConfigurationError(f"`{name}` must be {words}{pause} got {shown(settings[name])}.")
    key = settings["api_key"]
    if not (key is None or isinstance(key, str) or callable(key)):
        kind = type(key).__name__  # it may be a secret
        raise ConfigurationError(f"`api_key` must be a string or a function that returns one, got `{kind}`.")


def _is_seconds(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and value > 0 and (isinstance(value, float) or value < 10**18)


def _is_seconds_or_none(value: Any) -> bool:
    return value is None or _is_seconds(value)


def _is_boolean(value: Any) -> bool:
    return isinstance(value, bool)


def _at_least(least: int) -> _Check:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= least, (
        f"an integer >= {least}"
    )


def _one_of(*choices: str | None) -> _Check:
    return lambda value: value in choices, f"one of {', '.join(repr(choice) for choice in choices if choice)}"


# What each setting must be, and the same in words.
_CHECKS: dict[str, _Check] = {
    "model": (lambda value: isinstance(value, str), "a string"),
    "timeout": (_is_seconds, "a positive number of seconds"),
    **dict.fromkeys(("stream_chunk_timeout", "total_timeout"), (_is_seconds_or_none, "a positive number of seconds")),
    **dict.fromkeys(("max_retries", "max_output_retries"), _at_least(0)),
    **dict.fromkeys(("max_reply_bytes", "max_event_bytes"), _at_least(1)),
    **dict.fromkeys(("allow_http", "coerce_output", "recover_tool_calls"), (_is_boolean, "True or False")),
    "when_retired": _one_of(None, *get_args(WhenRetired)),
    "tool_calling": _one_of(*get_args(ToolCalling)),
    "on_invalid_output": _one_of(*get_args(OnInvalidOutput)),
    "token_counter": (lambda value: value is None or callable(value), "a function"),
    "ledger": (lambda value: isinstance(value, Ledger | None), "a `Ledger`"),
    "budget": (lambda value: isinstance(value, Budget | None), "a `Budget`"),
}
