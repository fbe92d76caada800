"""Calls in text: what is one, what is text, and what comes when."""

from __future__ import annotations

import json
import re
import time

import pytest

from lfm_adapter._toolcalls.call_reader import CallReader
from lfm_adapter._toolcalls.tools import Tools
from lfm_adapter.types import ToolCall
from tests.support.call_texts import CALL_TEXTS, TOOLS, CallText, read_calls

BOUND = Tools.from_openai(TOOLS)
START, END = "<|tool_call_start|>", "<|tool_call_end|>"


def reader(tools: Tools = BOUND) -> CallReader:
    return CallReader(tools, make_id="call_{}".format)


def fed(streamed: CallReader, text: str) -> tuple[str, list[str]]:
    """Return the text that comes of `text`, and the arguments of the calls that are complete with it."""
    known = len(streamed.calls)
    left = streamed.feed(text)
    return left, [call.arguments for call in streamed.calls[known:]]


def left_of(streamed: CallReader, text: str, size: int) -> str:
    """Return a text without the calls, read in pieces of `size` characters."""
    pieces = [streamed.feed(text[at : at + size]) for at in range(0, len(text), size)]
    return "".join([*pieces, streamed.close()])


@pytest.mark.parametrize("case", CALL_TEXTS, ids=lambda case: case.name)
def test_call_text(case: CallText):
    text, calls = read_calls(case.text, BOUND, make_id="call_{}".format)
    assert text == case.left
    assert [call.name for call in calls] == [name for name, _ in case.calls]
    for place, (call, (_, arguments)) in enumerate(zip(calls, case.calls, strict=True)):
        assert call.index == place
        assert call.id == f"call_{place}"
        if place in case.errors:
            assert case.errors[place] in (call.error or "")
        else:
            assert call.error is None
            assert json.loads(call.arguments) == arguments


@pytest.mark.parametrize("case", CALL_TEXTS, ids=lambda case: case.name)
def test_call_text_character_by_character(case: CallText):
    whole = read_calls(case.text, BOUND, make_id="call_{}".format)
    streamed = reader()
    assert (left_of(streamed, case.text, 1), streamed.calls) == whole


@pytest.mark.parametrize(
    "arguments",
    ['{"city": "Oslo", "city": "Rome"}', '{"city": 1.10}', '"Oslo"', "[]", "null", r'"{\"city\": \"Oslo\"}"', "{}"],
)
@pytest.mark.parametrize("form", ['{%s, "type": "function"}', '{"type": "function", "function": {%s}}'])
def test_call_is_the_same_with_its_name_before_and_behind_the_arguments(arguments: str, form: str):
    name, given = '"name": "get_weather"', f'"arguments": {arguments}'
    before, behind = (
        read_calls(f"<tool_call>{form % keys}</tool_call>", BOUND, make_id=str)
        for keys in (f"{name}, {given}", f"{given}, {name}")
    )
    assert before == behind
    assert [call.name for call in behind[1]] == ["get_weather"]


@pytest.mark.parametrize("value", ["x", "it's", "a, (b [c", '"', "a < b <", "</param"])
@pytest.mark.parametrize("end", ["</parameter></function></tool_call>\n<tool_call>", "</parameter></function>", "\n"])
@pytest.mark.parametrize("size", [1, 7, 1_000])
def test_call_is_found_behind_xml_of_a_tool_that_is_not_bound(value: str, end: str, size: int):
    unbound = f"<tool_call><function=search><parameter=q>{value}{end}"
    text = f"{unbound}<function=get_weather><parameter=city>Oslo</parameter></function></tool_call>"
    streamed = reader()
    assert left_of(streamed, text, size).rstrip() == unbound.removesuffix("<tool_call>").rstrip()
    assert streamed.unknown_tools == ["search"]
    assert [(call.name, call.arguments) for call in streamed.calls] == [("get_weather", '{"city": "Oslo"}')]


