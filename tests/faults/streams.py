"""Streams: errors, ends and silences between events."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lfm_adapter import errors
from tests.faults.scenario import DOCS, Scenario, Script, on_the_wire, streamed
from tests.support.loopback import UNTIL_CLOSED
from tests.support.openrouter_replies import COMMENT, DONE, chunk, completion, events, midstream_error, stream, usage_of

if TYPE_CHECKING:
    from tests.support.http_reply import Reply

__all__ = ["STREAMS"]

STREAMING = DOCS + "streaming"
ERRORS = DOCS + "errors"
SSE = "https://html.spec.whatwg.org/multipage/server-sent-events.html"
THREADS = "https://github.com/"

HEL = chunk({"role": "assistant", "content": "Hel"})
ROLE = chunk({"role": "assistant", "content": ""})
FINISH = chunk({"content": ""}, finish_reason="stop")
WHOLE = stream(["Hel", "lo."])
HALF: dict[str, Any] = {"is_retryable": True, "kept": "Hel"}
SHORT = {"timeout": 0.4}  # seconds


def fails(
    name: str, answer: Reply | Script, raises: type[errors.APIError], source: str = STREAMING, **more: Any
) -> Scenario:
    """A stream that ends in an exception."""
    return Scenario(name, streamed(answer), source, raises, **more)


def fine(name: str, answer: Reply | Script, source: str = STREAMING, kept: str = "Hello.") -> Scenario:
    """A stream that looks odd and is whole."""
    return Scenario(name, streamed(answer), source, kept=kept)


def silent(answer: Reply) -> Script:
    """The same events, and then none, without an end."""
    return [*on_the_wire(answer)[:-1], UNTIL_CLOSED]


def as_bytes(data: bytes) -> Reply:
    """A stream of these bytes, one part."""
    return replace(WHOLE, parts=(data,))


BODY = WHOLE.body
KEEPS_ALIVE = [*on_the_wire(events(HEL, done=False))[:-1], *[0.1, b"%x\r\n%b\r\n" % (len(COMMENT), COMMENT)] * 30]

STREAMS = (
    fails(
        "An error is the only event", midstream_error([], 429, "Slow down"), errors.RateLimitError, ERRORS, status=429,
        retried=True,
    ),
    fails(
        "An error follows text", midstream_error(["Hel"], 502, "Provider disconnected"), errors.ServerError, ERRORS,
        status=502, litellm="BadGatewayError", **HALF,
    ),
    fails(
        "An error whose code is a word follows text", midstream_error(["Hel"], "server_error", "It broke"),
        errors.ServerError, status=500, **HALF,
    ),
    fails(
        "An error without `finish_reason: error` follows text", midstream_error(["Hel"], 503, "No", finish_reason=None),
        errors.ServerError, THREADS + "langchain-ai/langchainjs/issues/11579", status=503,
        litellm="ServiceUnavailableError", **HALF,
    ),
    fails(
        "An error without choices follows text", events(HEL, {"error": {"code": 500, "message": "It broke"}}),
        errors.ServerError, THREADS + "vercel/ai/issues/2720", status=500, **HALF,
    ),
    fails(
        "An error stands beside the usage, after a finish reason", events(
            HEL, chunk({"content": ""}, finish_reason="length"), chunk(
                {"content": ""}, error={"code": 400, "message": "Token limit reached"}, usage=usage_of())),
        errors.ContextWindowExceededError, THREADS + "pydantic/pydantic-ai", status=400, kept="Hel",
    ),
    fails(
        "`finish_reason: error` without a word", events(HEL, chunk({"content": ""}, finish_reason="error")),
        errors.ServerError, THREADS + "pydantic/pydantic-ai/issues/2844", **HALF,
    ),
    fails("`[DONE]`, and nothing before it", events(), errors.ResponseError, ERRORS, retried=True),
    fails(
        "`[DONE]`, and no finish reason before it", events(ROLE, HEL), errors.StreamInterruptedError,
        THREADS + "pydantic/pydantic-ai/issues/4072", **HALF,
    ),
    fails("It ends after the comments", events(COMMENT, done=False), errors.StreamInterruptedError, retried=True),
    fails("It ends after the role", events(ROLE, done=False), errors.StreamInterruptedError, retried=True),
    fails("It ends after text", events(ROLE, HEL, done=False), errors.StreamInterruptedError, **HALF),
    fails(
        "It ends after the finish reason, without usage and `[DONE]`", events(HEL, FINISH, done=False),
        errors.StreamInterruptedError, **HALF,
    ),
    fails(
        "It ends in the middle of an event", as_bytes(events(HEL, HEL, done=False).body[:-30]),
        errors.StreamInterruptedError, **HALF,
    ),
    fails("An event is no JSON", events(HEL, b"data: {oops\n\n", FINISH), errors.ResponseError, SSE, kept="Hel"),
    fails(
        "An event is no UTF-8", events(HEL, b'data: {"id": "\xff"}\n\n', FINISH), errors.ResponseError, SSE, kept="Hel",
    ),
    fails("An event is no object", events(HEL, b'data: "oops"\n\n', FINISH), errors.ResponseError, SSE, kept="Hel"),
    fails(
        "It is silent after the comments", silent(events(COMMENT, done=False)), errors.APITimeoutError, retried=True,
        options={"timeout": 0.2},
    ),
    fails("It is silent after text", silent(events(HEL, done=False)), errors.APITimeoutError, options=SHORT, **HALF),
    fails(
        "Only comments follow text, for longer than `stream_chunk_timeout`", KEEPS_ALIVE, errors.APITimeoutError,
        THREADS + "docker/docker-agent/issues/2349", options={"stream_chunk_timeout": 0.5, "timeout": 0.5}, **HALF,
    ),
    fine("The usage comes with an unfinished choice", stream(ending="A")),
    fine("The usage comes without choices", stream(ending="B"), THREADS + "Effect-TS/effect/issues/6117"),
    fine("The usage repeats the finish reason", stream(ending="C"), THREADS + "QwenLM/qwen-code/issues/2402"),
    fine("The usage comes with the finish reason", stream(ending="usage_in_finish")),
    fine("No `[DONE]`, but finish reason and usage", stream(done=False)),
    fine("`: OPENROUTER PROCESSING` between all events", replace(
        WHOLE, parts=tuple(part for one in WHOLE.parts for part in (COMMENT, one))),
        THREADS + "openai/openai-go/issues/227"),
    fine("Lines end in CR LF", as_bytes(BODY.replace(b"\n", b"\r\n")), SSE),
    fine("It begins with a byte order mark", as_bytes(b"\xef\xbb\xbf" + BODY), SSE),
    fine("All events come at once", as_bytes(BODY), SSE),
    fine("The bytes come one by one", WHOLE.in_pieces(1), SSE),
    fine("Events have other fields too", as_bytes(BODY.replace(b"data: {", b"id: 7\nevent: x\ndata: {")), SSE),
    fine("Something follows `[DONE]`", as_bytes(BODY + events(HEL, DONE).body), SSE),
    fine("A whole reply comes instead", completion("Hello.")),
    fine("Nothing but reasoning until the limit", stream(
        (), reasoning=["Hm"], finish_reason="length"), DOCS + "parameters", kept=""),
)  # fmt: skip
