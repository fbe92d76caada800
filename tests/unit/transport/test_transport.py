"""One request and its response through both transports, over real sockets, with a server that behaves."""

from __future__ import annotations

import base64
import contextlib
import gzip
import threading
from typing import TYPE_CHECKING

import pytest
import vcr

from lfm_adapter._transport.aiohttp import AiohttpTransport
from lfm_adapter._transport.urllib3 import Urllib3Transport
from lfm_adapter.errors import APIConnectionError, ConfigurationError, ResponseError
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


def test_both_implement_the_protocol() -> None:
    blocking: Transport = Urllib3Transport()
    streams: AsyncTransport = AiohttpTransport()
    assert [blocking, streams]


class TestRequest:
    def test_request_goes_out_as_given(self, client: Client) -> None:
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

    @pytest.mark.parametrize("url", ["openrouter.ai/api", "ftp://a/b", "https://", "http://a:b/", "http://[::1/", ""])
    def test_invalid_url_is_refused(self, client: Client, url: str) -> None:
        with pytest.raises(ConfigurationError, match="base_url"):
            client.send(url)

    def test_url_with_a_password_is_refused_without_showing_it(self, client: Client) -> None:
        with pytest.raises(ConfigurationError, match="user name") as caught:
            client.send("https://me:hunter2@localhost/api")
        assert "hunter2" not in str(caught.value)


class TestResponse:
    def test_header_names_are_lower_case_and_the_last_of_a_name_counts(self, client: Client) -> None:
        with Loopback(reply(b"", b"X-Generation-Id: gen-1", b"VIA: a", b"via: b")) as server:
            headers = client.send(server.url).headers
        assert dict(headers) == {"x-generation-id": "gen-1", "via": "b", "content-length": "0"}

    @pytest.mark.parametrize("status", [b"307 Temporary Redirect", b"402 Payment Required", b"599 Odd"])
    def test_any_status_is_returned_and_no_redirect_followed(self, client: Client, status: bytes) -> None:
        with Loopback(reply(b"why", b"Location: /elsewhere", b"Retry-After: 1", status=status)) as server:
            answer = client.send(server.url)
            assert (answer.status_code, answer.body()) == (int(status[:3]), b"why")
        assert len(server.requests) == 1

    def test_100_continue_is_skipped(self, client: Client) -> None:
        with Loopback(b"HTTP/1.1 100 Continue\r\n\r\n" + reply(b"done")) as server:
            assert [client.fetch(server.url) for _ in range(2)] == [b"done", b"done"]
        assert server.connections == 1

    def test_103_early_hints_is_skipped_by_aiohttp(self) -> None:
        """http.client of Python 3.11 takes it for the response."""
        hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        with Loopback(hints + reply(b"done")) as server, client_of("aiohttp") as client:
            answer = client.send(server.url)
            assert (answer.status_code, answer.body(), "link" in answer.headers) == (200, b"done", False)

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
    def test_body_ends_at_its_announced_length(self, client: Client, script: list[Step]) -> None:
        with Loopback(script) as server:
            assert client.fetch(server.url) == b"to the end"

    def test_body_of_a_closing_connection_is_read_with_less_time_for_each_read(self, client: Client) -> None:
        with Loopback([b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nend", CUT]) as server:
            answer = client.send(server.url)
            assert [answer.read(10), answer.read(9), answer.read(8)] == [b"end", b"", b""]

    @pytest.mark.parametrize("head", [b"204 No Content", b"304 Not Modified", b"200 OK\r\nContent-Length: 0"])
    def test_response_without_body_keeps_the_connection(self, client: Client, head: bytes) -> None:
        with Loopback(b"HTTP/1.1 " + head + b"\r\n\r\n") as server:
            assert [client.fetch(server.url) for _ in range(2)] == [b"", b""]
        assert server.connections == 1

    def test_end_of_the_body_can_be_read_again(self, client: Client) -> None:
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
    def test_bytes_are_returned_as_soon_as_they_come(
        self, client: Client, head: bytes, first: bytes, second: bytes
    ) -> None:
        was_read = threading.Event()
        script = [b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n", first, was_read, second, CUT]
        with Loopback(script) as server:
            answer = client.send(server.url)
            assert answer.read() == b"first"
            was_read.set()
            assert answer.body() == b"other"

    def test_no_event_is_lost(self, client: Client) -> None:
        events = EVENTS * 200
        with Loopback(chunked(*events), chunked(b"".join(events))) as server:
            assert client.fetch(server.url) == client.fetch(server.url) == b"".join(events)


def test_interim_response_never_answers_the_next_request(client: Client) -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    with Loopback([interim, 0.2, reply(b"first")], reply(b"second")) as server:
        with contextlib.suppress(APIConnectionError):  # urllib3 takes the interim response for the last one
            assert client.fetch(server.url) == b"first"
        assert client.fetch(server.url) == b"second"


class TestContentEncoding:
    @pytest.mark.parametrize("encoding", [b"", b"identity", b"IDENTITY"])
    def test_response_with_encoding_identity_is_read(self, client: Client, encoding: bytes) -> None:
        with Loopback(reply(b"hello", b"Content-Encoding: " + encoding)) as server:
            assert client.fetch(server.url) == b"hello"

    @pytest.mark.parametrize("encoding", ["gzip", "br", "gzip, gzip"])
    def test_compressed_response_is_an_error_that_names_the_encoding(self, client: Client, encoding: str) -> None:
        squeezed = reply(gzip.compress(b"hello"), b"Content-Encoding: " + encoding.encode())
        with Loopback(squeezed, reply(b"next")) as server:
            with pytest.raises(ResponseError, match=f"content encoding '{encoding}', which was not requested"):
                client.send(server.url)
            assert client.fetch(server.url) == b"next"


class TestCassettes:
    @pytest.mark.parametrize("replaying", KINDS)
    def test_cassette_replays_through_either_transport(self, client: Client, tmp_path: Path, replaying: str) -> None:
        """vcrpy replaces urllib3's connections and aiohttp's session."""
        whole = reply(b'{"a": 1}', b"Content-Type: application/json")
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
        with Loopback(whole, chunked(*EVENTS), limited) as server:
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

    def test_cassette_replays_a_stream_that_is_not_read_to_its_end(self, client: Client, tmp_path: Path) -> None:
        with Loopback(chunked(*EVENTS)) as server:
            for mode in ("once", "none"):
                with vcr.use_cassette(str(tmp_path / "cassette.yaml"), record_mode=mode):
                    answer = client.send(server.url)
                    assert answer.read()
                    answer.close()
        assert len(server.requests) == 1

    def test_compressed_response_of_an_old_cassette_replays_decompressed(self, client: Client, tmp_path: Path) -> None:
        """As README's example has it: recorded when requests still asked for gzip."""
        body = base64.b64encode(gzip.compress(b'{"a": 1}')).decode()
        (tmp_path / "cassette.yaml").write_text(f"""
interactions:
- request: {{body: "{{}}", headers: {{}}, method: POST, uri: "http://127.0.0.1:1/json"}}
  response:
    body: {{string: !!binary {body}}}
    headers: {{content-encoding: [gzip], content-type: [application/json]}}
    status: {{code: 200, message: OK}}
version: 1
""")
        recorder = vcr.VCR(match_on=["method", "uri", "body"], decode_compressed_response=True)
        with recorder.use_cassette(str(tmp_path / "cassette.yaml"), record_mode="none"):
            assert client.fetch("http://127.0.0.1:1/json") == b'{"a": 1}'
