"""Whether the keywords of a JSON schema have values of the right types, in any of its drafts.

Servers judge the rest: many schemas that break a rule of their draft work.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from lfm_adapter._json import is_deeper
from lfm_adapter._masking import shown
from lfm_adapter._toolcalls.json_schema import MAX_SCHEMA_LEVELS

if TYPE_CHECKING:
    from collections.abc import Mapping

# Types of earlier drafts that draft 2020-12, against which schemas are checked, does not have.
_EARLIER: dict[str, type] = {"exclusiveMaximum": bool, "exclusiveMinimum": bool, "items": list, "required": bool}


def schema_type_error(schema: object) -> str | None:
    """Return which keyword of a schema has a value of the wrong type, in one sentence, or None. Null is no value."""
    try:
        return _type_error(json.dumps(schema))
    except RecursionError:
        return "it is nested too deeply"
    except (TypeError, ValueError) as error:  # the error of encoding the request says what else is wrong
        return "it contains itself" if "Circular" in str(error) else None


def response_format_error(response_format: Mapping[str, Any]) -> str | None:
    """Return which part of a `response_format` has a value of the wrong type, in one sentence, or None."""
    described = response_format.get("json_schema")
    if described is None:
        return None
    if not isinstance(described, dict):
        return f"{shown(described)} is not an object (at $.json_schema)"
    for key in ("name", "description"):
        if not isinstance(described.get(key), str | None):
            return f"{shown(described[key])} is not a string (at $.json_schema.{key})"
    schema = described.get("schema")
    problem = None if schema is None else schema_type_error(schema)
    return problem and problem.replace("(at $", "(at $.json_schema.schema")


# An agent binds the same tools with every turn.
@lru_cache(maxsize=512)
def _type_error(schema_json: str) -> str | None:
    from jsonschema.validators import Draft202012Validator

    schema = json.loads(schema_json)
    if is_deeper(schema, MAX_SCHEMA_LEVELS):
        raise RecursionError
    for error in Draft202012Validator(Draft202012Validator.META_SCHEMA).iter_errors(schema):
        keyword, value = next(reversed(error.absolute_path), ""), error.instance
        is_of_earlier = isinstance(value, _EARLIER.get(str(keyword), ()))
        wanted = error.validator_value if error.validator == "type" else None
        if error.validator == "anyOf" and not (isinstance(value, str) or _is_list_of_strings(value)):
            wanted = ["string", "list of strings"]  # of `type`
        if wanted and value is not None and not is_of_earlier:
            types = " or ".join([wanted] if isinstance(wanted, str) else wanted)
            return f"{shown(value)} is not of type {types} (at {error.json_path})"
    return None


def _is_list_of_strings(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)
