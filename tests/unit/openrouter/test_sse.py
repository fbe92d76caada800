from __future__ import annotations

import json
from typing import Any

import pytest

from lfm_adapter._openrouter.sse import DONE, EventDecoder, TextEvents
from lfm_adapter.errors import ResponseError
from tests.support.stream_reading import Reading, read_stream

DONE_EVENT = b"data: [DONE]\n\n"


def decode(*pieces: bytes) -> list[bytes]:
    decoder = EventDecoder()
    return [event for piece in pieces for event in decoder.feed(piece)]


def test_event_ends_at_blank_line():
    assert decode(b"data: a\n\ndata: b\n") == [b"a"]
    assert decode(b"data: a\n\ndata: b\n", b"\n") == [b"a", b"b"]


def test_comments_are_skipped():
    assert decode(b": OPENROUTER PROCESSING\n\n: OPENROUTER PROCESSING\n\ndata: a\n\n") == [b"a"]


def test_lines_of_data_are_joined():
    assert decode(b'data: {"a":\ndata: 1}\n\n') == [b'{"a":\n1}']


@pytest.mark.parametrize("line", [b"data:a", b"data: a"])
def test_one_space_after_colon_is_removed(line):
    assert decode(line + b"\n\n") == [b"a"]


def test_more_spaces_are_data():
    assert decode(b"data:  a \n\n") == [b" a "]


@pytest.mark.parametrize("line", [b"data", b"data:", b"data: "])
def test_event_may_be_empty(line):
    assert decode(line + b"\n\n") == [b""]


def test_other_fields_are_skipped():
    assert decode(b"event: message\nid: 7\nretry: 10\ndataset: x\ndata: a\n: c\n\n") == [b"a"]


def test_byte_order_mark_is_skipped_only_at_the_start():
    bom = "\ufeff".encode()
    assert decode(bom[:1], bom[1:] + b"data: a\n\n" + bom + b"data: b\n\ndata: c\n\n") == [b"a", b"c"]


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\u0085", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e"])
def test_unicode_line_separators_are_data(separator):
    data = f'{{"a": "{separator}"}}'.encode()
    assert decode(b"data: " + data + b"\n\n") == [data]


def test_crlf_may_be_split_between_chunks():
    assert decode(b"data: a\r", b"\ndata: b\r\n", b"\r", b"\n") == [b"a\nb"]
    assert decode(b"data: a\r", b"\n\r", b"\ndata: b\r\n\r\n") == [b"a", b"b"]
    assert decode(b"data: a\r", b"\r", b"", b"\ndata: b\n\n") == [b"a", b"b"]


def test_line_feed_after_line_feed_is_blank_line():
    assert decode(b"data: a\n", b"\n") == [b"a"]


def test_end_of_stream_ends_last_line_and_event():
    for rest in (b"data: [DONE]", b"data: [DONE]\n", b"data: [DONE]\r"):
        decoder = EventDecoder()
        assert list(decoder.feed(b"data: a\n\n" + rest)) == [b"a"]
        assert list(decoder.close()) == [DONE]
        assert list(decoder.close()) == []


class TestBound:
    @pytest.mark.parametrize(
        "pieces",
        [
            [b"data: 123456789"],
            [b"data: 12", b"3456789"],
            [b"data: 123456789\n"],
            [b"data: 12345\n", b"data: 6789\n"],
            [b"data\n"] * 9,
            [b": a comment that does not end"],
        ],
    )
    def test_too_large_event_is_refused_after_earlier_events(self, pieces):
        decoder = EventDecoder(max_event_bytes=8)
        pieces = [b"data: a\n\ndata: b\n\n" + pieces[0], *pieces[1:]]
        events: list[bytes] = []
        with pytest.raises(ResponseError, match="larger than 8 bytes"):
            events.extend(event for piece in pieces for event in decoder.feed(piece))
        assert events == [b"a", b"b"]

    def test_size_limit_applies_to_each_event(self):
        decoder = EventDecoder(max_event_bytes=16)
        assert len([event for _ in range(100) for event in decoder.feed(b"data: 1234567\n\n: comment\n\n")]) == 100


def chunk(content: Any = None, finish_reason: str | None = None, index: int = 0, **delta: Any) -> dict[str, Any]:
    delta |= {} if content is None else {"role": "assistant", "content": content}
    choice = {"index": index, "delta": delta, "finish_reason": finish_reason, "logprobs": None}
    return {"id": "gen-1", "model": "liquid/x", "created": 1, "choices": [choice], "system_fingerprint": None}


