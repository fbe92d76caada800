"""Reasoning that a server left in the text comes as reasoning, whole or streamed."""

from __future__ import annotations

import json

import pytest

from lfm_adapter._openrouter.thinking import ThinkingSplitter, split_thinking
from tests.support.stream_reading import read_reply, read_stream

# The answer, its reasoning and its text.
TAGGED = [
    ("<think>Hm.</think>Hello.", "Hm.", "Hello."),
    ("\n <think>\nHm.\n</think>\n\nHello.\n", "\nHm.\n", "Hello.\n"),
    ("<think></think>Hello.", "", "Hello."),
    ("<think>It never closes", "It never closes", ""),
    ("<think>a < b </thin k></think>Hello.", "a < b </thin k>", "Hello."),
    ("<think>One.</think>Write `</think>` or <think>.", "One.", "Write `</think>` or <think>."),
    ("<think>Hm.</think>", "Hm.", ""),
    ("<think>Hm.</thi", "Hm.</thi", ""),
    ("<THINK>Hm.</Think>Hello.", "Hm.", "Hello."),
    ("<thinking>Hm.</thinking>Hello.", "Hm.", "Hello."),
    ("<think>One.</think>\n<think>Two.</think>\nHello.", "One.Two.", "Hello."),
    ("<think>One.</think>Hello.\n<think>Two.</think>\nBye.", "One.Two.", "Hello.\nBye."),
    ("Hello.\n\n<think>\nHm.\n</think>\n\nBye.", "\nHm.\n", "Hello.\n\nBye."),
    ("Hello.\n<think>It never closes", "It never closes", "Hello.\n"),
    ("Sure. <think>Hm.</think> Hello.", "Hm.", "Sure. Hello."),
    ("Hello. <think></think>", "", "Hello. "),
    ("I don't know.\n<think>Don't I?</think>No.", "Don't I?", "I don't know.\nNo."),
    ('```json\n{"a": 1}\n```\n<think>Hm.</think>Done.', "Hm.", '```json\n{"a": 1}\n```\nDone.'),
]
TEXTS = [
    "Hello.",
    "\n\nHello.",
    "<",
    "<thi",
    "  ",
    "<thinker>is another tag</thinker>",
    "The <think> tag opens it.",
    "Hello <think>It never closes",
    "Write `<think>` first.\nThen write </think>.",
    "```\n<think>\nHm.\n</think>\n```",
    '{"prompt": "say <think>why</think> first"}',
    "[f(text='<think>why</think>')]",
    "<|tool_call_start|>[f(text='\n<think>\nwhy</think>')]<|tool_call_end|>",
    "Use <think> and </think> around it.",
    "It closes with `</think>` there.",
    'It closes with "</think>" there.',
    "```\n</think>\n```\nThat is the tag.",
    "Hello.</think>",
]


def event(content: str, finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": finish_reason}
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


def whole(content: str, **more: str):
    choice = {"message": {"content": content, **more}, "finish_reason": "stop"}
    return read_reply(200, {}, json.dumps({"choices": [choice]}).encode())


@pytest.mark.parametrize(("answer", "reasoning", "text"), [*TAGGED, *((text, "", text) for text in TEXTS)])
class TestThinking:
    def test_reasoning_in_a_whole_answer_is_taken_out(self, answer, reasoning, text):
        reply = whole(answer)
        assert (reply.reasoning, reply.text) == (reasoning, text)

    @pytest.mark.parametrize("size", [1, 2, 5, 100])
    def test_reasoning_in_a_stream_is_taken_out_of_each_event(self, answer, reasoning, text, size):
        pieces = [answer[at : at + size] for at in range(0, len(answer), size)]
        reading = read_stream([*map(event, pieces), event("", "stop"), b"data: [DONE]\n\n"])
        assert (reading.whole.reasoning, reading.whole.text) == (reasoning, text)
        assert "".join(delta.reasoning for delta in reading.deltas) == reasoning
        assert "".join(delta.text for delta in reading.deltas) == text


class TestUnopened:
    ANSWER = "I should greet.\n</think>\n\nHello."

    def test_text_before_a_lone_closing_tag_is_reasoning(self):
        reply = whole(self.ANSWER)
        assert (reply.reasoning, reply.text) == ("I should greet.\n", "Hello.")

    def test_text_before_a_lone_closing_tag_is_text_if_the_server_sent_reasoning(self):
        reply = whole(self.ANSWER, reasoning="Hm.")
        assert (reply.reasoning, reply.text) == ("Hm.", self.ANSWER)

    def test_text_that_was_streamed_stays_text(self):
        reading = read_stream([event(self.ANSWER[:9]), event(self.ANSWER[9:], "stop"), b"data: [DONE]\n\n"])
        assert (reading.whole.reasoning, reading.whole.text) == ("", self.ANSWER)


def test_text_streams_as_it_comes_after_the_reasoning():
    pieces = ["<thi", "nk>H", "m.</", "think>", "\n", "He", "llo."]
    reading = read_stream([*map(event, pieces), event("", "stop"), b"data: [DONE]\n\n"])
    assert [(delta.reasoning, delta.text) for delta in reading.deltas] == [
        ("H", ""), ("m.", ""), ("", "He"), ("", "llo."),
    ]  # fmt: skip


def test_reasoning_of_both_kinds_is_kept():
    assert whole("<think>Two.</think>Hello.", reasoning="One.").reasoning == "Two.One."


@pytest.mark.parametrize(
    "part", ["</think", "a <think> b ", "a <think>b ", "\n<think>", "a</think>\n<think>", '" <think>']
)
def test_split_is_linear_in_the_text(part):
    text = part * 100_000
    assert sum(map(len, split_thinking(text))) <= len(text)
    splitter = ThinkingSplitter()
    for piece in (part[:3], part[3:]) * 50_000:
        splitter.add(piece)
