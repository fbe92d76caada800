"""The failures of `docs/failures.md` by name, as replies that the scripted server can send."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from lfm_adapter.testing._decisions import decisions
from lfm_adapter.testing._embeddings import embeddings
from lfm_adapter.testing._reply import Break, Part, ScriptedReply, html, json_reply
from lfm_adapter.testing._wire import (
    COMMENT,
    PADDING,
    chunk,
    completion,
    error,
    error_in_choice,
    events,
    midstream_error,
    stream,
    token_usage,
)  # fmt: skip

_ACCOUNT: dict[str, Any] = {"user_id": "user_2abcDEF345ghi"}  # OpenRouter sends it along; no error may show it
_UPSTREAM = {
    "raw": "liquid/lfm-2.5-2.6b:free is temporarily rate-limited upstream. Please retry shortly.",
    "provider_name": "Liquid",
    "limit_source": "upstream_provider_shared_pool",
    "retry_after_seconds": 3,
    "headers": {"Retry-After": "4"},
}
_MINUTE = {"headers": {"X-RateLimit-Limit": "20", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1790000000000"}}
_POLICY = {"failed_routing_step": "Filter by Data Policy", "routing_funnel": [{"step": "Initial", "endpoint_count": 1}]}
_IN_FLIGHT = {"limit_source": "openrouter_in_flight_budget", "reason": "in_flight_budget_exhausted"}
_GUARDRAIL = {"patterns": ["secret"], "limit_source": "openrouter_guardrail_budget"}
_TOO_LONG = (
    "This endpoint's maximum context length is 32768 tokens. However, you requested about 40000 tokens. "
    "Please reduce the length of either one."
)
_WHOLE, _STREAM = completion("Hello."), stream("Hel", "lo.")
_HEL, _ROLE = chunk({"role": "assistant", "content": "Hel"}), chunk({"role": "assistant", "content": ""})
_FINISH = chunk({"content": ""}, finish_reason="stop")


def failure(name: str) -> ScriptedReply:
    """Return the reply for a failure that `docs/failures.md` lists: `failure("rate limit")`.

    Names that begin with "stream: " are for streamed requests. A silent reply ends with the client's own timeout.

    Raises:
        ValueError: The name is unknown.
    """
    if name not in _FAILURES:
        close = get_close_matches(name, _FAILURES, cutoff=0.4) or ["rate limit", "server error"]
        raise ValueError(
            f"There is no failure {name!r}. Did you mean {' or '.join(map(repr, close))}? `failure_names()` lists all."
        )
    return _FAILURES[name]


def failure_names() -> list[str]:
    """Return the names that `failure` accepts."""
    return list(_FAILURES)


def _refusal(status: int, message: str, **more: Any) -> ScriptedReply:
    return error(status, message, **more, **_ACCOUNT)


def _availability(status: int, code: str) -> ScriptedReply:
    """Return an error in OpenRouter's newer form, without a code."""
    facts = {"code": code, "retryable": False}
    body = {"message": "It cannot be served.", "http_status": status, "availability": facts}
    return json_reply({"error": body, **_ACCOUNT}, status=status)


def _ok(body: bytes, **headers: str) -> ScriptedReply:
    return ScriptedReply(200, {"Content-Type": "application/json", **headers}, (body,))


def _wire(*parts: Part) -> ScriptedReply:
    """Return bytes below HTTP."""
    return ScriptedReply(None, {}, parts)


def _broken(word: str, how: Break) -> dict[str, ScriptedReply]:
    """Return replies whose connection ends at one point or another."""
    name, within = f"connection {word}", b"ff\r\ndata: {"
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    hel = events(_HEL, done=False).body
    return {
        name: _wire(how),
        f"{name} before the body": _WHOLE.broken(0, how),
        f"{name} after whitespace": completion(padding=PADDING).broken(1, how),
        f"{name} in the body": _WHOLE.in_pieces(60).broken(1, how),
        f"stream: {name} before text": _STREAM.broken(1, how),
        f"stream: {name} after text": _STREAM.broken(2, how),
        f"stream: {name} in a chunk": _wire(head, b"%x\r\n%b\r\n" % (len(hel), hel), within, how),
    }


