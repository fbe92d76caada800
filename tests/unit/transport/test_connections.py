"""Connections of both transports: kept, shared and closed, across threads, event loops and processes."""

from __future__ import annotations

import asyncio
import copy
import gc
import os
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from urllib3 import HTTPResponse

from lfm_adapter._transport import aiohttp as aiohttp_transport
from lfm_adapter._transport import deadline
from lfm_adapter._transport import urllib3 as urllib3_transport
from lfm_adapter._transport.aiohttp import AiohttpTransport, aclose_pools
from lfm_adapter._transport.urllib3 import Urllib3Transport, close_pools
from lfm_adapter.errors import ConfigurationError, StreamInterruptedError
from tests.support.both_transports import KINDS, client_of, request_to
from tests.support.loopback import CUT, PATIENCE_S, UNTIL_CLOSED, Loopback, chunked, reply

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.both_transports import Client

EVENTS = [b"data: {}\n\n", b": OPENROUTER PROCESSING\n\n", b"data: [DONE]\n\n"]


@pytest.fixture(params=KINDS)
def client(request: pytest.FixtureRequest) -> Iterator[Client]:
    with client_of(request.param) as client:
        yield client


class TestConnections:
    def test_connection_is_shared_by_copies_of_a_transport(self, client: Client) -> None:
        with Loopback(reply(b"a"), chunked(b"b"), reply(b"c")) as server:
            assert [client.fetch(server.url) for _ in range(3)] == [b"a", b"b", b"c"]
            pickled = pickle.dumps(copy.deepcopy(client.transport))
            copied = type(client)(pickle.loads(pickled), client.run)  # noqa: S301 - made here
            assert copied.fetch(server.url) == b"c"
        assert [request.connection for request in server.requests] == [0, 0, 0, 0]

    def test_close_before_the_end_closes_the_connection_at_once(self, client: Client) -> None:
        script = [*chunked(*EVENTS)[:-1], UNTIL_CLOSED]
        with Loopback(script, reply(b"next")) as server:
            answer = client.send(server.url)
            assert answer.read()
            connection = answer.socket
            answer.close()
            assert server.was_closed.wait(PATIENCE_S)
            assert connection.fileno() == -1
            answer.close()
            with pytest.raises(StreamInterruptedError, match="was closed"):
                answer.read()
            assert client.fetch(server.url) == b"next"
        assert [request.connection for request in server.requests] == [0, 1]

    def test_close_before_the_first_byte_of_the_body_closes_the_connection(self, client: Client) -> None:
        with Loopback([chunked()[0], UNTIL_CLOSED]) as server:
            client.send(server.url).close()
            assert server.was_closed.wait(PATIENCE_S)

    def test_connection_closed_by_the_server_is_replaced(self, client: Client) -> None:
        with Loopback([reply(b"a"), CUT], reply(b"b")) as server:
            assert client.fetch(server.url) == b"a"
            server.wait_until_idle()
            client.settle()
            assert client.fetch(server.url) == b"b"
        assert server.connections == 2

    def test_close_pools_closes_idle_connections(self, client: Client) -> None:
        with Loopback(reply(b"x")) as server:
            for _ in range(2):
                assert client.fetch(server.url) == b"x"
                client.close_pools()
                server.wait_until_idle()
        assert [request.connection for request in server.requests] == [0, 1]


