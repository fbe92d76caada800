"""`JSONReader`: strict JSON comes out byte for byte, and the cuts of a stream change nothing."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lfm_adapter._toolcalls.json_answer import read_json, schema_problem
from lfm_adapter._toolcalls.json_reader import JSONReader
from lfm_adapter._toolcalls.json_schema import JSONSchema

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12)
OBJECTS = st.dictionaries(st.text(), VALUES)
FORMATS = st.fixed_dictionaries(
    {
        "ensure_ascii": st.booleans(),
        "indent": st.sampled_from([None, 0, 2, "\t"]),
        "separators": st.sampled_from([None, (",", ":"), (" , ", " : ")]),
    }
)
AROUND = st.sampled_from([("", ""), ("```json\n", "\n```"), ("Sure, [1] and {this}:\n", "\nBye {you}."), ("\n\n", " ")])
LOOSE = st.text(alphabet="{}[]\"':,\\/*#\n tTrueNoabc1.-+x…", max_size=60)


def cut(text: str, places: list[int]) -> list[str]:
    ends = sorted(place % (len(text) + 1) for place in places)
    return [text[start:end] for start, end in zip([0, *ends], [*ends, len(text)], strict=True)]


@given(OBJECTS, FORMATS, AROUND)
def test_strict_json_comes_out_byte_for_byte(value: Any, how: dict[str, Any], around: tuple[str, str]):
    text = json.dumps(value, **how)
    assert read_json(around[0] + text + around[1]) == text


@given(st.lists(VALUES), FORMATS)
def test_strict_lists_come_out_byte_for_byte(value: Any, how: dict[str, Any]):
    text = json.dumps(value, **how)
    assert read_json(text, root="[") == text


SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "array"}}}


@given(
    LOOSE | st.builds("{{{}".format, LOOSE),
    st.lists(st.integers(0)),
    st.booleans(),
    st.sampled_from([("{", None), ("[", None), ("{", SCHEMA)]),
)
def test_json_is_the_same_in_any_cut_of_the_answer(text: str, places: list[int], cut_off: bool, wanted: Any):
    root, schema = wanted
    reader = JSONReader(root, schema)
    pieces = [reader.feed(piece) for piece in cut(text, places)]
    assert "".join(pieces) + reader.close(cut_off=cut_off) == (
        read_json(text, root=root, cut_off=cut_off, schema=schema) or ""
    )


@given(LOOSE)
def test_json_found_in_a_whole_answer_can_be_parsed_or_has_a_problem(text: str):
    reader = JSONReader()
    found = reader.feed('{"a":' + text) + reader.close(cut_off=False)
    assert reader.problem or isinstance(json.loads(found), dict)


MEMBERS = {
    "text": {"type": "string"},
    "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    "count": {"type": "integer"},
    "mood": {"enum": ["good", "bad", None]},
    "tags": {"type": "array", "items": {"type": "string"}},
    "point": {"type": "object", "properties": {"x": {"type": "number"}, "is_set": {"type": "boolean"}}},
    "either": {"anyOf": [{"type": "object", "properties": {"a": {"type": "integer"}}}, {"type": "array"}]},
}
TYPED = {"type": "object", "properties": MEMBERS, "additionalProperties": {"type": "integer"}}
WRITTEN = st.sampled_from(
    ["3", "a", "Good.", "true", "null", "a b", 3, 1.5, True, None, ["3"], [3, "a"], {"x": "1.5"}, {"a": "3"}]
)


@given(
    st.dictionaries(st.sampled_from([*MEMBERS, "other"]), WRITTEN | VALUES, min_size=1),
    FORMATS,
    st.lists(st.integers(0)),
)
def test_values_come_in_the_types_of_the_schema_in_any_cut(value: Any, how: dict[str, Any], places: list[int]):
    text = json.dumps(value, **how)
    reader = JSONReader("{", TYPED)
    pieces = [reader.feed(piece) for piece in cut(text, places)]
    found = "".join(pieces) + reader.close(cut_off=False)
    assert found == read_json(text, schema=TYPED)
    if schema_problem(text, {"type": "json_schema", "json_schema": {"schema": TYPED}}) is None:
        assert json.loads(found) == JSONSchema(TYPED).coerced(value)
