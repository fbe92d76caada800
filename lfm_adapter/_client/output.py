"""Reads and validates output: finds tool calls and JSON in the text, and checks them against the request."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from lfm_adapter._toolcalls.call_reader import MAX_CALLS, CallReader
from lfm_adapter._toolcalls.json_answer import answer_schema, json_types, read_arguments, schema_problem
from lfm_adapter._toolcalls.json_reader import JSONReader
from lfm_adapter.types import Delta, ToolCall

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lfm_adapter._client.plan import Plan
    from lfm_adapter.types import Choice, Reply

# OpenAI takes ids of 40 characters at most, and histories are carried from one model to another.
_ID_CHARS = 20

_SCALARS = frozenset({"string", "number", "integer", "boolean", "null"})


class OutputIssue(NamedTuple):
    """Why an output is invalid.

    Attributes:
        text: The reason, for the model that retries and for the user.
        in_calls: Whether it is about the tool calls rather than the JSON in the text.
        is_fatal: Whether the output is invalid as a whole. Otherwise the calls carry their errors, and it is returned
            if the retry does no better.
    """

    text: str
    in_calls: bool = False
    is_fatal: bool = True


class OutputReader:
    """Reads the output of one turn. What it returns of a stream adds up to what it puts into the whole reply."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._choices: dict[int, ChoiceReader] = {}

    def on_delta(self, delta: Delta) -> Delta | None:
        """Return what a delta of the server adds to the output, if anything."""
        reader = self._choices.get(delta.index)
        if reader is None:
            reader = self._choices[delta.index] = ChoiceReader(self._plan, delta.index)
        reader.read(delta)
        return delta if _has_content(delta) else None

    def read(self, reply: Reply) -> list[Delta]:
        """Move the calls and the JSON in the texts of a whole reply to where they belong.

        Returns:
            Of a stream, the deltas that are still missing.
        """
        rests: list[Delta] = []
        for index, choice in enumerate(reply.choices):
            reader = self._choices.get(index)
            is_streamed = reader is not None
            if reader is None:
                reader = self._choices[index] = ChoiceReader(self._plan, index)
                reader.read(Delta(choice.text, tool_calls=choice.tool_calls, generation_id=reply.id))
            rest = reader.close(choice)
            rest.generation_id = reply.id
            if is_streamed and _has_content(rest):
                rests.append(rest)
        return rests

    def validate(self, reply: Reply) -> OutputIssue | None:
        """Return why a reply that was `read` is invalid: the reason of its first invalid choice; else None.

        Sets `error` on each native call whose arguments do not match the tool's schema.
        """
        issues = [self._validate(choice, index) for index, choice in enumerate(reply.choices)]
        index, issue = next(((index, issue) for index, issue in enumerate(issues) if issue), (0, None))
        if issue is not None and len(issues) > 1:
            issue = issue._replace(text=f"in choice {index} of {len(issues)}, {issue.text}")
        return issue

    def _validate(self, choice: Choice, index: int) -> OutputIssue | None:
        plan = self._plan
        # A retry would be cut off or refused again. `finish_reason` and `refusal` tell the user.
        if choice.finish_reason in ("length", "content_filter") or choice.refusal:
            return None
        calls = choice.tool_calls
        reader = self._choices.get(index)
        if len(calls) > MAX_CALLS or (reader is not None and reader.has_too_many_calls):
            return OutputIssue(f"more than {MAX_CALLS:,} tools were called", in_calls=True)
        if plan.is_native:
            for call in calls:
                call.error = call.error or _arguments_error(call, plan.native_parameters)
        if plan.requires_call and not any(call.name in plan.native_parameters or not plan.is_native for call in calls):
            in_text = [] if reader is None else reader.unknown_tools
            unknown = [*in_text, *(call.name for call in calls)]
            text = f"`{unknown[0]}` was called, which is not one of the tools" if unknown else "no tool was called"
            return OutputIssue(text, in_calls=True)
        if calls and all(call.error for call in calls):
            text = f"the call of `{calls[0].name}` is invalid: {calls[0].error}"
            return OutputIssue(text, in_calls=True, is_fatal=plan.requires_call)
        if plan.single_call and len(calls) > 1:
            return OutputIssue(f"{len(calls)} tools were called, but at most one is allowed", in_calls=True)
        if plan.response_format is not None and not calls:
            problem = self._choices[index].json_problem or schema_problem(choice.text, plan.response_format)
            return None if problem is None else OutputIssue(problem)
        return None