class TestUrllib3Transport:
    def test_evicts_least_recently_used_pool_beyond_max_pools(self) -> None:
        close_pools()
        with client_of("urllib3") as client, Loopback(reply(b"")) as server:
            client.fetch(server.url)
            for number in range(urllib3_transport._MAX_POOLS):
                urllib3_transport._pool("http", f"host{number}.test", 80, os.getpid())
            server.wait_until_idle()
            client.fetch(server.url)
        assert [request.connection for request in server.requests] == [0, 1]

    def test_eviction_leaves_a_response_that_is_read(self) -> None:
        with client_of("urllib3") as client, Loopback(chunked(*EVENTS)) as server:
            answer = client.send(server.url)
            close_pools()
            assert answer.body() == b"".join(EVENTS)

    def test_dropped_response_closes_its_connection(self) -> None:
        with client_of("urllib3") as client, Loopback([*chunked(*EVENTS)[:-1], UNTIL_CLOSED]) as server:
            client.send(server.url).read()
            assert server.was_closed.wait(PATIENCE_S)

    def test_urllib3_transport_is_shared_by_threads(self) -> None:
        transport = Urllib3Transport()

        def fetch(number: int) -> bool:
            body = b"%d" % number
            answer = transport.send(request_to(server.url, body=body))
            return b"".join(iter(lambda: answer.read(10), b"")) == b"echo"

        with Loopback(chunked(b"ec", b"ho")) as server, ThreadPoolExecutor(16) as pool:
            assert all(pool.map(fetch, range(200)))
            close_pools()
        assert server.connections <= 16
        assert {request.body for request in server.requests} == {b"%d" % number for number in range(200)}

    def test_any_number_of_requests_is_sent_at_once(self) -> None:
        all_came = threading.Event()
        with Loopback([all_came, reply(b"x")]) as server, ThreadPoolExecutor(80) as pool:
            fetching = pool.map(lambda _: Urllib3Transport().send(request_to(server.url)).read(10), range(80))
            server.wait_for_requests(80)
            all_came.set()
            assert set(fetching) == {b"x"}
            close_pools()

    @pytest.mark.parametrize("head", [b"Transfer-Encoding: chunked", b"Connection: close"])
    def test_close_from_another_thread_ends_a_read_that_waits(self, head: bytes) -> None:
        with Loopback([b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n", UNTIL_CLOSED]) as server:
            answer = Urllib3Transport().send(request_to(server.url))
            with ThreadPoolExecutor(1) as pool:
                waiting = pool.submit(answer.read, 30)
                while not waiting.running():
                    pass
                answer.close()
                with pytest.raises(StreamInterruptedError, match="was closed"):
                    waiting.result(PATIENCE_S)
            assert server.was_closed.wait(PATIENCE_S)

    def test_close_from_another_thread_is_not_the_end_of_the_body(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without a length, a closed connection looks like the end of the body."""
        with Loopback([b"HTTP/1.1 200 OK\r\n\r\n", UNTIL_CLOSED]) as server:
            answer = Urllib3Transport().send(request_to(server.url))
            monkeypatch.setattr(HTTPResponse, "read1", lambda *_: answer.close() or b"")
            with pytest.raises(StreamInterruptedError, match="was closed"):
                answer.read(10)

    def test_connection_is_opened_if_no_thread_can_be_started(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class NoThread(threading.Thread):
            def start(self) -> None:
                raise RuntimeError("can't create new thread at interpreter shutdown")

        monkeypatch.setattr(deadline, "Thread", NoThread)
        with client_of("urllib3") as client, Loopback(reply(b"x")) as server:
            assert client.fetch(server.url) == b"x"

    def test_headers_and_body_go_out_in_one_packet(self) -> None:
        with client_of("urllib3") as client, Loopback(reply(b"x")) as server:
            for _ in range(10):
                client.fetch(server.url)
        assert {request.packets for request in server.requests} == {1}

    def test_unexpected_exception_closes_the_connection(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with Loopback([chunked()[0], UNTIL_CLOSED]) as server:
            answer = Urllib3Transport().send(request_to(server.url))
            monkeypatch.setattr(HTTPResponse, "read1", lambda *_: 1 // 0)
            with pytest.raises(ZeroDivisionError):
                answer.read(10)
            assert server.was_closed.wait(PATIENCE_S)


async def fetch_async(url: str) -> bytes:
    return await (await AiohttpTransport().send(request_to(url))).read(10)


class TestAiohttpTransport:
    def test_aiohttp_transport_works_in_one_loop_after_another(self) -> None:
        with Loopback(reply(b"x")) as server:
            assert [asyncio.run(fetch_async(server.url)) for _ in range(5)] == [b"x"] * 5
        assert aiohttp_transport._sessions == {}

    def test_aiohttp_transport_works_in_loops_of_several_threads_at_once(self) -> None:
        with Loopback(reply(b"x")) as server, ThreadPoolExecutor(8) as pool:
            assert set(pool.map(lambda _: asyncio.run(fetch_async(server.url)), range(40))) == {b"x"}
        assert aiohttp_transport._sessions == {}

    @pytest.mark.filterwarnings(
        "ignore:.*unclosed:ResourceWarning", "ignore:.*unclosed:pytest.PytestUnraisableExceptionWarning"
    )
    def test_sessions_of_loops_that_were_only_closed_are_dropped(self) -> None:
        with Loopback(reply(b"x")) as server:
            for _ in range(3):
                loop = asyncio.new_event_loop()
                assert loop.run_until_complete(fetch_async(server.url)) == b"x"
                loop.close()
                assert len(aiohttp_transport._sessions) == 1
            assert asyncio.run(fetch_async(server.url)) == b"x"
            assert aiohttp_transport._sessions == {}
            del loop
            gc.collect()
            server.wait_until_idle()

    async def test_aclose_pools_before_the_first_request_does_nothing(self) -> None:
        await aclose_pools()
        assert aiohttp_transport._sessions == {}

    async def test_any_number_of_requests_is_sent_at_once(self) -> None:
        all_came = threading.Event()
        with Loopback([all_came, reply(b"x")]) as server:
            fetching = asyncio.gather(*(fetch_async(server.url) for _ in range(120)))
            await asyncio.to_thread(server.wait_for_requests, 120)
            all_came.set()
            assert set(await fetching) == {b"x"}


def test_call_outside_of_asyncio_says_what_to_do():
    """As in trio: its coroutines are driven without an event loop of asyncio."""
    with pytest.raises(ConfigurationError, match="With trio, call `LFMClient` in a thread"):
        AiohttpTransport().send(request_to("http://127.0.0.1:9/")).send(None)


# Run with every warning an error; aiohttp's and asyncio's own complaints would stand in stderr too.
PREAMBLE = """
import asyncio, os, sys, threading
from lfm_adapter.types import HTTPRequest
from lfm_adapter._transport.urllib3 import Urllib3Transport
from lfm_adapter._transport.aiohttp import AiohttpTransport

def request(name):
    return HTTPRequest("POST", sys.argv[1] + name, {}, b"{}", 10)

def fetch(name="/"):
    response = Urllib3Transport().send(request(name))
    while response.read(10):
        pass

async def afetch(name="/"):
    response = await AiohttpTransport().send(request(name))
    while await response.read(10):
        pass

async def leave_unread():
    global unread
    unread = await AiohttpTransport().send(request("/"))
    await unread.read(10)
"""


def run(script: str, server: Loopback, *excepted: str) -> None:
    filters = [word for warning in ("error", *excepted) for word in ("-W", warning)]
    command = [sys.executable, *filters, "-c", PREAMBLE + script, server.url]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)  # noqa: S603 - our own code
    assert (done.returncode, done.stderr) == (0, "")


class TestProcess:
    def test_package_import_loads_no_http_library(self) -> None:
        code = (
            "import sys, lfm_adapter._transport; sys.exit(bool({'urllib3', 'aiohttp', 'truststore'} & {*sys.modules}))"
        )
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603 - see `run`

    @pytest.mark.parametrize(
        "script",
        [
            "fetch(); unread = Urllib3Transport().send(request('/')); unread.read(10)",
            "asyncio.run(afetch()); asyncio.run(leave_unread()); asyncio.run(afetch())",
            """
loop = asyncio.new_event_loop()
threading.Thread(target=loop.run_forever, daemon=True).start()
asyncio.run_coroutine_threadsafe(afetch(), loop).result(10)
asyncio.run_coroutine_threadsafe(leave_unread(), loop).result(10)
""",
        ],
        ids=["threads", "runs", "in a thread"],
    )
    def test_process_exits_without_warnings(self, script: str) -> None:
        with Loopback(chunked(*EVENTS)) as server:
            run(script, server)

    @pytest.mark.parametrize("last", ["", "loop.run_until_complete(leave_unread())"], ids=["read", "unread"])
    def test_process_exits_without_warnings_if_the_loop_was_not_closed(self, last: str) -> None:
        with Loopback(chunked(*EVENTS)) as server:
            script = f"loop = asyncio.new_event_loop(); loop.run_until_complete(afetch()); {last}"
            run(script, server, "ignore:unclosed event loop:ResourceWarning")

    @pytest.mark.parametrize(
        "script",
        [
            "loop.run_until_complete(afetch()); loop.close()",
            "loop.run_until_complete(afetch()); loop.close(); asyncio.run(afetch())",
            "loop.run_until_complete(leave_unread()); loop.close(); fetch()",
            "loop.run_until_complete(leave_unread()); loop.close(); del unread; asyncio.run(afetch())",
        ],
        ids=["read", "read, again", "unread", "dropped"],
    )
    def test_process_exits_with_warnings_of_asyncio_alone_if_the_loop_was_only_closed(self, script: str) -> None:
        """`loop.close()` alone closes no transport; Python says so by warnings, which it hides by default."""
        with Loopback(chunked(*EVENTS)) as server:
            run(f"loop = asyncio.new_event_loop(); {script}", server, "ignore:unclosed :ResourceWarning")

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
    def test_forked_child_leaves_the_connections_of_its_parent_alone(self) -> None:
        script = """
fetch("/parent")
loop = asyncio.new_event_loop()
loop.run_until_complete(afetch("/parent"))
child = os.fork()
if child == 0:
    fetch("/child")
    asyncio.run(afetch("/child"))
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
fetch("/parent")
loop.run_until_complete(afetch("/parent"))
loop.close()
"""
        with Loopback(reply(b"x")) as server:
            run(script, server, "ignore:unclosed :ResourceWarning")  # `loop.close()` alone, see above
        used = [(request.lines[0].split()[1], request.connection) for request in server.requests]
        assert used == [
            (b"/parent", 0),
            (b"/parent", 1),
            (b"/child", 2),
            (b"/child", 3),
            (b"/parent", 0),
            (b"/parent", 1),
        ]
