"""Reads what a model wrote, calls out of its text and JSON out of its prose, and judges whether that was asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lfm_adapter.openrouter.values import Delta
from lfm_adapter.toolcalls.objects import JSONReader, read_json, root_of, schema_problem
from lfm_adapter.toolcalls.parse import read_calls
from lfm_adapter.toolcalls.stream import CallReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from lfm_adapter.client.plan import Plan
    from lfm_adapter.openrouter.values import Choice, Reply, ToolCall
    from lfm_adapter.toolcalls.tools import Tools

__all__ = ["Answers"]


class Answers:
    """The answers of one turn. What it hands on piece by piece adds up to what it reads as a whole."""

    def __init__(self, plan: Plan, make_id: Callable[[int], str]) -> None:
        self._plan = plan
        self._make_id = make_id
        self._streams: dict[int, _AnswerStream] = {}

    @property
    def has_calls(self) -> bool:
        """Whether a call has begun."""
        return any(stream.has_calls for stream in self._streams.values())

    def pass_on(self, delta: Delta) -> Delta | None:
        """Return what is to be handed on of a piece, if anything."""
        stream = self._streams.get(delta.index)
        if stream is None:
            stream = self._streams[delta.index] = _AnswerStream(self._plan, self._make_id)
        stream.read(delta)
        adds = delta.text or delta.tool_calls or delta.reasoning or delta.refusal or delta.logprobs
        return delta if adds else None

    def rest(self, reply: Reply) -> list[Delta]:
        """Return what is left to be handed on at the end of a stream, whose whole reply was `read`."""
        rests = []
        for index, stream in self._streams.items():
            delta = Delta(index=index, generation_id=reply.id)
            choice = reply.choices[index] if index < len(reply.choices) else reply.choices[0]
            stream.close(delta, choice)
            if delta.text or delta.tool_calls:
                rests.append(delta)
        return rests

    def read(self, reply: Reply) -> None:
        """Put calls and JSON, which stand in the texts of a whole reply, where they belong."""
        for choice in reply.choices:
            if self._plan.tools is not None:
                self._read_calls(choice, self._plan.tools)
            wanted = self._plan.response_format
            if wanted is not None and not choice.tool_calls:
                found = read_json(choice.text, root=root_of(wanted), cut_off=choice.finish_reason == "length")
                choice.text = choice.text if found is None else found

    def problem(self, reply: Reply) -> str | None:
        """Return what is wrong with a reply that was `read`, for the model to mend; None if nothing is."""
        return next((problem for choice in reply.choices if (problem := self._problem(choice))), None)

    def _read_calls(self, choice: Choice, tools: Tools) -> None:
        text, calls = read_calls(choice.text, tools, make_id=self._make_id)
        if not calls:
            return
        choice.text = text
        for call in choice.tool_calls:
            call.index += len(calls)
        choice.tool_calls = [*calls, *choice.tool_calls]
        if choice.finish_reason == "stop":
            choice.finish_reason = "tool_calls"

    def _problem(self, choice: Choice) -> str | None:
        plan = self._plan
        # One that was cut off, or refused, would be again. The reasons stand in the reply.
        if choice.finish_reason in ("length", "content_filter") or choice.refusal:
            return None
        if plan.demands_call and not any(call.error is None for call in choice.tool_calls):
            broken = next(iter(choice.tool_calls), None)
            return "no tool was called" if broken is None else f"the call of `{broken.name}` is wrong: {broken.error}"
        if plan.single and len(choice.tool_calls) > 1:
            return f"{len(choice.tool_calls)} tools were called, where one at most may be"
        if plan.response_format is not None and not choice.tool_calls:
            return schema_problem(choice.text, plan.response_format)
        return None


class _AnswerStream:
    """One answer while it is written."""

    def __init__(self, plan: Plan, make_id: Callable[[int], str]) -> None:
        self._calls = None if plan.tools is None else CallReader(plan.tools, make_id=make_id)
        # Beside tools only the whole answer tells text from JSON; `Plan.holds_all` has it wait for that.
        wanted = plan.response_format
        self._json = JSONReader(root_of(wanted)) if wanted is not None and plan.tools is None else None
        self._has_both = wanted is not None and plan.tools is not None
        self._has_text = False
        self._places: dict[tuple[str, int], int] = {}

    @property
    def has_calls(self) -> bool:
        return bool(self._places)

    def read(self, delta: Delta) -> None:
        """Change what the server sent into what is handed on."""
        native = delta.tool_calls
        delta.tool_calls = []
        if self._calls is not None and delta.text:
            self._sort(self._calls.feed(delta.text), delta)
        elif self._json is not None and delta.text:
            delta.text = self._json.feed(delta.text)
        if self._has_both:
            delta.text = ""
        self._has_text = self._has_text or bool(delta.text)
        delta.tool_calls += self._placed("native", native)

    def close(self, delta: Delta, choice: Choice) -> None:
        """Add the rest to `delta`; `choice` is the whole answer."""
        if self._calls is not None:
            delta.text = ""
            self._sort(self._calls.close(), delta)
        if self._json is not None:
            delta.text = self._json.close(cut_off=choice.finish_reason == "length")
        if self._has_both or (self._json is not None and not self._has_text and not delta.text):
            delta.text = choice.text

    def _sort(self, pieces: list[str | ToolCall], delta: Delta) -> None:
        delta.text = "".join(piece for piece in pieces if isinstance(piece, str))
        delta.tool_calls += self._placed("text", [piece for piece in pieces if not isinstance(piece, str)])

    def _placed(self, origin: str, calls: list[ToolCall]) -> list[ToolCall]:
        """Number calls in the order in which they appear, whether the server or the text brought them."""
        return [replace(call, index=self._places.setdefault((origin, call.index), len(self._places))) for call in calls]
