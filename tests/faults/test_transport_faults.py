"""Both transports when a connection fails, stalls, breaks or carries something else than HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import http.client
import inspect
import math
import pickle
import socket
import ssl
import sys
import threading
import traceback
import weakref
from typing import TYPE_CHECKING, Any

import aiohttp
import aiohttp.http_exceptions
import pytest
import urllib3.exceptions

from lfm_adapter._transport import deadline, tls
from lfm_adapter._transport.aiohttp import AiohttpTransport, aclose_pools
from lfm_adapter.errors import (
    APIConnectionError,
    APITimeoutError,
    LFMError,
    ResponseError,
    StreamInterruptedError,
)
from tests.support.both_transports import KEY, KINDS, client_of, request_to
from tests.support.certificates import authority
from tests.support.loopback import CUT, PATIENCE_S, REQUEST, RESET, UNTIL_CLOSED, Loopback, chunked, dripping, reply

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.both_transports import Client
    from tests.support.loopback import Mark, Step

WHOLE = {
    "length": reply(b"0123456789" * 2, b"X-Generation-Id: gen-1"),
    "chunked": b"".join(chunked(b"hello ", b"world")),
}


@pytest.fixture(params=KINDS)
def client(request: pytest.FixtureRequest) -> Iterator[Client]:
    with client_of(request.param) as client:
        yield client


@contextlib.contextmanager
def full_backlog() -> Iterator[int]:
    """Yield a port of this machine on which connections wait."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, contextlib.ExitStack() as stack:
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        yield full.getsockname()[1]


class TestCut:
    @pytest.mark.parametrize("how", [CUT, RESET])
    @pytest.mark.parametrize("kind", WHOLE)
    def test_cut_after_any_byte_is_an_error(self, client: Client, kind: str, how: Mark) -> None:
        whole = WHOLE[kind]
        head = whole.index(b"\r\n\r\n") + 4
        # Behind the 0 that ends the chunks, nothing is missing. http.client takes headers that are cut off for all of
        # them (docs/limits-and-safety.md), so with urllib3 only what comes before them and after them is tried.
        cuts = range(len(whole) - 4 if kind == "chunked" else len(whole))
        tried = [at for at in cuts if at in {0, *range(head, len(whole))} or client.kind == "aiohttp"]
        with Loopback(*([whole[:at], how] for at in tried)) as server:
            for at in tried:
                with pytest.raises(APIConnectionError) as caught:
                    client.fetch(server.url)
                assert isinstance(caught.value, StreamInterruptedError) is (at >= head), (at, caught.value)
                assert caught.value.is_retryable
                assert f"127.0.0.1:{server.port}" in str(caught.value)

    @pytest.mark.parametrize("headers", [b"HTTP/1.1 20", b"HTTP/1.1 200 OK\r\nContent-Le"])
    def test_cut_headers_end_in_an_error_or_an_empty_body(self, headers: bytes) -> None:
        """The limit of http.client: an empty body is an error of the client."""
        lenient = contextlib.suppress(APIConnectionError)
        with Loopback([headers, CUT]) as server, client_of("urllib3") as client, lenient:
            answer = client.send(server.url)
            assert answer.body() == b""

    def test_cut_loses_nothing_that_came_before(self, client: Client) -> None:
        """An event that says why is often the last thing before a connection breaks."""
        with Loopback([*chunked(b"data: 1\n\n", b"data: why\n\n")[:-1], CUT]) as server:
            answer = client.send(server.url)
            server.wait_until_idle()
            client.settle()
            pieces = iter(answer.read, b"")
            got = b""
            while b"why" not in got:
                got += next(pieces)
            assert got == b"data: 1\n\ndata: why\n\n"
            with pytest.raises(StreamInterruptedError):
                next(pieces)

    async def test_cut_loses_nothing_for_a_reader_that_waits(self) -> None:
        go_on = threading.Event()
        script = chunked(b"data: 1\n\n", b"data: why\n\n")
        with Loopback([script[0], go_on, *script[1:-1], CUT]) as server:
            answer = await AiohttpTransport().send(request_to(server.url))
            asyncio.get_running_loop().call_soon(go_on.set)
            got = b""
            while b"why" not in got:
                got += await answer.read(10)
            assert got == b"data: 1\n\ndata: why\n\n"
            with pytest.raises(StreamInterruptedError):
                await answer.read(10)

    def test_cut_of_a_kept_connection_is_retryable(self, client: Client) -> None:
        """The request may be sent again: the server closed the idle connection while it was on its way."""
        with Loopback(reply(b"a"), [CUT], reply(b"b")) as server:
            assert client.fetch(server.url) == b"a"
            with pytest.raises(APIConnectionError, match="closed the connection before it responded") as caught:
                client.send(server.url)
            assert caught.value.is_retryable
            assert not isinstance(caught.value, StreamInterruptedError)
            assert client.fetch(server.url) == b"b"
        assert [request.connection for request in server.requests] == [0, 0, 1]

    def test_malformed_chunk_is_a_break(self, client: Client) -> None:
        go_on = threading.Event()
        with Loopback([*chunked(b"data: 1\n\n")[:-1], go_on, b"no length\r\n", UNTIL_CLOSED]) as server:
            answer = client.send(server.url)
            assert answer.read() == b"data: 1\n\n"
            go_on.set()
            for _ in range(2):
                with pytest.raises(StreamInterruptedError):
                    answer.read(60)
            assert server.was_closed.wait(PATIENCE_S)