_FAILURES: dict[str, ScriptedReply] = {
    # Errors with their own status
    "bad parameter": _refusal(400, "Expected temperature to be at most 2"),
    "unknown model": _refusal(400, "liquid/lfm-9b is not a valid model ID"),
    "context length": _refusal(400, _TOO_LONG),
    "context length, as Anthropic says it": _refusal(400, "prompt is too long: 210000 tokens > 200000 maximum"),
    "context length by error_type": _refusal(400, "Too long", metadata={"error_type": "context_length_exceeded"}),
    "reasoning is mandatory": _refusal(400, "Reasoning is mandatory for this endpoint"),
    "provider rejects the request": _refusal(
        400, "Provider returned error",
        metadata={"raw": '{"error": {"message": "top_p is not supported"}}', "provider_name": "Liquid"},
    ),
    "too many fallback models": _refusal(400, "'models' array must have 3 items or fewer."),
    "validation error": json_reply(
        {"success": False, "error": {"name": "ZodError", "message": '[{"code": "invalid_type"}]'}}, status=400
    ),
    "no key": _refusal(401, "No cookie auth credentials found"),
    "wrong key": _refusal(401, "User not found."),
    "no credit": _refusal(402, "Insufficient credits"),
    "max_tokens exceeds the credit": _refusal(402, "This request requires more credits, or fewer max_tokens"),
    "in-flight budget": _refusal(402, "Too many at once", metadata=_IN_FLIGHT, headers={"Retry-After": "2"}),
    "moderation": _refusal(
        403, "Your input was flagged", metadata={"reasons": ["violence"], "flagged_input": "…"}
    ),
    "guardrail": _refusal(403, "Blocked by a guardrail", metadata=_GUARDRAIL),
    "region": _availability(403, "region_restricted"),
    "blocked by the CDN": html(403, "Forbidden"),
    "retired model": _refusal(404, "No endpoints found for liquid/lfm-3b."),
    "retired model, newer form": _availability(404, "model_deprecated"),
    "free variant ended": _availability(404, "free_variant_ended"),
    "no endpoint with tools": _refusal(404, "No endpoints found that support tool use."),
    "data policy": _refusal(
        404, "No endpoints found matching your data policy (Free model training)", metadata=_POLICY
    ),
    "guardrails leave no endpoint": _refusal(404, "No endpoints available matching your guardrail restrictions"),
    "wrong path": _refusal(404, "Not Found"),
    "request timeout": _refusal(408, "Request timeout"),
    "payload too large": _refusal(413, "Payload too large"),
    "unprocessable": _refusal(422, "Unprocessable"),
    "other 4xx": _refusal(418, "I am a teapot"),
    "rate limit": _refusal(429, "Provider returned error", metadata=_UPSTREAM),
    "rate limit with Retry-After": _refusal(429, "Slow down", headers={"Retry-After": "7"}),
    "rate limit for ten minutes": _refusal(429, "Slow down", headers={"Retry-After": "600"}),
    "rate limit per minute": _refusal(429, "Rate limit exceeded: free-models-per-min", metadata=_MINUTE),
    "rate limit per day": _refusal(429, "Rate limit exceeded: free-models-per-day. Add 10 credits"),
    "server error": _refusal(500, "Internal Server Error"),
    "server error with a word as code": _refusal(500, "It broke", code="server_error"),
    "server error without a body": ScriptedReply(500, {}, ()),
    "provider failed": _refusal(502, "Provider returned error"),
    "bad gateway page": html(502),
    "no provider available": _refusal(503, "No provider available", headers={"Retry-After": "5"}),
    "unavailable, not retryable": _availability(503, "temporarily_unavailable"),
    "provider timeout": _refusal(504, "Gateway timeout"),
    "CDN timeout": _refusal(524, "A timeout occurred"),
    "CDN: unknown error": html(520, "Web server is returning an unknown error"),
    "CDN: server is down": html(521, "Web server is down"),
    "CDN: connection timed out": html(522, "Connection timed out"),
    "CDN: server is unreachable": html(523, "Origin is unreachable"),
    "CDN: handshake failed": html(525, "SSL handshake failed"),
    "CDN: error of its own": html(530, "Origin DNS error"),
    "overloaded": _refusal(529, "Overloaded"),
    "redirect": ScriptedReply(307, {"Location": "https://elsewhere.test/"}, ()),
    # Failures with status 200
    "error instead of an answer": error(200, "Slow down", code=429),
    "error beside null choices": error(200, "Provider returned error", code=502, choices=None),
    "error after padding": error(200, "Overloaded", code=503, padding=PADDING * 9),
    "forbidden with status 200": error(200, "Flagged", code=403),
    "error in the choice after text": error_in_choice(502, "Provider disconnected", text="Hel"),
    "error in the choice": error_in_choice(502, "Provider disconnected"),
    "error without its key": json_reply({"object": "error", "message": "Bad seed", "code": 400}),
    "rate limit without its key": json_reply({"message": "Slow down", "code": 429}),
    "detail instead of an answer": json_reply({"detail": "It broke"}),
    "words instead of an answer": json_reply({"error": "It broke"}),
    "words of an overloaded server": json_reply({"error": {"detail": "Overloaded, try again later"}}),
    "error that was charged": error(200, "Overloaded", code=503, usage=token_usage(cost=0.01)),
    "no choices, but charged": json_reply({"id": "gen-1", "choices": [], "usage": token_usage(cost=0.01)}),
    "finish_reason error": completion("Hel", finish_reason="error"),
    "empty object": _ok(b"{}"),
    "no choices": json_reply({"id": "gen-1", "choices": []}),
    "empty choice": completion("", choice={"finish_reason": None}, usage=None),
    "empty body": _ok(b""),
    "whitespace only": _ok(PADDING * 3),
    "HTML instead of JSON": _ok(html(200).body),
    "JSON array": _ok(b"[1]"),
    "invalid UTF-8": _ok(_WHOLE.body.replace(b"Hello.", b"Hell\xf6.")),
    "truncated JSON": _ok(_WHOLE.body[:60]),
    "unknown Content-Encoding": _ok(b"\x0b\x02\x80", **{"Content-Encoding": "br"}),
    # Decisions, for requests to `/alpha/decisions` or `/systemone` with the one question "q": yes or no
    "decisions: too large": _refusal(413, "The request is larger than this server takes"),
    "decisions: prompt too long": json_reply(
        {"error": {"code": 400, "message": "Too long", "type": "exceed_context_size_error", "n_ctx": 2048}},
        status=400,
    ),
    "decisions: too many options": _refusal(422, "choice: at most 255 options"),
    "decisions: not a decision model": _refusal(501, "This model is not a decision model"),
    "decisions: error instead of answers": error(200, "Slow down", code=429),
    "decisions: no answers": decisions({}),
    "decisions: an answer missing": decisions({"another": 0.5}),
    "decisions: an answer of another type": decisions({"q": {"type": "refusal"}}),
    "decisions: probability above 1": decisions({"q": 1.5}),
    "decisions: broken off": decisions({"q": 0.5}).in_pieces(40).broken(2),
    # Vectors, for requests to `/embeddings` with one text
    "embeddings: text larger than the batch": error(
        500, "input (700 tokens) is too large to process. increase the physical batch size (current batch size: 512)"
    ),
    "embeddings: text too long": _refusal(400, "This model's maximum context length is 512 tokens, got 700 tokens"),
    "embeddings: no vectors": embeddings(),
    "embeddings: another number of vectors": embeddings([0.5], [1.5]),
    "embeddings: invalid index": embeddings(data=[{"index": 1, "embedding": [0.5]}]),
    "embeddings: empty vector": embeddings([]),
    "embeddings: null in a vector": embeddings(data=[{"index": 0, "embedding": [0.5, None]}]),
    "embeddings: NaN in a vector": embeddings([float("nan")]),
    "embeddings: invalid base64": embeddings("AAAAPw"),
    # Streams
    "stream: error first": midstream_error([], 429, "Slow down"),
    "stream: error after text": midstream_error(["Hel"], 502, "Provider disconnected"),
    "stream: error with a word as code": midstream_error(["Hel"], "server_error", "It broke"),
    "stream: error without finish_reason": midstream_error(["Hel"], 503, "No", finish_reason=None),
    "stream: context length without a status": events({"error": {"message": _TOO_LONG}}),
    "stream: throttled without a status": events({"error": {"message": "ThrottlingException: Too many tokens"}}),
    "stream: error without choices": events(_HEL, {"error": {"code": 500, "message": "It broke"}}),
    "stream: error without its key": events(_HEL, {"object": "error", "message": "It broke", "code": 500}),
    "stream: error without a data field": events(
        _HEL, b'{"error": {"code": 503, "message": "Overloaded"}}\n', done=False
    ),
    "stream: error after the role": events(_ROLE, {"error": {"code": 503, "message": "Overloaded"}}),
    "stream: error beside usage": events(
        _HEL, chunk({"content": ""}, finish_reason="length"),
        chunk({"content": ""}, error={"code": 400, "message": "Token limit reached"}, usage=token_usage()),
    ),
    "stream: finish_reason error": events(_HEL, chunk({"content": ""}, finish_reason="error")),
    "stream: nothing but [DONE]": events(),
    "stream: [DONE] without finish_reason": events(_ROLE, _HEL),
    "stream: ends after comments": events(COMMENT, done=False),
    "stream: ends after the role": events(_ROLE, done=False),
    "stream: ends after text": events(_ROLE, _HEL, done=False),
    "stream: ends within an event": events(events(_HEL, _HEL, done=False).body[:-30], done=False),
    "stream: invalid JSON": events(_HEL, b"data: {oops\n\n", _FINISH),
    "stream: invalid UTF-8": events(_HEL, b'data: {"id": "\xff"}\n\n', _FINISH),
    "stream: event is not an object": events(_HEL, b'data: "oops"\n\n', _FINISH),
    "stream: silent from the start": events(COMMENT).broken(1, Break.SILENCE),
    "stream: silent after text": events(_HEL).broken(1, Break.SILENCE),
    "stream: only comments after text": ScriptedReply(
        200, _STREAM.headers, (*events(_HEL, done=False).parts, *(0.1, COMMENT) * 30)
    ),
    # Connections
    **_broken("closed", Break.CUT),
    **_broken("reset", Break.RESET),
    "connection reset in the headers": _wire(b"HTTP/1.1 200 OK\r\nContent-Type: appl", Break.RESET),
    "no headers": _wire(Break.SILENCE),
    "slow headers": _wire(*(part for byte in b"HTTP/1.1 200 OK\r\nVia: x\r\n\r\n" for part in (0.05, bytes([byte])))),
    "no body": _WHOLE.broken(0, Break.SILENCE),
    "half a body": _WHOLE.in_pieces(60).broken(1, Break.SILENCE),
    "not HTTP": _wire(b"SSH-2.0-OpenSSH_9.2\r\n", Break.CUT),
    "bad status line": _wire(b"HTTP/1.1 OK OK\r\n\r\n", Break.CUT),
    "invalid Content-Length": _wire(b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nab", Break.CUT),
    "two Content-Lengths": _wire(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", Break.CUT),
    "body shorter than Content-Length": ScriptedReply(
        200, {"Content-Length": str(len(_WHOLE.body) + 1)}, (_WHOLE.body, Break.CUT)
    ),
}  # fmt: skip
