"""A JSON schema: whether a value fits it, and the value in the types that it wants.

Small models write `"3"` for 3 and `"a"` for `["a"]`: what is changed here would mean the same to a reader.

`jsonschema` does the checks, loaded when a value is first checked. Where a schema offers choices within choices, the
work can double with every level of a value, and a model may nest one a few hundred characters deep. So steps and levels
are counted, and what would take too many of them is not checked.
"""

from __future__ import annotations

import json
import re
from contextvars import ContextVar
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from lfm_adapter._json import as_dict, is_deeper, parse
from lfm_adapter._toolcalls.pattern import SlowPatternError, matches, pattern_keywords

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from jsonschema.exceptions import SchemaError, ValidationError
    from jsonschema.protocols import Validator

_MAX_PROBLEM_CHARS = 300
_MAX_STEPS = 20_000  # about a quarter of a second
_MESSAGE_CHARS_A_STEP = 500
# Python allows 1,000 frames: a level of a value takes three, one of a schema five. Near that limit, the Rust code below
# `jsonschema` panics, with an exception that no `except Exception` catches.
_MAX_LEVELS = 200
MAX_SCHEMA_LEVELS = 150
_MAX_REFERENCES = 16

_WORDS: dict[str, dict[str, bool | None]] = {
    "boolean": {"true": True, "false": False},
    "null": {"null": None, "none": None},
}
_MARKS = re.compile(r"^[\s*_`\"'.]+|[\s*_`\"'.!]+$")


class TooMuchError(Exception):
    """The work on a value takes more steps or levels than its budget has."""


class WorkBudget:
    """The steps that may be taken for one value, or for the arguments of one call.

    A step checks a part of a value against a keyword of a schema, or tries to bring it into a type. `with budget:`
    takes a step, one level deeper.
    """

    __slots__ = ("left", "levels", "searches")

    def __init__(self, steps: int = _MAX_STEPS) -> None:
        self.left = steps
        self.levels = 0
        self.searches = 0

    def spend(self, steps: int = 1) -> None:
        """Take steps, or raise `TooMuchError` where fewer are left."""
        self.left -= steps
        if self.left < 0:
            raise TooMuchError

    def __enter__(self) -> None:
        self.spend()
        if self.levels == _MAX_LEVELS:
            raise TooMuchError
        self.levels += 1

    def __exit__(self, *_: object) -> None:
        self.levels -= 1


