"""One question to a model and all the turns that it takes: by which way it is put, and what a wrong answer leads to."""

from __future__ import annotations

import re
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lfm_adapter.client.call import ChatCall, served_model
from lfm_adapter.client.plan import plan_of
from lfm_adapter.errors import APIError, NoEndpointsError, UnfitReplyError
from lfm_adapter.openrouter.values import Delta

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lfm_adapter.client.answers import Answers
    from lfm_adapter.client.plan import Plan
    from lfm_adapter.client.settings import Settings
    from lfm_adapter.openrouter.values import Reply
    from lfm_adapter.openrouter.wire import JSONDict

__all__ = ["Exchange"]

# Settings that a single call may have of its own.
_OF_A_CALL = ("max_repairs", "recover_tool_calls", "tool_calling", "when_retired", "when_unfit")

# "No endpoints found that support tool use." https://github.com/sst/opencode/issues/1675
_NO_TOOLS = re.compile(r"(?i)support[^.]*\btool")

# What was found out on the way: models that no endpoint serves with tools, by the address of the server.
_without_tools: set[tuple[str, str]] = set()


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
        own = {name: parameters[name] for name in _OF_A_CALL if name in parameters}
        if own:
            settings = replace(settings, **own)
            settings.check()
            parameters = {name: value for name, value in parameters.items() if name not in own}
        self.reply: Reply | None = None
        self._settings = settings
        self._model = served_model(model or settings.model, settings)
        self._messages = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
        self._parameters = parameters
        self._stream = stream
        self._repairs = 0
        self._before: Reply | None = None
        self._begin(self._plan(refuses_tools=(settings.base_url, self._model) in _without_tools))

    def take(self, reply: Reply) -> None:
        """Take the answer to `call`: it stands, and is `reply`, or `call` is now the next turn's.

        Raises:
            UnfitReplyError: It does not keep to what was asked for, and no turn is left.
        """
        said = reply.text
        problem = None
        if self._answers is not None:
            self._answers.read(reply)
            problem = self._answers.problem(reply)
        if self._before is not None:
            _add_turn(self._before, reply)
        if problem is not None and self._may_repair(reply):
            self._repair(reply, said, problem)
            return
        if problem is not None and self._settings.when_unfit == "raise":
            raise self._unfit(reply, problem)
        reply.unfit = problem
        self.reply = reply

    def pass_on(self, delta: Delta) -> Sequence[Delta]:
        """Take a piece of the answer to `call`, and return what is to be handed on now.

        Raises:
            UnfitReplyError: See `take`.
        """
        if delta.reply is not None:
            return self._end(delta.reply)
        if self._answers is None:
            return (delta,)
        passed = self._answers.pass_on(delta)
        if passed is None:
            return ()
        self._held.append(passed)
        plan = self._current
        if plan.holds_all or (plan.demands_call and not self._answers.has_calls):
            return ()
        self._has_handed_on = True
        return self._release()

    def after(self, error: APIError) -> None:
        """Take a failure of `call`: ask another way where there is one, else raise it."""
        if (
            isinstance(error, NoEndpointsError)
            and error.partial is None
            and self._current.is_native
            and self._settings.tool_calling == "auto"
            and _NO_TOOLS.search(error.message)
        ):
            _without_tools.add((self._settings.base_url, self._model))
            self._begin(self._plan(refuses_tools=True), self.call.deadline)
            return
        if error.partial is None:
            error.partial = self._before
        raise error

    def _plan(self, *, refuses_tools: bool) -> Plan:
        return plan_of(self._messages, self._parameters, self._model, self._settings, refuses_tools=refuses_tools)

    def _begin(self, plan: Plan, deadline: float | None = None) -> None:
        self._current = plan
        self.call = ChatCall(self._settings, self._model, plan.messages, plan.fields, stream=self._stream)
        self.call.deadline = deadline
        self._answers: Answers | None = None
        if plan.reads_text:
            from lfm_adapter.client.answers import Answers  # see `plan`

            self._answers = Answers(plan, self._call_id)
        self._held: list[Delta] = []
        self._has_handed_on = False

    def _call_id(self, place: int) -> str:
        # The same for the same request, so that recordings repeat, and another with each turn of a conversation.
        return f"call_{zlib.crc32(self.call.body or b''):08x}_{place}"

    def _end(self, reply: Reply) -> Sequence[Delta]:
        answers = self._answers
        self.take(reply)
        if self.reply is None:
            return ()
        rest = [] if answers is None else answers.rest(reply)
        return [*self._release(), *rest, Delta(reply=reply)]

    def _release(self) -> list[Delta]:
        held, self._held = self._held, []
        return held

    def _may_repair(self, reply: Reply) -> bool:
        # As with retries: nothing that was handed on is taken back.
        return self._repairs < self._settings.max_repairs and len(reply.choices) == 1 and not self._has_handed_on

    def _repair(self, reply: Reply, said: str, problem: str) -> None:
        from lfm_adapter.toolcalls.render import repair_calls, repair_schema  # see `plan`

        self._repairs += 1
        self._before = reply
        plan = self._current
        is_about_calls = plan.demands_call or bool(reply.tool_calls)
        repair = repair_calls if is_about_calls else repair_schema
        self._begin(replace(plan, messages=[*plan.messages, *repair(said, problem)]), self.call.deadline)

    def _unfit(self, reply: Reply, problem: str) -> UnfitReplyError:
        told = f" It was told so {self._repairs} times." if self._repairs else ""
        return UnfitReplyError(
            f"The model was asked by prompt, but {problem}.{told} What it said is in `partial`. A larger model, or one "
            "that has tools and structured output natively, keeps to such requests better.",
            model=self._model,
            provider=reply.provider,
            generation_id=reply.id,
            partial=reply,
        )


def _add_turn(before: Reply, reply: Reply) -> None:
    """Add what an earlier turn took to the reply of a later one."""
    reply.repairs = before.repairs + 1
    reply.usage = _sum(before.usage, reply.usage)
    reply.cost = None if before.cost is None or reply.cost is None else before.cost + reply.cost


def _sum(first: JSONDict | None, second: JSONDict | None) -> JSONDict | None:
    """Add up counts and amounts that both have; of all else the later one stands."""
    if not first or not second:
        return first or second
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