@pytest.mark.parametrize("start", [START, "<tool_call>"])
@pytest.mark.parametrize("behind", ["f(", "```f(x)", "\n```python\nf(x)\n```"])
def test_fence_right_behind_a_fence_is_text(start: str, behind: str):
    text = f"{start}``````{behind}"
    assert read_calls(text, BOUND, make_id="call_{}".format) == (text, [])


@pytest.mark.parametrize("unbound", ["<function=search><parameter=q>x", '{"name": "search", x', "search(x"])
def test_fence_ends_a_call_of_a_tool_that_is_not_bound_however_it_comes(unbound: str):
    text = f'{START}```\n{unbound} y```\n{{"name": "get_weather", "arguments": {{"city": "Oslo"}}}}'
    whole = read_calls(text, BOUND, make_id="call_{}".format)
    streamed = reader()
    assert (left_of(streamed, text, 1), streamed.calls) == whole
    assert [call.arguments for call in streamed.calls] == ['{"city": "Oslo"}']


class TestWhatComesWhen:
    def test_text_comes_at_once(self):
        streamed = reader()
        assert [streamed.feed(piece) for piece in ("It", " is", " <b>", "sunny", ".")] == [
            "It", " is", " <b>", "sunny", "."]  # fmt: skip

    def test_no_more_than_a_marker_is_held_back(self):
        streamed = reader()
        text = f"b {START[:-1]}"
        assert streamed.feed(text[0]) == "b"
        assert "".join(map(streamed.feed, text[1:])) == ""
        assert streamed.feed("x") == f" {START[:-1]}x"

    def test_call_comes_whole_when_its_marker_closes(self):
        streamed = reader()
        text = f"{START}[get_weather(city='it's', days='12')]{END}"
        assert "".join(map(streamed.feed, text[:-1])) == ""
        assert streamed.calls == []
        assert streamed.feed(text[-1]) == ""
        assert streamed.calls == [ToolCall(0, "call_0", "get_weather", '{"city": "it\'s", "days": 12}')]

    def test_call_in_xml_comes_when_its_tag_closes(self):
        streamed = reader()
        text = "<tool_call><function=run><parameter=code>\nif a < b:\n</parameter></function></tool_call"
        assert fed(streamed, text) == ("", [])
        assert fed(streamed, ">") == ("", ['{"code": "if a < b:"}'])

    def test_call_without_a_marker_comes_when_its_brackets_match_and_no_quote_follows(self):
        streamed = reader()
        assert fed(streamed, "[run(code='[x](\"y\")')") == ("", [])
        assert fed(streamed, "]") == ("", [])
        assert fed(streamed, "\n") == ("", ['{"code": "[x](\\"y\\")"}'])
        assert fed(streamed, '{"name": "run", "arguments": {"code": "}"') == ("", [])
        assert fed(streamed, "}} So") == ("So", ['{"code": "}"}'])

    def test_call_in_a_fence_comes_when_the_fence_closes_that_is_in_no_string(self):
        streamed = reader()
        assert fed(streamed, '```json\n{"name": "run", "arguments": {"code": "```sh') == ("", [])
        assert fed(streamed, '\nls```"}}\n``') == ("", [])
        assert fed(streamed, "`") == ("", ['{"code": "```sh\\nls```"}'])

    def test_tag_in_a_string_does_not_close_the_call(self):
        streamed = reader()
        assert fed(streamed, '<tool_call>{"name": "run", "arguments": {"code": "</tool_call>') == ("", [])
        assert fed(streamed, '"}}</tool_call>') == ("", ['{"code": "</tool_call>"}'])

    def test_call_that_nothing_closes_comes_at_the_end(self):
        streamed = reader()
        assert fed(streamed, '<tool_call>{"name": "run", "arguments": {"code": "a}}</tool_call> Bye') == ("", [])
        assert streamed.close() == "Bye"
        assert [(call.arguments, call.error) for call in streamed.calls] == [
            ('{"code": "a}}"', "a quote is not closed")
        ]

    def test_beginning_of_json_is_held_to_the_name(self):
        streamed = reader()
        assert fed(streamed, '{"name": "get_wea') == ("", [])
        assert streamed.feed('pon"') == '{"name": "get_weapon"'

    def test_space_before_a_call_waits_for_it(self):
        streamed = reader()
        assert streamed.feed("Well.\n\n") == "Well."
        assert streamed.feed("Then") == "\n\nThen"
        assert fed(streamed, " \n") == ("", [])
        assert fed(streamed, f"{START}[ping()]{END}\n") == ("", ["{}"])
        assert streamed.close() == ""

    def test_calls_are_listed_when_their_frame_closes(self):
        streamed = reader()
        streamed.feed(f'{START}[ping()]{END}{START}[ping(), run(code="a')
        assert [call.name for call in streamed.calls] == ["ping"]
        streamed.close()
        assert [(call.name, call.error) for call in streamed.calls[1:]] == [("ping", None), ("run", "it was cut off")]

    @pytest.mark.parametrize(
        "text",
        [
            '{"id": 1, "title": "x"', "[1] says", "[link](http://x)", "[ping] and", "```python\nx", "```\nx", "<b>",
            '{"name": "Tom",', '{"name": "run", "score"', "[run(x)", "[run(code==", "<function=x>", "<tool_call> is",
            '{"type": "a", "type": {', "{x",
        ],
    )  # fmt: skip
    def test_text_that_is_soon_seen_to_be_no_call_is_not_held_back(self, text: str):
        streamed = reader()
        assert streamed.feed(f"{text} : x") == f"{text} : x"