class ChoiceReader:
    """Reads one choice, whole or in deltas: calls out of its text, and out of what is left the JSON."""

    def __init__(self, plan: Plan, index: int) -> None:
        self._index = index
        self._generation_id = ""
        self._plan = plan
        self._schema = None if plan.response_format is None else answer_schema(plan.response_format)
        self._text: list[str] = []
        self._places: dict[tuple[str, int], int] = {}
        self._reasoning = ""  # that came as text
        self._draft_problem = ""
        self._begin()

    def _begin(self) -> None:
        plan = self._plan
        self._calls = None if plan.tools is None else CallReader(plan.tools, make_id=self._call_id)
        self._json_types = None if plan.response_format is None else json_types(plan.response_format)
        if self._json_types and self._json_types <= _SCALARS:
            self._json_types = None  # only brackets can be found in prose
        self._json: JSONReader | None = None
        self._arguments: list[str] | None = [] if plan.requires_call and plan.buffers else None
        self._prose: list[str] = []  # the text in which the JSON is looked for
        self._raw: list[str] = []  # the text with all that is in it

    @property
    def json_problem(self) -> str:
        """Why the JSON in the text could not be read, or ""."""
        return self._draft_problem or ("" if self._json is None else self._json.problem)

    @property
    def unknown_tools(self) -> list[str]:
        """Names that were called in the text but are not tools."""
        return [] if self._calls is None else self._calls.unknown_tools

    @property
    def has_too_many_calls(self) -> bool:
        """Whether there are more calls in the text than are read."""
        return self._calls is not None and self._calls.has_too_many_calls

    def read(self, delta: Delta) -> None:
        """Change a delta of the server into one of the output."""
        self._generation_id = self._generation_id or delta.generation_id or ""
        native, text = delta.tool_calls, delta.text
        delta.tool_calls = []
        if text:
            if delta.reasoning_end:
                text = self._drop_draft(delta)
            self._raw.append(text)
            if self._calls is not None:
                known = len(self._calls.calls)
                text = self._calls.feed(text)
                self._numbered("text", self._calls.calls[known:])
            if self._arguments is not None:  # the text may be the arguments alone of the tool that was asked for
                self._arguments.append(text)
                text = ""
            delta.text = text = self._read_json(text)
            self._text.append(text)
        if native:
            delta.tool_calls += self._numbered("native", native)

    def close(self, choice: Choice) -> Delta:
        """Put what was read into `choice`, which is whole, and return the delta that is still missing."""
        rest = Delta(index=self._index)
        text = ""
        if self._calls is not None:
            text = self._calls.close()
            rest.tool_calls = self._numbered("text", self._calls.calls)
            if self._arguments is not None:
                text = self._take_arguments("".join((*self._arguments, text)), rest)
        text = self._read_json(text)
        if self._json is not None:
            text += self._json.close(cut_off=choice.finish_reason in ("length", "content_filter"))
        whole = "".join((*self._text, text))
        if not whole:  # no JSON in it
            whole = text = "".join(self._prose)
        rest.text, choice.text = text, whole
        choice.reasoning += self._reasoning
        self._put_calls(choice)
        return rest

    def _take_arguments(self, text: str, delta: Delta) -> str:
        """Make a text that is the arguments of the only tool a call of it, unless one was made. Return what is left."""
        if self._calls is None or self._places or len(self._calls.tools.names) != 1:
            return text
        (tool,) = self._calls.tools.definitions
        arguments = read_arguments(text, tool["parameters"])
        if arguments is None:
            return text
        call = ToolCall(0, self._call_id(0), tool["name"], arguments)
        self._calls.calls.append(call)
        delta.tool_calls += self._numbered("text", [call])
        return ""

    def _read_json(self, text: str) -> str:
        if self._json_types is None:
            return text
        self._prose.append(text)
        if self._json is None:
            start = text.lstrip()[:1]
            if not start:
                return ""
            if start == '"' and (not self._json_types or "string" in self._json_types):
                self._json_types = None  # the answer may be a string, whose brackets are its own
                return "".join(self._prose)
            self._json = JSONReader(_root(self._json_types, start), self._schema, coerces=self._plan.coerces)
        return self._json.feed(text)

    def _put_calls(self, choice: Choice) -> None:
        found = [] if self._calls is None else self._calls.calls
        native = choice.tool_calls
        choice.tool_calls = [
            replace(found[index] if origin == "text" else native[index], index=place)
            for (origin, index), place in self._places.items()
        ]
        if found and choice.finish_reason == "stop":
            choice.finish_reason = "tool_calls"

    def _drop_draft(self, delta: Delta) -> str:
        """Move the text up to `delta.reasoning_end` into the reasoning, and return the text after it.

        Calls and JSON in it no longer count. What has been passed on as text stays text.
        """
        end = delta.reasoning_end
        draft = "".join((*self._raw, delta.text[:end])).rpartition("</")[0]
        self._reasoning += draft
        delta.reasoning += draft
        has_passed = any(map(str.strip, self._text))
        if has_passed and self._plan.response_format is not None:
            self._draft_problem = "`</think>` came after text that had been passed on as the JSON"
        self._places = {place: number for place, number in self._places.items() if place[0] != "text"}
        self._begin()
        rest = delta.text[end:]
        return rest if has_passed else rest.lstrip()

    def _numbered(self, origin: str, calls: list[ToolCall]) -> list[ToolCall]:
        """Number calls in the order in which they appear, whether natively or in the text."""
        return [replace(call, index=self._places.setdefault((origin, call.index), len(self._places))) for call in calls]

    def _call_id(self, place: int) -> str:
        of_choice = f"{self._index}_" if self._index else ""
        return f"call_{self._generation_id[-_ID_CHARS:] or 'reply'}_{of_choice}{place}"


def _root(types: frozenset[str], start: str) -> str:
    """Return the bracket that opens the JSON of `types` in a text whose first character is `start`."""
    if ("array" in types) != ("object" in types):
        return "[" if "array" in types else "{"
    return start if start in "{[" else "{"


def _arguments_error(call: ToolCall, parameters: Mapping[str, Any]) -> str | None:
    """Return why the arguments of a native call do not match the tool's schema; None if they do."""
    if call.name is None or call.name not in parameters:
        return None
    try:
        # Models put line breaks into strings without escaping them.
        arguments = json.loads(call.arguments.strip() or "{}", strict=False, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return "the arguments are not valid JSON"
    if not isinstance(arguments, dict):
        return "the arguments are not a JSON object"
    schema = parameters[call.name] or {}
    return schema_problem(json.dumps(arguments), {"type": "json_schema", "json_schema": {"schema": schema}})


def _refuse(constant: str) -> None:
    raise ValueError(constant)  # NaN and the like are not JSON


def _has_content(delta: Delta) -> bool:
    return bool(
        delta.text or delta.tool_calls or delta.reasoning or delta.refusal or delta.logprobs or delta.reasoning_details
    )
