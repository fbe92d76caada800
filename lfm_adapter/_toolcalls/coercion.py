"""A value in the types that a JSON schema wants, where nothing is lost by it.

Small models write `"3"` for 3 and `"a"` for `["a"]`: what is changed here would mean the same to a reader.
"""

from __future__ import annotations

import math
import re
from functools import cached_property
from typing import TYPE_CHECKING, Any

from lfm_adapter._json import as_dict, parse
from lfm_adapter._toolcalls.checker import Checker, TooMuchError, WorkBudget
from lfm_adapter._toolcalls.quotes import Keys

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

__all__ = ["Coercion", "coerced", "is_of", "keys_of"]

_WORDS: dict[str, dict[str, bool | None]] = {
    "boolean": {"true": True, "false": False},
    "null": {"null": None, "none": None},
}

_MARKS = re.compile(r"^[\s*_`\"'.]+|[\s*_`\"'.!]+$")
_MAX_REFERENCES = 16
_MAX_NAMES = 20_000
_PARTS = frozenset({"items", "prefixItems", "anyOf", "oneOf", "allOf", "additionalProperties", "not"})


def coerced(value: Any, schema: Any) -> Any:
    """Return a JSON value in the types of a schema, where nothing is lost by it. A broken schema changes nothing.

    >>> coerced({"age": "36"}, {"type": "object", "properties": {"age": {"type": "integer"}}})
    {'age': 36}
    """
    return Coercion(schema).coerced(value, schema)


class Coercion:
    """Brings values into the types of a schema, of which every schema that its methods take is a part."""

    def __init__(self, schema: Any) -> None:
        self.schema = schema

    @cached_property
    def checker(self) -> Checker:
        """What holds values against the schema."""
        return Checker(self.schema)

    @cached_property
    def properties(self) -> dict[str | None, tuple[Any, frozenset[str]]]:
        """Schema and JSON types of each property, and under None those of all others."""
        schema = self.resolved(self.schema)
        found: dict[str | None, tuple[Any, frozenset[str]]] = {
            key: (part, self.types(part)) for key, part in as_dict(schema.get("properties")).items()
        }
        others = schema.get("additionalProperties")
        found[None] = others, self.types(others)
        return found

    def coerced(self, value: Any, schema: Any, budget: WorkBudget | None = None) -> Any:
        """Return `value` in a type that `schema` admits, or as it is where that loses something or takes too long."""
        budget = budget or WorkBudget()
        try:
            fitting = self._coerced(value, schema, budget)
            if schema is self.schema and not self.checker.fits(fitting, schema, budget):
                for wrapped in self._wrapped(value):
                    inner = self._coerced(wrapped, schema, budget)
                    if self.checker.fits(inner, schema, budget):
                        return inner
        except (RecursionError, TooMuchError):
            return value
        return fitting

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

    def types(self, schema: Any) -> frozenset[str]:
        """Return the JSON types that `schema` admits; none where it says nothing of types."""
        try:
            return self._types(schema, WorkBudget())
        except (RecursionError, TooMuchError):
            return frozenset()

    def resolved(self, schema: Any) -> Mapping[str, Any]:
        """Return the part of the whole schema that `$ref` names, or `schema` without a `$ref`."""
        for _ in range(_MAX_REFERENCES):
            reference = as_dict(schema).get("$ref")
            if not isinstance(reference, str):
                break
            schema = self.schema if reference[:1] == "#" else {}
            for name in reference.split("/")[1:]:
                schema = as_dict(schema).get(name.replace("~1", "/").replace("~0", "~"))
        return as_dict(schema)

    def _types(self, schema: Any, budget: WorkBudget) -> frozenset[str]:
        budget.spend()
        schema = self.resolved(schema)
        named = schema.get("type")
        if isinstance(named, str):
            return frozenset((named,))
        if isinstance(named, list):
            return frozenset(name for name in named if isinstance(name, str))
        if "const" in schema:
            return frozenset((_type_of(schema["const"]),))
        if isinstance(schema.get("enum"), list):
            return frozenset(map(_type_of, schema["enum"]))
        for choice in ("anyOf", "oneOf"):
            options = _options(schema, choice)
            if options:
                types = [self._types(option, budget) for option in options]
                return frozenset().union(*types) if all(types) else frozenset()
        parts = [self._types(part, budget) for part in _options(schema, "allOf")]
        return next((types for types in parts if types), frozenset())

    def _coerced(self, value: Any, schema: Any, budget: WorkBudget) -> Any:
        budget.spend()
        schema = self.resolved(schema)
        if not schema:
            return value
        for choice in ("anyOf", "oneOf"):
            options = _options(schema, choice)
            if options:
                value = self._by_option(value, options, budget)
        for part in _options(schema, "allOf"):
            value = self._coerced(value, part, budget)
        types = self._types(schema, budget)
        if types and not is_of(value, types):
            value = self._converted(value, types, schema, budget)
        if isinstance(schema.get("enum"), list) and isinstance(value, str) and value not in schema["enum"]:
            value = _choice(value, schema["enum"])
        if isinstance(value, dict):
            return self._members(value, schema, budget)
        if isinstance(value, list):
            return self._items(value, schema, budget)
        return value

    def _by_option(self, value: Any, options: list[Any], budget: WorkBudget) -> Any:
        if any(self.checker.fits(value, option, budget) for option in options):
            return value
        for option in options:
            candidate = self._coerced(value, option, budget)
            if self.checker.fits(candidate, option, budget):
                return candidate
        return value

    def _members(self, value: dict[str, Any], schema: Mapping[str, Any], budget: WorkBudget) -> dict[str, Any]:
        properties = as_dict(schema.get("properties"))
        others = schema.get("additionalProperties")
        return {key: self._coerced(member, properties.get(key, others), budget) for key, member in value.items()}

    def _items(self, value: list[Any], schema: Mapping[str, Any], budget: WorkBudget) -> list[Any]:
        first, others = _options(schema, "prefixItems"), schema.get("items")
        if isinstance(others, list):  # as tuples were written before draft 2020-12
            first, others = others, schema.get("additionalItems")
        return [self._coerced(item, first[at] if at < len(first) else others, budget) for at, item in enumerate(value)]

    def _converted(self, value: Any, types: frozenset[str], schema: Mapping[str, Any], budget: WorkBudget) -> Any:
        if isinstance(value, str):
            found = _read(value, types)
            if found is not None:
                return found[0]
        elif isinstance(value, float) and "integer" in types and value.is_integer():
            return int(value)
        elif isinstance(value, int) and not isinstance(value, bool) and types == {"string"}:
            return str(value)
        if isinstance(value, list) and len(value) == 1 and "object" not in types and is_of(value[0], types):
            return value[0]
        if (
            value
            and "object" in types
            and isinstance(value, list)
            and all(as_dict(one).keys() == {"key", "value"} for one in value)
        ):
            return {str(one["key"]): one["value"] for one in value}
        if "array" in types and not isinstance(value, list):
            items = schema.get("items")
            item = self._coerced(value, items, budget)
            if items is None or self.checker.fits(item, items, budget):
                return [item]
        return value


