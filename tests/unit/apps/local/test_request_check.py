"""Requests that llama.cpp must not see, or sees in other words."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from lfm_adapter.apps.local.request_check import checked_request


def check(**fields: Any) -> dict[str, Any]:
    return checked_request(json.dumps(fields).encode())


def nested(levels: int, *, schema: str = '{"type": "string"}') -> bytes:
    return b'{"json_schema": ' + b'{"items": ' * levels + schema.encode() + b"}" * levels + b"}"


@pytest.mark.parametrize("levels", [300, 20_000, 200_000])
def test_deep_nesting_is_refused(levels: int):
    with pytest.raises(ValueError, match="nested too deep: 250 levels"):
        checked_request(nested(levels))
    with pytest.raises(ValueError, match="nested too deep"):
        checked_request(b'{"messages": ' + b"[" * levels + b"]" * levels + b"}")


def test_nesting_of_real_schemas_passes():
    assert checked_request(nested(100))["json_schema"]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"grammar": "root ::= " + "(" * 100_000}, "characters"),
        ({"grammar": "root ::= " + "(" * 2_000 + '"a"'}, "2,000 brackets"),
        ({"grammar": 'root ::= "a"' + ' | "b"' * 3_000}, "3,000 alternatives"),
        ({"grammar": 'root ::= "a"{3, 1}'}, "the minimum exceeds the maximum"),
        ({"grammar": f'root ::= "a"{{{"9" * 5_000},1}}'}, "the minimum exceeds the maximum"),
        ({"grammar": ["root"]}, "`grammar` must be a string"),
        ({"json_schema": {"enum": list(range(5_000))}}, "`json_schema.enum` has 5,000 entries"),
        ({"json_schema": {"properties": {f"p{n}": {} for n in range(900)}}}, "`json_schema.properties` has 900"),
        ({"json_schema": {"oneOf": [{"type": "null"}] * 20_000}}, "too large"),
        ({"json_schema": {"minLength": 5, "maxLength": 1}}, "`minLength` is 5, and `maxLength` 1"),
        ({"json_schema": {"items": {"minimum": 2, "maximum": 1.5}}}, "`json_schema.items`: `minimum` is 2"),
        ({"response_format": "json"}, "`response_format` must be an object"),
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": [1]}}}, "must be an object, got list"),
        ({"top_logprobs": 10**6}, "`top_logprobs` must be at most 20"),
        (
            {"tools": [{"function": {"parameters": {"properties": {"a": {"pattern": "("}}}}}]},
            r"\[0\].*regular expression",
        ),
    ],
)
def test_request_that_would_harm_the_engine_is_refused_with_the_reason(fields: dict[str, Any], reason: str):
    with pytest.raises(ValueError, match=reason):
        check(**fields)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'{"temperature": NaN}',
        b'{"temperature": 1e999}',
        b'{"a": "\xff"}',
        b"1",
        b'{"seed": %d}' % 10**400,
        b'{"seed": ' + b"9" * 5_000 + b"}",
    ],
)
def test_request_that_is_not_a_json_object_is_refused(body: bytes):
    with pytest.raises(ValueError, match=r"The request (is not|must be|has a number)"):
        checked_request(body)


def test_pattern_is_translated_in_every_schema():
    schema = {
        "properties": {"pattern": {"pattern": r"^\d$", "default": {"pattern": r"\d"}}},
        "enum": [{"pattern": "("}],
    }
    sent = check(response_format={"type": "json_schema", "json_schema": {"schema": schema}}, tools=[schema])
    for found in (sent["response_format"]["json_schema"]["schema"], sent["tools"][0]):
        assert found["properties"]["pattern"] == {"pattern": "^[0-9]$", "default": {"pattern": r"\d"}}
        assert found["enum"] == schema["enum"]


@pytest.mark.parametrize("name", ["default", "enum", "const", "properties"])
def test_property_named_like_a_keyword_is_checked(name: str):
    for holder in ("properties", "$defs"):
        with pytest.raises(ValueError, match=re.escape(f"at `json_schema.{holder}.{name}` cannot be enforced")):
            check(json_schema={holder: {name: {"pattern": "("}}})


def test_messages_may_contain_patterns():
    message = {"role": "user", "content": [{"type": "text", "text": "x", "pattern": "(", "enum": [0] * 5_000}]}
    assert check(messages=[message])["messages"] == [message]


def test_tool_choice_any_becomes_required():
    assert check(tool_choice="any")["tool_choice"] == "required"
