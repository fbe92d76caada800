"""Replies that others recorded from OpenRouter, and what each says, taken from the raw JSON in the plainest way.

The environment variable `LFM_RECORDINGS` names their folder. They are not part of this project.
"""

from __future__ import annotations

import gzip
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["FOLDER", "WHY_NOT", "Expected", "Recording", "data_of", "errors", "expected", "load"]

FOLDER = Path(os.environ["LFM_RECORDINGS"]) if os.environ.get("LFM_RECORDINGS") else None
WHY_NOT = "set `LFM_RECORDINGS` to a folder of recorded replies (*.jsonl.gz)"

EVENT_STREAM = "text/event-stream"


@dataclass(frozen=True)
class Recording:
    """One recorded reply.

    Attributes:
        id: Where it comes from.
        status: Its HTTP status.
        content_type: "application/json" or "text/event-stream".
        request: The body that was sent, if it was recorded.
        body: The reply's body, as it was sent.
    """

    id: str
    status: int
    content_type: str
    request: dict[str, Any] | None = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def is_stream(self) -> bool:
        """Whether the body is a stream of events."""
        return self.content_type == EVENT_STREAM

    @property
    def headers(self) -> dict[str, str]:
        """The headers that matter to who reads it."""
        return {"content-type": self.content_type}


@dataclass(frozen=True)
class Expected:
    """What a recorded reply says; a list of tool calls holds id, name and arguments of each."""

    generation_id: str
    model: str
    text: str
    reasoning: str
    reasoning_details: list[dict[str, Any]]
    tool_calls: list[tuple[str, str, str]]
    finish_reason: str | None
    native_finish_reason: str | None
    usage: dict[str, Any] | None
    cost: float | None
    provider: str | None
    refusal: str | None
    annotations: list[dict[str, Any]]
    citations: list[str] | None
    logprobs: dict[str, Any] | None
    system_fingerprint: str | None
    service_tier: str | None


def load() -> list[Recording]:
    """Return every recorded reply, errors among them; none where `LFM_RECORDINGS` is not set."""
    if FOLDER is None:
        return []
    lines = [line for path in sorted(FOLDER.glob("*.jsonl.gz")) for line in _text(path).split("\n") if line]
    rows = [json.loads(line) for line in lines]
    recordings = [
        Recording(row["id"], row["status"], row["content_type"], row["request"], row["body"].encode()) for row in rows
    ]
    liquid = FOLDER / "liquid"
    for pattern, content_type in (("chat-completion*.recorded.json", "application/json"), ("*.sse.txt", EVENT_STREAM)):
        recordings += [
            Recording(f"liquid/{path.name}", 200, content_type, None, path.read_bytes())
            for path in sorted(liquid.glob(pattern))
        ]
    return recordings


def errors() -> list[Recording]:
    """Return the errors that lie in files of their own, with the HTTP status that stands in their names."""
    found = []
    for path in sorted((FOLDER / "liquid").glob("*.json")) if FOLDER else ():
        body = path.read_bytes()
        if path.name.startswith("error-"):
            found.append(Recording(path.name, int(path.name[6:9]), "application/json", None, body))
        elif path.name == "chat-completion-error-200.documented.json":
            found.append(Recording(path.name, 200, "application/json", None, body))
        elif path.name == "chat-stream-midstream-error.documented.json":
            lines = "\n".join(json.loads(body)["lines"])
            found.append(Recording(path.name, 200, EVENT_STREAM, None, lines.encode() + b"\n"))
    return found


def expected(recording: Recording) -> Expected:
    """Return what a recorded success says."""
    if recording.is_stream:
        return _expected_of_stream(data_of(recording))
    return _expected_of_body(json.loads(recording.body))