class JSONSchema:
    """Checks values against a schema, and brings them into its types.

    A schema that is broken, or refers to something outside it, accepts everything and changes nothing. Nothing is
    fetched. Every `part` that the methods take is a part of the schema.

    >>> schema = JSONSchema({"type": "object", "properties": {"age": {"type": "integer"}}})
    >>> schema.coerced({"age": "36"})
    {'age': 36}
    >>> schema.problem({"age": "x"})
    "'x' is not of type 'integer' (at $.age)"
    """

    def __init__(self, schema: Any) -> None:
        self.schema = schema

    @cached_property
    def _validator(self) -> Validator | None:
        try:
            return _compiled(json.dumps(self.schema)) if isinstance(self.schema, dict | bool) else None
        except Exception:  # noqa: BLE001 - a broken schema raises errors of many classes: its numbers and references too
            return None

    @cached_property
    def properties(self) -> dict[str | None, tuple[Any, frozenset[str]]]:
        """Schema and JSON types of each property, and under None those of all others."""
        schema = self.resolved(self.schema)
        parts = [*as_dict(schema.get("properties")).items(), (None, schema.get("additionalProperties"))]
        return {key: (part, self.types(part)) for key, part in parts}

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
        except Exception:  # noqa: BLE001 - of a reference or a pattern that the schema's author got wrong
            return None
        return None if error is None else _told(error)

    def fits(self, value: Any, part: Any, budget: WorkBudget) -> bool:
        """Return whether `value` fits a part, or raise `TooMuchError`. An unusable schema fits nothing."""
        if self._validator is None or not isinstance(part, dict | bool):
            return False
        _budget.set(budget)
        try:
            return self._validator.evolve(schema=part).is_valid(value)
        except TooMuchError:
            raise
        except Exception:  # noqa: BLE001 - of a reference or a pattern that the schema's author got wrong
            return False

    def types(self, part: Any) -> frozenset[str]:
        """Return the JSON types that a part admits; none where it says nothing of types."""
        try:
            return self._types(part, WorkBudget())
        except (RecursionError, TooMuchError):
            return frozenset()

    def resolved(self, part: Any) -> Mapping[str, Any]:
        """Return the part that `$ref` names, or `part` without a `$ref`."""
        for _ in range(_MAX_REFERENCES):
            reference = as_dict(part).get("$ref")
            if not isinstance(reference, str):
                break
            part = self.schema if reference[:1] == "#" else {}
            for name in reference.split("/")[1:]:
                part = as_dict(part).get(name.replace("~1", "/").replace("~0", "~"))
        return as_dict(part)

    def coerced(self, value: Any, budget: WorkBudget | None = None) -> Any:
        """Return a JSON value in the types of the schema, or unchanged if that loses something or takes too long."""
        budget = budget or WorkBudget()
        try:
            fitting = self._coerced(value, self.schema, budget)
            if not self.fits(fitting, self.schema, budget):
                for wrapped in self._wrapped(value):
                    inner = self._coerced(wrapped, self.schema, budget)
                    if self.fits(inner, self.schema, budget):
                        return inner
        except (RecursionError, TooMuchError):
            return value
        return fitting

    def coerced_part(self, value: Any, part: Any, budget: WorkBudget) -> Any:
        """Return a JSON value in the types of a part, with the limits of `coerced`."""
        try:
            return self._coerced(value, part, budget)
        except (RecursionError, TooMuchError):
            return value

    def _wrapped(self, value: Any) -> Iterator[Any]:
        """Yield the objects that a value may stand for: the one within it, or the one whose only list it is."""
        properties = self.properties
        if isinstance(value, dict) and properties.keys().isdisjoint(value):
            yield from (inner for key, inner in value.items() if len(value) == 1 or key == "properties")
        lists = [key for key, (_, types) in properties.items() if key and "array" in types]
        if isinstance(value, list) and len(lists) == 1:
            yield {lists[0]: value}
        if isinstance(value, list) and len(value) == 1:
            yield value[0]

    def _types(self, part: Any, budget: WorkBudget) -> frozenset[str]:
        part = self.resolved(part)
        named = part.get("type")
        if isinstance(named, str):
            return frozenset((named,))
        if isinstance(named, list):
            return frozenset(name for name in named if isinstance(name, str))
        if "const" in part:
            return frozenset((_type_of(part["const"]),))
        if isinstance(part.get("enum"), list):
            return frozenset(map(_type_of, part["enum"]))
        with budget:
            options = _options(part, "anyOf") or _options(part, "oneOf")
            types = [self._types(option, budget) for option in options or _options(part, "allOf")]
        if options:
            return frozenset().union(*types) if all(types) else frozenset()
        return next(filter(None, types), frozenset())

    def _coerced(self, value: Any, part: Any, budget: WorkBudget) -> Any:
        part = self.resolved(part)
        if not part:
            return value
        with budget:
            for choice in ("anyOf", "oneOf"):
                value = self._by_option(value, _options(part, choice), budget)
            for inner in _options(part, "allOf"):
                value = self._coerced(value, inner, budget)
            types = self._types(part, budget)
            if types and not is_of(value, types):
                value = self._converted(value, types, part, budget)
            if isinstance(part.get("enum"), list) and isinstance(value, str) and value not in part["enum"]:
                value = _choice(value, part["enum"])
            if isinstance(value, dict):
                return self._members(value, part, budget)
            return self._items(value, part, budget) if isinstance(value, list) else value

    def _by_option(self, value: Any, options: list[Any], budget: WorkBudget) -> Any:
        if any(self.fits(value, option, budget) for option in options):
            return value
        for option in options:
            candidate = self._coerced(value, option, budget)
            if self.fits(candidate, option, budget):
                return candidate
        return value

    def _members(self, value: dict[str, Any], part: Mapping[str, Any], budget: WorkBudget) -> dict[str, Any]:
        properties = as_dict(part.get("properties"))
        others = part.get("additionalProperties")
        return {key: self._coerced(member, properties.get(key, others), budget) for key, member in value.items()}

    def _items(self, value: list[Any], part: Mapping[str, Any], budget: WorkBudget) -> list[Any]:
        first, others = _options(part, "prefixItems"), part.get("items")
        if isinstance(others, list):  # as tuples were written before draft 2020-12
            first, others = others, part.get("additionalItems")
        return [self._coerced(item, first[at] if at < len(first) else others, budget) for at, item in enumerate(value)]

    def _converted(self, value: Any, types: frozenset[str], part: Mapping[str, Any], budget: WorkBudget) -> Any:
        if isinstance(value, str):
            found = _read(value, types)
            if found is not None:
                return found[0]
        elif isinstance(value, float) and "integer" in types and value.is_integer():
            return int(value)
        elif isinstance(value, int) and not isinstance(value, bool) and types == {"string"}:
            return str(value)
        elif isinstance(value, list):
            if len(value) == 1 and "object" not in types and is_of(value[0], types):
                return value[0]
            if value and "object" in types and all(as_dict(one).keys() == {"key", "value"} for one in value):
                return {str(one["key"]): one["value"] for one in value}
        if "array" in types:  # the value is not a list, which would be of the type
            items = part.get("items")
            item = self._coerced(value, items, budget)
            if items is None or self.fits(item, items, budget):
                return [item]
        return value


