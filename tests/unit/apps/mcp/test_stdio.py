"""`lfm mcp` on stdin and stdout, byte by byte: what clients get wrong, and what they leave unread."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from lfm_adapter.testing import ScriptedOpenRouter, completion, stream
from tests.support.mcp_session import MODEL, environment_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lfm_adapter.testing import ScriptedReply

LFM = [sys.executable, "-c", "from lfm_adapter.apps.cli import app; app()", "mcp", "--model", MODEL]
HELLO = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}


class RawClient:
    """Writes lines to a server, and reads the messages that come back."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    def write(self, line: bytes) -> None:
        assert self.process.stdin
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def read(self) -> Any:
        assert self.process.stdout
        return json.loads(self.process.stdout.readline())

    def exchange(self, line: bytes) -> Any:
        self.write(line)
        return self.read()

    def initialize(self, prefix: bytes = b"") -> Any:
        hello = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": HELLO}
        result = self.exchange(prefix + json.dumps(hello).encode())
        self.write(b'{"jsonrpc": "2.0", "method": "notifications/initialized"}')
        return result

    def call(self, tool: str, arguments: bytes, request_id: int = 1) -> Any:
        head = f'{{"jsonrpc": "2.0", "id": {request_id}, "method": "tools/call", "params": {{"name": "{tool}", '
        return self.exchange(head.encode() + b'"arguments": ' + arguments + b"}}")


@pytest.fixture(scope="module")
def openrouter() -> Iterator[ScriptedOpenRouter]:
    with ScriptedOpenRouter(path="/api/v1") as server:
        yield server


@pytest.fixture
def server(openrouter: ScriptedOpenRouter) -> ScriptedOpenRouter:
    openrouter.requests.clear()
    return openrouter