class TestText:
    @pytest.mark.parametrize(
        "text", ["", " ", "\n\n", "a\r\n", "<", "```", "```json\n", "[", '{"name": "pin', START, f"{START}[p"]
    )
    def test_beginning_of_a_call_alone_is_text(self, text):
        assert read_calls(text, BOUND, make_id=str) == (text, [])

    def test_answer_without_tools_is_all_text(self):
        text = f"{START}[ping()]{END}"
        assert read_calls(text, Tools.from_openai([]), make_id=str) == (text, [])

    def test_after_a_call_at_the_end_has_no_space(self):
        assert read_calls(f"\n{START}[ping()]{END}\n\nSo.\n", BOUND, make_id=str)[0] == "So.\n"


def test_names_of_unknown_tools_are_listed():
    listed = reader()
    for text in (
        f"{START}[ping(), shutdown(now=True)]{END}",
        '<tool_call>{"name": "halt", "arguments": {}}</tool_call>',
        '<tool_call>{"arguments": {}, "name": "stop"}</tool_call>',
        "<tool_call><function=end></function></tool_call>",
        "exit(1)",
    ):
        listed.feed(text + "\n")
    listed.close()
    assert listed.unknown_tools == ["shutdown", "halt", "stop", "end"]


def test_call_of_an_unknown_tool_is_text_when_its_frame_closes():
    streamed = reader()
    text = f'{START}[shutdown(why="a long story")]{END}'
    assert "".join(map(streamed.feed, text[:-1])) == ""
    assert streamed.feed(text[-1]) == text


