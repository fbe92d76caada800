"""Streams to be cut at each of their bytes, and what must come of a cut one."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lfm_adapter.errors import ResponseError, StreamInterruptedError
from lfm_adapter.testing import stream, tool_call
from tests.support import corpus

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CASES", "Case", "check_prefixes"]

NATIVE, PROMPTED = "liquid/lfm-2.5-2.6b:free", "liquid/lfm-3b"
HEADERS = {"content-type": corpus.EVENT_STREAM, "transfer-encoding": "chunked"}
MAX_RECORDED_BYTES = 6_000
MANY = 3  # recorded streams


@dataclass(frozen=True)
class Case:
    """A stream, and how it is asked for.

    Attributes:
        name: What is in it.
        body: All its bytes.
        model: The model asked.
        parameters: Fields of the request.
    """

    name: str
    body: bytes = field(repr=False)
    model: str = NATIVE
    parameters: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def settings(self) -> dict[str, Any]:
        """The arguments of a client that asks for it."""
        return {"model": self.model, "api_key": "test-key", "max_retries": 0}


def check_prefixes(case: Case, how: str, ask: Callable[[Case, dict[str, Any]], Any], *, every: int = 1) -> None:
    """Check the prefixes of a stream.

    Args:
        case: The stream.
        how: Whether the connection "ends" behind the prefix, as if that were all, or "breaks".
        ask: Returns what the surface makes of the stream, or raises.
        every: Check one in so many, and all around the ends of lines.
    """
    whole = ask(case, _played(case.body, "ends"))
    outcomes = set()
    for end in range(len(case.body)):
        if end % every and b"\n" not in case.body[max(end - 2, 0) : end + 2]:
            continue
        prefix = case.body[:end]
        failure = None
        try:
            # A stream that ends in order behind its finish reason is whole, though the usage is missing.
            assert ask(case, _played(prefix, how)) == whole or (how == "ends" and _is_finished(prefix)), prefix
        except (StreamInterruptedError, ResponseError) as error:
            failure = error
        outcomes.add(failure is None)
        if failure is not None:
            text, reasoning = _arrived(prefix, is_over=how == "ends")
            partial = failure.partial
            assert partial is not None or not (text or reasoning), prefix
            assert partial is None or (partial.text, partial.reasoning) == (text, reasoning), prefix
    assert False in outcomes
    assert how == "breaks" or True in outcomes


def _played(body: bytes, how: str) -> dict[str, Any]:
    failure = None if how == "ends" else StreamInterruptedError("broke off")
    return {"status": 200, "headers": HEADERS, "body": body, "failure": failure}


def _is_finished(prefix: bytes) -> bool:
    """Whether the last event that came is complete, and a finish reason is among them."""
    *_, last = prefix.rstrip().split(b"\n")
    is_complete = last.endswith(b"}") or last in (b"data", b"data:")
    return is_complete and re.search(rb'"finish_reason": ?"', prefix) is not None


def _arrived(prefix: bytes, *, is_over: bool) -> tuple[str, str]:
    """The text and the reasoning of the events that came; where the stream is over, the blank line may be missing."""
    *lines, rest = prefix.split(b"\n")
    texts, thoughts = [], []
    for place, line in enumerate([*lines, rest]):
        ends = place + 1 < len(lines) or (is_over and place + 1 >= len(lines))
        if not ends or not line.startswith(b"data: {"):
            continue
        try:
            event = json.loads(line.removeprefix(b"data: "))
        except ValueError:
            continue
        for choice in event["choices"]:
            texts.append(choice["delta"].get("content") or "")
            thoughts.append(choice["delta"].get("reasoning") or "")
    return "".join(texts), "".join(thoughts)


def _recorded() -> list[Case]:
    """The shortest recorded streams that say something, each from another source."""
    found: dict[str, Case] = {}
    for recording in sorted(corpus.load(), key=lambda recording: len(recording.body)):
        source = recording.id.split("/")[0]
        if recording.is_stream and recording.status == 200 and 500 < len(recording.body) < MAX_RECORDED_BYTES:
            found.setdefault(source, Case(recording.id, recording.body))
    return list(found.values())[:MANY]


def _bound(*names: str) -> dict[str, Any]:
    functions = [{"name": name, "parameters": {"type": "object"}} for name in names]
    return {"tools": [{"type": "function", "function": function} for function in functions]}


CALLS = (tool_call("weather", {"city": "Oslo"}), tool_call("time", {}, call_id="call_2"))
WRITTEN = ['Well:\n<tool_call>{"name": "wea', 'ther", "arguments": {"city": "Os', 'lo"}}</tool_call>', "\nDone."]
LEAKED = ["Wait. <|tool_call", '_start|>[weather(city="Oslo")', "]<|tool_call_end|>"]
CASES = [
    Case("text and reasoning", stream(["Grü", "ße. 🌍"], reasoning=["Hm", "."], comments=1).body),
    Case("native calls", stream(["So: "], reasoning=["Hm."], tool_calls=CALLS).body, parameters=_bound("weather")),
    Case("prompted calls", stream(WRITTEN, model=PROMPTED).body, model=PROMPTED, parameters=_bound("weather")),
    Case("leaked calls", stream(LEAKED, ending="usage_in_finish").body, parameters=_bound("weather")),
    *_recorded(),
]
