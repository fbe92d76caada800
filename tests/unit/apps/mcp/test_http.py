"""`lfm mcp --http`: for who has the token, from this machine, as long as it runs."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import threading
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import ListRootsResult, Root

from lfm_adapter.testing import ScriptedOpenRouter, completion, stream
from tests.support.mcp_session import MODEL, MODES, environment_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

LFM = [
    sys.executable,
    "-c",
    "from lfm_adapter.apps.cli import app; app()",
    "mcp",
    "--model",
    MODEL,
    "--http",
    "--port",
    "0",
]


@contextmanager
def serving(openrouter: ScriptedOpenRouter) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """The process, its address and its token."""
    environment = environment_of(openrouter)
    with subprocess.Popen(  # noqa: S603
        LFM, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout
            url = process.stdout.readline().split()[1]
            token = process.stdout.readline().split()[-1]
            yield process, url, token
        finally:
            process.kill()


@pytest.fixture(scope="module")
def service() -> Iterator[tuple[ScriptedOpenRouter, Any]]:
    """A scripted OpenRouter and what asks it, for all tests here: it takes a second to start."""
    with ScriptedOpenRouter(path="/api/v1") as openrouter, serving(openrouter) as process:
        yield openrouter, process


@pytest.fixture
def server(service: Any) -> ScriptedOpenRouter:
    service[0].requests.clear()
    return service[0]


@pytest.fixture
def running(service: Any) -> Any:
    return service[1]


@asynccontextmanager
async def connected(running: Any, mode: str, **options: Any) -> AsyncIterator[Client]:
    _, url, token = running
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=60) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode, read_timeout_seconds=180, **options) as client,
    ):
        yield client


@pytest.mark.parametrize("mode", MODES)
async def test_client_with_the_token_lists_tools_and_gets_progress(running: Any, server: ScriptedOpenRouter, mode: str):
    heard = threading.Event()
    server.add(stream(["word "] * 120).held(60, heard))
    told: list[float] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        told.append(progress)
        heard.set()

    async with connected(running, mode) as client:
        assert "ask" in [tool.name for tool in (await client.list_tools()).tools]
        result = await client.call_tool("ask", {"prompt": "Hi"}, progress_callback=hear)
    assert result.content[0].text == "word " * 120
    assert told == sorted(set(told))
    assert told


@pytest.mark.parametrize("mode", MODES)
async def test_the_clients_roots_are_known_over_http_too(
    running: Any, server: ScriptedOpenRouter, mode: str, tmp_path: Path
):
    server.add(stream(["Short."]))
    (tmp_path / "a.txt").write_text("What is in A.")

    async def list_roots(_: Any) -> ListRootsResult:
        return ListRootsResult(roots=[Root(uri=tmp_path.as_uri())])

    async with connected(running, mode, list_roots_callback=list_roots) as client:
        result = await client.call_tool("summarize", {"paths": ["a.txt"]})
    assert not result.is_error, result
    assert "What is in A." in server.requests[0].body["messages"][-1]["content"]


@pytest.mark.parametrize("mode", MODES)
async def test_a_call_that_is_given_up_stops_the_request(running: Any, server: ScriptedOpenRouter, mode: str):
    server.add(stream(["Hel", "lo."]).held(2, threading.Event()))
    async with connected(running, mode) as client:
        call = asyncio.ensure_future(client.call_tool("ask", {"prompt": "Hello"}))
        await asyncio.to_thread(server.wait_for_requests, 1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await asyncio.to_thread(server.requests[0].abandoned.wait, 20)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": "Basic {token}"}, 401),
        ({"Authorization": "Bearer {token}", "Host": "evil.example"}, 421),
        ({"Authorization": "Bearer {token}", "Origin": "https://evil.example"}, 403),
    ],
    ids=["no token", "wrong token", "another scheme", "another host", "a page"],
)
async def test_requests_without_the_token_are_refused(running: Any, headers: dict[str, str], status: int):
    _, url, token = running
    headers = {name: value.format(token=token) for name, value in headers.items()}
    headers |= {"Accept": "application/json, text/event-stream"}
    question = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    async with httpx2.AsyncClient() as http:
        assert (await http.post(url, json=question, headers=headers)).status_code == status


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer "])
async def test_the_scheme_of_the_token_may_have_any_case(running: Any, scheme: str):
    _, url, token = running
    headers = {"Authorization": f"{scheme} {token}", "Accept": "application/json, text/event-stream"}
    async with httpx2.AsyncClient() as http:
        answer = await http.post(url, json={"jsonrpc": "2.0", "id": 1, "method": "ping"}, headers=headers)
    assert answer.status_code not in (401, 404)


@pytest.mark.parametrize(
    "page", ["oauth-protected-resource", "oauth-protected-resource/mcp", "oauth-authorization-server"]
)
async def test_clients_are_not_led_to_a_login(running: Any, page: str):
    _, url, _ = running
    async with httpx2.AsyncClient() as http:
        answer = await http.get(f"{url.removesuffix('/mcp')}/.well-known/{page}")
    assert answer.status_code == 404


async def test_halves_of_characters_are_replaced_both_ways(running: Any, server: ScriptedOpenRouter):
    server.add(completion('{"label": "cut \\ud83d"}'))
    _, url, token = running
    schema = r'{"type": "object", "properties": {"label": {"type": "string"}}}'
    params = rf'{{"name": "extract", "arguments": {{"text": "cut \ud83d", "schema": {schema}}}}}'
    call = f'{{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {params}}}'
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json, text/event-stream"}
    async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
        opened = await http.post(url, json={"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello})
        headers = {"Mcp-Session-Id": opened.headers["mcp-session-id"], "Content-Type": "application/json"}
        answer = await http.post(url, content=call.encode(), headers=headers)
    assert "cut \N{REPLACEMENT CHARACTER}" in server.requests[0].body["messages"][-1]["content"]
    assert '"data":{"label":"cut \N{REPLACEMENT CHARACTER}"}' in answer.text


async def test_body_above_the_bound_is_refused(running: Any):
    _, url, token = running
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json, text/event-stream"}
    call = {"name": "summarize", "arguments": {"text": "x" * 5_000_000}}
    async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
        answer = await http.post(url, json={"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call})
    assert answer.status_code == 413


def test_only_this_machine_can_connect(running: Any):
    _, url, _ = running
    assert url.startswith("http://127.0.0.1:")
    port = int(url.split(":")[2].partition("/")[0])
    # Whatever other address this machine has, nothing listens there: another listener may take the port.
    with socket.create_server(("127.0.0.2", port)):
        pass


def test_ctrl_c_ends_it_in_order(server: ScriptedOpenRouter):
    with serving(server) as (process, _, _):
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    assert process.returncode in (0, 130, -signal.SIGINT)
    assert "Traceback" not in err


def test_port_in_use_is_a_one_line_error(server: ScriptedOpenRouter):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = [*LFM[:-1], str(taken.getsockname()[1])]
        environment = environment_of(server)
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=180, check=False)  # noqa: S603
    assert ended.returncode == 1
    assert "cannot be used" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_token_of_the_environment_is_not_shown(server: ScriptedOpenRouter):
    environment = environment_of(server, LFM_MCP_TOKEN="a-token-of-mine")
    with subprocess.Popen(LFM, env=environment, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdout
        lines = process.stdout.readline() + process.stdout.readline()
        process.kill()
    assert "a-token-of-mine" not in lines
    assert "$LFM_MCP_TOKEN" in lines
