"""How the transports keep, share and close connections: over threads, event loops and processes."""

from __future__ import annotations

import asyncio
import copy
import gc
import gzip
import os
import pickle
import subprocess
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from urllib3 import HTTPResponse

from lfm_adapter._transport import pools, sessions
from lfm_adapter._transport.aiohttp import AiohttpTransport, aclose_pools
from lfm_adapter._transport.http_reply import HTTPReply
from lfm_adapter._transport.urllib3 import Urllib3Transport, close_pools
from lfm_adapter.errors import StreamInterruptedError
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


@pytest.fixture
def no_collector() -> Iterator[None]:
    """What is in a cycle stays: the collector might take aiohttp's connection first, which then complains."""
    gc.disable()
    yield
    gc.enable()


class TestConnections:
    def test_are_kept_and_shared_by_all_transports(self, client: Client) -> None:
        with Loopback(reply(b"a"), chunked(b"b"), reply(gzip.compress(b"c"), b"Content-Encoding: gzip")) as server:
            assert [client.fetch(server.url) for _ in range(3)] == [b"a", b"b", b"c"]
            pickled = pickle.dumps(copy.deepcopy(client.transport))
            copied = type(client)(pickle.loads(pickled), client.run)  # noqa: S301 - made here
            assert copied.fetch(server.url) == b"c"
        assert [request.connection for request in server.requests] == [0, 0, 0, 0]

    def test_of_the_host_first_asked_are_closed_when_there_are_too_many_hosts(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pools, "_MAX_POOLS", 2)
        close_pools()
        with client_of("urllib3") as client, Loopback(reply(b"")) as one, Loopback(reply(b"")) as two:
            for server in (one, two, one, two):
                client.fetch(server.url)
            assert [request.connection for request in (*one.requests, *two.requests)] == [0, 0, 0, 0]
            with Loopback(reply(b"")) as three:
                client.fetch(three.url)
            for server in (two, one):
                client.fetch(server.url)
            assert [request.connection for request in (*one.requests, *two.requests)] == [0, 0, 1, 0, 0, 0]

    def test_that_are_closed_before_the_end_are_closed_at_once_and_not_used_again(self, client: Client) -> None:
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

    def test_that_wait_for_the_first_byte_of_the_body_can_be_closed(self, client: Client) -> None:
        with Loopback([chunked()[0], UNTIL_CLOSED]) as server:
            client.send(server.url).close()
            assert server.was_closed.wait(PATIENCE_S)

    def test_of_an_unread_reply_are_closed_when_it_is_dropped(self, client: Client) -> None:
        with Loopback([*chunked(*EVENTS)[:-1], UNTIL_CLOSED]) as server:
            client.send(server.url).read()
            client.settle()
            assert server.was_closed.wait(PATIENCE_S)

    def test_that_the_server_closed_meanwhile_are_replaced(self, client: Client) -> None:
        with Loopback([reply(b"a"), CUT], reply(b"b")) as server:
            assert client.fetch(server.url) == b"a"
            server.wait_until_idle()
            client.settle()
            assert client.fetch(server.url) == b"b"
        assert server.connections == 2

    def test_are_opened_anew_after_the_pools_were_closed(self, client: Client) -> None:
        with Loopback(reply(b"x")) as server:
            for _ in range(2):
                assert client.fetch(server.url) == b"x"
                client.close_pools()
                server.wait_until_idle()
        assert [request.connection for request in server.requests] == [0, 1]


