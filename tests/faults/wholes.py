"""Plain replies with the status of a success, which are errors, nothing, or whole in spite of their looks."""

from __future__ import annotations

import gzip
from dataclasses import replace
from typing import Any

from lfm_adapter import errors
from tests.faults.scenario import DOCS, Scenario, both, plain
from tests.support.http_reply import Reply, compact_json, html, json_reply, raw
from tests.support.openrouter_replies import GENERATION_ID, PADDING, completion, error_in_200, error_in_choice

__all__ = ["WHOLES"]

ERRORS = DOCS + "errors"
INSURANCE = "https://openrouter.ai/docs/features/zero-completion-insurance"
THREADS = "https://github.com/"
HELLO = "Hello."
WHOLE = completion(HELLO)
JSON = {"Content-Type": "application/json"}


def encoded(encoding: str, body: bytes) -> Reply:
    """A body that says how it is encoded."""
    return raw(200, JSON | {"Content-Encoding": encoding}, (body,))


def no_reply(name: str, body: bytes | dict[str, Any], *, retried: bool, source: str = ERRORS) -> Scenario:
    """A success that holds no answer."""
    sent = body if isinstance(body, bytes) else compact_json(body)
    return Scenario(
        f"200: {name}", both(raw(200, JSON, (sent,))), source, errors.ResponseError, 200 if isinstance(body, bytes)
        else None, retried,
    )  # fmt: skip


def in_200(name: str, answer: Reply, raises: type[errors.APIError], status: int | None, **more: Any) -> Scenario:
    """A failure within a success."""
    answers = plain(answer) if more.get("kept") else both(answer)  # in place of a stream it is not handed on
    return Scenario(f"200: {name}", answers, more.pop("source", ERRORS), raises, status, **more)


def fine(name: str, answer: Reply, source: str, kept: str = HELLO) -> Scenario:
    """An answer that looks odd and is whole."""
    return Scenario(f"200: {name}", plain(answer), source, kept=kept)


WHOLES = (
    in_200(
        "an error in the place of the answer", error_in_200(429, "Slow down"), errors.RateLimitError, 429, retried=True,
        source=THREADS + "langchain-ai/langchainjs/issues/11417",
    ),
    in_200(
        "an error beside `choices: null`", json_reply({"id": GENERATION_ID, "choices": None, "error": {
            "code": 502, "message": "Provider returned error"}}), errors.ServerError, 502, retried=True,
        litellm="BadGatewayError", source=THREADS + "UKGovernmentBEIS/inspect_ai/issues/1534",
    ),
    in_200(
        "an error after the whitespace of a long wait", error_in_200(503, "Overloaded", padding=PADDING * 9),
        errors.ServerError, 503, retried=True, litellm="ServiceUnavailableError",
    ),
    in_200(
        "an error that forbids", error_in_200(403, "Flagged"), errors.PermissionDeniedError, 403,
    ),
    in_200(
        "an error in the choice, with half an answer", error_in_choice(502, "Provider disconnected", text="Hel"),
        errors.ServerError, 502, is_retryable=True, kept="Hel", litellm="BadGatewayError",
    ),
    in_200(
        "an error in the choice, with nothing", error_in_choice(502, "Provider disconnected"), errors.ServerError, 502,
        retried=True, litellm="BadGatewayError",
    ),
    in_200(
        "`finish_reason: error` without a word", completion("Hel", finish_reason="error"), errors.ServerError, None,
        is_retryable=True, kept="Hel", source=THREADS + "pydantic/pydantic-ai/issues/2844",
    ),
    no_reply("an object without anything", {}, retried=True),
    no_reply("no choices", {"id": GENERATION_ID, "choices": []}, retried=True,
             source=THREADS + "langgenius/dify/issues/9249"),
    no_reply("neither content nor a finish reason, as on a cold start", {"id": GENERATION_ID, "choices": [
        {"index": 0, "finish_reason": None, "message": {"role": "assistant", "content": ""}}]}, retried=True,
        source=INSURANCE),
    no_reply("an empty body", b"", retried=True),
    no_reply("only whitespace", PADDING * 3, retried=True),
    no_reply("a page instead of JSON", html(200).body, retried=False),
    no_reply("JSON that is no object", b"[1]", retried=False),
    no_reply("bytes that are no UTF-8", WHOLE.body.replace(b"Hello.", b"Hell\xf6."), retried=False,
             source="https://www.rfc-editor.org/rfc/rfc8259#section-8.1"),
    no_reply("JSON that is cut off, and whole by its length", WHOLE.body[:60], retried=False),
    Scenario(
        "200: compressed as was not asked for", both(encoded("gzip", gzip.compress(WHOLE.body))), DOCS + "overview",
        errors.ResponseError,
    ),
    fine("whitespace before the JSON", completion(HELLO, padding=PADDING * 100), DOCS + "overview"),
    fine("byte by byte", WHOLE.in_pieces(1), DOCS + "overview"),
    fine("without usage, fingerprint or provider", completion(HELLO, usage=None, provider=None), DOCS + "overview"),
    fine("the model under its dated name", completion(HELLO, model="liquid/lfm-3-1.7b-20261106"), DOCS + "overview"),
    fine("no content, and a finish reason", completion(None, finish_reason="length"), DOCS + "parameters", kept=""),
    fine("201", replace(WHOLE, status=201), "https://www.rfc-editor.org/rfc/rfc9110#section-15.3"),
)  # fmt: skip
