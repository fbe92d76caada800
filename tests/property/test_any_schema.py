"""Any JSON as a schema: whatever a tool or a response format brings, nothing is raised."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from lfm_adapter._toolcalls.json_answer import schema_problem
from lfm_adapter._toolcalls.json_schema import JSONSchema
from lfm_adapter._toolcalls.tools import Tools
from lfm_adapter.errors import ConfigurationError
from tests.support.call_texts import read_calls

WORDS = st.sampled_from(
    [
        "object",
        "array",
        "string",
        "integer",
        "null",
        "#",
        "#/$defs/a",
        "#a",
        "http://[",
        "a",
        "(",
        "3",
        "-",
        "#/properties/x",
    ]
)
KEYS = st.sampled_from(
    [
        "$schema", "$id", "$ref", "$defs", "$anchor", "$dynamicRef", "type", "const", "enum", "anyOf", "oneOf", "allOf",
        "not", "if", "then", "else", "properties", "patternProperties", "additionalProperties", "propertyNames",
        "required", "dependentSchemas", "items", "prefixItems", "additionalItems", "contains", "uniqueItems",
        "multipleOf", "minimum", "pattern", "format", "unevaluatedProperties", "unevaluatedItems", "a", "x",
    ]
)  # fmt: skip
SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | WORDS
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)
DIALECTS = st.sampled_from(
    [
        "http://json-schema.org/draft-04/schema#",
        "http://json-schema.org/draft-07/schema#",
        "https://json-schema.org/draft/2020-12/schema",
    ]
)
SCHEMAS = JSON | st.builds(
    lambda schema, dialect: {**schema, "$schema": dialect}, st.dictionaries(KEYS, JSON, max_size=5), DIALECTS
)


@given(SCHEMAS, JSON)
@example({"$schema": "http://json-schema.org/draft-07/schema#", "type": "array", "items": [{"type": "integer"}]}, "3")
@example({"$schema": 3}, {})
def test_any_schema_and_any_value_raise_nothing(schema: Any, value: Any):
    JSONSchema(schema).coerced(value)
    JSONSchema(schema).types(schema)
    JSONSchema(schema).problem(value)
    schema_problem(json.dumps(value), {"type": "json_schema", "json_schema": {"schema": schema}})


@given(st.dictionaries(KEYS, JSON, max_size=5), JSON, st.booleans())
def test_any_parameters_are_refused_or_used(parameters: dict[str, Any], value: Any, check: bool):
    try:
        tools = Tools.from_openai(
            [{"type": "function", "function": {"name": "f", "parameters": parameters}}], check_schemas=check
        )
    except ConfigurationError:
        return
    _, calls = read_calls(
        f'<tool_call>{{"name": "f", "arguments": {{"x": {json.dumps(value)}}}}}</tool_call>', tools, make_id=str
    )
    assert len(calls) == 1
