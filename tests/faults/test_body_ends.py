"""A body without a length ends with its connection, however that ends: sync and async see the same."""

from __future__ import annotations

import pytest

from lfm_adapter import errors
from lfm_adapter.testing import completion, stream
from tests.faults.asking import OURS, asking, is_streamed
from tests.support.loopback import CUT, RESET, Loopback

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\n\r\n"
WHOLE = HEAD % b"application/json" + completion("Hello.").body
STREAM = HEAD % b"text/event-stream" + stream(["Hel", "lo."]).body
FINISH = STREAM.index(b"data:", STREAM.index(b'"stop"'))


@pytest.mark.parametrize("end", [CUT, RESET])
@pytest.mark.parametrize("way", OURS)
def test_body_that_is_whole_is_an_answer(way, end):
    for body in (WHOLE, STREAM, STREAM[:FINISH]) if is_streamed(way) else (WHOLE,):
        with Loopback([body, 0.02, end]) as server, asking(way, server.url) as ask:
            seen = ask()
        assert (seen.text, seen.error) == ("Hello.", None)


@pytest.mark.parametrize("end", [CUT, RESET])
@pytest.mark.parametrize("way", OURS)
def test_body_that_is_not_whole_was_interrupted_and_is_not_asked_for_again(way, end):
    for body, kept in {WHOLE[:-9]: None, STREAM[: FINISH - 60]: "Hello."}.items():
        if kept and not is_streamed(way):
            continue
        with Loopback([body, 0.02, end]) as server, asking(way, server.url) as ask:
            error = ask().error
            assert isinstance(error, errors.StreamInterruptedError)
            assert (error.partial and error.partial.text) == kept
            assert len(server.requests) == 1


@pytest.mark.parametrize("end", [CUT, RESET])
@pytest.mark.parametrize("way", OURS)
def test_error_without_a_length_keeps_its_words(way, end):
    sent = b'HTTP/1.1 400 Bad Request\r\n\r\n{"error": {"code": 400, "message": "Bad seed"}}'
    with Loopback([sent, 0.02, end]) as server, asking(way, server.url) as ask:
        error = ask().error
    assert isinstance(error, errors.BadRequestError)
    assert error.message == "Bad seed."
