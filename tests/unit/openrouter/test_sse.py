from __future__ import annotations

import pytest

from lfm_adapter._openrouter.sse import DONE, EventDecoder
from lfm_adapter.errors import ResponseError


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
