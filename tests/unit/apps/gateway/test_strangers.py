"""What strangers send: odd HTTP, broken bodies, and clients that do not read."""

from __future__ import annotations

import json
import logging
import socket
import threading
from typing import TYPE_CHECKING

import aiohttp
import pytest
from packaging.version import Version

from lfm_adapter.testing import completion, stream
from tests.support.gateway_thread import KEY, GatewayThread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lfm_adapter.testing import ScriptedOpenRouter

TIMEOUT_S = 30
HOST_IS_CHECKED = pytest.mark.skipif(
    Version(aiohttp.__version__) < Version("3.14"), reason="aiohttp before 3.14 takes any number of Host headers"
)
ENDLESS_BYTES = 200 * 2**20
EVENT = b'data: {"id":"gen-1","choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}]}\n\n'


def request(*headers: str, version: str = "1.1", **fields: object) -> bytes:
    body = {"model": "lfm-3-1.7b", "messages": [{"role": "user", "content": "?"}], **fields}
    content = json.dumps(body).encode()
    lines = [
        f"POST /v1/chat/completions HTTP/{version}", "Host: x", f"Authorization: Bearer {KEY}",
        f"Content-Length: {len(content)}", *headers,
    ]  # fmt: skip
    return "\r\n".join([*lines, "", ""]).encode() + content


def answer_to(gateway: GatewayThread, sent: bytes) -> bytes:
    """What comes back until the gateway closes the connection."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=TIMEOUT_S) as connection:
        connection.sendall(sent)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


@pytest.mark.parametrize("streams", [False, True])
def test_http_1_0_gets_its_answer(gateway: GatewayThread, openrouter: ScriptedOpenRouter, *, streams: bool):
    openrouter.add(stream(["Wet."]) if streams else completion("Wet."))
    answer = answer_to(gateway, request(version="1.0", stream=streams))
    assert answer.startswith(b"HTTP/1.0 200 OK\r\n")
    assert b"Wet." in answer
    assert b"chunked" not in answer


def test_pipelined_requests_are_answered_in_order(gateway: GatewayThread, openrouter: ScriptedOpenRouter):
    openrouter.add(completion("One."), stream(["Two."]), completion("Three."))
    answer = answer_to(gateway, request() + request(stream=True) + request("Connection: close"))
    assert answer.count(b"HTTP/1.1 200 OK") == 3
    assert answer.index(b"One.") < answer.index(b"Two.") < answer.index(b"Three.")


def test_client_that_asks_whether_to_go_on_may(gateway: GatewayThread, openrouter: ScriptedOpenRouter):
    openrouter.add(completion("Wet."))
    answer = answer_to(gateway, request("Expect: 100-continue", "Connection: close"))
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        pytest.param(b"GET /v1/models HTTP/1.1\r\n\r\n", marks=HOST_IS_CHECKED),
        pytest.param(b"GET /v1/models HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", marks=HOST_IS_CHECKED),
        b"GET /v1/models HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n",
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        request("Content-Length: -5"),
        request("Transfer-Encoding: chunked"),
        request("X-Title: a\x00b"),
        request("Content-Encoding: gzip", "Connection: close"),
    ],
    ids=[
        "TLS", "HTTP/2", "no host", "two hosts", "no colon", "a long address", "a negative length", "two lengths",
        "a control character", "not gzip",
    ],
)  # fmt: skip
def test_what_is_not_http_is_400_and_not_logged(gateway: GatewayThread, caplog: pytest.LogCaptureFixture, sent: bytes):
    assert answer_to(gateway, sent).split(b" ", 2)[1] == b"400"
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("path", ["/v1/models", "/health"])
def test_head_is_answered_like_get_without_a_body(gateway: GatewayThread, path: str):
    asked, got = gateway.request("HEAD", path), gateway.request("GET", path)
    assert (asked.status, asked.text, asked.headers["Content-Type"]) == (200, "", got.headers["Content-Type"])


def test_json_that_is_nested_too_deeply_is_400(gateway: GatewayThread):
    answer = gateway.request("POST", "/v1/chat/completions", b"[" * 100_000 + b"]" * 100_000)
    assert (answer.status, "nested too deeply" in answer.error["message"]) == (400, True)


@pytest.fixture
def endless() -> Iterator[tuple[str, threading.Event, threading.Event]]:
    """A server whose stream has no end: its address, whether it had to wait, and whether it was hung up on."""
    waited, closed = threading.Event(), threading.Event()
    events = b"%x\r\n%s\r\n" % (len(EVENT) * 500, EVENT * 500)

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
            )
            connection.settimeout(1)
            sent = 0
            while sent < ENDLESS_BYTES:
                try:
                    sent += connection.send(memoryview(events)[sent % len(events) :])
                except TimeoutError:
                    waited.set()
                except OSError:
                    closed.set()
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve, daemon=True)
        server.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1", waited, closed
        server.join(TIMEOUT_S)


def test_client_that_does_not_read_holds_the_model_up(endless: tuple[str, threading.Event, threading.Event]):
    """Else all that a model writes would lie in the gateway's memory."""
    url, waited, closed = endless
    body = {"model": "lfm-3-1.7b", "messages": [{"role": "user", "content": "?"}], "stream": True}
    with GatewayThread(url) as gateway:
        with gateway.begin("POST", "/v1/chat/completions", body):
            assert waited.wait(TIMEOUT_S)
        assert closed.wait(TIMEOUT_S)


def test_idle_connections_keep_nobody_from_asking(gateway: GatewayThread, openrouter: ScriptedOpenRouter):
    openrouter.add(completion("Wet."))
    idle = [socket.create_connection(("127.0.0.1", gateway.port)) for _ in range(200)]
    for connection in idle[::2]:
        connection.sendall(b"POST /v1/chat/comple")
    assert gateway.chat().status == 200
    for connection in idle:
        connection.close()
