"""The life of a stream: begun, read, ended, closed early."""

from __future__ import annotations

import threading

import pytest

from lfm_adapter import errors
from lfm_adapter.testing import Break, ScriptedReply, chunk, completion, error, events, stream, tool_call
from lfm_adapter.testing._wire import DONE, GENERATION_ID, PADDING, midstream_error
from lfm_adapter.types import Delta

CALLS = [tool_call("weather", {"city": "Bonn"})]


@pytest.fixture
def never():
    """An event for which a reply waits in vain."""
    return threading.Event()


def hung_up(server, request=0):
    """Whether the client closed the connection before the reply was out."""
    server.wait_for_requests(request + 1)
    return server.requests[request].abandoned.wait(60)


class TestReading:
    def test_stream_yields_deltas_in_order_and_then_the_reply(self, make, server):
        server.add(stream(["Hel", "lo."], reasoning=["Greet."], tool_calls=CALLS))
        with make(server).stream("Hi") as deltas:
            received = list(deltas)
        assert [delta.reasoning for delta in received if delta.reasoning] == ["Greet."]
        assert [delta.text for delta in received if delta.text] == ["Hel", "lo."]
        assert "".join(piece.arguments for delta in received for piece in delta.tool_calls) == '{"city":"Bonn"}'
        assert received[-1] == Delta(reply=deltas.reply)
        assert all(delta.reply is None for delta in received[:-1])
        assert (deltas.reply.text, deltas.reply.reasoning, deltas.reply.id) == ("Hello.", "Greet.", GENERATION_ID)

    def test_stream_yields_each_delta_as_soon_as_it_comes(self, make, server):
        rest = threading.Event()
        server.add(stream(["Hel", "lo."], comments=0).held(1, rest))
        with make(server).stream("Hi") as deltas:
            assert next(deltas).text == "Hel"
            rest.set()
            assert next(deltas).text == "lo."

    def test_stream_sends_nothing_before_it_is_read(self, make, server):
        with make(server).stream("Hi") as deltas:
            pass
        assert server.requests == []
        assert deltas.reply is None

    def test_deltas_in_one_packet_with_an_error_come_before_it(self, make, server):
        pieces = [f" {number}" for number in range(50)]
        server.add(midstream_error(pieces, 400, "No").in_pieces(1_000_000))
        with make(server).stream("Hi") as deltas:
            received = [next(deltas).text for _ in pieces]
            with pytest.raises(errors.BadRequestError) as caught:
                next(deltas)
        assert received == pieces
        assert caught.value.partial.text == "".join(pieces)

    def test_deltas_do_not_depend_on_how_the_network_cut_the_bytes(self, make, server):
        server.add(stream(["Grüße,\u2028", "Welt 🌍."], tool_calls=CALLS).in_pieces(3))
        with make(server).stream("Hi") as deltas:
            text = "".join(delta.text for delta in deltas)
        assert text == deltas.reply.text == "Grüße,\u2028Welt 🌍."

    @pytest.mark.parametrize("padding", [b"", PADDING * 3])
    def test_plain_reply_to_a_streamed_call_is_read(self, make, server, padding):
        server.add(completion("Hello.", reasoning="Greet.", tool_calls=CALLS, padding=padding))
        with make(server).stream("Hi") as deltas:
            first, *others = deltas
        assert (first.text, first.reasoning, first.tool_calls[0].name) == ("Hello.", "Greet.", "weather")
        assert others == [Delta(reply=deltas.reply)]
        assert (deltas.reply.text, deltas.reply.token_limits.max_tokens) == ("Hello.", None)

    def test_stream_ends_without_done_after_finish_and_usage(self, make, server):
        server.add(stream(["Hello."], done=False))
        assert make(server).text() == "Hello."

    def test_event_above_max_event_bytes_is_refused(self, make, server, never):
        server.add(events(chunk({"content": "Hello."}), chunk({"content": "word " * 1000})).held(2, never))
        with pytest.raises(errors.ResponseError, match="larger than 2,000 bytes") as caught:
            make(server).but(max_event_bytes=2_000).text()
        assert caught.value.partial.text == "Hello."
        assert hung_up(server)

    def test_plain_reply_above_max_reply_bytes_is_refused(self, make, server, never):
        server.add(completion("word " * 1000).in_pieces(2_500).held(1, never))
        with pytest.raises(errors.ResponseError, match="larger than 2,000 bytes"):
            make(server).but(max_reply_bytes=2_000).text()
        assert hung_up(server)


