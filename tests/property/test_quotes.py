"""Strings in calls and objects: escaped as they should be, they are read exactly; else right or not at all."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from lfm_adapter._json import parse
from lfm_adapter._toolcalls.json_answer import read_json, schema_problem
from lfm_adapter._toolcalls.json_schema import JSONSchema
from lfm_adapter._toolcalls.quotes import Keys, find_strings
from lfm_adapter._toolcalls.tools import Tools
from tests.support import unescaped
from tests.support.call_texts import read_calls

if TYPE_CHECKING:
    from tests.support.unescaped import Case

TOOLS = Tools.from_openai([unescaped.SAVE, unescaped.OPEN | {"function": {"name": "anything"}}])

# What calls and objects are made of, and what ends strings.
FRAGMENTS = ["'", '"', ", ", ": ", "=", "(", ")", "[", "]", "{", "}", "text=", "', title='", '", "text": "',
             "'), save(", "\\", "\n", "#", "//", "`", "a", "it's", " ", "é"]  # fmt: skip
STRINGS = st.lists(st.sampled_from(FRAGMENTS), max_size=6).map("".join)
VALUES = st.recursive(
    STRINGS | st.integers() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(STRINGS, inner, max_size=3),
    max_leaves=8,
)
ARGUMENTS = st.fixed_dictionaries(
    {}, optional={"text": STRINGS, "title": STRINGS, "tags": st.lists(STRINGS, max_size=3), "other": VALUES}
)
CALLS = st.lists(st.tuples(st.sampled_from(["save", "anything"]), ARGUMENTS), min_size=1, max_size=3)


@given(CALLS, st.booleans())
def test_calls_that_are_escaped_as_python_or_json_has_it_are_read_exactly(calls: list[Any], is_python: bool):
    if is_python:
        made = (f"{name}({', '.join(f'{key}={value!r}' for key, value in given.items())})" for name, given in calls)
        text = f"<|tool_call_start|>[{', '.join(made)}]<|tool_call_end|>"
    else:
        made = (json.dumps({"name": name, "arguments": given}, ensure_ascii=False) for name, given in calls)
        text = f"<tool_call>[{', '.join(made)}]</tool_call>"
    left, read = read_calls(text, TOOLS, make_id=str)
    assert left == ""
    assert [(call.name, json.loads(call.arguments), call.error) for call in read] == [(*call, None) for call in calls]


@given(st.lists(st.sampled_from([*FRAGMENTS, "save(", '{"name": "save", ']), max_size=40).map("".join))
def test_strings_of_any_text_end_at_one_of_their_quotes(text: str):
    strings = find_strings(text, 0, Keys(frozenset({"text", "title"}), is_open=False), call_keys=TOOLS.call_keys)
    for start, end in strings.ends.items():
        assert start < end
        assert text[end] == text[start]


def call_verdict(case: Case) -> str:
    _, calls = read_calls(case.text, Tools.from_openai(case.tools), make_id=str)
    found = [[call.name, json.loads(call.arguments)] for call in calls if call.error is None]
    return "right" if found == case.expected else "silently wrong" if found else "refused"


def object_verdict(case: Case) -> str:
    (schema,) = case.tools
    found = read_json(case.text, schema=schema) or ""
    if schema_problem(found, {"type": "json_schema", "json_schema": {"schema": schema}}):
        return "refused"
    return "right" if JSONSchema(schema).coerced(parse(found)) == case.expected else "silently wrong"


def test_unescaped_quotes_in_calls_are_read_right_or_refused():
    counts = Counter(call_verdict(case) for number, case in enumerate(unescaped.calls()) if number % 5 == 0)
    assert counts["right"] >= 0.97 * counts.total()
    assert counts["silently wrong"] <= 0.01 * counts.total()


def test_unescaped_quotes_in_objects_are_read_right_or_refused():
    counts = Counter(map(object_verdict, unescaped.objects()))
    assert counts["right"] >= 0.96 * counts.total()
    assert counts["silently wrong"] <= 0.01 * counts.total()
