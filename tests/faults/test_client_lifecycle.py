"""Clients and their connections across threads, processes and event loops."""

from __future__ import annotations

import asyncio
import copy
import gc
import os
import pickle
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from lfm_adapter import AsyncLFMClient, LFMClient
from lfm_adapter._transport.urllib3 import close_pools
from lfm_adapter.errors import BadRequestError
from lfm_adapter.testing import completion, error, stream
from tests.support.both_clients import KEY, KINDS, clients, every_connection_ends


@pytest.fixture(params=KINDS)
def make(request):
    with clients(request.param) as make:
        yield make


@pytest.fixture
def never():
    """An event that is never set."""
    return threading.Event()


@pytest.fixture
def blocking(server):
    yield LFMClient(api_key=KEY, base_url=server.base_url)
    close_pools()


@pytest.fixture
def asynchronous(server):
    return AsyncLFMClient(api_key=KEY, base_url=server.base_url)


def echo(request):
    """Answer with the question, streamed if that is wanted."""
    body = request.body
    question = body["messages"][-1]["content"]
    return stream([question[:2], question[2:]]) if body.get("stream") else completion(question)


async def streamed_text(client, question):
    async with client.stream(question) as deltas:
        return "".join([delta.text async for delta in deltas])


class TestConnections:
    def test_connection_is_reused_across_calls(self, make, server):
        server.default = echo
        client = make(server)
        for _ in range(3):
            client.chat("Hi")
        client.list_models()
        assert {request.connection for request in server.requests} == {1}

    def test_connection_is_shared_by_clients_of_one_server(self, make, server):
        server.default = echo
        make(server).chat("Hi")
        make(server, model="lfm-7b", api_key="sk-or-v1-another", timeout=5).chat("Hi")
        assert {request.connection for request in server.requests} == {1}

    @pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda client: pickle.loads(pickle.dumps(client))])  # noqa: S301
    def test_connection_is_shared_by_copies(self, make, server, duplicate):
        server.default = echo
        client = make(server)
        client.chat("Hi")
        assert type(client)(duplicate(client.client), client._run).chat("Hi").text == "Hi"
        assert {request.connection for request in server.requests} == {1}

    def test_connection_outlives_a_refusal(self, make, server):
        server.add(error(400, "No"), completion())
        client = make(server)
        with pytest.raises(BadRequestError):
            client.chat("Hi")
        client.chat("Hi")
        assert {request.connection for request in server.requests} == {1}

    def test_connection_closes_with_its_event_loop(self, server, asynchronous):
        server.default = echo
        asyncio.run(asynchronous.chat("Hi"))
        gc.collect()  # a connection that was left open would warn, and here a warning is an error
        assert every_connection_ends(server)


class TestStreamThatIsLeft:
    def test_stream_left_in_a_loop_is_closed(self, server, blocking, never):
        server.add(stream(["Hel", "lo."]).held(2, never))
        for _ in blocking.stream("Hi"):
            break
        assert server.requests[0].abandoned.wait(60)

    def test_async_stream_left_in_a_loop_is_closed(self, server, asynchronous, never):
        server.add(stream(["Hel", "lo."]).held(2, never))

        async def run():
            async for _ in asynchronous.stream("Hi"):
                break
            assert await asyncio.to_thread(server.requests[0].abandoned.wait, 60)

        asyncio.run(run())

    def test_stream_is_closed_with_its_event_loop(self, server, asynchronous, never):
        server.add(stream(["Hel", "lo."]).held(2, never))
        kept = []

        async def begin():
            kept.append(asynchronous.stream("Hi"))
            await anext(kept[0])

        asyncio.run(begin())
        assert server.requests[0].abandoned.wait(60)

    def test_stream_is_closed_when_its_task_is_cancelled(self, server, asynchronous, never):
        server.add(stream(["Hel", "lo."]).held(2, never))

        async def run():
            task = asyncio.create_task(streamed_text(asynchronous, "Hi"))
            await asyncio.to_thread(server.wait_for_requests, 1)
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
            assert await asyncio.to_thread(server.requests[0].abandoned.wait, 60)

        asyncio.run(run())

    def test_call_is_closed_when_asyncio_timeout_expires(self, server, asynchronous, never):
        server.add(completion("Hello.").in_pieces(50).held(1, never))

        async def expire(limit):
            await asyncio.to_thread(server.wait_for_requests, 1)
            limit.reschedule(0)

        async def run():
            async with asyncio.timeout(None) as limit:
                await asyncio.gather(asynchronous.chat("Hi"), expire(limit))

        with pytest.raises(TimeoutError):
            asyncio.run(run())
        assert server.requests[0].abandoned.wait(60)