@contextmanager
def running(server: ScriptedOpenRouter, program: str = LFM[2]) -> Iterator[RawClient]:
    with (
        subprocess.Popen(  # noqa: S603
            [*LFM[:2], program, *LFM[3:]],
            env=environment_of(server),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process
    ):
        yield RawClient(process)
        process.kill()


@pytest.fixture(scope="module")
def client(openrouter: ScriptedOpenRouter) -> Iterator[RawClient]:
    """A client of one server for several tests: it takes seconds to start."""
    with running(openrouter) as client:
        hello = client.initialize(prefix=b"\xef\xbb\xbf")  # a byte order mark, as programs on Windows write it
        assert hello["result"]["serverInfo"]["name"] == "lfm"
        yield client


def test_lines_that_are_no_messages_get_an_error(client: RawClient):
    for line, code in (
        (b"{not json", -32700),
        (b"[" * 20_000, -32700),
        (b"42", -32600),
        (b"{}", -32600),
        (b'{"jsonrpc": "2.0", "id": 1.5, "method": "ping"}', -32600),
        (b'{"jsonrpc": "2.0", "id": null, "method": "ping"}', -32600),
        (b'[{"jsonrpc": "2.0", "id": 5, "method": "ping"}]', -32600),
    ):
        answer = client.exchange(line)
        assert (answer["id"], answer["error"]["code"]) == (None, code), line
    for line in (
        b'{"id": 5, "method": "ping"}',
        b'{"jsonrpc": "2.0", "id": 5, "method": "ping", "params": {"_meta": {"a": ' + b"[" * 300 + b"]" * 300 + b"}}}",
        b'{"jsonrpc": "2.0", "id": 5, "method": "ping", "params": {"_meta": {"a": ' + b"9" * 5_000 + b"}}}",
    ):
        answer = client.exchange(line)
        assert (answer["id"], answer["error"]["code"]) == (5, -32600), line[:90]
    assert client.exchange(b'\n \n{"jsonrpc": "2.0", "id": 6, "method": "ping"}\r')["id"] == 6


def test_a_half_of_a_character_in_an_argument_becomes_a_replacement(client: RawClient, server: ScriptedOpenRouter):
    server.add(stream(["Fine."]))
    result = client.call("ask", rb'{"prompt": "cut \ud83d, whole \ud83d\ude00, path C:\\ud83d"}')["result"]
    assert result["content"][0]["text"] == "Fine."
    assert server.requests[0].body["messages"][-1]["content"] == "cut �, whole 😀, path C:\\ud83d"


def with_halves(reply: ScriptedReply) -> ScriptedReply:
    def escape(part: Any) -> Any:
        return part.replace(b"HIGH", rb"\ud83d").replace(b"LOW", rb"\ude00") if isinstance(part, bytes) else part

    return replace(reply, parts=tuple(map(escape, reply.parts)))


def test_halves_of_characters_from_the_model_are_joined_or_replaced(client: RawClient, server: ScriptedOpenRouter):
    server.add(with_halves(stream(["joined HIGH", "LOW, cut HIGH"])), completion('{"a": "cut \\ud83d"}'))
    answered = client.call("ask", b'{"prompt": "Hi"}')["result"]
    assert answered["content"][0]["text"] == answered["structuredContent"]["text"] == "joined 😀, cut �"
    schema = b'{"type": "object", "properties": {"a": {"type": "string"}}}'
    found = client.call("extract", b'{"text": "x", "schema": ' + schema + b"}", 2)["result"]
    assert found["structuredContent"]["data"] == {"a": "cut �"}


def test_unencodable_result_fails_only_its_own_call(client: RawClient, server: ScriptedOpenRouter):
    schema = b'{"type": "object", "properties": {"a": {"type": "array"}}}'
    for number, depth in enumerate((250, 260, 2000), 20):
        server.add(completion('{"a": ' + "[" * depth + "]" * depth + "}"))
        answer = client.call("extract", b'{"text": "x", "schema": ' + schema + b"}", number)
        assert answer["id"] == number
    assert client.exchange(b'{"jsonrpc": "2.0", "id": 30, "method": "ping"}')["id"] == 30


def test_unread_stderr_does_not_stop_the_server(server: ScriptedOpenRouter):
    flood = (
        "import logging; from lfm_adapter.apps.mcp import tools\n"
        "async def fail(self, call):\n"
        "    for number in range(2000): logging.error('x' * 1000)\n"
        "    raise TypeError\n"
        "tools.Usage.run = fail\n"
    )
    with running(server, flood + LFM[2]) as client:
        client.initialize()
        for number in range(5):
            assert client.call("usage", b"{}", number)["result"]["isError"] is True
        assert client.exchange(b'{"jsonrpc": "2.0", "id": 9, "method": "ping"}')["id"] == 9
        client.process.kill()
        assert client.process.stderr
        stderr = client.process.stderr.read()
    assert b"Traceback" not in stderr
    assert max(map(len, stderr.splitlines())) < 600


def test_an_unexpected_failure_is_one_line_on_stderr(server: ScriptedOpenRouter):
    with running(server, f"from lfm_adapter.apps.mcp import tools; del tools.Usage.run; {LFM[2]}") as client:
        client.initialize()
        result = client.call("usage", b"{}")["result"]
        assert "failed unexpectedly (NotImplementedError)" in result["content"][0]["text"]
        client.process.kill()
        assert client.process.stderr
        (line,) = client.process.stderr.read().splitlines()
    assert b"NotImplementedError at" in line


def test_what_a_library_prints_does_not_get_between_the_messages(server: ScriptedOpenRouter):
    noisy = (
        "import os; from lfm_adapter.apps.mcp import tools\n"
        "async def shout(self, call):\n"
        "    print('from Python', flush=True)\n"
        "    os.write(1, b'from C\\n')\n"
        "    return tools.ModelList(default='', server='', models=[])\n"
        "tools.ListModels.run = shout\n"
    )
    with running(server, noisy + LFM[2]) as client:
        client.initialize()
        assert client.call("models", b"{}")["result"]["structuredContent"]["models"] == []


def test_closed_stdout_ends_the_server(server: ScriptedOpenRouter):
    with running(server) as client:
        client.initialize()
        assert client.process.stdout
        client.process.stdout.close()
        assert client.process.wait(120) == 0  # though its stdin is still open
        assert client.process.stderr
        assert client.process.stderr.read() == b""


def test_what_was_asked_before_stdin_ended_is_answered(server: ScriptedOpenRouter):
    with running(server) as client:
        client.initialize()
        client.write(b'{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}')
        client.write(b'{"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "usage"}}')
        assert client.process.stdin
        client.process.stdin.close()
        assert {client.read()["id"], client.read()["id"]} == {1, 2}
        assert client.process.wait(120) == 0


def test_calls_in_progress_end_with_the_client(server: ScriptedOpenRouter):
    server.add(stream(["a", "b"]).held(1, threading.Event()))
    params = '{"name": "ask", "arguments": {"prompt": "Hi"}}'
    with running(server) as client:
        client.initialize()
        client.write(f'{{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {params}}}'.encode())
        server.wait_for_requests(1)
        assert client.process.stdin
        client.process.stdin.close()
        assert client.process.wait(120) == 0
        assert server.requests[0].abandoned.wait(60)
