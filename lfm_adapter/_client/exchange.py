"""One question to a model and all the turns that it takes: by which way it is put, and what a wrong answer leads to."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lfm_adapter._client.plan import plan_of
from lfm_adapter._client.request import ChatCall, resolve_model
from lfm_adapter._client.settings import PER_CALL
from lfm_adapter.errors import APIError, ContextWindowExceededError, NoEndpointsError, OutputValidationError
from lfm_adapter.types import Delta

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lfm_adapter._client.output import OutputIssue, OutputReader
    from lfm_adapter._client.plan import Plan
    from lfm_adapter._client.settings import Settings
    from lfm_adapter.types import JSONDict, Reply

__all__ = ["Exchange"]

# "No endpoints found that support tool use." https://github.com/sst/opencode/issues/1675
_NO_TOOLS = re.compile(r"(?i)support[^.]*\btool use")

# What narrows the choice of endpoints: a refusal then says nothing about the model.
_NARROWING = frozenset({"models", "provider", "tool_choice"})

# When it was found out that no endpoint serves a model with tools, by the address of the server. Endpoints come and go.
_without_tools: dict[tuple[str, str], float] = {}
_FORGET_AFTER_S = 600.0


class Exchange:
    """Holds the request of the present turn, and takes its answer.

    Attributes:
        call: The request to send.
        reply: The answer that stands, once there is one.

    Raises:
        ConfigurationError: The request is not one that can be sent.
        ContextWindowExceededError: The prompt cannot fit the model's context.
    """

    def __init__(
        self,
        settings: Settings,
        messages: str | Sequence[Mapping[str, Any]],
        model: str | None,
        parameters: Mapping[str, Any],
        *,
        stream: bool,
    ) -> None:
        own = {name: parameters[name] for name in PER_CALL if name in parameters}
        if own:
            settings = settings.with_overrides(own)
            parameters = {name: value for name, value in parameters.items() if name not in own}
        self.reply: Reply | None = None
        self._settings = settings
        self._model = resolve_model(model, settings)
        self._messages = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
        self._parameters = parameters
        self._stream = stream
        self._output_retries = 0
        self._room: int | None = None
        self._waits = False
        self._before: Reply | None = None
        self._begin(self._plan(refuses_tools=self._is_known_to_refuse_tools()))

    def on_response(self, reply: Reply) -> None:
        """Take the answer to `call`: it stands, and is `reply`, or `call` is now the next turn's.

        Raises:
            OutputValidationError: It does not keep to what was asked for, and no turn is left.
        """
        self._judge(reply)

    def on_delta(self, delta: Delta) -> Sequence[Delta]:
        """Take a piece of the answer to `call`, and return what is to be handed on now.

        Raises:
            OutputValidationError: See `take`.
        """
        if delta.reply is not None:
            return self._end(delta.reply)
        if self._answers is None:
            return (delta,)
        passed = self._answers.on_delta(delta)
        if passed is None:
            return ()
        self._held.append(passed)
        self._waits = self._waits and not self._is_certain(self._answers, passed)
        return () if self._waits else self._release()

    def on_error(self, error: APIError) -> None:
        """Take a failure of `call`: ask another way where there is one, else raise it."""
        if (
            isinstance(error, NoEndpointsError)
            and error.partial is None
            and self._current.is_native
            and self._settings.tool_calling == "auto"
            and _NO_TOOLS.search(error.message)
        ):
            if not _NARROWING & self._current.fields.keys():
                _without_tools[self._settings.base_url, self._model] = time.monotonic()
            self._begin(self._plan(refuses_tools=True), self.call.deadline)
            return
        room = self._room_by(error)
        if room is not None:
            self._room = room
            self._begin(self._current, self.call.deadline)
            return
        if error.partial is None:
            error.partial = self._before
        raise error

    def _room_by(self, error: APIError) -> int | None:
        """Return how much of `max_tokens` fits by the server's own count, which ours is only a lower bound of."""
        asked = self.call.max_tokens
        if (
            self._room is not None
            or asked is None
            or not isinstance(error, ContextWindowExceededError)
            or error.partial is not None
            or error.context_length is None
            or error.requested_tokens is None
        ):
            return None
        room = error.context_length - (error.requested_tokens - asked)
        return room if 0 < room < asked else None

    def _plan(self, *, refuses_tools: bool) -> Plan:
        return plan_of(self._messages, self._parameters, self._model, self._settings, refuses_tools=refuses_tools)

    def _is_known_to_refuse_tools(self) -> bool:
        found_out = _without_tools.get((self._settings.base_url, self._model))
        return found_out is not None and time.monotonic() - found_out < _FORGET_AFTER_S

    def _begin(self, plan: Plan, deadline: float | None = None) -> None:
        self.call = ChatCall(
            self._settings, self._model, plan.messages, plan.fields, stream=self._stream, max_output_tokens=self._room
        )
        self.call.deadline = deadline
        self._current = plan
        self._answers: OutputReader | None = None
        if plan.reads_text:
            from lfm_adapter._client.output import OutputReader  # see `plan`

            self._answers = OutputReader(plan)
        self._held: list[Delta] = []
        self._waits = plan.may_be_repaired

    def _is_certain(self, answers: OutputReader, latest: Delta) -> bool:
        """Tell whether what is held may be handed on, because with its latest piece no repair can take it back."""
        plan = self._current
        if plan.holds_all:
            return False
        if plan.demands_call:
            return answers.has_calls
        return bool(latest.text or latest.refusal)

    def _end(self, reply: Reply) -> Sequence[Delta]:
        rest = self._judge(reply)
        return () if self.reply is None else [*self._release(), *rest, Delta(reply=reply)]

    def _judge(self, reply: Reply) -> list[Delta]:
        """Take the whole answer; return of a stream what is left to be handed on."""
        said = reply.text
        rest: list[Delta] = []
        problem = None
        if self._answers is not None:
            rest = self._answers.read(reply)
            problem = self._answers.problem(reply)
        if self._before is not None:
            _add_turn(self._before, reply)
        if problem is not None:
            if self._repair(reply, said, problem):
                return []
            if not problem.is_told_by_calls:
                reply.validation_error = problem.text
        if reply.validation_error and self._settings.on_invalid_output == "raise":
            raise self._unfit(reply, reply.validation_error)
        self.reply = reply
        return rest

    def _release(self) -> list[Delta]:
        held, self._held = self._held, []
        return held

    def _repair(self, reply: Reply, said: str, problem: OutputIssue) -> bool:
        """Begin another turn that tells the model what was wrong, and return whether there may be one."""
        # As with retries: nothing that was handed on is taken back.
        has_handed_on = self._stream and not self._waits
        if self._output_retries >= self._settings.max_output_retries or len(reply.choices) > 1 or has_handed_on:
            return False
        plan = self._current
        if plan.is_native and problem.about_calls:
            if self._settings.tool_calling != "auto":
                return False
            plan = self._plan(refuses_tools=True)
        else:
            from lfm_adapter._toolcalls.render import repair_calls, repair_schema  # see `plan`

            told = (repair_calls if problem.about_calls else repair_schema)(said, problem.text)
            plan = replace(plan, messages=[*plan.messages, *told])
        try:
            self._begin(plan, self.call.deadline)
        except ContextWindowExceededError:  # for which the user has no hand in
            return False
        self._output_retries += 1
        self._before = reply
        return True

    def _unfit(self, reply: Reply, problem: str) -> OutputValidationError:
        times = f" It was asked {self._output_retries + 1} times." if self._output_retries else ""
        by = "by prompt"
        advice = "A larger model, or one that has tools and structured output natively, keeps to such requests better."
        if self._current.is_native:
            by = "natively"
            advice = 'Its server may not know tools: `tool_calling="prompted"` asks for calls by prompt.'
        return OutputValidationError(
            f"The model was asked {by}, but {problem}.{times} What it said is in `partial`. {advice}",
            model=self._model,
            provider=reply.provider,
            generation_id=reply.id,
            partial=reply,
        )


def _add_turn(before: Reply, reply: Reply) -> None:
    """Add what an earlier turn took to the reply of a later one."""
    reply.output_retries = before.output_retries + 1
    if not before.usage or not reply.usage:
        reply.usage = None  # that of one turn would look like that of both
    else:
        reply.usage = _sum(before.usage, reply.usage)
    reply.cost = None if before.cost is None or reply.cost is None else before.cost + reply.cost


def _sum(first: JSONDict, second: JSONDict) -> JSONDict:
    """Add up counts and amounts that both have; of all else the later one stands."""
    total = {**first, **second}
    for name in first.keys() & second.keys():
        one, other = first[name], second[name]
        if isinstance(one, dict) and isinstance(other, dict):
            total[name] = _sum(one, other)
        elif _is_number(one) and _is_number(other):
            total[name] = one + other
    return total


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