class TestThreads:
    def test_threads_share_one_client(self, server, blocking):
        server.default = echo

        def ask(number):
            question = f"Question {number}"
            with blocking.stream(question) as deltas:
                streamed = "".join(delta.text for delta in deltas)
            return blocking.chat(question).text == streamed == question

        with ThreadPoolExecutor(20) as threads:
            assert all(threads.map(ask, range(100)))
        assert len(server.requests) == 200

    def test_event_loops_of_threads_share_one_client(self, server, asynchronous):
        server.default = echo
        questions = [f"Question {number}" for number in range(16)]
        with ThreadPoolExecutor(8) as threads:
            assert list(threads.map(lambda text: asyncio.run(asynchronous.chat(text)).text, questions)) == questions


class TestEventLoops:
    def test_client_works_in_consecutive_event_loops(self, server, asynchronous):
        server.default = echo
        for number in range(5):
            assert asyncio.run(asynchronous.chat(f"Question {number}")).text == f"Question {number}"
            assert asyncio.run(streamed_text(asynchronous, f"Question {number}")) == f"Question {number}"

    def test_event_loop_runs_200_calls_at_once(self, server, asynchronous):
        server.default = echo
        questions = [f"Question {number}" for number in range(100)]

        async def ask_all():
            return await asyncio.gather(
                *(asynchronous.chat(text) for text in questions),
                *(streamed_text(asynchronous, text) for text in questions),
            )

        replies = asyncio.run(ask_all())
        assert [reply.text for reply in replies[:100]] == replies[100:] == questions

    def test_call_does_not_block_the_event_loop(self, server, asynchronous):
        rest = threading.Event()
        server.add(completion("Hello.").held(0, rest))

        async def ask():
            call = asyncio.create_task(asynchronous.chat("Hi"))
            await asyncio.to_thread(server.wait_for_requests, 1)
            rest.set()
            return (await call).text

        assert asyncio.run(ask()) == "Hello."


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")  # the server's threads
class TestFork:
    def in_child(self, work):
        """Return whether `work` succeeds in a forked process."""
        child = os.fork()
        if child == 0:
            code = 1
            try:
                code = 0 if work() else 2
            except BaseException as error:  # noqa: BLE001 # nothing of the test may go on in the child
                print(repr(error), file=sys.stderr)  # noqa: T201
            finally:
                os._exit(code)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

    def test_fork_gives_the_child_its_own_connections(self, server, blocking):
        server.default = echo
        blocking.chat("Parent")
        assert self.in_child(lambda: blocking.chat("Child").text == blocking.chat("Child").text == "Child")
        assert blocking.chat("Parent").text == "Parent"
        assert [request.connection for request in server.requests] == [1, 2, 2, 1]

    def test_fork_leaves_both_able_to_run_event_loops(self, server, asynchronous):
        server.default = echo
        with asyncio.Runner() as runner:
            runner.run(asynchronous.chat("Parent"))
            assert self.in_child(lambda: asyncio.run(asynchronous.chat("Child")).text == "Child")
            assert runner.run(asynchronous.chat("Parent")).text == "Parent"
        assert [request.connection for request in server.requests] == [1, 2, 1]

    def test_fork_leaves_an_open_stream_to_the_parent(self, server, blocking):
        rest = threading.Event()
        server.add(stream(["Hel", "lo."], comments=0).held(1, rest), completion("Child"))
        with blocking.stream("Hi") as deltas:
            assert next(deltas).text == "Hel"
            assert self.in_child(lambda: blocking.chat("Hi").text == "Child")
            rest.set()
            assert "".join(delta.text for delta in deltas) == "lo."