class TestEnd:
    @pytest.mark.usefixtures("last_bytes_are_awaited")
    def test_connection_is_reused_after_a_stream(self, make, server):
        server.add(stream(), stream(), completion(), stream())
        client = make(server)
        client.text()
        client.text()
        client.chat("Hi")
        client.text()
        assert [request.connection for request in server.requests] == [1, 1, 1, 1]

    @pytest.mark.usefixtures("last_bytes_are_awaited")
    def test_connection_is_reused_if_its_last_bytes_come_late(self, make, server):
        whole = stream(["Hello."])
        server.add(whole.held(len(whole.parts), 0.05), completion())
        client = make(server)
        client.text()
        client.chat("Hi")
        assert [request.connection for request in server.requests] == [1, 1]

    def test_finished_stream_stays_finished(self, make, server):
        server.add(stream(["Hello."]))
        with make(server).stream("Hi") as deltas:
            list(deltas)
            assert list(deltas) == []
        assert list(deltas) == []
        assert deltas.reply.text == "Hello."
        assert len(server.requests) == 1

    def test_stream_ends_though_the_server_keeps_it_open(self, make, server, never):
        whole = stream(["Hello."])
        server.add(whole.held(len(whole.parts), never))
        client = make(server)
        with client.stream("Hi") as deltas:
            assert "".join(delta.text for delta in deltas) == "Hello."
            assert deltas.reply.text == "Hello."
        assert hung_up(server)

    def test_stream_does_not_end_before_done(self, make, server):
        server.add(events(chunk({"content": "Hello."}), chunk({}, finish_reason="stop"), done=False).broken(2))
        with pytest.raises(errors.StreamInterruptedError) as caught:
            make(server).text()
        assert caught.value.partial.text == "Hello."

    def test_error_in_a_stream_closes_the_connection(self, make, server, never):
        failing = midstream_error(["Hel"], 400, "Token limit reached")
        server.add(failing.held(len(failing.parts), never))
        with pytest.raises(errors.APIError) as caught:
            make(server).text()
        assert (caught.value.partial.text, caught.value.generation_id) == ("Hel", GENERATION_ID)
        assert hung_up(server)

    @pytest.mark.parametrize("how", [Break.CUT, Break.RESET])
    def test_error_of_a_broken_stream_has_what_is_known(self, make, server, how):
        server.add(stream(["Hel", "lo."]).broken(2, how))
        with pytest.raises(errors.StreamInterruptedError) as caught:
            make(server).text()
        known = caught.value
        assert (known.partial.text, known.generation_id) == ("Hel", GENERATION_ID)
        assert (known.provider, known.model) == ("Liquid", "liquid/lfm-3b")

    def test_error_of_a_stream_has_nothing_of_an_earlier_attempt(self, make, server, waits):
        server.add(midstream_error([], 503, "Overloaded"), error(500, "Broken", headers={"X-Generation-Id": "gen-2"}))
        with pytest.raises(errors.ServerError, match="Broken") as caught:
            make(server, max_retries=1).text()
        assert (caught.value.generation_id, caught.value.provider) == ("gen-2", None)

    def test_failed_stream_stays_finished(self, make, server):
        server.add(midstream_error(["Hel"], 400, "No"))
        stream = make(server).stream("Hi")
        with pytest.raises(errors.BadRequestError):
            list(stream)
        assert list(stream) == []
        assert stream.reply is None


class TestClosing:
    def test_closing_early_closes_the_connection_at_once(self, make, server, never):
        server.add(stream(["Hel", "lo."]).held(2, never))
        deltas = make(server).stream("Hi")
        assert next(deltas).text == "Hel"
        deltas.close()
        assert hung_up(server)
        assert deltas.reply is None

    def test_leaving_the_block_closes_the_stream(self, make, server, never):
        server.add(stream(["Hel", "lo."]).held(2, never))
        with make(server).stream("Hi") as deltas:
            for _ in deltas:
                break
        assert hung_up(server)

    def test_exception_in_the_block_closes_the_stream(self, make, server, never):
        server.add(stream(["Hel", "lo."]).held(2, never))
        with pytest.raises(ZeroDivisionError), make(server).stream("Hi") as deltas:
            _ = [1 / len(delta.reasoning) for delta in deltas]
        assert hung_up(server)

    def test_closing_before_the_first_delta_does_no_harm(self, make, server):
        deltas = make(server).stream("Hi")
        deltas.close()
        assert list(deltas) == []
        assert server.requests == []

    def test_closing_twice_does_no_harm(self, make, server, never):
        server.add(stream(["Hel", "lo."]).held(2, never))
        deltas = make(server).stream("Hi")
        next(deltas)
        deltas.close()
        deltas.close()
        assert list(deltas) == []

    @pytest.mark.usefixtures("last_bytes_are_awaited")
    def test_closing_after_the_end_keeps_the_reply(self, make, server):
        server.add(stream(["Hello."]), completion())
        client = make(server)
        deltas = client.stream("Hi")
        list(deltas)
        deltas.close()
        assert deltas.reply.text == "Hello."
        client.chat("Hi")
        assert [request.connection for request in server.requests] == [1, 1]

    def test_closing_after_a_whole_reply_does_no_harm(self, make, server):
        server.add(completion("Hello."))
        deltas = make(server).stream("Hi")
        assert next(deltas).text == "Hello."
        deltas.close()
        assert list(deltas) == []


def test_empty_plain_reply_to_a_streamed_call_is_an_error(make, server):
    server.add(ScriptedReply(200, {"Content-Type": "application/json"}, [b"{}"]))
    with pytest.raises(errors.ResponseError):
        make(server, max_retries=0).text()


def test_stream_with_done_alone_is_an_error(make, server):
    server.add(events(DONE, done=False))
    with pytest.raises(errors.ResponseError, match="neither content nor a finish reason"):
        make(server, max_retries=0).text()