@pytest.mark.parametrize(
    "frame",
    [
        "[ping()\n",
        '```\n{"name": "ping", "arguments": {"a": "\n',
        '{"name": "ping", "arguments": {"\n',
        '{"arguments": {',
        "<|tool_call_start|>[run(code='a 'b', command='c, 'd",
        '<tool_call>{"name": "run", "arguments": {"code": "a "b", "command": "c", "d',
        "run(code='",
        " ",
    ],
)
@pytest.mark.parametrize("before", ["", f"{START}[run(code='x')]"], ids=["first", "behind a call"])
def test_frames_that_do_not_close_are_not_read_without_end(before: str, frame: str):
    text = before + frame * (300_000 // len(frame)) + "x"
    start = time.process_time()
    read_calls(text, BOUND, make_id=str)
    assert time.process_time() - start < 5


def test_name_may_be_escaped_as_json_has_it():
    tools = Tools.from_openai([{"type": "function", "function": {"name": name}} for name in ("größe", 'a"b\\c', "<x>")])
    for name in sorted(tools.names):
        written = json.dumps(name).replace("<", "\\u003c")
        left, calls = read_calls(f'<tool_call>{{"name": {written}, "arguments": {{}}}}</tool_call>', tools, make_id=str)
        assert (left, [call.name for call in calls]) == ("", [name])


def test_arguments_that_cannot_be_read_are_kept_as_they_were_written():
    (call,) = read_calls(f"{START}[run('ls', timeout=1)]{END}", BOUND, make_id=str)[1]
    assert call.arguments == "'ls', timeout=1"
    (call,) = read_calls(f"{START}[run(timeout=1, code=f'{{x}}')]{END}", BOUND, make_id=str)[1]
    assert call.arguments == '{"timeout": 1, "code": f\'{x}\''


def test_more_than_10000_arguments_are_kept_as_they_were_written():
    text = "".join(f"a{number}=1, " for number in range(20_000))
    (call,) = read_calls(f"{START}[anything({text})]{END}", BOUND, make_id=str)[1]
    assert call.error == "it has more than 10,000 arguments"
    assert call.arguments.endswith("a19999=1,")


def test_arguments_beside_arguments_are_named_by_the_first_of_them():
    members = {"name": "run", **{f"a{number}": 1 for number in range(9_000)}}
    start = time.process_time()
    (call,) = read_calls(f"<tool_call>{json.dumps(members)}</tool_call>", BOUND, make_id=str)[1]
    assert time.process_time() - start < 5
    assert re.fullmatch("`a0`, .*`a9` must be in `arguments`", call.error or "")


def test_unpacked_dicts_may_be_nested_to_any_depth():
    (call,) = read_calls(f"{START}[run({'**{' * 5_000}'code': 'x'{'}' * 5_000})]{END}", BOUND, make_id=str)[1]
    assert (call.arguments, call.error) == ('{"code": "x"}', None)


def test_lone_surrogates_are_written_as_escapes():
    (call,) = read_calls(rf"{START}[run(code='\ud800', command='\udc00')]{END}", BOUND, make_id=str)[1]
    assert json.loads(call.arguments.encode()) == {"code": "\ud800", "command": "\udc00"}


def test_texts_have_names_of_their_own():
    assert len(CALL_TEXTS) == len({case.name for case in CALL_TEXTS})


@pytest.mark.parametrize("frame", [f"{START}[{{}}]{END}", "{}"], ids=["marked", "bare"])
@pytest.mark.parametrize("chars", [7, 100_000], ids=["streamed", "whole"])
def test_what_follows_a_thousand_calls_is_text(frame: str, chars: int):
    few, many = reader(), reader()
    text = frame.format(", ".join(["run(code='x')"] * 1_000))
    few.feed(text)
    few.close()
    assert (len(few.calls), few.has_too_many_calls) == (1_000, False)
    text = frame.format(", ".join(["run(code='x')"] * 1_002))
    left = left_of(many, text, chars)
    assert (len(many.calls), many.has_too_many_calls) == (1_000, True)
    assert left == frame.format("| , run(code='x'), run(code='x')").partition("| ")[2]


def test_calls_of_unknown_tools_count_among_the_thousand():
    many = reader()
    text = f"{START}[{', '.join(['shutdown()'] * 1_001)}]{END}"
    assert many.feed(text) + many.close() == text
    assert (len(many.unknown_tools), many.has_too_many_calls) == (1_000, True)


@pytest.mark.parametrize(
    "tag", ["<function=", "<function", "<invoke name=", f"<function={'x' * 400}", "<function=run>\n<"]
)
@pytest.mark.parametrize("before", ["", "Hm. ", f"{START}[run(code='x')]{END}"], ids=["alone", "text", "call"])
def test_tag_that_the_answer_breaks_off_in_is_text(tag: str, before: str):
    for size in (1, 7, 10_000):
        broken = reader()
        text = before + tag
        assert left_of(broken, text, size) == (tag if broken.calls else text)