def _read(text: str, types: frozenset[str]) -> tuple[Any] | None:
    """Return what a string says in another type, in a tuple, for it may say None."""
    word = text.strip().lower()
    for name in _WORDS.keys() & types:
        if word in _WORDS[name]:
            return (_WORDS[name][word],)
    value = parse(text)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, float) and value.is_integer() and "number" not in types:
        value = int(value)
    return (value,) if value is not None and is_of(value, types) else None


def _choice(value: str, options: list[Any]) -> str:
    """Return the option that a text means: in another case, or with marks around it."""
    word = _MARKS.sub("", value.casefold())
    meant = [one for one in options if isinstance(one, str) and _MARKS.sub("", one.casefold()) == word]
    return meant[0] if len(meant) == 1 and word else value


def is_of(value: Any, types: Collection[str]) -> bool:
    """Tell whether a JSON value is of one of `types`; an integer is a number too."""
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


def _options(schema: Mapping[str, Any], name: str) -> list[Any]:
    options = schema.get(name)
    return options if isinstance(options, list) else []


def keys_of(schemas: Collection[Any], others: Collection[str] = ()) -> Keys:
    """Return the names of all properties in schemas, and whether they have objects that may hold anything."""
    names = set(others)
    is_open = False
    parts = list(schemas)
    while parts and len(names) < _MAX_NAMES:
        part = parts.pop()
        if isinstance(part, list):
            parts += part
        elif isinstance(part, dict):
            properties = as_dict(part.get("properties"))
            names.update(properties)
            is_open = is_open or (part.get("type") == "object" and not properties) or not part
            parts += [*properties.values(), *(value for key, value in part.items() if key in _PARTS)]
            for key in ("$defs", "definitions"):
                parts += as_dict(part.get(key)).values()
    return Keys(frozenset(names), is_open)
