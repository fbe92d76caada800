"""JSON text in the types of a schema: `SchemaPath` follows it while it is read, `retyped` changes it afterwards."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from lfm_adapter._json import as_dict, parse, write_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lfm_adapter._toolcalls.json_schema import JSONSchema

_TYPES = {'"': "string", "{": "object", "[": "array", "t": "boolean", "f": "boolean", "n": "null"}
_CHOICES = frozenset({"enum", "const", "anyOf", "oneOf", "allOf"})
_FRACTION = re.compile(r"[.eE]")
_GAP = re.compile(r"[ \t\n\r]*[,:]?[ \t\n\r]*")
_decoder = json.JSONDecoder()


class _Part(NamedTuple):
    """What counts of a part of a schema.

    Attributes:
        types: The JSON types that it admits; none for all.
        container: Its object or list.
        has_containers: Whether it has several of these, so that only the end of a value shows which one it is.
        strings: Those that it admits; None for all.
    """

    types: frozenset[str] = frozenset()
    container: Mapping[str, Any] = {}
    has_containers: bool = False
    strings: frozenset[str] | None = None


_ANYTHING = _Part()


class SchemaPath:
    """The part of a schema that the next value of a JSON text must fit.

    Args:
        schema: The schema; None for JSON that may be anything.
    """

    def __init__(self, schema: JSONSchema | None) -> None:
        self._schema = schema
        self._parts: dict[int, _Part] = {}  # a list has the same part for all its items
        self._containers: list[Mapping[str, Any]] = []
        self._step(None if schema is None else schema.schema)

    @property
    def has_options(self) -> bool:
        """Whether a string must be one of some."""
        return self._part.strings is not None

    def open(self) -> None:
        """Step into the object or list that begins."""
        self._containers.append(self._part.container)
        self._step_to_item()

    def enter(self, key: str) -> None:
        """Step to the member of an object whose key is written as `key`."""
        container = self._containers[-1]
        if container:
            name = parse(key)
            self._step(as_dict(container.get("properties")).get(name, container.get("additionalProperties")))

    def close(self) -> None:
        """Step out of an object or list."""
        self._containers.pop()
        self._step_to_item()

    def admits(self, start: str) -> bool:
        """Return whether a value that begins with this character can stay as it will be written."""
        types = self._part.types
        return not types or (_TYPES[start] in types and not (start in "{[" and self._part.has_containers))

    def keeps(self, written: str) -> bool:
        """Return whether a scalar stays as it was written."""
        types, strings = self._part.types, self._part.strings
        if written[0] == '"':
            return strings is None or parse(written) in strings
        named = _TYPES.get(written[0], "number" if _FRACTION.search(written) else "integer")
        return not types or named in types or (named == "integer" and "number" in types)

    def _step_to_item(self) -> None:
        container = self._containers[-1] if self._containers else {}
        self._step(None if "prefixItems" in container else container.get("items"))

    def _step(self, schema: Any) -> None:
        self._part = _ANYTHING
        if self._schema is not None and isinstance(schema, dict):
            part = self._parts.get(id(schema))
            self._part = self._parts[id(schema)] = self._read(schema, self._schema) if part is None else part

    def _read(self, schema: dict[str, Any], whole: JSONSchema) -> _Part:
        resolved = whole.resolved(schema)
        options = next(
            (resolved[word] for word in ("anyOf", "oneOf", "allOf") if isinstance(resolved.get(word), list)), None
        )
        forms = [resolved] if options is None else [whole.resolved(option) for option in options]
        types = [whole.types(form) for form in forms]
        containers = [form for form, named in zip(forms, types, strict=True) if named & {"object", "array"}]
        strings = [form for form, named in zip(forms, types, strict=True) if "string" in named]
        is_free = not strings or any(form.keys().isdisjoint(_CHOICES) for form in strings)
        options = [option for form in strings for option in (*(form.get("enum") or ()), form.get("const"))]
        return _Part(
            whole.types(schema),
            containers[0] if containers else {},
            len(containers) > 1,
            None if is_free else frozenset(option for option in options if isinstance(option, str)),
        )


def retyped(text: str, fitting: Any) -> str:
    """Return strict JSON with other values where it differs from `fitting`, and all else as it was written.

    Args:
        text: The JSON. An object with a duplicate key is returned unchanged.
        fitting: What it should say.

    >>> retyped('{"a": "1",  "b": [2]}', {"a": 1, "b": [2]})
    '{"a": 1,  "b": [2]}'
    """
    out: list[str] = []
    try:
        value = json.loads(text, object_pairs_hook=_unique)
        end = _retype(text, _gap(text, 0), value, fitting, out)
    except (ValueError, RecursionError):
        return text
    return "".join((text[: _gap(text, 0)], *out, text[end:]))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("duplicate key")
    return members


def _retype(text: str, start: int, value: Any, fitting: Any, out: list[str]) -> int:
    """Write the value that begins at `start` to `out`, and return the place behind it."""
    items: list[tuple[Any, Any]]
    if isinstance(value, dict) and isinstance(fitting, dict) and value.keys() == fitting.keys():
        items = list(value.items())
    elif isinstance(value, list) and isinstance(fitting, list) and len(value) == len(fitting):
        items = list(enumerate(value))
    else:
        _, end = _decoder.raw_decode(text, start)
        out.append(text[start:end] if _is_same(value, fitting) else write_json(fitting))
        return end
    end = start + 1
    for key, item in items:
        begin = _gap(text, end)
        if isinstance(value, dict):
            begin = _gap(text, _decoder.raw_decode(text, begin)[1])
        out.append(text[start:begin])
        start = end = _retype(text, begin, item, fitting[key], out)
    end = _gap(text, end) + 1
    out.append(text[start:end])
    return end


def _is_same(one: Any, other: Any) -> bool:
    """Return whether two JSON values are the same. A whole number may have a fraction of zero: 3.0 is an integer."""
    return one == other and isinstance(one, bool) is isinstance(other, bool)


def _gap(text: str, start: int) -> int:
    """Return the place behind the white space, the comma and the colon that come next."""
    gap = _GAP.match(text, start)
    return start if gap is None else gap.end()
