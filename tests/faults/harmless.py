"""Replies that look odd and are whole all the same."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lfm_adapter.testing import ScriptedReply, completion, events, stream
from lfm_adapter.testing._reply import Break
from lfm_adapter.testing._wire import COMMENT, DONE, PADDING
from tests.faults.scenario import Scenario
from tests.support.loopback import chunk, chunked, dripping, reply

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfm_adapter.testing._reply import Part

__all__ = ["CONNECTIONS", "REPLIES", "STREAMS"]

DOCS = "https://openrouter.ai/docs/api-reference/"
GITHUB = "https://github.com/"
SSE = "https://html.spec.whatwg.org/multipage/server-sent-events.html"
HTTP, FRAMING = "https://www.rfc-editor.org/rfc/rfc9110", "https://www.rfc-editor.org/rfc/rfc9112"
HELLO = "Hello."
WHOLE, STREAM = completion(HELLO), stream(["Hel", "lo."])
BODY, EVENTS = WHOLE.body, STREAM.body
EVENT_STREAM = b"Content-Type: text/event-stream"


def plain(name: str, answer: ScriptedReply, source: str = DOCS + "overview", kept: str = HELLO) -> Scenario:
    """A whole answer."""
    return Scenario(name, source, kept=kept, replies={"plain": answer}, kinds=("plain",))


def streamed(name: str, answer: ScriptedReply, source: str = DOCS + "streaming", kept: str = HELLO) -> Scenario:
    """A streamed answer."""
    return Scenario(f"stream: {name}", source, kept=kept, replies={"streamed": answer}, kinds=("streamed",))


def wire(name: str, source: str = FRAMING, **parts: Sequence[Part]) -> Scenario:
    """An answer of these bytes, `plain` or `streamed`."""
    replies = {kind: ScriptedReply(None, {}, sent) for kind, sent in parts.items()}
    return Scenario(name, source, kept=HELLO, replies=replies, kinds=tuple(replies))


def as_bytes(data: bytes) -> ScriptedReply:
    """A stream of these bytes, one part."""
    return replace(STREAM, parts=(data,))


def under(content_type: str, reply: ScriptedReply = STREAM) -> ScriptedReply:
    """A reply with another content type than its own."""
    return replace(reply, headers={"Content-Type": content_type})


def until_closed(version: bytes) -> dict[str, list[Part]]:
    """Replies that end with the connection."""
    return {
        "plain": [version + b" 200 OK\r\n\r\n" + BODY, Break.CUT],
        "streamed": [version + b" 200 OK\r\n" + EVENT_STREAM + b"\r\n\r\n" + EVENTS, Break.CUT],
    }


def with_headers(*headers: bytes, before: bytes = b"") -> dict[str, list[Part]]:
    """Whole replies with these headers, and with `before` in front of them."""
    return {
        "plain": [before + reply(BODY, *headers)],
        "streamed": [before + reply(EVENTS, EVENT_STREAM, *headers)],
    }


def in_chunks(body: bytes, end: bytes, *headers: bytes) -> list[Part]:
    """A body in two chunks, the first with an extension, and what ends them."""
    head = b"\r\n".join([b"HTTP/1.1 200 OK", *headers, b"TRANSFER-ENCODING: Chunked", b"", b""])
    first = b"%X;note=1\r\n%b\r\n" % (40, body[:40])
    return [head + first + chunk(body[40:]), end]


REPLIES = (
    plain("whitespace before the JSON", completion(HELLO, padding=PADDING * 100)),
    plain("byte by byte", WHOLE.in_pieces(1)),
    plain("no usage, fingerprint or provider", completion(HELLO, usage=None, provider=None)),
    plain("dated model name", completion(HELLO, model="liquid/lfm-3-1.7b-20261106")),
    plain("finish_reason without content", completion(None, finish_reason="length"), DOCS + "parameters", kept=""),
    plain("status 201", replace(WHOLE, status=201), HTTP + "#section-15.3"),
)

STREAMS = (
    streamed("usage with an unfinished choice", stream(ending="A")),
    streamed("usage without choices", stream(ending="B"), GITHUB + "Effect-TS/effect/issues/6117"),
    streamed("usage repeats the finish_reason", stream(ending="C"), GITHUB + "QwenLM/qwen-code/issues/2402"),
    streamed("usage with the finish_reason", stream(ending="usage_in_finish")),
    streamed("no [DONE], but finish_reason and usage", stream(done=False)),
    streamed("no usage", stream(usage=None)),
    streamed("neither usage nor [DONE], but finish_reason", stream(usage=None, done=False)),
    streamed("application/json as content type", under("application/json")),
    streamed("text/plain as content type", under("text/plain")),
    streamed("application/octet-stream as content type", under("application/octet-stream")),
    streamed("no content type", replace(STREAM, headers={})),
    streamed("JSON under text/event-stream", under("text/event-stream", completion(HELLO))),
    streamed("a connection reset behind finish_reason and usage", stream(done=False).broken(5, Break.RESET)),
    streamed(
        "comments between all events",
        replace(STREAM, parts=tuple(part for one in STREAM.parts for part in (COMMENT, one))),
        GITHUB + "openai/openai-go/issues/227",
    ),
    streamed("CR LF line ends", as_bytes(EVENTS.replace(b"\n", b"\r\n")), SSE),
    streamed("byte order mark", as_bytes(b"\xef\xbb\xbf" + EVENTS), SSE),
    streamed("all events at once", as_bytes(EVENTS), SSE),
    streamed("byte by byte", STREAM.in_pieces(1), SSE),
    streamed("other event fields", as_bytes(EVENTS.replace(b"data: {", b"id: 7\nevent: x\ndata: {")), SSE),
    streamed("events after [DONE]", as_bytes(EVENTS + events(STREAM.parts[1], DONE).body), SSE),
    streamed("a whole reply instead", completion(HELLO)),
    streamed(
        "only reasoning until the limit",
        stream((), reasoning=["Hm"], finish_reason="length"),
        DOCS + "parameters",
        kept="",
    ),
)

CONNECTIONS = (
    wire("body until the connection closes", **until_closed(b"HTTP/1.1")),
    wire("HTTP/1.0", **until_closed(b"HTTP/1.0")),
    wire("HTTP/1.0 with keep-alive", plain=[reply(BODY, b"Connection: keep-alive").replace(b"HTTP/1.1", b"HTTP/1.0")]),
    wire("Connection: close", **with_headers(b"Connection: close")),
    wire("100 Continue first", HTTP + "#section-15.2", **with_headers(before=b"HTTP/1.1 100 Continue\r\n\r\n")),
    wire(
        "repeated headers",
        HTTP + "#section-5.3",
        **with_headers(b"X-Generation-Id: gen-1", b"X-Generation-Id: gen-1", b"Set-Cookie: a=1", b"Set-Cookie: b=2"),
    ),
    wire("non-ASCII header", HTTP + "#section-5.5", **with_headers(b"X-Greeting: Gr\xfc\xdfe")),
    wire(
        "chunk extensions and a trailer",
        FRAMING + "#section-7.1",
        plain=in_chunks(BODY, b"0\r\nX-Trailer: 1\r\n\r\n"),
        streamed=in_chunks(EVENTS, b"0\r\nX-Trailer: 1\r\n\r\n", EVENT_STREAM),
    ),
    wire(
        "last chunk missing after [DONE]",
        streamed=[*chunked(*STREAM.parts, headers=[EVENT_STREAM])[:-1], Break.CUT],
    ),
    wire("headers byte by byte", plain=[*dripping(reply(BODY).removesuffix(BODY), 0.001), BODY]),
)
