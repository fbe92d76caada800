"""A server on 127.0.0.1 in a process of its own, which answers every chat completion with bytes made beforehand.

The address says how it answers: `/whole/v1`, `/stream/<events>/v1`, or `/paced/<seconds>/v1` for events at the pace of
LFM-3B. It looks at nothing but the length of a request, so that it is no bottleneck.

    python -m benchmarks.server [CORE]
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["EVENTS", "MODEL", "TOKENS_PER_S", "running_server", "served_by"]

EVENTS = 500
"""In a measured stream."""

MODEL = "liquid/lfm-2.5-2.6b:free"
TOKENS_PER_S = 31
"""What LFM-3B wrote: https://openrouter.ai/models/liquid/lfm-3b, as it stood in March 2025."""

_ENVELOPE = {"id": "gen-1790000000-Benchmark", "provider": "Liquid", "model": MODEL, "created": 1790000000}
_USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 5,
    "total_tokens": 14,
    "cost": 2.8e-07,
    "is_byok": False,
    "prompt_tokens_details": {"cached_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0},
}
_CONTENT_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_PATH = re.compile(rb"\S+ /(whole|stream|paced)/?(\d*)/")
_STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def _event(delta: dict[str, Any], finish_reason: str | None = None, **more: Any) -> bytes:
    choice = {
        "index": 0,
        "delta": {"role": "assistant", **delta},
        "finish_reason": finish_reason,
        "native_finish_reason": finish_reason,
        "logprobs": None,
    }
    event = {**_ENVELOPE, "object": "chat.completion.chunk", "choices": [choice], "system_fingerprint": None, **more}
    return _chunk(b"data: %s\n\n" % json.dumps(event, separators=(",", ":")).encode())


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


_TIMED_TOKEN = _event({"content": "0000000000000000000"})
_LAST = _event({"content": ""}, "stop", usage=_USAGE) + _chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"


@lru_cache
def _whole() -> bytes:
    message = {"role": "assistant", "content": "It is sunny in Paris.", "refusal": None, "reasoning": None}
    choice = {
        "index": 0,
        "logprobs": None,
        "finish_reason": "stop",
        "native_finish_reason": "stop",
        "message": message,
    }
    reply = {
        **_ENVELOPE,
        "object": "chat.completion",
        "choices": [choice],
        "usage": _USAGE,
        "system_fingerprint": None,
    }
    body = json.dumps(reply).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


@lru_cache
def _stream(events: int) -> bytes:
    # Tokens differ, because LiteLLM ends a stream that repeats itself.
    tokens = [_event({"content": f" word{place % 1000}"}) for place in range(events - 1)]
    return b"".join((_STREAM_HEAD, *tokens, _LAST))


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self._received = bytearray()
        self._is_open = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_open = False

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        length = _CONTENT_LENGTH.search(self._received, 0, end)
        size = end + 4 + (int(length[1]) if length else 0)
        if len(self._received) < size:
            return
        path = _PATH.match(bytes(self._received[:64]))
        del self._received[:size]
        if path is None:
            self._transport.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        elif path[1] == b"whole":
            self._transport.write(_whole())
        elif path[1] == b"stream":
            self._transport.write(_stream(int(path[2])))
        else:
            self._transport.write(_STREAM_HEAD)
            start = asyncio.get_running_loop().time() + 1 / TOKENS_PER_S
            self._send_token(start, start + int(path[2]))

    def _send_token(self, due: float, end: float) -> None:
        """Send a token that says when it was due, and see to the next one."""
        if not self._is_open:
            return
        if due > end:
            self._transport.write(_LAST)
            return
        self._transport.write(_TIMED_TOKEN.replace(b"0" * 19, b"%019d" % (due * 1e9)))
        following = due + 1 / TOKENS_PER_S
        asyncio.get_running_loop().call_at(following, self._send_token, following, end)


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextlib.contextmanager
def running_server(core: int | None = None) -> Iterator[str]:
    """Run the server and yield its address, without a path.

    Args:
        core: The core to hold it to; by default any.
    """
    with served_by("benchmarks.server", *([] if core is None else [str(core)])) as url:
        yield url


@contextlib.contextmanager
def served_by(module: str, *arguments: str) -> Iterator[str]:
    """Run a module that prints the port it serves at, in a process of its own, and yield its address."""
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        os.sched_setaffinity(0, {int(sys.argv[1])})
    assert time.get_clock_info("monotonic").implementation.startswith("clock_gettime")  # one clock for all processes
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve())
