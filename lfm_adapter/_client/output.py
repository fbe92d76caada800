"""Reads what a model wrote, calls out of its text and JSON out of its prose, and judges whether that was asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from lfm_adapter._toolcalls.objects import JSONReader, read_json, root_of, schema_problem
from lfm_adapter._toolcalls.stream import CallReader
from lfm_adapter.types import Delta

if TYPE_CHECKING:
    from lfm_adapter._client.plan import Plan
    from lfm_adapter.types import Choice, Reply, ToolCall

__all__ = ["OutputReader", "OutputIssue"]

# OpenAI takes ids of 40 characters at most, and histories are carried from one model to another.
_ID_CHARS = 20


class OutputIssue(NamedTuple):
    """What in an answer does not keep to what was asked for.

    Attributes:
        text: What it is, for the model to mend and for the user to read.
        about_calls: Whether it is about tool calls, and not about the JSON of the answer.
        is_told_by_calls: Whether the calls themselves tell it, so that the answer is one all the same.
    """

    text: str
    about_calls: bool = False
    is_told_by_calls: bool = False


class OutputReader:
    """The answers of one turn. What is handed on of each piece by piece adds up to what is read as a whole."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._answers: dict[int, ChoiceReader] = {}

    @property
    def has_calls(self) -> bool:
        """Whether a call has begun."""
        return any(answer.has_calls for answer in self._answers.values())

    def on_delta(self, delta: Delta) -> Delta | None:
        """Return what is to be handed on of a piece, if anything."""
        answer = self._answers.get(delta.index)
        if answer is None:
            answer = self._answers[delta.index] = ChoiceReader(self._plan, delta.index)
        answer.read(delta)
        return delta if _adds(delta) else None

    def read(self, reply: Reply) -> list[Delta]:
        """Put calls and JSON, which stand in the texts of a whole reply, where they belong.

        Returns:
            Of a stream, what is left to be handed on.
        """
        rests: list[Delta] = []
        for index, choice in enumerate(reply.choices):
            answer = self._answers.get(index)
            is_streamed = answer is not None
            if answer is None:
                answer = self._answers[index] = ChoiceReader(self._plan, index)
                answer.read(Delta(choice.text, tool_calls=choice.tool_calls, generation_id=reply.id))
            rest = answer.end(choice)
            rest.generation_id = reply.id
            if is_streamed and _adds(rest):
                rests.append(rest)
        return rests

    def problem(self, reply: Reply) -> OutputIssue | None:
        """Return what is wrong with a reply that was `read`; None if one of its answers is as it should be."""
        problems = [self._problem(choice, self._answers[index]) for index, choice in enumerate(reply.choices)]
        return None if None in problems else problems[0]

    def _problem(self, choice: Choice, answer: ChoiceReader) -> OutputIssue | None:
        plan = self._plan
        # One that was cut off, or refused, would be again. The reasons stand in the reply.
        if choice.finish_reason in ("length", "content_filter") or choice.refusal:
            return None
        calls = choice.tool_calls
        broken = next((call for call in calls if call.error is not None), None)
        is_hopeless = broken is not None and all(call.error is not None for call in calls)
        if is_hopeless and not plan.is_native:
            why = f"the call of `{broken.name}` is wrong: {broken.error}" if broken else ""
            return OutputIssue(why, about_calls=True, is_told_by_calls=not plan.demands_call)
        if plan.demands_call and not calls:
            unbound = answer.unbound
            why = f"`{unbound[0]}` was called, which is none of the tools" if unbound else "no tool was called"
            return OutputIssue(why, about_calls=True)
        if plan.single and len(calls) > 1:
            return OutputIssue(f"{len(calls)} tools were called, where one at most may be", about_calls=True)
        if plan.response_format is not None and not calls:
            unfit = schema_problem(choice.text, plan.response_format)
            return None if unfit is None else OutputIssue(unfit)
        return None


class ChoiceReader:
    """One answer, in pieces or as one."""

    def __init__(self, plan: Plan, index: int) -> None:
        self._index = index
        self._generation_id = ""
        self._calls = None if plan.tools is None else CallReader(plan.tools, make_id=self._call_id)
        self._root = None if plan.response_format is None else root_of(plan.response_format)
        # Beside tools only the whole answer tells text from JSON; `Plan.holds_all` has it wait for that.
        self._json = JSONReader(self._root) if self._root and plan.tools is None else None
        self._text: list[str] = []
        self._places: dict[tuple[str, int], int] = {}

    @property
    def has_calls(self) -> bool:
        return bool(self._places)

    @property
    def unbound(self) -> list[str]:
        return [] if self._calls is None else self._calls.unbound

    def read(self, delta: Delta) -> None:
        """Change what the server sent into what is handed on."""
        self._generation_id = self._generation_id or delta.generation_id or ""
        native = delta.tool_calls
        delta.tool_calls = []
        if self._calls is not None and delta.text:
            self._sort(self._calls.feed(delta.text), delta)
        elif self._json is not None and delta.text:
            delta.text = self._json.feed(delta.text)
        self._text.append(delta.text)
        if self._waits:
            delta.text = ""
        delta.tool_calls += self._placed("native", native)

    def end(self, choice: Choice) -> Delta:
        """Put what was read into `choice`, the whole answer as it was sent, and return what is left to hand on."""
        rest = Delta(index=self._index)
        cut_off = choice.finish_reason == "length"
        if self._calls is not None:
            self._sort(self._calls.close(), rest)
        elif self._json is not None:
            rest.text = self._json.close(cut_off=cut_off)
        if self._waits:
            rest.text = "".join((*self._text, rest.text))
            self._text.clear()
            if self._root and not self.has_calls:
                rest.text = read_json(rest.text, root=self._root, cut_off=cut_off) or rest.text
        text = "".join((*self._text, rest.text))
        if self._json is not None and not text:
            text = rest.text = choice.text
        choice.text = text
        self._put_calls(choice)
        return rest

    @property
    def _waits(self) -> bool:
        return self._root is not None and self._calls is not None

    def _put_calls(self, choice: Choice) -> None:
        found = [] if self._calls is None else self._calls.calls
        native = choice.tool_calls
        choice.tool_calls = [
            replace(found[index] if origin == "text" else native[index], index=place)
            for (origin, index), place in self._places.items()
        ]
        if found and choice.finish_reason == "stop":
            choice.finish_reason = "tool_calls"

    def _sort(self, pieces: list[str | ToolCall], delta: Delta) -> None:
        delta.text = "".join(piece for piece in pieces if isinstance(piece, str))
        delta.tool_calls += self._placed("text", [piece for piece in pieces if not isinstance(piece, str)])

    def _placed(self, origin: str, calls: list[ToolCall]) -> list[ToolCall]:
        """Number calls in the order in which they appear, whether the server or the text brought them."""
        return [replace(call, index=self._places.setdefault((origin, call.index), len(self._places))) for call in calls]

    def _call_id(self, place: int) -> str:
        of_answer = f"{self._index}_" if self._index else ""
        return f"call_{self._generation_id[-_ID_CHARS:] or 'reply'}_{of_answer}{place}"


def _adds(delta: Delta) -> bool:
    return bool(delta.text or delta.tool_calls or delta.reasoning or delta.refusal or delta.logprobs)
