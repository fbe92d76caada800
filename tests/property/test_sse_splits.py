"""`EventDecoder` against a plain reading of https://html.spec.whatwg.org/multipage/server-sent-events.html."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lfm_adapter._openrouter.sse import EventDecoder
from lfm_adapter.errors import ResponseError
from tests.support.stream_reading import cut_at

BOM = "\ufeff".encode()
ENDS = [b"\n", b"\r", b"\r\n"]
SEPARATORS = [letter.encode() for letter in "\u2028\u2029\u0085\x0b\x0c\x1c\x1d\x1e"]
FIELDS = [b"data", b"data:", b"data: ", b"data:  ", b"dat", b":", b": OPENROUTER PROCESSING", b"event: a", b"id: 1"]
VALUES = [b"{}", b'{"a": "\xe5\xad\x97"}', b"[DONE]", b" ", BOM]

STREAMS = st.lists(st.sampled_from(ENDS * 4 + FIELDS * 2 + VALUES + SEPARATORS) | st.binary(max_size=3)).map(b"".join)
CUTS = st.lists(st.integers(0, 1_000), max_size=10)


def reference(stream: bytes) -> list[bytes]:
    """The data of the events, one line after the other; the stream's end ends its last line and event."""
    events: list[bytes] = []
    data: list[bytes] = []
    for line in [*re.split(rb"\r\n|\n|\r", stream.removeprefix(BOM)), b""]:
        name, _, value = line.partition(b":")
        if line == b"" and data:
            events.append(b"\n".join(data))
            data = []
        elif name == b"data":
            data.append(value[1:] if value[:1] == b" " else value)
    return events


def decode(pieces: list[bytes], **settings: int) -> list[bytes]:
    decoder = EventDecoder(**settings)
    return [event for piece in pieces for event in decoder.feed(piece)] + list(decoder.close())


@given(STREAMS, CUTS)
@example(BOM + b"data: a\r\n\r\ndata: b\n\n", [1, 2, 11])
@example(b"data: a\r\rdata\r\ndata:\n\n", [9, 10])
@example(b"data: a\r\n\r\n", [8, 10])
def test_any_cut_of_any_stream_gives_the_events_of_the_specification(stream, cuts):
    assert decode(cut_at(stream, cuts)) == reference(stream)
    assert decode([stream[place : place + 1] for place in range(len(stream))]) == reference(stream)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("start", [b"", BOM, b": a comment", b"event: message", b"data: first"])
def test_every_single_cut_of_a_frame_gives_the_same_event(start, end):
    stream = start + end + b'data:{"a":' + end + b"data: 1}" + end + end
    whole = b"first\n" if start == b"data: first" else b""
    for place in range(len(stream) + 1):
        for pieces in ([stream[:place], stream[place:]], [stream[:place], b"", stream[place:]]):
            assert decode(pieces) == [whole + b'{"a":\n1}']


@given(st.text().filter(lambda text: not set(text) & {"\r", "\n"}), CUTS)
def test_no_letter_of_an_event_is_lost_or_ends_a_line(text, cuts):
    stream = b"data: " + text.encode() + b"\n\n"
    assert decode(cut_at(stream, cuts)) == [text.encode()]


@given(STREAMS, CUTS, st.integers(1, 40))
def test_a_bound_refuses_no_event_within_it_and_loses_none_before_the_one_it_refuses(stream, cuts, bound):
    whole = reference(stream)
    decoder, events = EventDecoder(max_event_bytes=bound), []
    try:
        for piece in cut_at(stream, cuts):
            events.extend(decoder.feed(piece))
        events.extend(decoder.close())
    except ResponseError:
        longest = max(map(len, re.split(rb"\r\n|\n|\r", stream)))
        held = sum(map(len, decoder.stray))  # lines of no event, in case they are a body in JSON
        assert longest > bound or held > bound or len(whole[len(events)]) + 1 > bound
        assert events == whole[: len(events)]
    else:
        assert events == whole
        assert all(len(event) < bound for event in events)
