"""The types of the keywords of a JSON schema, in any of its drafts.

`jsonschema` knows more rules, but takes a tenth of a second to load: see `json_schema.schema_error`.
"""

from __future__ import annotations

from types import NoneType
from typing import TYPE_CHECKING, Any, NamedTuple

from lfm_adapter._masking import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["response_format_error", "schema_type_error"]


class _Rule(NamedTuple):
    """What the value of a keyword must be.

    Attributes:
        classes: Its classes.
        words: The same in words.
        parts: The class of what is in a list; "schemas" where the value is, or consists of, schemas.
        plain: The classes of values that fit without a look at their parts.
    """

    classes: tuple[type, ...]
    words: str
    parts: type | str | None = None
    plain: frozenset[type] = frozenset({NoneType})


_TEXT = _Rule((str,), "a string", plain=frozenset({NoneType, str}))
_NUMBER = _Rule((int, float), "a number", plain=frozenset({NoneType, int, float}))
_WORDS = _Rule((str, list, tuple), "a string or a list of strings", str, _TEXT.plain)
_NAMES = _Rule((bool, list, tuple), "a list of strings", str)  # a boolean in draft 3
_ONE = _Rule((dict, bool, list, tuple), "a schema", "schemas")  # lists before draft 2020-12
_SOME = _Rule((list, tuple), "a list of schemas", "schemas")
_NAMED = _Rule((dict,), "an object of schemas", "schemas")

_RULES: dict[str, _Rule] = {
    "type": _WORDS,
    "required": _NAMES,
    "enum": _Rule((list, tuple), "a list"),
    **dict.fromkeys(("$id", "$ref", "$schema", "description", "format", "pattern", "title"), _TEXT),
    **dict.fromkeys(("maximum", "maxItems", "maxLength", "maxProperties", "minimum", "minItems", "minLength",
                     "minProperties", "multipleOf"), _NUMBER),
    **dict.fromkeys(("additionalItems", "additionalProperties", "contains", "else", "if", "items", "not",
                     "propertyNames", "then", "unevaluatedItems", "unevaluatedProperties"), _ONE),
    **dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems"), _SOME),
    **dict.fromkeys(("$defs", "definitions", "dependentSchemas", "patternProperties", "properties"), _NAMED),
}  # fmt: skip


def schema_type_error(schema: object) -> str | None:
    """Return which keyword of a schema has a value of the wrong type, in one sentence, or None. Null is no value."""
    try:
        error = _error(schema)
    except RecursionError:
        return "it is nested too deeply"
    return error and f"{error[0]} (at ${error[1]})"


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


def _error(schema: Any) -> tuple[str, str] | None:
    """Return what is wrong with a schema, and the path to it."""
    if not isinstance(schema, dict):
        return None if isinstance(schema, bool) else (f"{shown(schema)} is not a schema", "")
    for keyword, value in schema.items():
        rule = _RULES.get(keyword)
        if rule is None or type(value) in rule.plain:
            continue
        if not _fits(value, rule):
            return f"{shown(value)} is not {rule.words}", f".{keyword}"
        for place, part in _schemas(value, rule):
            if error := _error(part):
                path = f"[{place}]" if isinstance(place, int) else place and f".{place}"
                return error[0], f".{keyword}{path}{error[1]}"
    return None


def _fits(value: Any, rule: _Rule) -> bool:
    if rule.parts is str and isinstance(value, list | tuple):
        return all(isinstance(one, str) for one in value)
    return isinstance(value, rule.classes)


def _schemas(value: Any, rule: _Rule) -> Iterable[tuple[Any, Any]]:
    """Return the schemas that a value consists of, each with its place."""
    if rule.parts != "schemas":
        return ()
    if isinstance(value, list | tuple):
        return enumerate(value)
    return value.items() if rule is _NAMED else (("", value),)
