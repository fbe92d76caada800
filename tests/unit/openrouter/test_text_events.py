"""Events that differ only in their text are read without parsing the rest, and to the same deltas and reply."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lfm_adapter._openrouter.text_events import TextEvents
from tests.support.stream_reading import Reading, read_stream

DONE = b"data: [DONE]\n\n"


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
    quick = read_stream([*pieces, DONE])
    monkeypatch.setattr(TextEvents, "text", lambda *_: None)
    assert told(quick) == told(read_stream([*pieces, DONE]))


def told(reading: Reading) -> tuple[Any, ...]:
    error = reading.error
    return reading.deltas, reading.reply, type(error), str(error), error and error.partial


def test_texts_of_a_plain_stream_are_read_without_parsing_their_events(monkeypatch: pytest.MonkeyPatch):
    parsed: list[bytes] = []
    learn = TextEvents.learn
    monkeypatch.setattr(TextEvents, "learn", lambda *said: parsed.append(said[1]) or learn(*said))
    read_stream([*STREAMS["plain"], DONE])
    assert len(parsed) == 2  # the first, and the one with the finish reason


def test_only_the_first_of_events_that_all_differ_is_learnt():
    events = TextEvents()
    for created in range(5):
        body = chunk("Hi") | {"created": created}
        data = json.dumps(body).encode()
        assert events.text(data) is None
        events.learn(data, body)
    assert events.text(json.dumps(chunk("you") | {"created": 0}).encode()) == "you"