class TestUrllib3Transport:
    def test_is_shared_by_threads(self) -> None:
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

    def test_sends_any_number_of_requests_at_once(self) -> None:
        all_came = threading.Event()
        with Loopback([all_came, reply(b"x")]) as server, ThreadPoolExecutor(80) as pool:
            fetching = pool.map(lambda _: Urllib3Transport().send(request_to(server.url)).read(10), range(80))
            server.wait_for_requests(80)
            all_came.set()
            assert set(fetching) == {b"x"}
            close_pools()

    @pytest.mark.parametrize("head", [b"Transfer-Encoding: chunked", b"Connection: close"])
    def test_reply_is_closed_by_another_thread_while_one_waits(self, head: bytes) -> None:
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

    def test_reply_that_was_closed_by_another_thread_did_not_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without a length, a closed connection looks like the end of the body."""
        with Loopback([b"HTTP/1.1 200 OK\r\n\r\n", UNTIL_CLOSED]) as server:
            answer = Urllib3Transport().send(request_to(server.url))
            monkeypatch.setattr(HTTPResponse, "read1", lambda *_: answer.close() or b"")
            with pytest.raises(StreamInterruptedError, match="was closed"):
                answer.read(10)

    def test_reply_is_closed_whatever_goes_wrong(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with Loopback([chunked()[0], UNTIL_CLOSED]) as server:
            answer = Urllib3Transport().send(request_to(server.url))
            monkeypatch.setattr(HTTPReply, "read1", lambda *_: 1 // 0)
            with pytest.raises(ZeroDivisionError):
                answer.read(10)
            assert server.was_closed.wait(PATIENCE_S)


class TestAiohttpTransport:
    def test_works_in_one_loop_after_another(self) -> None:
        transport = AiohttpTransport()

        async def fetch() -> bytes:
            return await (await transport.send(request_to(server.url))).read(10)

        with Loopback(reply(b"x")) as server:
            assert [asyncio.run(fetch()) for _ in range(5)] == [b"x"] * 5
        assert sessions._sessions == {}

    def test_works_in_loops_of_several_threads_at_once(self) -> None:
        async def fetch() -> bytes:
            return await (await AiohttpTransport().send(request_to(server.url))).read(10)

        with Loopback(reply(b"x")) as server, ThreadPoolExecutor(8) as pool:
            assert set(pool.map(lambda _: asyncio.run(fetch()), range(40))) == {b"x"}
        assert sessions._sessions == {}

    def test_lets_go_of_loops_that_were_only_closed(self) -> None:
        async def fetch() -> bytes:
            return await (await AiohttpTransport().send(request_to(server.url))).read(10)

        with Loopback(reply(b"x")) as server:
            for _ in range(3):
                loop = asyncio.new_event_loop()
                assert loop.run_until_complete(fetch()) == b"x"
                loop.close()
                assert len(sessions._sessions) == 1
            assert asyncio.run(fetch()) == b"x"
        assert sessions._sessions == {}

    async def test_has_nothing_to_close_before_the_first_request(self) -> None:
        await aclose_pools()
        assert sessions._sessions == {}

    async def test_sends_any_number_of_requests_at_once(self) -> None:
        async def fetch() -> bytes:
            return await (await AiohttpTransport().send(request_to(server.url))).read(10)

        all_came = threading.Event()
        with Loopback([all_came, reply(b"x")]) as server:
            fetching = asyncio.gather(*(fetch() for _ in range(120)))
            await asyncio.to_thread(server.wait_for_requests, 120)
            all_came.set()
            assert set(await fetching) == {b"x"}

    async def test_reply_is_closed_by_another_thread_while_a_task_waits(self) -> None:
        with Loopback([chunked()[0], UNTIL_CLOSED]) as server:
            answer = await AiohttpTransport().send(request_to(server.url))
            waiting = asyncio.create_task(answer.read(30))
            await asyncio.sleep(0)
            await asyncio.to_thread(answer.close)
            with pytest.raises(StreamInterruptedError, match="was closed"):
                await waiting
            assert await asyncio.to_thread(server.was_closed.wait, PATIENCE_S)

    def test_reply_can_be_closed_after_its_loop(self) -> None:
        with Loopback([*chunked(*EVENTS)[:-1], UNTIL_CLOSED]) as server:
            loop = asyncio.new_event_loop()
            answer = loop.run_until_complete(AiohttpTransport().send(request_to(server.url)))
            loop.close()
            answer.close()
            assert server.was_closed.wait(PATIENCE_S)
        asyncio.run(aclose_pools())
        sessions._drop_dead_loops()

    @pytest.mark.usefixtures("no_collector")
    async def test_reply_that_was_waited_for_is_closed_when_it_is_dropped(self) -> None:
        head, event, *_ = chunked(*EVENTS)
        is_waited_for = threading.Event()
        with Loopback([head, is_waited_for, event, UNTIL_CLOSED]) as server:
            answer = await AiohttpTransport().send(request_to(server.url))
            asyncio.get_running_loop().call_soon(is_waited_for.set)
            assert await answer.read(10) == EVENTS[0]
            held = weakref.ref(answer)
            del answer
            assert held() is None
            assert await asyncio.to_thread(server.was_closed.wait, PATIENCE_S)

    @pytest.mark.usefixtures("no_collector")
    async def test_reply_that_broke_off_is_closed_when_it_is_dropped(self) -> None:
        with Loopback([*chunked(*EVENTS)[:-1], CUT]) as server:
            answer = await AiohttpTransport().send(request_to(server.url))
            await asyncio.to_thread(server.wait_until_idle)
            async with asyncio.timeout(PATIENCE_S):
                while answer._stream.exception() is None:  # noqa: ASYNC110 - aiohttp has no event for it
                    await asyncio.sleep(0)
            assert await answer.read(10) == b"".join(EVENTS)
            held = weakref.ref(answer)
            del answer
            assert held() is None

    async def test_reply_that_is_read_while_the_pools_are_closed_says_so(self) -> None:
        with Loopback([chunked()[0], UNTIL_CLOSED]) as server:
            answer = await AiohttpTransport().send(request_to(server.url))
            waiting = asyncio.create_task(answer.read(5))
            await asyncio.sleep(0)
            await aclose_pools()
            with pytest.raises(StreamInterruptedError):
                await waiting
            assert await asyncio.to_thread(server.was_closed.wait, PATIENCE_S)


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
    def test_imports_no_http_library_with_the_room(self) -> None:
        code = (
            "import sys, lfm_adapter._transport; sys.exit(bool({'urllib3', 'aiohttp', 'truststore'} & {*sys.modules}))"
        )
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603 - see `run`

    @pytest.mark.parametrize(
        "script",
        [
            "fetch(); unread = Urllib3Transport().send(request('/')); unread.read(10)",
            "asyncio.run(afetch()); asyncio.run(leave_unread()); asyncio.run(afetch())",
            "loop = asyncio.new_event_loop(); loop.run_until_complete(afetch()); loop.close()",
            "loop = asyncio.new_event_loop(); loop.run_until_complete(leave_unread()); loop.close(); fetch()",
            "loop = asyncio.new_event_loop(); loop.run_until_complete(leave_unread()); loop.close(); del unread",
            """
