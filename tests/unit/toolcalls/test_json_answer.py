"""The JSON in an answer, however loosely the model wrote it."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest

from lfm_adapter._toolcalls.json_answer import json_types, read_arguments, read_json, schema_problem
from lfm_adapter._toolcalls.json_reader import JSONReader
from lfm_adapter._toolcalls.quotes import AMBIGUOUS

CAT = {"name": "Tom", "age": 3}

LOOSE: dict[str, tuple[str, Any]] = {
    "bare": ('{"name": "Tom", "age": 3}', CAT),
    "in a fence": ('```json\n{"name": "Tom", "age": 3}\n```', CAT),
    "in a fence without a name": ('```\n{"name": "Tom", "age": 3}\n```', CAT),
    "among prose": ('Sure! Here it is: {"name": "Tom", "age": 3}. Anything else?', CAT),
    "behind a placeholder": ('For {name} in [1]: {"name": "Tom", "age": 3}', CAT),
    "before another": ('{"name": "Tom", "age": 3}\n{"name": "Kit", "age": 1}', CAT),
    "single quotes": ("{'name': 'Tom', 'age': 3}", CAT),
    "quotes within quotes": ("""{'say': 'a "b" c', "said": "it\\'s"}""", {"say": 'a "b" c', "said": "it's"}),
    "literals of Python": ("{'a': True, 'b': False, 'c': None}", {"a": True, "b": False, "c": None}),
    "keys without quotes": ("{name: 'Tom', age: 3}", CAT),
    "words without quotes": ('{"name": Tom, "age": 3}', CAT),
    "trailing commas": ('{"list": [1, 2, ], "name": "Tom",}', {"list": [1, 2], "name": "Tom"}),
    "doubled commas": ('{"name": "Tom",, "age": 3}', CAT),
    "missing commas": ('{"name": "Tom"\n "age": 3}', CAT),
    "missing colon": ('{"name" "Tom", "age": 3}', CAT),
    "comments": ('{"name": "Tom", // his name\n "age": /* in years */ 3 # or so\n}', CAT),
    "an ellipsis": ('{"list": [1, 2, ...]}', {"list": [1, 2]}),
    "line breaks in a string": ('{"text": "one\ntwo\tthree"}', {"text": "one\ntwo\tthree"}),
    "escapes that are not JSON": (r'{"path": "C:\dir", "hex": "\x41", "cut": "\u00"}',
                                {"path": "C:\\dir", "hex": "A", "cut": "\\u00"}),
    "a path of Windows": (r'{"path": "C:\Users\new", "line": "a\nb"}', {"path": "C:\\Users\\new", "line": "a\nb"}),
    "numbers that are not JSON": ('{"a": .5, "b": +3, "c": -2}', {"a": 0.5, "b": 3, "c": -2}),
    "doubled braces": ('{{"name": "Tom", "age": 3}}', CAT),
    "missing closers": ('{"name": "Tom", "tags": ["a", "b"', {"name": "Tom", "tags": ["a", "b"]}),
    "missing end quote": ('{"name": "Tom', {"name": "Tom"}),
    "closers that do not match": ('{"tags": ["a", "b"}', {"tags": ["a", "b"]}),
    "missing value": ('{"name": "Tom", "age": }', {"name": "Tom", "age": None}),
    "quotes that are not escaped": (
        '{"say": "He said "hi" to me", "then": "a "b", c"}',
        {"say": 'He said "hi" to me', "then": 'a "b", c'},
    ),
    "digits of Python": (
        '{"a": 1_000, "b": 0x1F, "c": 007, "d": 5., 1: 2}',
        {"a": 1000, "b": 31, "c": 7, "d": 5.0, "1": 2},
    ),
    "unicode": ('{"naïve": "東京 🗼\u2028"}', {"naïve": "東京 🗼\u2028"}),
}  # fmt: skip


@pytest.mark.parametrize("name", LOOSE)
def test_object_is_found_and_repaired(name: str):
    text, expected = LOOSE[name]
    found = read_json(text)
    assert found is not None
    assert json.loads(found) == expected


@pytest.mark.parametrize("text", ["", "What cat?", "Use {name} for it.", "no { brace", "[1, 2]"])
def test_no_object_is_none(text: str):
    assert read_json(text) is None


def test_list_where_one_is_wanted():
    assert read_json('Here: ["a", {"b": 1}, ] Bye', root="[") == '["a", {"b": 1} ]'


@pytest.mark.parametrize(
    "text", ['{"name": "To', '{"name": ', '{"name": "Tom", "age": 3', '{"tags": ["a", ', '{"a": tr', '{"a": "\\']
)
def test_object_that_was_cut_off_does_not_look_whole(text: str):
    found = read_json(text, cut_off=True)
    assert found is not None
    assert found.startswith('{"')
    with pytest.raises(ValueError, match=r"."):
        json.loads(found)


def test_strict_json_comes_while_it_is_written():
    reader = JSONReader()
    texts = ("Well: ", "{", '"na', 'me": "T', "om", '"', ", ", '"a', 'ge": ', "12", "3", "}", " Bye")
    assert [reader.feed(text) for text in texts] == [
        "", "", "{", '"name": "T', "om", "", "", "", '", "age": ', "", "", "123}", "",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('{"name": "Tom', '", } Bye'),
        ('{"name": "Tom"', '\n "age": 3} Bye'),
        ('{"name": "the ', '"big" cat"} Bye'),
        ('{"age":', " 1_000} Bye"),
        ('{"age": 3', " // years\n} Bye"),
    ],
)
def test_from_the_first_irregularity_on_json_waits_for_the_end(before: str, after: str):
    reader = JSONReader()
    at_once = reader.feed(before) + reader.feed(after)
    assert before.startswith(at_once.rstrip())
    assert reader.feed(" and more") == ""
    assert isinstance(json.loads(at_once + reader.close(cut_off=False)), dict)


NOTE = {
    "type": "object",
    "title": "Note",
    "properties": {
        "kind": {"enum": ["praise", "blame"]},
        "text": {"type": "string"},
        "stars": {"type": "number"},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["text"],
}
LIST = {
    "type": "object",
    "properties": {"names": {"type": "array", "items": {"type": "string"}}},
    "required": ["names"],
}

BY_SCHEMA: dict[str, tuple[Any, str, Any]] = {
    "quotes in a string": (NOTE, '{"text": "the "big" one", "stars": 2}', {"text": 'the "big" one', "stars": 2}),
    "a quotation at the end": (NOTE, '{"text": "he said "no""}', {"text": 'he said "no"'}),
    "quotes before a comma": (NOTE, '{"text": "say "a", then "b"", "kind": "praise"}',
                              {"text": 'say "a", then "b"', "kind": "praise"}),
    "an apostrophe in single quotes": (NOTE, "{'text': 'it's here', 'stars': 1}", {"text": "it's here", "stars": 1}),
    "an attribute": (NOTE, '{"text": "<i id="x">y</i>"}', {"text": '<i id="x">y</i>'}),
    "an object in a string": (NOTE, '{"text": "{"a": "b", "c": 1}", "stars": 3}',
                              {"text": '{"a": "b", "c": 1}', "stars": 3}),
    "an object like it in a string": (NOTE, '{"text": "{"text": "b", "stars": 1}", "stars": 3}',
                                      {"text": '{"text": "b", "stars": 1}', "stars": 3}),
    "quotes in a list": (NOTE, '{"text": "a", "tags": ["f("x")", "y"]}', {"text": "a", "tags": ['f("x")', "y"]}),
    "three quotes": (NOTE, '{"text": """a "b" c""", "stars": 1}', {"text": 'a "b" c', "stars": 1}),
    "a quote doubled": (NOTE, '{"text": ""a", "stars": 1}', {"text": "a", "stars": 1}),
    "words without quotes": (NOTE, "{text: one word more, kind: praise}", {"text": "one word more", "kind": "praise"}),
    "an apostrophe in words": (NOTE, "{text: don't stop, kind: praise}", {"text": "don't stop", "kind": "praise"}),
    "grouped digits": (NOTE, '{"text": "a", "stars": 1_250, "tags": []}', {"text": "a", "stars": 1250, "tags": []}),
    "digits grouped by commas": (NOTE, '{"text": "a", "stars": 1,250.5}', {"text": "a", "stars": 1250.5}),
    "hexadecimal digits": (NOTE, '{"text": "a", "stars": 0x1f}', {"text": "a", "stars": 31}),
    "curly quotes": (NOTE, "{“text”: “a”, “stars”: 1}", {"text": "a", "stars": 1}),
    "curly quotes around a value": (NOTE, '{"text": “a”}', {"text": "a"}),
    "escaped as a whole": (NOTE, r'{\"text\": \"a\"}', {"text": "a"}),
    "a fence in place of the bracket": (NOTE, '```json\n{"text": "a"\n```', {"text": "a"}),
    "a comma missing in a list": (NOTE, '{"text": "a", "tags": ["b" "c"]}', {"text": "a", "tags": ["b", "c"]}),
    "a sum of strings": (NOTE, '{"text": "a" + "b"}', None),
    "a word behind a number": (NOTE, '{"text": "a", "stars": 3 points}', None),
    "a sign before a number": (NOTE, '{"text": "a", "stars": ~3}', None),
    "a word behind a string": (NOTE, '{"text": "a" maybe}', None),
    "a string where a key should be": (NOTE, '{"text": "a", "b", "kind": "praise"}', None),
    "words with commas": (NOTE, "{text: a, b, kind: praise}", None),
    "backticks": (NOTE, "{`text`: `a`}", {"text": "a"}),
    "a tuple": (NOTE, "{'text': 'a', 'tags': ('b', 'c')}", {"text": "a", "tags": ["b", "c"]}),
    "an option in another case": (NOTE, '{"text": "a", "kind": "Praise"}', {"text": "a", "kind": "praise"}),
    "an option with a full stop": (NOTE, '{"text": "a", "kind": "blame."}', {"text": "a", "kind": "blame"}),
    "an option in bold": (NOTE, '{"text": "a", "kind": "**blame**"}', {"text": "a", "kind": "blame"}),
    "an option in a list": (NOTE, '{"text": "a", "kind": ["blame"]}', {"text": "a", "kind": "blame"}),
    "the schema before the answer": (NOTE, 'By {"type": "object", "properties": {}}: {"text": "a"}', {"text": "a"}),
    "an example before the answer": (NOTE, 'In the form {"key": 1}:\n{"text": "a"}', {"text": "a"}),
    "one that does not fit before the answer": (NOTE, 'Not {"stars": 1}, but {"text": "a"}', None),
    "wrapped in its name": (NOTE, '{"Note": {"text": "a"}}', {"text": "a"}),
    "the schema filled in": (NOTE, '{"type": "object", "properties": {"text": "a", "stars": 2}}',
                             {"text": "a", "stars": 2}),
    "in a list": (NOTE, '[{"text": "a"}]', {"text": "a"}),
    "without its bracket": (NOTE, '"text": "a", "stars": 2}', {"text": "a", "stars": 2}),
    "as a call of its class": (NOTE, "Note(text='a', stars=2)", {"text": "a", "stars": 2}),
    "a bare list": (LIST, 'Here: ["a", "b"]', {"names": ["a", "b"]}),
    "pairs of keys and values": (
        {"type": "object", "properties": {"m": {"type": "object"}}},
        '{"m": [{"key": "a", "value": 1}]}',
        {"m": {"a": 1}},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BY_SCHEMA)
def test_answer_is_read_as_what_fits_the_schema(name: str):
    schema, text, expected = BY_SCHEMA[name]
    found = read_json(text, schema=schema)
    problem = schema_problem(found or text, json_schema(schema))
    if expected is None:
        assert problem is not None
    else:
        assert problem is None
        assert json.loads(found or "") == expected


@pytest.mark.parametrize(
    "text", ['{"text": "a", "tags": ["paste -d "," "{x}" f", "y"]}', "{'text': 'a', 'tags': ['paste -d ',' '{x}' f']}"]
)
def test_string_that_could_end_in_two_places_is_a_problem_that_names_the_reason(text: str):
    reader = JSONReader("{", NOTE)
    found = reader.feed(text) + reader.close(cut_off=False)
    assert reader.problem == f"the answer is not JSON: {AMBIGUOUS}"
    with pytest.raises(ValueError, match=r"."):
        json.loads(found)


def json_schema(schema: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "Cat", "schema": schema}}


SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"$ref": "#/$defs/age"}},
    "required": ["name", "age"],
    "$defs": {"age": {"type": "integer", "minimum": 0}},
}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (json.dumps(CAT), None),
        ('{"name": "Tom", "age": "3"}', None),
        ('{"name": "Tom"}', "'age' is a required property"),
        ('{"name": "Tom", "age": -1}', "less than the minimum"),
        ('{"name": "Tom", "age": "three"}', r"'three' is not of type 'integer' \(at \$\.age\)"),
        ("[]", "is not of type 'object'"),
        ("What cat?", "the answer is not JSON"),
    ],
)
def test_schema_problem_says_what_does_not_fit(text: str, problem: str | None):
    found = schema_problem(text, json_schema(SCHEMA))
    assert (found is None) if problem is None else re.search(problem, found or "")


@pytest.mark.parametrize(
    "schema",
    [{"type": 3}, {"$ref": "https://example.invalid/cat.json"}, {"$ref": "#/$defs/none"}, {"$ref": "#"}, "cat", None],
)
def test_schema_that_is_none_finds_no_problem_and_fetches_nothing(schema: Any):
    assert schema_problem('{"a": {}}', json_schema(schema)) is None


def test_problem_with_a_long_value_is_cut():
    problem = schema_problem(
        json.dumps({"name": "x" * 10_000, "age": 1.5}), json_schema({**SCHEMA, "maxProperties": 1})
    )
    assert problem is not None
    assert len(problem) < 500


@pytest.mark.parametrize(
    ("text", "problem"), [("{}", None), ("[]", "the answer is not a JSON object"), ("3 cats", "not JSON")]
)
def test_any_object_is_one(text: str, problem: str | None):
    found = schema_problem(text, {"type": "json_object"})
    assert (found is None) if problem is None else problem in (found or "")


def test_root_is_what_the_schema_says():
    assert json_types(json_schema({"type": "array"})) == {"array"}
    assert json_types(json_schema(SCHEMA)) == {"object"}
    assert json_types({"type": "json_object"}) == {"object"}


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ('{"text": "a", "stars": "2"}', {"text": "a", "stars": 2}),
        ("Sure: {'text': 'it's so'}", {"text": "it's so"}),
        ('{"stars": 2}', None),
        ('{"other": "a"}', None),
        ("I cannot.", None),
    ],
)
def test_arguments_alone_are_those_that_fit_the_tool(text: str, arguments: Any):
    found = read_arguments(text, NOTE)
    assert (json.loads(found) if found else None) == arguments


@pytest.mark.parametrize(
    "part", ['"', '", "', '", "text": "', '{"text": "a "b" c" d"} ', '[["a "b" c",', "{'text': 'it's, 'x' ", "[", "{"]
)
def test_answers_whose_quotes_never_match_are_not_read_without_end(part: str):
    text = '{"text": "' + part * (300_000 // len(part))
    start = time.process_time()
    read_json(text, schema=NOTE)
    assert time.process_time() - start < 5


@pytest.mark.parametrize(("others", "found"), [(999, '{"text": "a"}'), (1_000, '{"a": 1}')])
def test_first_thousand_objects_are_held_against_the_schema(others: int, found: str):
    assert read_json('{"a": 1} ' * others + '{"text": "a"}', schema=NOTE) == found


@pytest.mark.parametrize("text", ["""{"a":1'\"""", """{"a": 1" """, """{"a" "b", ["c" """])
def test_quotes_where_none_belong_leave_an_answer_readable_or_a_problem(text: str):
    reader = JSONReader()
    found = reader.feed(text) + reader.close(cut_off=False)
    assert reader.problem or isinstance(json.loads(found), dict)


def test_object_is_wrapped_in_the_list_that_a_native_model_was_asked_for():
    reader = JSONReader("{", {"type": "array", "items": {"type": "object"}}, coerces=False)
    assert reader.feed('"{\\"a\\": 1}"') + reader.close(cut_off=False) == '[{"a": 1}]'
