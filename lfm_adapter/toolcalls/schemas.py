"""Whether a value fits a JSON schema. `jsonschema` does the work, loaded when a value is first checked."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jsonschema.exceptions import SchemaError, ValidationError
    from jsonschema.protocols import Validator

__all__ = ["Checker", "problem_of", "schema_error"]

_MAX_PROBLEM_CHARS = 300


class Checker:
    """Holds values against one schema.

    A schema that is broken, or that refers to what is not in it, is no judge. Nothing is fetched.
    """

    def __init__(self, schema: Any) -> None:
        self._validator = _validator(schema)

    def problem(self, value: Any) -> str | None:
        """Return what keeps `value` from fitting, in one sentence, or None if it fits or that cannot be told."""
        if self._validator is None:
            return None
        from jsonschema.exceptions import best_match
        from referencing.exceptions import Unresolvable

        try:
            error = best_match(self._validator.iter_errors(value))
        except (Unresolvable, RecursionError, re.error):
            return None
        return None if error is None else _told(error)

    def fits(self, value: Any, part: Any) -> bool:
        """Tell whether `value` fits a part of the schema. Where that cannot be told, it does not."""
        if self._validator is None or not isinstance(part, dict | bool):
            return False
        from referencing.exceptions import Unresolvable

        try:
            return self._validator.evolve(schema=part).is_valid(value)
        except (Unresolvable, RecursionError, re.error):
            return False


def problem_of(value: Any, schema: Any) -> str | None:
    """Return what keeps `value` from fitting `schema`, in one sentence, or None if it fits.

    >>> problem_of({"name": "Tom"}, {"type": "object", "required": ["age"]})
    "'age' is a required property"
    """
    return Checker(schema).problem(value)


def schema_error(schema: Any) -> str | None:
    """Return why `schema` is no JSON schema, in one sentence, or None if it is one."""
    from jsonschema.exceptions import SchemaError

    try:
        _compiled(json.dumps(schema))
    except SchemaError as error:
        return _told(error)
    except (TypeError, ValueError, RecursionError):
        return "it is not JSON"
    return None


def _validator(schema: Any) -> Validator | None:
    if not isinstance(schema, dict | bool):
        return None
    from jsonschema.exceptions import SchemaError

    try:
        return _compiled(json.dumps(schema))
    except (SchemaError, TypeError, ValueError, RecursionError):
        return None


# Compiling and checking a schema takes a millisecond, and an agent binds the same tools with every turn.
@lru_cache(maxsize=512)
def _compiled(schema_json: str) -> Validator:
    from jsonschema.validators import Draft202012Validator, validator_for
    from referencing import Registry

    schema = json.loads(schema_json)
    validator: Any = validator_for(schema, default=Draft202012Validator)
    # Formats are not looked at: a `pattern` may be one of JavaScript's, which Python's `re` does not know.
    validator.check_schema(schema, format_checker=None)
    # An empty registry resolves what is inside the schema and fetches nothing.
    compiled: Validator = validator(schema, registry=Registry())
    return compiled


def _told(error: ValidationError | SchemaError) -> str:
    where = f" (at {error.json_path})" if error.absolute_path else ""
    text = error.message
    return f"{text if len(text) <= _MAX_PROBLEM_CHARS else text[:_MAX_PROBLEM_CHARS] + '…'}{where}"