def data_of(recording: Recording) -> list[dict[str, Any]]:
    """Return the objects in the events of a recorded stream."""
    lines = [line.removeprefix("data: ") for line in recording.body.decode().split("\n") if line.startswith("data: ")]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def _expected_of_body(body: dict[str, Any]) -> Expected:
    choice = body["choices"][0]
    message = choice["message"]
    calls = [(call["id"], call["function"]) for call in message.get("tool_calls") or []]
    return Expected(
        generation_id=body["id"],
        model=body["model"],
        text=message.get("content") or "",
        reasoning=_reasoning(message),
        reasoning_details=message.get("reasoning_details") or [],
        tool_calls=[(call_id, function["name"], function["arguments"] or "") for call_id, function in calls],
        finish_reason=choice["finish_reason"],
        native_finish_reason=choice.get("native_finish_reason"),
        usage=body.get("usage"),
        cost=(body.get("usage") or {}).get("cost"),
        provider=body.get("provider"),
        refusal=message.get("refusal"),
        annotations=message.get("annotations") or [],
        citations=body.get("citations"),
        logprobs=_without_nothing(choice.get("logprobs")),
        system_fingerprint=body.get("system_fingerprint") or None,
        service_tier=body.get("service_tier") or None,
    )


def _expected_of_stream(chunks: list[dict[str, Any]]) -> Expected:
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    deltas = [choice["delta"] for choice in choices]
    usages = [chunk["usage"] for chunk in chunks if chunk.get("usage")]
    return Expected(
        generation_id=chunks[0]["id"],
        model=chunks[0]["model"],
        text="".join(delta.get("content") or "" for delta in deltas),
        reasoning="".join(_reasoning(delta) for delta in deltas),
        reasoning_details=_joined_details(deltas),
        tool_calls=_joined_calls(deltas),
        finish_reason=_last(choices, "finish_reason"),
        native_finish_reason=_last(choices, "native_finish_reason"),
        usage=usages[-1] if usages else None,
        cost=usages[-1].get("cost") if usages else None,
        provider=_last(chunks, "provider"),
        refusal="".join(delta.get("refusal") or "" for delta in deltas) or None,
        annotations=[annotation for delta in deltas for annotation in delta.get("annotations") or []],
        citations=_last(chunks, "citations"),
        logprobs=_joined_logprobs(choices),
        system_fingerprint=_last(chunks, "system_fingerprint"),
        service_tier=_last(chunks, "service_tier"),
    )


def _reasoning(message: dict[str, Any]) -> str:
    """Return the reasoning in words; one recording has it in the details alone."""
    details = message.get("reasoning_details") or []
    return message.get("reasoning") or "".join(detail.get("text") or detail.get("summary") or "" for detail in details)


def _joined_details(deltas: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Join the pieces of each block; in every recording, pieces of one block share type and index."""
    blocks: dict[tuple[str, int], dict[str, Any]] = {}
    for piece in (piece for delta in deltas for piece in delta.get("reasoning_details") or []):
        block = blocks.setdefault((piece["type"], piece["index"]), {})
        for key, value in piece.items():
            if key in ("text", "summary", "data"):
                block[key] = block.get(key, "") + value
            else:
                block[key] = value
    return list(blocks.values())


def _joined_calls(deltas: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Join the pieces of each call; in every recording, each has its call's index, and the first the id and name."""
    calls: dict[int, tuple[str, str, str]] = {}
    for piece in (piece for delta in deltas for piece in delta.get("tool_calls") or []):
        function = piece["function"]
        call_id, name, arguments = calls.get(piece["index"]) or (piece["id"], function["name"], "")
        calls[piece["index"]] = (call_id, name, arguments + (function.get("arguments") or ""))
    return [calls[index] for index in sorted(calls)]


def _joined_logprobs(choices: list[dict[str, Any]]) -> dict[str, Any] | None:
    joined: dict[str, list[Any]] = {}
    for logprobs in (choice.get("logprobs") or {} for choice in choices):
        for key, tokens in logprobs.items():
            joined[key] = joined.get(key, []) + (tokens or [])
    return _without_nothing(joined)


def _without_nothing(logprobs: dict[str, Any] | None) -> dict[str, Any] | None:
    return {key: tokens for key, tokens in (logprobs or {}).items() if tokens} or None


def _last(objects: list[dict[str, Any]], key: str) -> Any:
    return next((one[key] for one in reversed(objects) if one.get(key)), None)


def _text(path: Path) -> str:
    return gzip.decompress(path.read_bytes()).decode()