def is_of(value: Any, types: Collection[str]) -> bool:
    """Return whether a JSON value is of one of `types`; an integer is a number too."""
    name = _type_of(value)
    return name in types or (name == "integer" and "number" in types)


def _type_of(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
    return "object"


def _options(part: Mapping[str, Any], name: str) -> list[Any]:
    options = part.get(name)
    return options if isinstance(options, list) else []


def _read(text: str, types: frozenset[str]) -> tuple[Any] | None:
    """Return what a string says in another type, in a tuple, for it may say None."""
    word = text.strip().lower()
    for name in _WORDS.keys() & types:
        if word in _WORDS[name]:
            return (_WORDS[name][word],)
    value = parse(text)
    if isinstance(value, float) and value.is_integer() and "number" not in types:
        value = int(value)
    return (value,) if value is not None and is_of(value, types) else None


def _choice(value: str, options: list[Any]) -> str:
    """Return the option that a text means: in another case, or with marks around it."""
    word = _MARKS.sub("", value.casefold())
    meant = [one for one in options if isinstance(one, str) and _MARKS.sub("", one.casefold()) == word]
    return meant[0] if len(meant) == 1 and word else value


def schema_error(schema: Any) -> str | None:
    """Return why `schema` is not a valid JSON schema, in one sentence, or None if it is."""
    from jsonschema.exceptions import SchemaError

    try:
        _compiled(json.dumps(schema))
    except SchemaError as error:
        return _told(error)
    except RecursionError:
        return f"it is nested in more than {MAX_SCHEMA_LEVELS} levels"
    except (TypeError, ValueError):
        return "it is not JSON"
    return None


# Compiling and checking a schema takes a millisecond, and an agent binds the same tools with every turn.
@lru_cache(maxsize=512)
def _compiled(schema_json: str) -> Validator:
    from jsonschema.validators import Draft202012Validator, validator_for
    from referencing import Registry

    schema = json.loads(schema_json)
    if is_deeper(schema, MAX_SCHEMA_LEVELS):
        raise RecursionError
    dialect = schema.get("$schema") if isinstance(schema, dict) else None
    named = {"$schema": dialect} if isinstance(dialect, str) else {}
    validator: Any = validator_for(named, default=Draft202012Validator)
    # Formats are not looked at: a `pattern` may be one of JavaScript's, which Python's `re` does not know.
    validator.check_schema(schema, format_checker=None)
    schema = json.loads(schema_json, object_hook=_without_dialect)
    if '"patternProperties"' in schema_json:
        schema = json.loads(json.dumps(schema), object_hook=_without_unevaluated)
    # An empty registry resolves what is inside the schema and fetches nothing.
    compiled: Validator = _counting(validator)(schema, registry=Registry())
    return compiled


def _without_dialect(part: dict[str, Any]) -> dict[str, Any]:
    """Return a part of a schema that names no dialect of its own, for which `jsonschema` would leave our class."""
    return {key: value for key, value in part.items() if key != "$schema" or not isinstance(value, str)}


def _without_unevaluated(part: dict[str, Any]) -> dict[str, Any]:
    """Return a part of a schema without the keyword whose patterns `jsonschema` would look for with `re`."""
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
            with budget:
                for error in check(validator, expected, value, schema) or ():
                    budget.spend(len(error.message) // _MESSAGE_CHARS_A_STEP)  # the whole value was written into it
                    yield error

        return run

    extend: Callable[..., Any] = validators.extend  # it has no types
    checks = {**validator.VALIDATORS, "uniqueItems": _unique_items, **pattern_keywords(_matches)}
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