def event(body: dict[str, Any] | bytes, *, ensure_ascii: bool = False) -> bytes:
    data = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=ensure_ascii).encode()
    return b"data: " + data + b"\n\n"


def compact(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


ONE, END = event(chunk("One")), event(chunk("", "stop"))
STREAMS = {
    "plain": [ONE, event(chunk(" two")), event(chunk(" three")), END],
    "without spaces": [event(compact(chunk(text))) for text in ("a", "b", "c")] + [event(compact(chunk("", "stop")))],
    "escapes": [ONE, event(chunk('"quoted"\n\t\\ {"a": 1}')), event(chunk("Grüße 🌍 \u2028")), END],
    "halves of a character": [
        ONE, event(chunk("\ud83c"), ensure_ascii=True), event(chunk("\udf0d"), ensure_ascii=True), ONE, END,
    ],
    "a half that stays alone": [ONE, event(chunk("\ud83c"), ensure_ascii=True), ONE, ONE, END],
    "an escaped character": [ONE, event(chunk("ü"), ensure_ascii=True), ONE, END],
    "empty texts": [ONE, event(chunk("")), ONE, event(chunk("")), END],
    "thinking": [event(chunk(text)) for text in ("<think>", "Hm", "</think>", "Yes", ".")] + [END],
    "two choices": [ONE, event(chunk("Uno", index=1)), ONE, event(chunk("Dos", index=1)), END,
                    event(chunk("", "stop", index=1))],
    "other fields": [ONE, ONE, event(chunk("Two", reasoning="Hm")), ONE, event(chunk("x", refusal="No")), END],
    "a field that is new": [ONE, ONE, event(chunk("Two") | {"citations": ["a"]}), ONE, END],
    "another content": [ONE, event(chunk("Two") | {"extra": {"content": "x"}}), ONE, END],
    "content twice": [event(compact(chunk("a")).replace(b'"content":', b'"content":"b","content":'))] * 3 + [END],
    "a string that ends early": [ONE, ONE, event(json.dumps(chunk("a")).encode().replace(b'"a"', b'"a","x":"b"')), END],
    "a control character": [ONE, ONE, event(json.dumps(chunk("a")).encode().replace(b'"a"', b'"a\x00"')), END],
    "no UTF-8": [ONE, ONE, event(json.dumps(chunk("a")).encode().replace(b'"a"', b'"\xff"')), END],
    "no string": [ONE, ONE, event(json.dumps(chunk("a")).encode().replace(b'"a"', b"12")), ONE, END],
    "usage in each": [event(chunk("a") | {"usage": {"completion_tokens": place}}) for place in (1, 2, 3)] + [END],
    "the same usage": [event(chunk(text) | {"usage": {"completion_tokens": 1}}) for text in "abc"] + [END],
    "an error": [ONE, ONE, event(chunk("a") | {"error": {"code": 502, "message": "Bad gateway"}})],
    "log probabilities": [ONE, ONE, event(json.dumps(chunk("a")).encode().replace(
        b'"logprobs": null', b'"logprobs": {"content": [{"token": "a", "logprob": -1}]}')), END],
    "cut off": [ONE, ONE, event(chunk("Two"))[:-9]],
}  # fmt: skip


@pytest.mark.parametrize("pieces", STREAMS.values(), ids=STREAMS)
def test_stream_is_read_as_if_each_event_were_parsed(pieces: list[bytes], monkeypatch: pytest.MonkeyPatch):
    quick = read_stream([*pieces, DONE_EVENT])
    monkeypatch.setattr(TextEvents, "text", lambda *_: None)
    assert outcome(quick) == outcome(read_stream([*pieces, DONE_EVENT]))


def outcome(reading: Reading) -> tuple[Any, ...]:
    error = reading.error
    return reading.deltas, reading.reply, type(error), str(error), error and error.partial


def test_texts_of_a_plain_stream_are_read_without_parsing_their_events(monkeypatch: pytest.MonkeyPatch):
    parsed: list[bytes] = []
    learn = TextEvents.learn
    monkeypatch.setattr(TextEvents, "learn", lambda *said: parsed.append(said[1]) or learn(*said))
    read_stream([*STREAMS["plain"], DONE_EVENT])
    assert len(parsed) == 2  # the first, and the one with the finish reason


def test_only_the_first_of_events_that_all_differ_is_learnt():
    events = TextEvents()
    for created in range(5):
        body = chunk("Hi") | {"created": created}
        data = json.dumps(body).encode()
        assert events.text(data) is None
        events.learn(data, body)
    assert events.text(json.dumps(chunk("you") | {"created": 0}).encode()) == "you"
