"""What both transports do with one request and its reply when the other side behaves, over real sockets."""

from __future__ import annotations

import gzip
import threading
import tracemalloc
import zlib
from typing import TYPE_CHECKING

import pytest
import vcr

from lfm_adapter._transport.aiohttp import AiohttpTransport
from lfm_adapter._transport.inflate import Inflater
from lfm_adapter._transport.urllib3 import Urllib3Transport
from lfm_adapter.errors import ConfigurationError
from tests.support.both_transports import HEADERS, KINDS, client_of
from tests.support.loopback import CUT, Loopback, chunk, chunked, reply

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lfm_adapter.types import AsyncTransport, Transport
    from tests.support.both_transports import Client
    from tests.support.loopback import Step

EVENTS = [b"data: {}\n\n", b": OPENROUTER PROCESSING\n\n", b"data: [DONE]\n\n"]


@pytest.fixture(params=KINDS)
def client(request: pytest.FixtureRequest) -> Iterator[Client]:
    with client_of(request.param) as client:
        yield client


def test_both_are_transports() -> None:
    blocking: Transport = Urllib3Transport()
    streams: AsyncTransport = AiohttpTransport()
    assert [blocking, streams]


class TestRequest:
    def test_goes_out_as_it_was_given(self, client: Client) -> None:
        headers = HEADERS | {"x-MixedCase": "1", "X-Title": "Größe 🌍 日本", "X-Empty": ""}
        with Loopback(reply()) as server:
            client.fetch(f"{server.url}/api/v1/chat?q=1", headers=headers, body='{"a": "é"}'.encode())
        sent = server.requests[0]
        assert sent.body == '{"a": "é"}'.encode()
        assert sent.lines[0] == b"POST /api/v1/chat?q=1 HTTP/1.1"
        assert sorted(sent.lines[1:]) == sorted(
            [f"{name}: {value}".encode() for name, value in headers.items()]
            + [f"Host: 127.0.0.1:{server.port}".encode(), b"Content-Length: 11"],
        )

    @pytest.mark.parametrize("headers", [{}, {"accept-encoding": "identity", "user-agent": "x"}])
    def test_gets_no_headers_but_host_and_length(self, client: Client, headers: dict[str, str]) -> None:
        with Loopback(reply()) as server:
            client.fetch(server.url, headers=headers)
            client.fetch(server.url, headers=headers, method="GET", body=None)
        given = [f"{name}: {value}".encode() for name, value in headers.items()]
        host = f"Host: 127.0.0.1:{server.port}".encode()
        assert sorted(server.requests[0].lines[1:]) == sorted([host, b"Content-Length: 2", *given])
        assert sorted(server.requests[1].lines[1:]) == sorted([host, *given])

    @pytest.mark.parametrize(
        ("headers", "says"),
        [
            ({"Authorization": "Bearer sk-or-secret\n"}, "'Authorization' holds a line break"),
            ({"X-Title": "a\x00b"}, "'X-Title' holds a line break"),
            ({"X-Title": "\ud800"}, "'X-Title' holds half a character"),
            ({"X Title": "a"}, "'X Title' is no name"),
        ],
    )
    def test_with_impossible_headers_is_refused_without_showing_them(
        self, client: Client, headers: dict[str, str], says: str
    ) -> None:
        with Loopback(reply()) as server, pytest.raises(ConfigurationError, match=says) as caught:
            client.send(server.url, headers=headers)
        assert "secret" not in f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"
        assert server.requests == []

    @pytest.mark.parametrize("url", ["openrouter.ai/api", "ftp://a/b", "https://", "http://a:b/", "http://[::1/", ""])
    def test_to_no_address_is_refused(self, client: Client, url: str) -> None:
        with pytest.raises(ConfigurationError, match="base_url"):
            client.send(url)

    def test_to_an_address_with_a_password_is_refused_without_showing_it(self, client: Client) -> None:
        with pytest.raises(ConfigurationError, match="user name") as caught:
            client.send("https://me:hunter2@localhost/api")
        assert "hunter2" not in str(caught.value)


