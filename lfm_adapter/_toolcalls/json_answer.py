"""The JSON in an answer, and whether it fits what was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lfm_adapter._json import as_dict, parse, write_json
from lfm_adapter._toolcalls.json_reader import JSONReader
from lfm_adapter._toolcalls.json_schema import JSONSchema, WorkBudget

if TYPE_CHECKING:
    from collections.abc import Mapping


def read_json(text: str, *, root: str = "{", cut_off: bool = False, schema: Any = None) -> str | None:
    """Return the JSON in an answer, as `JSONReader` finds and repairs it, or None.

    >>> read_json('The cat: {"name": "Tom", "age": 3')
    '{"name": "Tom", "age": 3}'
    """
    reader = JSONReader(root, schema)
    return (reader.feed(text) + reader.close(cut_off=cut_off)) or None


def read_arguments(text: str, schema: Any) -> str | None:
    """Return the arguments of a tool as JSON, where a text holds them and they fit its schema.

    >>> read_arguments('Sure: {"age": "3"}', {"type": "object", "properties": {"age": {"type": "integer"}}})
    '{"age": 3}'
    """
    value = parse(read_json(text, schema=schema) or "")
    wanted, budget = JSONSchema(schema), WorkBudget()
    if not isinstance(value, dict) or (value and wanted.properties.keys().isdisjoint(value)):
        return None
    arguments = wanted.coerced(value, budget)
    return write_json(arguments) if wanted.problem(arguments, budget) is None else None


def json_types(response_format: Mapping[str, Any]) -> frozenset[str]:
    """Return the JSON types of an answer that fits `response_format`; none if the schema does not say.

    >>> json_types({"type": "json_object"})
    frozenset({'object'})
    """
    if response_format.get("type") == "json_object":
        return frozenset({"object"})
    schema = answer_schema(response_format)
    return JSONSchema(schema).types(schema)


def schema_problem(text: str, response_format: Mapping[str, Any]) -> str | None:
    """Return why a text does not fit `response_format`, for the model to correct, or None if it fits.

    A value counts in the type that the schema wants, if nothing is lost by it: `"36"` is an integer.

    >>> schema_problem("Tom", {"type": "json_object"})
    'the answer is not JSON'
    """
    value = parse(text)
    if value is None and text.strip() != "null":
        return "the answer is not JSON"
    if response_format.get("type") == "json_object":
        return None if isinstance(value, dict) else "the answer is not a JSON object"
    schema, budget = JSONSchema(answer_schema(response_format)), WorkBudget()
    problem = schema.problem(schema.coerced(value, budget), budget)
    return None if problem is None else f"the JSON does not fit the schema: {problem}"


def answer_schema(response_format: Mapping[str, Any]) -> Any:
    """Return the JSON schema that an answer must fit, or None."""
    return as_dict(response_format.get("json_schema")).get("schema")
