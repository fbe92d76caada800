"""A server that sends too much ends in our exception, within bounded memory and time."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from lfm_adapter import errors
from lfm_adapter._client.settings import ClientOptions
from lfm_adapter._openrouter.sse import MAX_EVENT_BYTES
from lfm_adapter.testing import completion, stream
from tests.support.both_clients import KINDS, Client, clients
from tests.support.chat_ways import ALL_WAYS, ask, chat
from tests.support.loopback import CUT, Loopback, chunk, reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lfm_adapter.testing import ScriptedOpenRouter

MB = 1_000_000
MAX_REPLY_BYTES = ClientOptions.max_reply_bytes
MAX_PEAK_BYTES = 4 * MAX_REPLY_BYTES

JSON_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
SSE_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
BODY = b'{"choices": [{"message": {"content": "Hi."}, "finish_reason": "stop"}], "usage": {"total_tokens": 1}}'


def event(content: str) -> bytes:
    return b"data: %s\n\n" % json.dumps({"choices": [{"index": 0, "delta": {"content": content}}]}).encode()


HI = event("Hi.")


def endless(head: bytes, first: bytes, piece: bytes, *, size: int = 64 * MB) -> list[Any]:
    """`size` bytes in all, far above each bound."""
    return [head + CHUNKED, chunk(first), *[chunk(piece)] * (size // len(piece)), CUT]


TOO_LARGE = rf"larger than {MAX_REPLY_BYTES:,} bytes \(`max_reply_bytes`\)"
TOO_LARGE_EVENT = rf"larger than {MAX_EVENT_BYTES:,} bytes \(`max_event_bytes`\)"
LINE, EVENTS, TEXT = b": %s\n" % (b"x" * MB), event("x" * 50_000) * 20, b"x" * MB

BODIES: dict[str, tuple[Callable[[], Any], type[errors.APIError], str]] = {
    "64 MB of padding": (lambda: endless(JSON_HEAD, b"\n", b" " * MB), errors.ResponseError, TOO_LARGE),
    "64 MB of text": (
        lambda: endless(JSON_HEAD, b'{"choices": [{"message": {"content": "', TEXT),
        errors.ResponseError,
        TOO_LARGE,
    ),
    "64 MB of an error": (
        lambda: endless(JSON_HEAD.replace(b"200 OK", b"500 Oh"), b'{"error": {"message": "', TEXT),
        errors.ResponseError,
        TOO_LARGE,
    ),
    "a gzip bomb": (
        lambda: reply(gzip.compress(bytes(64 * MB)), b"Content-Encoding: gzip"),
        errors.ResponseError,
        "'gzip', which was not requested",
    ),
    "nesting 10,000 deep": (
        lambda: reply(b'{"choices": ' + b"[" * 10_000 + b"]" * 10_000 + b"}"),
        errors.ResponseError,
        "not a JSON object",
    ),
    "invalid UTF-8": (lambda: reply(BODY.replace(b"Hi.", b"\xff\xfe")), errors.ResponseError, "not a JSON object"),
    "a chunk's size without an end": (
        lambda: [JSON_HEAD + CHUNKED + b"5;", *[TEXT] * 20, CUT],
        errors.StreamInterruptedError,
        "before the end of its response",
    ),
    "a status line without an end": (lambda: [b"HTTP/1.1 200 ", *[TEXT] * 20, CUT], errors.APIConnectionError, "HTTP"),
    "a header without an end": (lambda: [JSON_HEAD + b"A: ", *[TEXT] * 20, CUT], errors.APIConnectionError, "HTTP"),
    "headers without an end": (
        lambda: [JSON_HEAD, *[b"A: b\r\n" * 10_000] * 20, CUT],
        errors.APIConnectionError,
        "HTTP",
    ),
}

STREAMS: dict[str, tuple[Callable[[], Any], type[errors.APIError], str]] = {
    "a stream without an end": (lambda: endless(SSE_HEAD, HI, EVENTS), errors.ResponseError, TOO_LARGE),
    "comments without an end": (lambda: endless(SSE_HEAD, HI, LINE), errors.ResponseError, TOO_LARGE),
    "a line without an end": (
        lambda: endless(SSE_HEAD, HI + b"data: ", TEXT),
        errors.ResponseError,
        TOO_LARGE_EVENT,
    ),
    "an event of 10 MB": (
        lambda: endless(SSE_HEAD, HI, event("x" * 10 * MB), size=11 * MB),
        errors.ResponseError,
        TOO_LARGE_EVENT,
    ),
    "an event of 10 MB in lines": (
        lambda: endless(SSE_HEAD, HI, b"data: %s\n" % (b"x" * MB), size=10 * MB),
        errors.ResponseError,
        TOO_LARGE_EVENT,
    ),
    "an event nested 10,000 deep": (
        lambda: endless(SSE_HEAD, HI, b"data: %s\n\n" % (b"[" * 10_000 + b"]" * 10_000), size=25_000),
        errors.ResponseError,
        "not a JSON object",
    ),
    "an event of invalid UTF-8": (
        lambda: endless(SSE_HEAD, HI, event("x").replace(b"x", b"\xff"), size=100),
        errors.ResponseError,
        "not a JSON object",
    ),
}


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest) -> Iterator[Callable[..., Client]]:
    with clients(request.param) as make:
        yield make


@pytest.fixture
def memory() -> Iterator[None]:
    """Checks the test's peak of memory, which includes the server's part."""
    tracemalloc.start()
    yield
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < MAX_PEAK_BYTES, f"{peak_bytes / MB:.0f} MB"


@pytest.mark.parametrize("streamed", [False, True], ids=["chat", "stream"])
@pytest.mark.parametrize("case", BODIES)
def test_oversized_reply_is_refused(make, memory, case, streamed):
    script, kind, words = BODIES[case]
    with Loopback(script()) as server:
        client = make(base_url=server.url, max_retries=0)
        with pytest.raises(kind, match=words):
            client.text() if streamed else client.chat("Hello")
    assert len(server.requests) == 1


@pytest.mark.parametrize("case", STREAMS)
def test_oversized_stream_is_refused_with_what_came_before(make, memory, case):
    script, kind, words = STREAMS[case]
    with Loopback(script()) as server:
        client = make(base_url=server.url)
        with pytest.raises(kind, match=words) as raised:
            client.text()
    assert raised.value.partial.text.startswith("Hi.")
    assert len(server.requests) == 1


def test_stream_may_be_as_large_as_max_reply_bytes(make):
    done = b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
    body = HI + b": wait\n\n" * 100 + done
    with Loopback([SSE_HEAD + CHUNKED + chunk(body) + chunk(b"")]) as server:
        assert make(base_url=server.url, max_reply_bytes=len(body)).text() == "Hi."
        with pytest.raises(errors.ResponseError, match="max_reply_bytes"):
            make(base_url=server.url, max_reply_bytes=len(body) - 1).text()


@pytest.mark.parametrize("way", ALL_WAYS)
def test_chat_model_has_its_own_max_reply_bytes(server: ScriptedOpenRouter, way: str):
    server.default = lambda request: (stream if request.body.get("stream") else completion)("Hello. " * 1_000)
    assert ask(chat(server), way).text.startswith("Hello.")
    with pytest.raises(errors.ResponseError, match=r"larger than 3,000 bytes \(`max_reply_bytes`\)"):
        ask(chat(server, max_reply_bytes=3_000), way)