class TestReply:
    def test_names_of_headers_are_lower_case_and_repeated_ones_joined(self, client: Client) -> None:
        with Loopback(reply(b"", b"X-Generation-Id: gen-1", b"VIA: a", b"via: b", b"X-City: \xc3\x96rebro")) as server:
            headers = client.send(server.url).headers
        assert dict(headers) == {
            "x-generation-id": "gen-1",
            "via": "a, b",
            "x-city": "Örebro",
            "content-length": "0",
        }

    @pytest.mark.parametrize("status", [b"307 Temporary Redirect", b"402 Payment Required", b"599 Odd"])
    def test_of_any_status_is_returned(self, client: Client, status: bytes) -> None:
        with Loopback(reply(b"why", b"Location: /elsewhere", b"Retry-After: 1", status=status)) as server:
            answer = client.send(server.url)
            assert (answer.status_code, answer.body()) == (int(status[:3]), b"why")
        assert len(server.requests) == 1

    def test_after_informational_replies_is_the_one_that_counts(self, client: Client) -> None:
        before = [b"100 Continue\r\n\r\n", b"102 Processing\r\n\r\n", b"103 Early Hints\r\nLink: </a>\r\n\r\n"]
        with Loopback(b"".join(b"HTTP/1.1 " + status for status in before) + reply(b"done")) as server:
            answer = client.send(server.url)
            assert (answer.status_code, answer.body(), "link" in answer.headers) == (200, b"done", False)
            assert client.fetch(server.url) == b"done"
        assert server.connections == 1

    @pytest.mark.parametrize(
        "script",
        [
            [b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nto the end", CUT],
            [b"HTTP/1.1 200 OK\r\n\r\nto the end", CUT],
            [b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 10\r\n\r\nto the end", CUT],
            chunked(b"to ", b"the", b" end"),
            [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n00A;x=y\r\nto the end\r\n0\r\nTrailer: x\r\n\r\n"],
        ],
        ids=["HTTP/1.0", "until closed", "connection: close", "chunked", "extension and trailer"],
    )
    def test_body_ends_where_it_says(self, client: Client, script: list[Step]) -> None:
        with Loopback(script) as server:
            assert client.fetch(server.url) == b"to the end"

    def test_of_a_connection_that_is_not_kept_ends_also_when_each_read_has_less_time(self, client: Client) -> None:
        with Loopback([b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nend", CUT]) as server:
            answer = client.send(server.url)
            assert [answer.read(10), answer.read(9), answer.read(8)] == [b"end", b"", b""]

    @pytest.mark.parametrize("head", [b"204 No Content", b"304 Not Modified", b"200 OK\r\nContent-Length: 0"])
    def test_without_a_body_is_empty_and_keeps_the_connection(self, client: Client, head: bytes) -> None:
        with Loopback(b"HTTP/1.1 " + head + b"\r\n\r\n") as server:
            assert [client.fetch(server.url) for _ in range(2)] == [b"", b""]
        assert server.connections == 1

    def test_end_can_be_read_again(self, client: Client) -> None:
        with Loopback(reply(b"x")) as server:
            answer = client.send(server.url)
            assert [answer.read() for _ in range(4)] == [b"x", b"", b"", b""]
            answer.close()
            assert answer.read() == b""


class TestStream:
    @pytest.mark.parametrize(
        ("head", "first", "second"),
        [
            (b"Content-Length: 10", b"first", b"other"),
            (b"Connection: close", b"first", b"other"),
            (b"Transfer-Encoding: chunked", chunk(b"first"), chunk(b"other") + chunk(b"")),
            (b"Transfer-Encoding: chunked", b"a\r\nfirst", b"other\r\n0\r\n\r\n"),
        ],
        ids=["length", "until closed", "chunks", "half a chunk"],
    )
    def test_bytes_are_there_as_soon_as_they_come(
        self, client: Client, head: bytes, first: bytes, second: bytes
    ) -> None:
        was_read = threading.Event()
        script = [b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n", first, was_read, second, CUT]
        with Loopback(script) as server:
            answer = client.send(server.url)
            assert answer.read() == b"first"
            was_read.set()
            assert answer.body() == b"other"

    def test_compressed_bytes_too(self, client: Client) -> None:
        was_read = threading.Event()
        squeeze = zlib.compressobj(wbits=31)
        first = squeeze.compress(EVENTS[0]) + squeeze.flush(zlib.Z_SYNC_FLUSH)
        rest = squeeze.compress(EVENTS[2]) + squeeze.flush()
        script = chunked(first, rest, headers=[b"Content-Encoding: gzip"])
        with Loopback([*script[:2], was_read, *script[2:]]) as server:
            answer = client.send(server.url)
            assert answer.read() == EVENTS[0]
            was_read.set()
            assert answer.body() == EVENTS[2]

    def test_events_are_never_lost_or_split_wrongly(self, client: Client) -> None:
        events = EVENTS * 200
        with Loopback(chunked(*events), chunked(b"".join(events))) as server:
            assert client.fetch(server.url) == client.fetch(server.url) == b"".join(events)


class TestCompression:
    @pytest.mark.parametrize(
        ("encoding", "body"),
        [
            (b"gzip", gzip.compress(b"hello" * 9)),
            (b"GZIP", gzip.compress(b"hello" * 4) + gzip.compress(b"hello" * 5)),
            (b"gzip", gzip.compress(b"") + gzip.compress(b"hello" * 9)),
            (b"gzip", gzip.compress(b"hello" * 9) + bytes(20)),
            (b"x-gzip", gzip.compress(b"hello" * 9)),
            (b"deflate", zlib.compress(b"hello" * 9)),
            (b"gzip", b"hello" * 9),
            (b"identity", b"hello" * 9),
        ],
        ids=[
            "gzip",
            "two members",
            "an empty member",
            "padded",
            "x-gzip",
            "deflate",
            "already decompressed",
            "identity",
        ],
    )
    def test_is_undone(self, client: Client, encoding: bytes, body: bytes) -> None:
        head = [b"Content-Encoding: " + encoding]
        pieces = [body[at : at + 1] for at in range(len(body))]
        with Loopback(reply(body, *head), chunked(*pieces, headers=head)) as server:
            assert [client.fetch(server.url) for _ in range(2)] == [b"hello" * 9] * 2
        assert server.connections == 1

    def test_is_undone_with_a_last_byte_of_padding_by_itself(self) -> None:
        inflater = Inflater()
        for piece in (gzip.compress(b"hello"), b"\0\0", b"\0"):
            inflater.feed(piece)
            while inflater.take():
                pass
        inflater.check_end()

    def test_of_an_empty_body_is_empty(self, client: Client) -> None:
        with Loopback(reply(b"", b"Content-Encoding: gzip")) as server:
            assert client.fetch(server.url) == b""

    def test_cannot_fill_the_memory(self, client: Client) -> None:
        body = gzip.compress(bytes(50_000_000))
        with Loopback(reply(body, b"Content-Encoding: gzip")) as server:
            answer = client.send(server.url)
            tracemalloc.start()
            try:
                sizes = [len(piece) for piece in iter(answer.read, b"")]
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
        assert sum(sizes) == 50_000_000
        assert max(sizes) <= 65_536
        assert peak < 4_000_000


class TestCassettes:
    @pytest.mark.parametrize("replaying", KINDS)
    def test_replay_what_was_sent(self, client: Client, tmp_path: Path, replaying: str) -> None:
        """vcrpy stands in for urllib3's connections and for aiohttp's session."""
        squeezed = reply(gzip.compress(b'{"a": 1}'), b"Content-Encoding: gzip", b"Content-Type: application/json")
        limited = reply(b"slow down", b"Retry-After: 1", status=b"429 Too Many Requests")
        cassettes = vcr.VCR(match_on=["method", "uri", "body"], decode_compressed_response=True)

        def converse(client: Client) -> list[tuple[int, str | None, bytes]]:
            replies = [
                client.send(f"{server.url}/{path}", body=b"[%d]" % n) for n, path in enumerate(("json", "sse", "429"))
            ]
            seen = [(answer.status_code, answer.headers.get("retry-after"), answer.body()) for answer in replies]
            for answer in replies:
                answer.close()
            return seen

        expected = [(200, None, b'{"a": 1}'), (200, None, b"".join(EVENTS)), (429, "1", b"slow down")]
        with Loopback(squeezed, chunked(*EVENTS), limited) as server:
            with cassettes.use_cassette(str(tmp_path / "cassette.yaml"), record_mode="once"):
                assert converse(client) == expected
            assert len(server.requests) == 3
            with (
                client_of(replaying) as other,
                cassettes.use_cassette(str(tmp_path / "cassette.yaml"), record_mode="none") as cassette,
            ):
                assert converse(other) == expected
            assert cassette.all_played
            assert len(server.requests) == 3

    def test_replay_a_stream_that_is_not_read_to_its_end(self, client: Client, tmp_path: Path) -> None:
        with Loopback(chunked(*EVENTS)) as server:
            for mode in ("once", "none"):
                with vcr.use_cassette(str(tmp_path / "cassette.yaml"), record_mode=mode):
                    answer = client.send(server.url)
                    assert answer.read()
                    answer.close()
        assert len(server.requests) == 1
