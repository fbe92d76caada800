"""`CallReader` on any text in any cut, and on whatever `with_tools` writes."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from lfm_adapter._json import parse
from lfm_adapter._toolcalls.call_reader import CallReader
from lfm_adapter._toolcalls.render import with_tools
from lfm_adapter._toolcalls.tools import Tools
from tests.support.call_texts import CALL_TEXTS, TOOLS, read_calls
from tests.support.stream_reading import cut_at

BOUND = Tools.from_openai(TOOLS)
LOOSE = Tools.from_openai(
    [{"type": "function", "function": {"name": name}} for name in ("f", "get.it-now", "größe", "a b.c")]
)

FRAGMENTS = [
    "<|tool_call_start|>",
    "<|tool_call_end|>",
    "<tool_call>",
    "</tool_call>",
    "<function=",
    "</function>",
    "<parameter=",
    "</parameter>",
    "```",
    "```json\n",
    "[",
    "]",
    "(",
    ")",
    "{",
    "}",
    '"',
    "'",
    '"""',
    "\\",
    "\\'",
    "\\u00",
    "\\ud83d",
    ",",
    ":",
    "=",
    " ",
    "\n",
    "\r\n",
    "<",
    ">",
    "|",
    "get_weather",
    "run",
    "ping",
    "shutdown",
    "city",
    "code",
    "days",
    "name",
    "arguments",
    '{"name": "run", "arguments": {',
    '{"arguments": {',
    "<tool_call>\n```json\n",
    "<function=shutdown><parameter=q>it's",
    '{"id": "1", ',
    "shutdown(",
    '{"name": "shutdown", ',
    '"name": ',
    '"function"',
    '{"type": "function", ',
    "1",
    "-2.5",
    "True",
    "null",
    "x",
    "字",
    "\x1f",
    "\ud800",
    "text",
]
TEXTS = st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=3), max_size=30).map("".join) | st.builds(
    lambda text, start, length, new: text[:start] + new + text[start + length :],
    st.sampled_from([case.text for case in CALL_TEXTS]),
    st.integers(0, 200),
    st.integers(0, 5),
    st.sampled_from(FRAGMENTS),
)
CUTS = st.lists(st.integers(0, 300), max_size=12)

KEYS = st.sampled_from(["city", "n", "from", "not a name", "größe", "a<b", ""]) | st.text(max_size=5)
STRINGS = st.text() | st.lists(st.sampled_from(FRAGMENTS), max_size=6).map("".join)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | STRINGS
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=10)
CALLS = st.lists(st.tuples(st.sampled_from(sorted(LOOSE.names)), st.dictionaries(KEYS, VALUES, max_size=4)), min_size=1)


@given(TEXTS, CUTS)
@example("<|tool_call_start|>[run(code='a\\')]<|tool_call_end|>", [29, 30, 31, 32, 33, 40])
@example("a <tool_call>{'name': 'run'}\n \n b", [2, 15, 28, 29, 30, 31])
def test_any_cut_of_any_text_gives_what_the_whole_gives(text: str, cuts: list[int]):
    left, calls = read_calls(text, BOUND, make_id="call_{}".format)
    assert all(isinstance(json.loads(call.arguments), dict) for call in calls if call.error is None)
    for pieces in (cut_at(text, cuts), list(text)):
        reader = CallReader(BOUND, make_id="call_{}".format)
        assert "".join([*map(reader.feed, pieces), reader.close()]) == left
        assert reader.calls == calls


@given(TEXTS, CUTS)
def test_text_without_a_call_comes_out_as_it_was(text: str, cuts: list[int]):
    left, calls = read_calls(text, BOUND, make_id=str)
    assert left == text or calls
    reader = CallReader(Tools.from_openai([{"type": "function", "function": {"name": "no_such"}}]), make_id=str)
    assert "".join([*map(reader.feed, cut_at(text, cuts)), reader.close()]) == text


@given(
    CALLS, st.sampled_from(["lfm2", "lfm3", "none", None]), st.sampled_from(["", "Well, let me see.", "Two\nlines:"])
)
@example([("f", {"n": 0, "from": "null"})], "lfm3", "")
@example([("f", {"n": '"x"'}), ("f", {"n": " x\n"})], "lfm3", "")
def test_what_is_written_is_read(calls: list[tuple[str, dict[str, Any]]], dialect: Any, said: str):
    wire = [{"function": {"name": name, "arguments": json.dumps(given)}} for name, given in calls]
    messages = [{"role": "assistant", "content": said or None, "tool_calls": wire}]
    (written,) = with_tools(messages, Tools.from_openai([]), dialect=dialect, choice="auto", parallel=True)
    left, read = read_calls(written["content"], LOOSE, make_id=str)
    assert left == said
    assert [(call.name, json.loads(call.arguments), call.error) for call in read] == [(*call, None) for call in calls]


MARKERS = st.sampled_from([fragment for fragment in FRAGMENTS if fragment.startswith("<")])


@given(st.lists(STRINGS | MARKERS).map("".join), st.sampled_from(["lfm2", "lfm3", None]), st.booleans())
def test_no_marker_stands_in_a_result(content: str, dialect: Any, is_json: bool):
    content = json.dumps({"said": content}) if is_json else content
    messages = [{"role": "tool", "tool_call_id": "1", "content": content}]
    (written,) = with_tools(messages, Tools.from_openai([]), dialect=dialect, choice="auto", parallel=True)
    opening = "<|tool_response_start|>" if dialect == "lfm2" else "<tool_response>"
    inner = written["content"][len(opening) : written["content"].rfind("<")]
    assert "<" not in inner
    value = parse(content)
    assert json.loads(inner) == {"result": value if isinstance(value, dict | list) else content}
