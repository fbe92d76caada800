"""What happens to connections, headers and the framing of bodies, below the replies."""

from __future__ import annotations

from typing import Any

from lfm_adapter import errors
from tests.faults.scenario import Scenario, Script, both, on_the_wire, plain, streamed
from tests.support.http_reply import Break, Reply
from tests.support.loopback import CUT, RESET, UNTIL_CLOSED, chunk, dripping, reply
from tests.support.openrouter_replies import PADDING, completion, stream

__all__ = ["WIRES"]

HTTP = "https://www.rfc-editor.org/rfc/rfc9110"
FRAMING = "https://www.rfc-editor.org/rfc/rfc9112"
HELLO = "Hello."
WHOLE = completion(HELLO)
STREAM = stream(["Hel", "lo."])
BODY, EVENTS = WHOLE.body, STREAM.body
EVENT_STREAM = b"Content-Type: text/event-stream"
TIMEOUT_S = 0.2
GONE: dict[str, Any] = {"raises": errors.APIConnectionError, "retried": True}
NO_HTTP: dict[str, Any] = {"raises": errors.APIConnectionError}
BROKEN_OFF: dict[str, Any] = {"raises": errors.StreamInterruptedError, "is_retryable": True}
SILENT: dict[str, Any] = {"raises": errors.APITimeoutError, "options": {"timeout": TIMEOUT_S}}


def wire(name: str, answers: dict[str, Script], source: str = FRAMING, **seen: Any) -> Scenario:
    """A scenario in which the answer is whole unless `raises` says otherwise."""
    return Scenario(name, answers, source, **({} if "raises" in seen else {"kept": HELLO}) | seen)


def until_closed(version: bytes = b"HTTP/1.1", *headers: bytes) -> dict[str, Script]:
    """Replies whose end is that of the connection."""
    head = b"\r\n".join([version + b" 200 OK", *headers])
    return {
        "plain": [head + b"\r\n\r\n" + BODY, CUT],
        "streamed": [head + b"\r\n" + EVENT_STREAM + b"\r\n\r\n" + EVENTS, CUT],
    }


def with_headers(*headers: bytes, before: bytes = b"") -> dict[str, Script]:
    """Whole replies with these headers, and with `before` in front of them."""
    return {
        "plain": [before + reply(BODY, *headers)],
        "streamed": [before + reply(EVENTS, EVENT_STREAM, *headers)],
    }


def silent(answer: Reply, parts: int) -> Script:
    """Only so many parts, and then nothing."""
    return [*on_the_wire(answer)[: parts + 1], UNTIL_CLOSED]


def in_chunks(body: bytes, end: bytes, *headers: bytes) -> list[Any]:
    """A body in two chunks, the first with an extension, and what ends them."""
    head = b"\r\n".join([b"HTTP/1.1 200 OK", *headers, b"TRANSFER-ENCODING: Chunked", b"", b""])
    first = b"%X;note=1\r\n%b\r\n" % (40, body[:40])
    return [head + first + chunk(body[40:]), end]


def broken(how: Break) -> tuple[Scenario, ...]:
    """A connection that is closed or reset at one point after the other."""
    word, mark = {Break.CUT: ("closes", CUT), Break.RESET: ("is reset", RESET)}[how]
    return (
        wire(f"The connection {word} before the reply", both([mark]), **GONE),
        wire(f"It {word} before the body", both(WHOLE.broken(0, how)), **BROKEN_OFF | {"retried": True}),
        wire(f"It {word} after whitespace", both(completion(padding=PADDING).broken(1, how)), **BROKEN_OFF
             | {"retried": True}),
        wire(f"It {word} in the body", both(WHOLE.in_pieces(60).broken(1, how)), **BROKEN_OFF),
        wire(f"It {word} in a stream, before text", streamed(STREAM.broken(1, how)), **BROKEN_OFF | {"retried": True}),
        wire(f"It {word} in a stream, after text", streamed(STREAM.broken(2, how)), **BROKEN_OFF, kept="Hel"),
        wire(f"It {word} in a chunk of a stream", streamed(
            [*on_the_wire(STREAM)[:3], b"ff\r\ndata: {", mark]), **BROKEN_OFF, kept="Hel"),
    )  # fmt: skip


WIRES = (
    wire("No one listens at the port", both([CUT]), FRAMING, **GONE, heard=0),
    wire("The certificate is not trusted", both([CUT]), HTTP + "#section-4.3.4", **NO_HTTP, heard=0, tls=True),
    *broken(Break.CUT),
    *broken(Break.RESET),
    wire("It is reset in the headers", both([b"HTTP/1.1 200 OK\r\nContent-Type: appl", RESET]), **GONE),
    wire("An idle connection was closed by the server", both([CUT]), FRAMING + "#section-9.6", **GONE,
         first=[reply(BODY)]),
    wire("No headers come", both([UNTIL_CLOSED]), **SILENT, retried=True),
    wire("The headers come byte by byte, for too long", both(dripping(b"HTTP/1.1 200 OK\r\nVia: x\r\n\r\n")), **SILENT,
         retried=True),
    wire("No body comes", both(silent(WHOLE, 0)), **SILENT, retried=True),
    wire("Half a body comes", both(silent(WHOLE.in_pieces(60), 1)), is_retryable=True,
         **SILENT | {"options": {"timeout": 2 * TIMEOUT_S}}),
    wire("Another protocol", both([b"SSH-2.0-OpenSSH_9.2\r\n", CUT]), **NO_HTTP),
    wire("A status that is no number", both([b"HTTP/1.1 OK OK\r\n\r\n", CUT]), **NO_HTTP),
    wire("Two lengths", both([b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", CUT]), **NO_HTTP),
    wire("A length that is too great", plain([reply(BODY + b" ")[:-1], CUT]), **BROKEN_OFF),
    wire("A body without length, up to the end of the connection", until_closed()),
    wire("HTTP/1.0", until_closed(b"HTTP/1.0")),
    wire("HTTP/1.0 that keeps the connection", {
        "plain": [reply(BODY, b"Connection: keep-alive").replace(b"HTTP/1.1", b"HTTP/1.0")]}),
    wire("`Connection: close`", with_headers(b"Connection: close")),
    wire("100 Continue before the reply", with_headers(before=b"HTTP/1.1 100 Continue\r\n\r\n"),
         HTTP + "#section-15.2"),
    wire("Headers twice", with_headers(b"X-Generation-Id: gen-1", b"X-Generation-Id: gen-1", b"Set-Cookie: a=1",
         b"Set-Cookie: b=2"), HTTP + "#section-5.3"),
    wire("A header that is not ASCII", with_headers(b"X-Greeting: Gr\xfc\xdfe"), HTTP + "#section-5.5"),
    wire("Chunks with extensions and a trailer", {
        "plain": in_chunks(BODY, b"0\r\nX-Trailer: 1\r\n\r\n"),
        "streamed": in_chunks(EVENTS, b"0\r\nX-Trailer: 1\r\n\r\n", EVENT_STREAM)}, FRAMING + "#section-7.1"),
    wire("The last chunk is missing behind `[DONE]`", streamed([*on_the_wire(STREAM)[:-1], CUT])),
    wire("The headers come byte by byte, soon enough", {"plain": [
        *dripping(reply(BODY).removesuffix(BODY), 0.001), BODY]}),
)  # fmt: skip