class TestNoConnection:
    def test_refused_connection(self, client: Client) -> None:
        with socket.create_server(("127.0.0.1", 0)) as unused:
            port = unused.getsockname()[1]
        with pytest.raises(
            APIConnectionError, match=f"Could not connect to 127.0.0.1:{port}: connection refused"
        ) as caught:
            client.send(f"http://127.0.0.1:{port}/")
        assert caught.value.is_retryable

    def test_unknown_host(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        def getaddrinfo(*_: object, **__: object) -> None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        with pytest.raises(APIConnectionError, match=r"Could not resolve nowhere\.test") as caught:
            client.send("https://nowhere.test/api")
        assert caught.value.is_retryable

    def test_reason_of_the_system_is_shown(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        def getaddrinfo(*_: object, **__: object) -> None:
            raise OSError(errno.ENETUNREACH, "Network is unreachable")

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        with pytest.raises(APIConnectionError, match=r"Could not connect to nowhere\.test \(Network is unreachable\)"):
            client.send("https://nowhere.test/api")

    @pytest.mark.parametrize(("status", "is_retryable"), [(b"407 Auth Required", False), (b"503 Busy", True)])
    def test_proxy_that_refuses_to_connect(
        self, client: Client, monkeypatch: pytest.MonkeyPatch, status: bytes, *, is_retryable: bool
    ) -> None:
        with Loopback([reply(b"", status=status), CUT]) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", f"http://me:hunter2@127.0.0.1:{proxy.port}")
            with pytest.raises(APIConnectionError, match=rf"proxy refused .*\(status {int(status[:3])}\)") as caught:
                client.send("https://openrouter.test/api")
        assert caught.value.is_retryable is is_retryable
        assert "hunter2" not in everything_about(caught.value)

    def test_proxy_that_is_down(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        with socket.create_server(("127.0.0.1", 0)) as unused:
            port = unused.getsockname()[1]
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:hunter2@127.0.0.1:{port}")
        says = rf"openrouter.test \(through the proxy 127.0.0.1:{port}\): connection refused"
        with pytest.raises(APIConnectionError, match=says) as caught:
            client.send("https://openrouter.test/api")
        assert "hunter2" not in everything_about(caught.value)


class TestTimeouts:
    def test_no_headers_in_time(self, client: Client) -> None:
        with Loopback([b"HTTP/1.1 200", UNTIL_CLOSED]) as server:
            with pytest.raises(APITimeoutError, match=r"127.0.0.1:\d+ did not respond within 0.05 s") as caught:
                client.send(server.url, timeout=0.05)
            assert caught.value.is_retryable
            client.settle()
            assert server.was_closed.wait(PATIENCE_S)

    @pytest.mark.parametrize(
        "script",
        [
            dripping(b"HTTP/1.1 200 OK\r\nX-Generation-Id: gen-1\r\nContent-Length: 0\r\n\r\n"),
            [step for line in [b"HTTP/1.1 200 OK\r\n", *[b"Via: x\r\n"] * 30, b"\r\n"] for step in (0.05, line)],
            [*[0.05, b"HTTP/1.1 100 Continue\r\n\r\n"] * 30, reply()],
        ],
        ids=["bytes", "lines", "hints"],
    )
    def test_timeout_bounds_all_headers(self, client: Client, script: list[Step]) -> None:
        with Loopback(script) as server:
            with pytest.raises(APITimeoutError, match=r"did not respond within 0.4 s"):
                client.send(server.url, timeout=0.4)
            client.settle()
            assert server.was_closed.wait(PATIENCE_S)

    def test_timeout_bounds_the_headers_of_a_proxy(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        with Loopback(dripping(b"HTTP/1.1 200 Established\r\n\r\n")) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
            with pytest.raises(APITimeoutError, match=r"did not respond within 0.4 s"):
                client.send("https://openrouter.test/api", timeout=0.4)

    def test_timeout_bounds_proxy_handshake_and_headers_together(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        steps = [0.4, b"HTTP/1.1 200 Established\r\n\r\n", 0.4, authority().server, REQUEST, 0.4, reply()]
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority().certificate))
        tls.context.cache_clear()
        with Loopback(steps) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
            assert client.send("https://openrouter.test/api", timeout=60).status_code == 200
            client.close_pools()
            with pytest.raises(APITimeoutError, match=r"did not respond within 0.7 s"):
                client.send("https://openrouter.test/api", timeout=0.7)
        tls.context.cache_clear()

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems refuse or accept the connection")
    def test_timeout_bounds_all_addresses_of_a_host_together(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with Loopback(reply()) as server, full_backlog() as silent:
            ports = [silent, silent, silent, server.port]
            found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in ports]
            monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
            with pytest.raises(APITimeoutError, match=r"did not respond within 0.2 s"):
                client.send("http://several.test/", timeout=0.2)
            assert not server.requests

    def test_timeout_bounds_name_resolution(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        resolves = threading.Event()
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 9))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: resolves.wait(PATIENCE_S) and found)
        with pytest.raises(APITimeoutError, match=r"did not respond within 0.1 s"):
            client.send("http://slow.test/", timeout=0.1)
        resolves.set()

    def test_timeout_bounds_a_body_that_says_nothing(self, client: Client) -> None:
        with Loopback([chunked()[0], *dripping(b"5" + b";" * 60 + b"\r\nhello\r\n")]) as server:
            answer = client.send(server.url)
            with pytest.raises(APITimeoutError, match=r"sent nothing for 0.4 s"):
                answer.read(0.4)

    def test_timeout_bounds_sending_and_receiving_together(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Slow:
            """Takes a second for each byte that it sends or receives, of a clock that only it moves."""

            now = 0.0
            fileno = shutdown = close = None

            def __init__(self) -> None:
                self.timeouts: list[float] = []

            def settimeout(self, seconds: float) -> None:
                self.timeouts.append(seconds)

            def send(self, data: Any) -> int:
                Slow.now += 1
                return 1

        monkeypatch.setattr(deadline, "monotonic", lambda: Slow.now)
        slow = Slow()
        sock = deadline.DeadlineSocket(slow, 3.5)  # type: ignore[arg-type]
        sock.sendall(b"12")
        with pytest.raises(TimeoutError):
            sock.sendall(b"3456789")
        assert (Slow.now, slow.timeouts) == (4, [3.5, 2.5, 1.5, 0.5])
        sock.settimeout(9)
        sock.sendall(b"3")
        assert slow.timeouts[-1] == 9

    def test_no_tls_handshake_in_time(self, client: Client) -> None:
        with Loopback([UNTIL_CLOSED]) as server, pytest.raises(APITimeoutError, match="did not respond"):
            client.send(server.url.replace("http:", "https:"), timeout=0.1)

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems refuse or accept the connection")
    def test_no_connection_in_time(self, client: Client) -> None:
        with full_backlog() as port, pytest.raises(APITimeoutError, match="did not respond"):
            client.send(f"http://127.0.0.1:{port}/", timeout=0.1)

    @pytest.mark.parametrize("timeout_s", [0, 0.05])
    def test_no_bytes_of_the_body_in_time(self, client: Client, timeout_s: float) -> None:
        with Loopback([*chunked(b"data: 1\n\n")[:-1], UNTIL_CLOSED]) as server:
            answer = client.send(server.url)
            assert answer.read(10) == b"data: 1\n\n"
            with pytest.raises(APITimeoutError, match=f"sent nothing for {timeout_s} s"):
                answer.read(timeout_s)
            client.settle()
            assert server.was_closed.wait(PATIENCE_S)

    @pytest.mark.parametrize("head", [b"Connection: close", b"Content-Length: 9"])
    def test_no_bytes_of_the_body_in_time_without_chunks(self, client: Client, head: bytes) -> None:
        with Loopback([b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n", UNTIL_CLOSED]) as server:
            answer = client.send(server.url, timeout=600)
            with pytest.raises(APITimeoutError):
                answer.read(0.05)

    def test_timeouts_may_be_infinite(self, client: Client) -> None:
        with Loopback(reply(b"x")) as server:
            assert client.send(server.url, timeout=math.inf).read(math.inf) == b"x"

    async def test_pause_of_the_reader_does_not_count(self) -> None:
        """The timer of one read rings while no one reads, and while the next read has more time."""
        second, third = threading.Event(), threading.Event()
        script = chunked(b"1", b"2", b"3")
        with Loopback([*script[:2], second, script[2], third, *script[3:]]) as server:
            answer = await AiohttpTransport().send(request_to(server.url))
            assert await answer.read(10) == b"1"
            loop = asyncio.get_running_loop()
            loop.call_later(0.01, second.set)
            assert await answer.read(1) == b"2"
            await asyncio.sleep(1.1)
            loop.call_later(0.6, third.set)
            assert await answer.read(10) == b"3"

    async def test_response_that_nobody_reads_to_its_end_is_freed_at_once(self) -> None:
        go_on = threading.Event()
        script = chunked(b"1", b"2", b"3")
        with Loopback([*script[:2], go_on, script[2], UNTIL_CLOSED]) as server:
            answer = await AiohttpTransport().send(request_to(server.url))
            assert await answer.read(10) == b"1"
            asyncio.get_running_loop().call_later(0.01, go_on.set)
            assert await answer.read(10) == b"2"
            left = weakref.ref(answer)
            del answer
            assert left() is None

    async def test_each_read_has_its_own_timeout(self) -> None:
        go_on = threading.Event()
        script = chunked(b"1", b"2")
        with Loopback([script[0], go_on, script[1], UNTIL_CLOSED]) as server:
            answer = await AiohttpTransport().send(request_to(server.url))
            asyncio.get_running_loop().call_soon(go_on.set)
            assert await answer.read(600) == b"1"
            with pytest.raises(APITimeoutError):
                await asyncio.wait_for(answer.read(0.05), 10)


class TestNotHTTP:
    def test_body_that_is_compressed_below_http_is_refused(self, client: Client) -> None:
        script = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", CUT]
        with Loopback(script) as server, pytest.raises(ResponseError, match="'gzip', which was not requested"):
            client.send(server.url)

    @pytest.mark.parametrize(
        "script",
        [
            [b"SSH-2.0-OpenSSH_9.2\r\n", CUT],
            [b"HTTP/1.1 two hundred\r\n\r\n", CUT],
            [b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 70_000 + b"\r\n\r\n", CUT],
            [b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\nab", CUT],
            [b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", CUT],
            [b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nab", CUT],
            [b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nab", CUT],
            [b"HTTP/1.1 200 OK\r\nContent-Length: 0_2\r\n\r\nab", CUT],
            [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", CUT],
        ],
        ids=["protocol", "status", "header", "list", "two lengths", "word", "sign", "underscore", "length of chunks"],
    )
    def test_something_else_than_http(self, client: Client, script: list[Step]) -> None:
        with (
            Loopback(script) as server,
            pytest.raises(APIConnectionError, match="not send a valid HTTP") as caught,
        ):
            client.send(server.url)
        assert not caught.value.is_retryable


class TestCancelledTask:
    async def test_cancelled_task_leaves_nothing_behind(self) -> None:
        async def exchange() -> None:
            answer = await AiohttpTransport().send(request_to(server.url))
            try:
                while await answer.read(10):
                    pass
            finally:
                answer.close()

        with Loopback(chunked(*[b"data: {}\n\n"] * 20)) as server:
            for steps in range(60):
                task = asyncio.create_task(exchange())
                for _ in range(steps):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task])
                assert asyncio.all_tasks() == {asyncio.current_task()}
            await exchange()
            await aclose_pools()
            await asyncio.to_thread(server.wait_until_idle)


def make(kind: type[BaseException]) -> Any:
    error = kind.__new__(kind)
    error.__dict__.update(status=502, message="")
    return error


def kinds_in(module: Any, *bases: type[BaseException]) -> list[type[BaseException]]:
    classes = {kind for _, kind in inspect.getmembers(module, inspect.isclass)}
    own = (kind for kind in classes if issubclass(kind, bases) and kind.__module__.startswith(module.__name__))
    return sorted(own, key=lambda kind: kind.__name__)


URLLIB3 = [kind for kind in kinds_in(urllib3.exceptions, Exception) if not issubclass(kind, Warning)]
AIOHTTP = kinds_in(aiohttp, aiohttp.ClientError) + kinds_in(aiohttp.http_exceptions, Exception)
PYTHON = [*kinds_in(http.client, http.client.HTTPException), TimeoutError, ssl.SSLError, socket.gaierror, OSError]


class TestEveryException:
    @pytest.mark.parametrize("kind", [*URLLIB3, *PYTHON])
    def test_urllib3_exception_is_mapped(self, monkeypatch: pytest.MonkeyPatch, kind: type[BaseException]) -> None:
        def fail(*_: object, **__: object) -> None:
            raise make(kind)

        with Loopback(reply(b"x")) as server, client_of("urllib3") as client:
            answer = client.send(server.url)
            monkeypatch.setattr(urllib3.HTTPResponse, "read1", fail)
            with pytest.raises(LFMError):
                answer.read()
            monkeypatch.setattr(urllib3.HTTPConnectionPool, "urlopen", fail)
            with pytest.raises(LFMError):
                client.send(server.url)

    @pytest.mark.parametrize("kind", [*AIOHTTP, TimeoutError, ssl.SSLError, socket.gaierror, OSError])
    def test_aiohttp_exception_is_mapped(self, monkeypatch: pytest.MonkeyPatch, kind: type[BaseException]) -> None:
        def fail(*_: object, **__: object) -> None:
            raise make(kind)

        with Loopback([*chunked(b"x")[:-1], UNTIL_CLOSED]) as server, client_of("aiohttp") as client:
            answer = client.send(server.url)
            assert answer.read() == b"x"
            monkeypatch.setattr(aiohttp.StreamReader, "read_nowait", fail)
            with pytest.raises(LFMError):
                answer.read()
            monkeypatch.setattr(aiohttp.ClientSession, "_request", fail)
            with pytest.raises(LFMError):
                client.send(server.url)


def everything_about(error: BaseException) -> str:
    """What a log, a traceback or an error tracker would show of `error`."""
    text = "".join(traceback.format_exception(error))
    seen: BaseException | None = error
    while seen is not None:
        text += f"{seen!r} {seen} {seen.args!r} {vars(seen)!r}"
        seen = seen.__cause__
    return text


PRIVATE = "/private?token=hush"
SECRETS = (KEY, "hush", "/private")


class TestSecrets:
    @pytest.mark.parametrize(
        "script",
        [
            [CUT],
            [RESET],
            [b"nonsense\r\n\r\n", CUT],
            [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", CUT],
            [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", CUT],
            reply(b"x", b"Content-Encoding: br"),
            [UNTIL_CLOSED],
        ],
        ids=["cut", "reset", "nonsense", "short", "chunks", "encoding", "silence"],
    )
    def test_errors_show_no_key_and_no_path(self, client: Client, script: list[Step]) -> None:
        with Loopback(script) as server:
            url = server.url + PRIVATE
            with pytest.raises(LFMError) as caught:
                client.fetch(url, timeout=0.1)
        shown = everything_about(caught.value)
        assert "127.0.0.1" in shown
        assert not [secret for secret in SECRETS if secret in shown]

    def test_errors_of_a_failed_connection_show_no_key_and_no_path(self, client: Client) -> None:
        with Loopback(reply()) as server:
            url = server.url + PRIVATE
        with pytest.raises(LFMError) as caught:
            client.fetch(url)
        assert not [secret for secret in SECRETS if secret in everything_about(caught.value)]

    def test_errors_survive_pickling(self, client: Client) -> None:
        with Loopback([CUT]) as server, pytest.raises(APIConnectionError) as caught:
            client.send(server.url)
        copied = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - made here
        assert (str(copied), copied.is_retryable) == (str(caught.value), True)
