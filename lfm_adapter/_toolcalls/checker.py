"""Whether a value fits a JSON schema, and why it does not.

`jsonschema` does the checks, loaded when a value is first checked. Where a schema offers choices within choices, the
work can double with every level of a value, and a model may nest one a few hundred characters deep. So the work is
counted, and what would take too much of it is not checked.
"""

from __future__ import annotations

import json
from contextvars import ContextVar
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from lfm_adapter._toolcalls.pattern import PatternKeywords, SlowPatternError, matches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jsonschema.exceptions import SchemaError, ValidationError
    from jsonschema.protocols import Validator

__all__ = ["Checker", "TooMuchError", "WorkBudget", "schema_error"]

_MAX_PROBLEM_CHARS = 300
_MAX_STEPS = 20_000  # about a quarter of a second
_MESSAGE_CHARS_A_STEP = 500


class TooMuchError(Exception):
    """The work on a value takes more steps than its budget has."""


class WorkBudget:
    """The steps that may be taken for one value, or for the arguments of one call.

    A step holds a part of a value against a keyword of a schema, or tries to bring it into a type.
    """

    __slots__ = ("left", "searches")

    def __init__(self, steps: int = _MAX_STEPS) -> None:
        self.left = steps
        self.searches = 0

    def spend(self, steps: int = 1) -> None:
        """Take steps, or raise `TooMuchError` where fewer are left."""
        self.left -= steps
        if self.left < 0:
            raise TooMuchError


class Checker:
    """Holds values against one schema.

    A schema that is broken, or refers to something outside it, accepts everything. Nothing is fetched.
    """

    def __init__(self, schema: Any) -> None:
        try:
            self._validator = _compiled(json.dumps(schema)) if isinstance(schema, dict | bool) else None
        except Exception:  # noqa: BLE001 - whatever a reference, a pattern or a number in it has the library raise
            self._validator = None

    def problem(self, value: Any, budget: WorkBudget | None = None) -> str | None:
        """Return why `value` does not fit, in one sentence, or None if it fits or the schema cannot be used."""
        if self._validator is None:
            return None
        from jsonschema.exceptions import best_match

        _budget.set(budget or WorkBudget())
        try:
            error = best_match(self._validator.iter_errors(value))
        except SlowPatternError as slow:
            return str(slow)
        except Exception:  # noqa: BLE001 - as above
            return None
        return None if error is None else _told(error)

    def fits(self, value: Any, part: Any, budget: WorkBudget) -> bool:
        """Tell whether `value` fits a part of the schema, or raise `TooMuchError`. An unusable schema fits nothing."""
        if self._validator is None or not isinstance(part, dict | bool):
            return False
        _budget.set(budget)
        try:
            return self._validator.evolve(schema=part).is_valid(value)
        except TooMuchError:
            raise
        except Exception:  # noqa: BLE001 - as above
            return False


def schema_error(schema: Any) -> str | None:
    """Return why `schema` is not a valid JSON schema, in one sentence, or None if it is."""
    from jsonschema.exceptions import SchemaError

    try:
        _compiled(json.dumps(schema))
    except SchemaError as error:
        return _told(error)
    except (TypeError, ValueError, RecursionError):
        return "it is not JSON"
    return None


# Compiling and checking a schema takes a millisecond, and an agent binds the same tools with every turn.
@lru_cache(maxsize=512)
def _compiled(schema_json: str) -> Validator:
    from jsonschema.validators import Draft202012Validator, validator_for
    from referencing import Registry

    schema = json.loads(schema_json)
    dialect = schema.get("$schema") if isinstance(schema, dict) else None
    named = {"$schema": dialect} if isinstance(dialect, str) else {}
    validator: Any = validator_for(named, default=Draft202012Validator)
    # Formats are not looked at: a `pattern` may be one of JavaScript's, which Python's `re` does not know.
    validator.check_schema(schema, format_checker=None)
    # `jsonschema` would leave the class that counts where a part names its own dialect.
    schema = json.loads(schema_json, object_hook=_without_dialect)
    if '"patternProperties"' in schema_json:  # what `jsonschema` would look for with `re`
        schema = json.loads(json.dumps(schema), object_hook=_without_unevaluated)
    # An empty registry resolves what is inside the schema and fetches nothing.
    compiled: Validator = _counting(validator)(schema, registry=Registry())
    return compiled


def _without_dialect(part: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in part.items() if key != "$schema" or not isinstance(value, str)}


def _without_unevaluated(part: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in part.items() if key != "unevaluatedProperties"}


# The budget of the value that is being checked: `jsonschema` leaves no room for an argument.
_budget: ContextVar[WorkBudget] = ContextVar("_budget")


@lru_cache
def _counting(validator: Any) -> Any:
    """Return a class of validators that takes a step of the budget for each keyword."""
    from jsonschema import validators

    def counted(check: Callable[..., Any]) -> Callable[..., Any]:
        def run(validator: Any, expected: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
            budget = _budget.get()
            budget.spend()
            for error in check(validator, expected, value, schema) or ():
                budget.spend(len(error.message) // _MESSAGE_CHARS_A_STEP)  # the whole value was written into it
                yield error

        return run

    extend: Callable[..., Any] = validators.extend  # it has no types
    checks = {**validator.VALIDATORS, "uniqueItems": _unique_items, **PatternKeywords(_matches).checks}
    return extend(validator, {name: counted(check) for name, check in checks.items()})


def _matches(pattern: str, text: str) -> bool:
    budget = _budget.get()
    budget.searches += 1
    return matches(pattern, text, budget.searches)


def _unique_items(validator: Any, wanted: Any, value: Any, _schema: Any) -> Iterator[ValidationError]:
    """Do what `jsonschema` does by holding each object in a list against each other one."""
    if not wanted or not validator.is_type(value, "array"):
        return
    if len({json.dumps(item, sort_keys=True) for item in value}) < len(value):
        from jsonschema.exceptions import ValidationError

        yield ValidationError(f"{value!r} has non-unique elements")


def _told(error: ValidationError | SchemaError) -> str:
    where = f" (at {error.json_path})" if error.absolute_path else ""
    text = error.message
    if len(text) > _MAX_PROBLEM_CHARS:  # the value comes first, and what is wrong with it last
        text = f"{text[: _MAX_PROBLEM_CHARS // 2]}…{text[-_MAX_PROBLEM_CHARS // 2 :]}"
    return f"{text}{where}"