loop = asyncio.new_event_loop()
threading.Thread(target=loop.run_forever, daemon=True).start()
asyncio.run_coroutine_threadsafe(afetch(), loop).result(10)
asyncio.run_coroutine_threadsafe(leave_unread(), loop).result(10)
""",
        ],
        ids=["threads", "runs", "closed", "closed, unread", "closed, dropped", "in a thread"],
    )
    def test_ends_without_complaint(self, script: str) -> None:
        with Loopback(chunked(*EVENTS)) as server:
            run(script, server)

    @pytest.mark.parametrize("last", ["", "loop.run_until_complete(leave_unread())"], ids=["read", "unread"])
    def test_ends_without_a_complaint_of_ours_where_no_one_closed_the_loop(self, last: str) -> None:
        with Loopback(chunked(*EVENTS)) as server:
            script = f"loop = asyncio.new_event_loop(); loop.run_until_complete(afetch()); {last}"
            run(script, server, "ignore:unclosed event loop:ResourceWarning")

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
    @pytest.mark.parametrize("leave", ["os._exit(0)", "sys.exit()"])
    def test_leaves_the_connections_of_its_parent_alone(self, leave: str) -> None:
        script = f"""
fetch("/parent")
loop = asyncio.new_event_loop()
loop.run_until_complete(afetch("/parent"))
child = os.fork()
if child == 0:
    fetch("/child")
    asyncio.run(afetch("/child"))
    {leave}
assert os.waitpid(child, 0)[1] == 0
fetch("/parent")
loop.run_until_complete(afetch("/parent"))
loop.close()
"""
        with Loopback(reply(b"x")) as server:
            run(script, server)
        used = [(request.lines[0].split()[1], request.connection) for request in server.requests]
        assert used == [
            (b"/parent", 0),
            (b"/parent", 1),
            (b"/child", 2),
            (b"/child", 3),
            (b"/parent", 0),
            (b"/parent", 1),
        ]
