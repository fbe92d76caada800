"""Characters that a server cut in two are joined; halves that stay alone become U+FFFD."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from lfm_adapter import errors
from lfm_adapter._openrouter.surrogates import EscapeJoiner, parse_whole
from tests.support.stream_reading import read_json, read_reply, read_stream

GRIN = "\U0001f600"
FIRST, SECOND = "\ud83d", "\ude00"
DONE = b"data: [DONE]\n\n"

# What is sent in each event, and what it gives.
CUTS = [
    (["Hi " + FIRST, SECOND + "!"], f"Hi {GRIN}!"),
    (["Hi " + FIRST, "", SECOND], f"Hi {GRIN}"),
    ([GRIN], GRIN),
    (["Hi " + FIRST, " there"], "Hi \ufffd there"),
    (["Hi", SECOND + "!"], "Hi\ufffd!"),
    ([FIRST + "x"], "\ufffdx"),
    (["Hi " + FIRST], "Hi \ufffd"),
    ([FIRST, FIRST + SECOND], f"\ufffd{GRIN}"),
]


def event(delta: dict[str, Any], finish_reason: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return b"data: " + json.dumps({"choices": [choice], **more}).encode() + b"\n\n"


def call(arguments: str) -> dict[str, Any]:
    return {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": arguments}}]}


@pytest.mark.parametrize(("pieces", "joined"), CUTS)
class TestCutCharacters:
    @pytest.mark.parametrize("field", ["content", "reasoning", "reasoning_content", "refusal"])
    def test_halves_in_events_are_joined(self, pieces, joined, field):
        reading = read_stream([*(event({field: piece}) for piece in pieces), event({}, "stop"), DONE])
        choice = reading.whole.choices[0]
        found = {"content": choice.text, "refusal": choice.refusal}.get(field, choice.reasoning)
        assert found == joined
        assert "".join(delta.text + delta.reasoning + delta.refusal for delta in reading.deltas) == joined

    def test_halves_in_arguments_are_joined(self, pieces, joined):
        sent = ['{"a": "', *pieces, '"}']
        reading = read_stream([*(event(call(piece)) for piece in sent), event({}, "tool_calls"), DONE])
        assert json.loads(reading.whole.tool_calls[0].arguments) == {"a": joined}
        calls = [piece for delta in reading.deltas for piece in delta.tool_calls]
        assert "".join(piece.arguments for piece in calls) == reading.whole.tool_calls[0].arguments

    def test_escaped_halves_in_arguments_are_joined(self, pieces, joined):
        sent = ['{"a": "', *(json.dumps(piece)[1:-1] for piece in pieces), '"}']
        reading = read_stream([*(event(call(piece)) for piece in sent), event({}, "tool_calls"), DONE])
        assert json.loads(reading.whole.tool_calls[0].arguments) == {"a": joined}

    def test_halves_in_a_whole_reply_are_joined(self, pieces, joined):
        message = {"content": "".join(pieces), **call(json.dumps({"a": "".join(pieces)}))}
        body = json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]}).encode()
        reply = read_reply(200, {}, body)
        assert (reply.text, json.loads(reply.tool_calls[0].arguments)) == (joined, {"a": joined})


def test_halves_of_two_choices_are_not_mixed():
    def of(index: int, text: str, finish_reason: str | None = None) -> bytes:
        choices = [{"index": index, "delta": {"content": text}, "finish_reason": finish_reason}]
        return b"data: " + json.dumps({"choices": choices}).encode() + b"\n\n"

    sent = [of(0, FIRST), of(1, "a"), of(0, SECOND), of(1, FIRST), of(0, "", "stop"), of(1, "", "stop"), DONE]
    assert [choice.text for choice in read_stream(sent).whole.choices] == [GRIN, "a\ufffd"]


@pytest.mark.parametrize("failed", [{"message": f"Bad {FIRST}"}, {"message": json.dumps({"error": f"Bad {FIRST}"})}])
def test_halves_in_errors_are_replaced(failed):
    body = json.dumps({"error": {"code": 400, **failed}}).encode()
    for read, status in ((read_reply, 200), (read_reply, 400), (read_json, 400)):
        with pytest.raises(errors.BadRequestError) as caught:
            read(status, {}, body)
        assert caught.value.message == "Bad \ufffd."
    assert read_stream([b"data: " + body + b"\n\n"]).error.message == "Bad \ufffd."


def test_halves_anywhere_else_are_replaced():
    body = json.dumps({"id": f"gen{FIRST}", "choices": [{"message": {"content": "Hi", SECOND: [FIRST]}}], "x": SECOND})
    reply = read_reply(200, {}, body.encode())
    assert (reply.id, reply.extra, reply.choices[0].extra) == ("gen\ufffd", {"x": "\ufffd"}, {"\ufffd": ["\ufffd"]})


@pytest.mark.parametrize("cut", range(1, 12))
def test_escapes_may_be_cut_anywhere(cut):
    text = json.dumps(GRIN)[1:-1]
    joiner = EscapeJoiner()
    assert joiner.add(text[:cut]) + joiner.add(text[cut:]) + joiner.add("", is_last=True) == text


@pytest.mark.parametrize("text", [r"\\ud83d", r"C:\\users\\ud83d", r"\u0041\n\"", "\\"])
def test_other_escapes_are_unchanged(text):
    joiner = EscapeJoiner()
    assert "".join(map(joiner.add, text)) + joiner.add("", is_last=True) == text


def test_halves_in_json_too_deep_to_join_are_not_json():
    depth = sys.getrecursionlimit()
    assert parse_whole(b"[" * depth + b'"\\ud83d"' + b"]" * depth) is None
