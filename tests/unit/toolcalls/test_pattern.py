"""Patterns in schemas: read as JavaScript's, and never for longer than a moment."""

from __future__ import annotations

from typing import Any

import pytest

from lfm_adapter import LFMClient, errors
from lfm_adapter._toolcalls.json_schema import JSONSchema
from lfm_adapter._toolcalls.pattern import SlowPatternError, matches
from lfm_adapter.testing import completion

SLOW = "^(a|aa)+$"
LETTERS = "a" * 40 + "!"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("b", "abc"),
        (r"^[\d.]+$", "1.2"),
        (r"^[^]$", "\n"),
        (r"^\u{1F600}\u00e9$", "😀é"),
        (r"(?<year>\d{4})-\k<year>", "2025-2025"),
        (r"^\$[.$]\/$", "$./"),
        (r"^\p{L}+$", "é"),
        (r"^(?=.*[A-Z]).{3,}$", "abC"),
        (r"\cJ", "\n"),
        (r"^[\]\w]+$", "]a"),
        ("^{$", "{"),
        (r"^\ud83d\ude00[\ud83d\ude00]$", "😀😀"),
        (r"^[\W\d]+$", "é1"),
        (r"^\s[\s]$", "\ufeff\u3000"),
        (r"caf\b", "café"),
        ("(no pattern", "anything"),
    ],
)
def test_pattern_of_javascript_matches(source: str, text: str):
    assert matches(source, text)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("^a$", "a\n"),
        (r"^\d$", "٣"),
        (r"^\w+$", "é"),
        ("^.$", "\u2028"),
        ("[]", "a"),
        (r"^\S+$", "a b"),
        (r"\D", "1"),
        (r"\s", "\x1c"),
        (r"[^\S]", "a"),
    ],
)
def test_pattern_of_javascript_does_not_match_what_only_python_takes(source: str, text: str):
    assert not matches(source, text)


@pytest.mark.parametrize(
    "source", [SLOW, "(?:(?:a{1000}){1000}){1000}", "a{99999999}", f"a{{{'9' * 5_000}}}", "[" * 100_000]
)
def test_pattern_that_takes_too_much_time_or_memory_is_not_judged(source: str):
    with pytest.raises(SlowPatternError, match=r"the pattern '.* (takes too long|is too large) to check"):
        matches(source, LETTERS)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"properties": {"a": {"type": "string", "pattern": SLOW}}}, {"a": LETTERS}),
        ({"patternProperties": {SLOW: {"type": "string"}}}, {LETTERS: "x"}),
        ({"patternProperties": {SLOW: True}, "additionalProperties": False}, {LETTERS: "x"}),
        ({"propertyNames": {"pattern": SLOW}}, {LETTERS: "x"}),
        ({"anyOf": [{"items": {"pattern": SLOW}}, True]}, [LETTERS]),
    ],
)
def test_value_that_cannot_be_judged_in_time_is_refused_with_the_reason(schema: dict[str, Any], value: Any):
    problem = JSONSchema(schema).problem(value)
    assert problem is not None
    assert "takes too long to check" in problem


def test_many_slow_searches_take_no_longer_than_a_few():
    problem = JSONSchema({"items": {"pattern": r"^(.*a){4}b"}}).problem(["a" * 60] * 10_000)
    assert problem is None or "takes too long" in problem


def test_properties_are_told_apart_by_pattern():
    schema = {
        "properties": {"id": {}},
        "patternProperties": {r"^x_\d$": {"type": "integer"}},
        "additionalProperties": False,
    }
    assert JSONSchema(schema).problem({"id": 1, "x_1": 2}) is None
    assert JSONSchema(schema).problem({"x_1": "a"}) == "'a' is not of type 'integer' (at $.x_1)"
    problem = JSONSchema(schema).problem({"id": 1, "x_a": 2})
    assert problem == "Additional properties are not allowed ('x_a' was unexpected)"
    typed = schema | {"additionalProperties": {"type": "string"}}
    assert JSONSchema(typed).problem({"x_a": "b"}) is None
    assert JSONSchema(typed).problem({"x_a": 2}) == "2 is not of type 'string' (at $.x_a)"


def test_unevaluated_properties_beside_patterns_are_not_checked():
    """`jsonschema` would look for the patterns with `re`."""
    schema = {"allOf": [{"patternProperties": {SLOW: True}}], "unevaluatedProperties": False}
    problem = JSONSchema(schema).problem({LETTERS: 1})
    assert problem is not None
    assert "takes too long" in problem
    assert JSONSchema(schema).problem({"b": 1}) is None


def test_answer_that_cannot_be_judged_in_time_is_an_error(openrouter):
    openrouter.add(completion(f'{{"a": "{LETTERS}"}}'))
    schema = {"type": "object", "properties": {"a": {"type": "string", "pattern": SLOW}}, "required": ["a"]}
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    with pytest.raises(errors.OutputValidationError, match="takes too long to check"):
        LFMClient("liquid/lfm-3-1.7b", max_output_retries=0).chat("Hi", response_format=wanted)
