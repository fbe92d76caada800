"""Whether a value fits a JSON schema. `jsonschema` does the work, loaded when a value is first checked."""

from __future__ import annotations

from typing import Any

__all__ = ["problem_of"]

_MAX_PROBLEM_CHARS = 300


def problem_of(value: object, schema: Any) -> str | None:
    """Return what keeps `value` from fitting `schema`, in one sentence, or None if it fits.

    A schema that is broken, or that refers to what is not in it, is no judge: nothing is fetched, and None comes back.

    >>> problem_of({"name": "Tom"}, {"type": "object", "required": ["age"]})
    "'age' is a required property"
    """
    if not isinstance(schema, dict | bool):
        return None
    from jsonschema.exceptions import SchemaError, best_match
    from jsonschema.validators import Draft202012Validator, validator_for
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    validator = validator_for(schema, default=Draft202012Validator)
    try:
        validator.check_schema(schema)
        error = best_match(validator(schema, registry=Registry()).iter_errors(value))
    except (SchemaError, Unresolvable, RecursionError):
        return None
    if error is None:
        return None
    where = f" (at {error.json_path})" if error.absolute_path else ""
    text: str = error.message
    return f"{text if len(text) <= _MAX_PROBLEM_CHARS else text[:_MAX_PROBLEM_CHARS] + '…'}{where}"
