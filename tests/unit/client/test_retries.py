"""When a client tries again, after which wait, and for how long in all."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from lfm_adapter import errors
from lfm_adapter._client.calls import MAX_RETRY_DELAY_S
from lfm_adapter.testing import (
    Break,
    ScriptedReply,
    chunk,
    completion,
    error,
    events,
    json_reply,
    stream,
    token_usage,
)
from lfm_adapter.testing._wire import COMMENT, PADDING, error_in_choice, midstream_error
from tests.support.loopback import CUT, UNTIL_CLOSED, Loopback, reply

IN_FLIGHT = {"limit_source": "openrouter_in_flight_budget", "reason": "in_flight_budget_exhausted"}
TRANSIENT = (408, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 525, 529, 530)
NOW = {"Retry-After": "0.01"}

CHARGED = token_usage(10, 0, cost=0.5)
ROLE = chunk({"role": "assistant", "content": ""})
LONG = completion("A long answer.")
BEGUN = {
    "201": (replace(LONG, status=201).in_pieces(60).broken(1), False),
    "203": (replace(LONG, status=203).in_pieces(60).broken(1, Break.RESET), False),
    "empty, but charged": (completion("", choices=[], usage=CHARGED), False),
    "an error that was charged": (
        json_reply({"error": {"code": 503, "message": "Not now"}, "usage": CHARGED}), False
    ),
    "a role": (events(ROLE).broken(1), True),
    "half an event": (
        ScriptedReply(200, stream().headers, (b'data: {"choices": [{"delta": {"content": "Hel', Break.CUT)), True
    ),
    "usage without text": (events(chunk({}, usage=CHARGED)).broken(1, Break.RESET), True),
    "finish and cost, then an error": (
        events(chunk({}, finish_reason="length", usage=CHARGED), {"error": {"code": 502, "message": "Lost"}}), True
    ),
}  # fmt: skip


@pytest.fixture
def mute_url():
    """The address of a server that takes requests and never answers."""
    with Loopback([UNTIL_CLOSED]) as server:
        yield server.url


def slowly(answer, pause_s):
    """The same answer, with a pause before each of its parts."""
    return ScriptedReply(answer.status, answer.headers, [part for bytes_ in answer.parts for part in (pause_s, bytes_)])


class TestRetried:
    @pytest.mark.parametrize("status", TRANSIENT)
    def test_temporary_failure_is_retried(self, make, server, status):
        server.add(error(status, "Not now", headers=NOW), completion("Hello."))
        assert make(server).chat("Hi").text == "Hello."

    @pytest.mark.parametrize("status", TRANSIENT)
    def test_stream_is_retried_too(self, make, server, status):
        server.add(error(status, "Not now", headers=NOW), stream(["Hello."]))
        assert make(server).text() == "Hello."

    def test_exhausted_in_flight_budget_is_retried(self, make, server):
        server.add(error(402, "Too many at once", metadata=IN_FLIGHT, headers=NOW), completion("Hello."))
        assert make(server).chat("Hi").text == "Hello."

    def test_lookup_is_retried_after_a_temporary_failure(self, make, server):
        server.add(error(503, "Not now", headers=NOW), path="/models")
        assert make(server).list_models()

    @pytest.mark.parametrize("failure", [error(200, "Not now", code=502), error_in_choice(502, "Not now")])
    def test_error_in_a_200_is_retried(self, make, server, waits, failure):
        server.add(failure, completion("Hello."))
        assert make(server).chat("Hi").text == "Hello."

    def test_stream_is_retried_after_an_error_before_content(self, make, server, waits):
        server.add(midstream_error([], 502, "Not now"), stream(["Hello."]))
        assert make(server).text() == "Hello."

    def test_answer_without_content_is_retried(self, make, server, waits):
        server.add(completion("", choices=[], usage=None), completion("Hello."))
        assert make(server).chat("Hi").text == "Hello."

    @pytest.mark.parametrize("how", [Break.CUT, Break.RESET])
    def test_connection_that_broke_before_the_reply_is_retried(self, make, server, waits, how):
        server.add(completion(padding=PADDING).broken(1, how), completion("Hello."))
        assert make(server).chat("Hi").text == "Hello."

    @pytest.mark.parametrize("how", [Break.CUT, Break.RESET])
    def test_stream_that_broke_before_content_is_retried(self, make, server, waits, how):
        server.add(events(COMMENT, COMMENT).broken(2, how), stream(["Hello."]))
        assert make(server).text() == "Hello."

    def test_idle_connection_that_the_server_closed_is_retried(self, make, waits):
        body = completion("Hello.").body
        with Loopback([reply(body)], [CUT], [reply(body)]) as server:
            client = make(base_url=server.url)
            assert [client.chat("Hi").text, client.chat("Hi").text] == ["Hello.", "Hello."]
        assert [request.connection for request in server.requests] == [0, 0, 1]

    def test_refused_connection_is_retried(self, make, waits):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        with pytest.raises(errors.APIConnectionError, match="connection refused"):
            make(base_url=f"http://127.0.0.1:{port}/v1", max_retries=3).chat("Hi")
        assert len(waits) == 3

    def test_timeout_is_retried(self, make, server, waits):
        server.add(completion(padding=PADDING).held(1, threading.Event()), completion("Hello."))
        assert make(server, timeout=1, total_timeout=20).chat("Hi").text == "Hello."

    def test_retry_sends_the_same_bytes(self, make, server):
        server.add(error(503, "Not now", headers=NOW), error(503, "Not now", headers=NOW), completion())
        make(server).chat("Grüße", temperature=0.3, tools=[{"type": "function", "function": {"name": "f"}}])
        first, *others = (request.content for request in server.requests)
        assert others == [first, first]

    def test_retry_calls_the_key_function_again(self, make, server):
        keys = iter(["sk-or-v1-first", "sk-or-v1-second"])
        server.add(error(503, "Not now", headers=NOW), completion())
        make(server, api_key=lambda: next(keys)).chat("Hi")
        sent = [request.headers["authorization"] for request in server.requests]
        assert sent == ["Bearer sk-or-v1-first", "Bearer sk-or-v1-second"]

    def test_retry_is_logged(self, make, server, caplog):
        caplog.set_level("DEBUG", "lfm_adapter")
        server.add(error(503, "Not now", headers=NOW), completion())
        make(server).chat("Hi")
        assert "ServerError: attempt 2 in 0.01 s" in caplog.text


class TestNotRetried:
    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            (400, errors.BadRequestError),
            (401, errors.AuthenticationError),
            (402, errors.PaymentRequiredError),
            (403, errors.PermissionDeniedError),
            (404, errors.NotFoundError),
            (413, errors.BadRequestError),
            (422, errors.BadRequestError),
        ],
    )
    def test_refusal_is_not_retried(self, make, server, waits, status, kind):
        server.add(error(status, "No", headers=NOW))
        with pytest.raises(kind):
            make(server).chat("Hi")
        assert len(server.requests) == 1

    def test_daily_limit_is_not_retried(self, make, server, waits):
        server.add(error(429, "Rate limit exceeded: free-models-per-day. Add 10 credits", headers=NOW))
        with pytest.raises(errors.RateLimitError) as caught:
            make(server).chat("Hi")
        assert not caught.value.is_retryable
        assert len(server.requests) == 1

    def test_max_retries_0_does_not_retry(self, make, server):
        server.add(error(503, "Not now", headers=NOW))
        with pytest.raises(errors.ServerError):
            make(server, max_retries=0).chat("Hi")
        assert len(server.requests) == 1

    @pytest.mark.parametrize("retries", [1, 3])
    def test_max_retries_bounds_the_retries(self, make, server, retries):
        server.add(*[error(503, "Not now", headers=NOW)] * 9)
        with pytest.raises(errors.ServerError) as caught:
            make(server, max_retries=retries).chat("Hi")
        assert caught.value.is_retryable
        assert len(server.requests) == 1 + retries

    def test_stream_that_broke_after_content_is_not_retried(self, make, server):
        server.add(stream(["Hel", "lo."]).broken(3))
        received = []
        with pytest.raises(errors.StreamInterruptedError) as caught, make(server).stream("Hi") as deltas:
            received.extend(delta.text for delta in deltas)
        assert "".join(received) == caught.value.partial.text == "Hello."
        assert len(server.requests) == 1

    def test_error_after_content_is_not_retried(self, make, server):
        server.add(midstream_error(["Hel"], 503, "Overloaded"))
        with pytest.raises(errors.ServerError) as caught:
            make(server).text()
        assert caught.value.partial.text == "Hel"
        assert len(server.requests) == 1

    def test_timeout_after_content_is_not_retried(self, make, server):
        server.add(stream(["Hel", "lo."]).held(2, threading.Event()))
        with pytest.raises(errors.APITimeoutError) as caught:
            make(server, timeout=1, total_timeout=20).text()
        assert caught.value.partial.text == "Hel"
        assert len(server.requests) == 1

    def test_error_beside_content_is_not_retried(self, make, server):
        server.add(error_in_choice(503, "Overloaded", text="Hel"))
        with pytest.raises(errors.ServerError) as caught:
            make(server).chat("Hi")
        assert caught.value.partial.text == "Hel"
        assert len(server.requests) == 1

    @pytest.mark.parametrize("how", [Break.CUT, Break.RESET])
    @pytest.mark.parametrize("streamed", [False, True])
    def test_half_an_answer_is_not_retried(self, make, server, how, streamed):
        server.add(completion("A long answer, and surely paid for.").in_pieces(60).broken(1, how))
        client = make(server)
        with pytest.raises(errors.StreamInterruptedError):
            client.text() if streamed else client.chat("Hi")
        assert len(server.requests) == 1

    @pytest.mark.parametrize("begun", BEGUN)
    def test_answer_that_began_or_was_charged_is_not_retried(self, make, server, begun):
        failed, streamed = BEGUN[begun]
        server.add(failed)
        client = make(server)
        with pytest.raises(errors.APIError) as caught:
            client.text() if streamed else client.chat("Hi")
        assert caught.value.is_retryable
        assert len(server.requests) == 1

    @pytest.mark.parametrize("how", [Break.CUT, Break.RESET])
    def test_whole_answer_is_not_retried_if_the_connection_breaks(self, make, server, how):
        whole = events(chunk({"content": "Hel"}), chunk({}, finish_reason="stop", usage=CHARGED), done=False)
        server.add(whole.broken(2, how))
        assert make(server).text() == "Hel"
        assert len(server.requests) == 1

    def test_wait_beyond_two_minutes_is_not_retried(self, make, server, waits):
        server.add(error(429, "Slow down", headers={"Retry-After": str(MAX_RETRY_DELAY_S + 1)}))
        with pytest.raises(errors.RateLimitError) as caught:
            make(server).chat("Hi")
        assert caught.value.retry_after == MAX_RETRY_DELAY_S + 1
        assert len(server.requests) == 1


def test_half_a_refusal_is_retried(make, server, waits):
    server.add(error(503, "Not now, and at length").in_pieces(20).broken(1), completion("Hello."))
    assert make(server).chat("Hi").text == "Hello."


class TestWait:
    def test_header_decides_the_wait(self, make, server, waits):
        told = {"retry_after_seconds": 2, "headers": {"Retry-After": "3", "X-RateLimit-Reset": "4000"}}
        server.add(error(429, "Slow down", headers={"Retry-After": "1"}, metadata=told), completion())
        make(server).chat("Hi")
        assert waits == [1]

    def test_error_decides_the_wait_in_order_of_trust(self, make, server, waits):
        headers = {"Retry-After": "3", "X-RateLimit-Reset": "4000"}
        told = [
            {"retry_after_seconds": 2, "headers": headers},
            {"headers": headers},
        ]
        available = {"code": 429, "message": "Slow down", "availability": {"retry_after": 5}, "metadata": told[0]}
        replies = [error(429, "Slow down", metadata=metadata) for metadata in told]
        server.add(error(429, "", error=available), *replies, completion())
        make(server, max_retries=3).chat("Hi")
        assert waits == [5, 2, 3]

    def test_wait_ends_when_the_rate_limit_resets(self, make, server, waits):
        reset_ms = (datetime.now(UTC) + timedelta(seconds=60)).timestamp() * 1000
        metadata = {"headers": {"X-RateLimit-Reset": str(int(reset_ms))}}
        server.add(error(429, "Slow down", metadata=metadata), completion())
        make(server).chat("Hi")
        assert 30 < waits[0] <= 60

    def test_retry_after_may_be_a_date(self, make, server, waits):
        date = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
        server.add(error(503, "Slow down", headers={"Retry-After": date}), completion())
        make(server).chat("Hi")
        assert 30 < waits[0] <= 60

    def test_error_in_a_stream_decides_its_wait(self, make, server, waits):
        server.add(midstream_error([], 429, "Slow down", metadata={"retry_after_seconds": 7}), stream())
        make(server).text()
        assert waits == [7]

    def test_wait_grows_and_varies_if_the_server_gives_none(self, make, server, waits):
        server.add(*[error(503, "Not now")] * 6, completion())
        make(server, max_retries=6).chat("Hi")
        longest = [0.5, 1, 2, 4, 8, 8]
        assert all(0.75 * most <= wait <= most for wait, most in zip(waits, longest, strict=True))
        assert len({wait / most for wait, most in zip(waits, longest, strict=True)}) > 1


class TestTotalTimeout:
    def test_bounds_the_wait_for_the_reply(self, make, server):
        server.add(completion().held(0, threading.Event()))
        with pytest.raises(errors.APITimeoutError, match=r"longer than 0\.5 s \(`total_timeout`\)"):
            make(server, total_timeout=0.5).chat("Hi")
        server.wait_for_requests(1)
        assert len(server.requests) == 1

    def test_bounds_the_wait_for_the_headers(self, make, mute_url):
        start = time.monotonic()
        with pytest.raises(errors.APITimeoutError, match=r"longer than 0\.2 s \(`total_timeout`\)"):
            make(base_url=mute_url, total_timeout=0.2, timeout=20).chat("Hi")
        assert time.monotonic() - start < 10

    def test_bounds_an_answer_that_trickles(self, make, server):
        server.add(slowly(completion("A long answer, which comes slowly.").in_pieces(1), 0.05))
        with pytest.raises(errors.APITimeoutError, match="total_timeout"):
            make(server, total_timeout=0.3).chat("Hi")

    def test_bounds_a_stream_however_lively(self, make, server):
        server.add(slowly(stream(["word "] * 200, comments=0), 0.02))
        with pytest.raises(errors.APITimeoutError, match="total_timeout") as caught:
            make(server, total_timeout=1).text()
        assert caught.value.partial.text.startswith("word ")

    def test_includes_the_waits_between_tries(self, make, server, waits):
        server.add(error(503, "Not now", headers={"Retry-After": "60"}))
        with pytest.raises(errors.ServerError, match="Not now"):
            make(server, total_timeout=30).chat("Hi")
        assert waits == []

    def test_total_timeout_starts_again_with_each_call(self, make, server):
        server.add(completion("One."), completion("Two."))
        client = make(server, total_timeout=30)
        assert [client.chat("Hi").text, client.chat("Hi").text] == ["One.", "Two."]


class TestTimeout:
    def test_bounds_the_wait_for_the_headers(self, make, mute_url):
        with pytest.raises(errors.APITimeoutError, match=r"did not respond within 0\.2 s.*`timeout`"):
            make(base_url=mute_url, timeout=0.2, total_timeout=20, max_retries=0).chat("Hi")

    def test_bounds_silence_in_the_body(self, make, server):
        server.add(completion(padding=PADDING).held(1, threading.Event()))
        with pytest.raises(errors.APITimeoutError, match=r"sent nothing for 0\.2 s"):
            make(server, timeout=0.2, total_timeout=20, max_retries=0).chat("Hi")

    def test_timeout_does_not_bound_an_answer_that_keeps_coming(self, make, server):
        server.add(slowly(completion("Hello.").in_pieces(60), 0.1))
        assert make(server, timeout=1, max_retries=0).chat("Hi").text == "Hello."

    def test_names_the_model(self, make, mute_url):
        with pytest.raises(errors.APITimeoutError) as caught:
            make(base_url=mute_url, timeout=0.1, total_timeout=20, max_retries=0).chat("Hi", model="liquid/lfm-7b")
        assert caught.value.model == "liquid/lfm-7b"


class TestStreamChunkTimeout:
    def test_bounds_the_time_between_events(self, make, server):
        server.add(stream(["Hel", "lo."], comments=0).held(1, threading.Event()))
        with pytest.raises(errors.APITimeoutError, match=r"No event .* 1 s \(`stream_chunk_timeout`\)") as caught:
            make(server, stream_chunk_timeout=1).text()
        assert caught.value.partial.text == "Hel"

    def test_comments_do_not_extend_stream_chunk_timeout(self, make, server):
        server.add(slowly(stream(["Hello."], comments=200), 0.02))
        with pytest.raises(errors.APITimeoutError, match="stream_chunk_timeout"):
            make(server, stream_chunk_timeout=0.3, max_retries=0).text()

    def test_events_without_content_extend_stream_chunk_timeout(self, make, server):
        quiet = chunk({"role": "assistant", "content": ""})
        server.add(slowly(events(*[quiet] * 10, chunk({"content": "Hello."}, finish_reason="stop")), 0.1))
        assert make(server, stream_chunk_timeout=1).text() == "Hello."

    def test_stream_chunk_timeout_does_not_count_the_callers_time(self, make, server):
        server.add(stream(["Hel", "lo."]))
        client = make(server, stream_chunk_timeout=0.5)
        with client.stream("Hi") as deltas:
            received = [next(deltas).text]
            threading.Event().wait(0.7)
            received += [delta.text for delta in deltas]
        assert "".join(received) == "Hello."

    def test_stream_chunk_timeout_may_be_off(self, make, server):
        server.add(slowly(stream(["Hello."], comments=5), 0.02))
        assert make(server, stream_chunk_timeout=None).text() == "Hello."
