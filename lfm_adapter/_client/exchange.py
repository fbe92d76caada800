"""One chat call and its turns: the first request, fallbacks, and retries of invalid output."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

from lfm_adapter._client.calls import Attempts, ModelCall, total_costs
from lfm_adapter._client.plan import make_plan
from lfm_adapter._client.request import CompletionRequest, refuse_misspelled, require_kind, resolve_with_warning
from lfm_adapter._client.settings import PER_CALL
from lfm_adapter._masking import shown
from lfm_adapter._openrouter.request import check_types
from lfm_adapter.errors import (
    APIError,
    ConfigurationError,
    ContextWindowExceededError,
    NoEndpointsError,
    OutputValidationError,
)
from lfm_adapter.types import ChatParameters, Delta

if TYPE_CHECKING:
    from lfm_adapter._client.output import OutputIssue, OutputReader
    from lfm_adapter._client.plan import Plan
    from lfm_adapter._client.settings import Settings
    from lfm_adapter.types import Reply

Messages: TypeAlias = str | Sequence[Mapping[str, Any]]

# "No endpoints found that support tool use." https://github.com/sst/opencode/issues/1675
_NO_TOOLS = re.compile(r"(?i)support[^.]*\btool use")

# These narrow the choice of endpoints, so that a refusal says nothing about the model.
_NARROWING = frozenset({"models", "provider", "tool_choice"})

_REFUSAL_TTL_S = 600.0  # endpoints come and go


@dataclass(slots=True)
class ToolSupport:
    """When a server last refused tools because no endpoint of the model takes them, in `time.monotonic` seconds."""

    refused_at: float = -math.inf


@lru_cache(maxsize=256)
def tool_support(base_url: str, model: str) -> ToolSupport:  # noqa: ARG001 # they are the cache's key
    """Return what all clients of this process know about a model of a server."""
    return ToolSupport()


class Exchange(ModelCall):
    """One chat call: holds the request and the attempts of the current turn, and takes its response.

    Once text has been passed on, no retry follows. What the server is known to support streams as it comes; what the
    prompt asks for is buffered until no retry can follow (`Plan.buffers`).

    Raises:
        ConfigurationError: The request is invalid.
        ContextWindowExceededError: The prompt does not fit the model's context.
    """

    def __init__(
        self,
        settings: Settings,
        messages: Messages,
        model: str | None,
        parameters: Mapping[str, Any],
        *,
        stream: bool,
    ) -> None:
        fields = dict(parameters)
        refuse_misspelled(fields.keys())
        if not PER_CALL.isdisjoint(fields):
            settings = settings.with_overrides({name: fields.pop(name) for name in PER_CALL & fields.keys()})
        check_types(fields, ChatParameters)
        if fields.get("n") is not None and fields["n"] < 1:
            raise ConfigurationError(f"`n` must be an integer >= 1, got {fields['n']}.")
        if "extra_body" in fields:
            fields |= fields.pop("extra_body") or {}
        resolved = resolve_with_warning(model, settings)
        card = settings.card(resolved)
        require_kind("chat", card)
        super().__init__(settings, resolved, card, fields, operation="chat", stream=stream)
        self.result: Reply | None = None
        self._is_buffering = False
        self._messages = _as_list(messages)
        self._output_retries = 0
        self._max_output_tokens: int | None = None
        self._previous: Reply | None = None
        refuses_tools = "tools" in fields and self._tool_support().refused_at > time.monotonic() - _REFUSAL_TTL_S
        self._begin(self._make_plan(refuses_tools=refuses_tools))

    def on_delta(self, delta: Delta) -> Sequence[Delta]:
        """Where a whole reply is asked for, pass nothing on."""
        if not self._stream:
            return ()
        if self._meter is not None:
            self._meter.on_token(delta.generation_id)
        if self._span is not None:
            self._span.on_token()
        if self._reads_text:
            read = self._reader.on_delta(delta)
            if read is None:
                return ()
            delta = read
        if self._is_buffering:
            self._buffer.append(delta)
            if not self._is_final(delta):
                return ()
            self._is_buffering = False
            return self._take_buffer()
        self._has_streamed = True
        return (delta,)

    def on_error(self, error: APIError) -> float | None:
        if isinstance(error, OutputValidationError):
            raise error
        try:
            return super().on_error(error)
        except APIError as final:
            error = final
        if (
            isinstance(error, NoEndpointsError)
            and error.partial is None
            and self._plan.is_native
            and self._settings.tool_calling == "auto"
            and _NO_TOOLS.search(error.message)
        ):
            if not _NARROWING & self._plan.fields.keys():
                self._tool_support().refused_at = time.monotonic()
            self._trace("fallback", reason="no_native_tools")
            self._begin(self._make_plan(refuses_tools=True), self.attempts.deadline)
            return None
        tokens_left = self._tokens_left(error)
        if tokens_left is not None:
            self._max_output_tokens = tokens_left
            self._trace("fallback", reason="max_tokens_reduced")
            self._begin(self._plan, self.attempts.deadline)
            return None
        if error.partial is None:
            error.partial = self._previous
        else:
            self._complete(error.partial)
        raise error

    def _tokens_left(self, error: APIError) -> int | None:
        """Return how many output tokens fit by the server's count; ours is only a lower bound of the prompt's."""
        asked = self.request.limits.max_tokens
        if (
            self._max_output_tokens is not None
            or asked is None
            or not isinstance(error, ContextWindowExceededError)
            or error.partial is not None
            or error.context_length is None
            or error.requested_tokens is None
        ):
            return None
        prompt = error.requested_tokens - asked if error.prompt_tokens is None else error.prompt_tokens
        left = error.context_length - prompt
        return left if 0 < left < asked else None

    def _trace(self, event: str, *, reason: str) -> None:
        if self._span is not None:
            self._span.add_event(event, **{"lfm_adapter.reason": reason})

    def _tool_support(self) -> ToolSupport:
        return tool_support(self._settings.base_url, self._model)

    def _make_plan(self, *, refuses_tools: bool) -> Plan:
        return make_plan(self._messages, self._fields, self._card, self._settings, refuses_tools=refuses_tools)

    def _begin(self, plan: Plan, deadline: float | None = None) -> None:
        self.request = CompletionRequest(
            self._settings,
            self._model,
            self._card,
            plan.messages,
            plan.fields,
            stream=self._stream,
            max_output_tokens=self._max_output_tokens,
        )
        self.attempts = Attempts(self.request, deadline, self._meter)
        self._plan = plan
        self._reads_text = plan.reads_text  # asked for each delta
        if plan.is_validated:
            from lfm_adapter._client.output import OutputReader  # see `plan`

            self._reader: OutputReader = OutputReader(plan)
        self._buffer: list[Delta] = []
        self._is_buffering = plan.buffers
        self._has_streamed = False

    def _is_final(self, latest: Delta) -> bool:
        """Return whether no retry can follow the latest delta, so that the buffer may be passed on."""
        if self._plan.single_call:
            return False
        if self._plan.requires_call:
            return bool(latest.tool_calls)
        return bool(latest.text or latest.refusal or latest.tool_calls)

    def _take_buffer(self) -> list[Delta]:
        self._has_streamed = True
        deltas, self._buffer = self._buffer, []
        return deltas

    def on_response(self, result: Reply) -> Sequence[Delta]:
        """Take a whole reply: it becomes `result`, or `attempts` become those of the next turn."""
        rest: list[Delta] = []
        issue = None
        reply, raw_text = result, result.text
        if self._reads_text:
            rest = self._reader.read(reply)
        if self._plan.is_validated:
            issue = self._reader.validate(reply)
        self._complete(reply)
        if issue is not None:
            if self._retry(reply, raw_text, issue):
                return ()
            if issue.is_fatal:
                reply.validation_error = issue.text
                if self._settings.on_invalid_output == "raise":
                    raise self._invalid_output(reply, issue)
        self.result = reply
        return [*self._take_buffer(), *rest, Delta(reply=reply)] if self._stream else ()

    def _complete(self, reply: Reply) -> None:
        """Add the token limits and the cost to a reply, and the usage of the turns before it."""
        reply.token_limits = self.request.limits
        self._price(reply)
        previous = self._previous
        if previous is None:
            return
        reply.output_retries = previous.output_retries + 1
        reply.usage, reply.cost = total_costs([previous, reply])
        if reply.usage and "cost" in reply.usage:
            reply.usage["cost"] = None if reply.cost is None else float(reply.cost.total)

    def _retry(self, reply: Reply, raw_text: str, issue: OutputIssue) -> bool:
        """Begin a turn in which the model corrects its output, and return whether one is allowed."""
        if self._output_retries >= self._settings.max_output_retries or len(reply.choices) > 1 or self._has_streamed:
            return False
        if self._plan.can_fall_back and issue.in_calls and not reply.tool_calls:
            plan = self._make_plan(refuses_tools=True)
        else:
            from lfm_adapter._toolcalls.render import follow_up  # see `plan`

            raw_text = raw_text or "\n".join(f"{call.name}({call.arguments})" for call in reply.tool_calls)
            correction = follow_up(raw_text, issue.text, in_calls=issue.in_calls)
            plan = replace(self._plan, messages=[*self._plan.messages, *correction])
        try:
            self._begin(plan, self.attempts.deadline)
        except ContextWindowExceededError:  # the follow-up is too long, not the user's prompt
            return False
        self._output_retries += 1
        self._previous = reply
        self._trace("output_retry", reason="invalid_call" if issue.in_calls else "invalid_answer")
        return True

    def _invalid_output(self, reply: Reply, issue: OutputIssue) -> OutputValidationError:
        attempts = f" after {self._output_retries + 1} attempts" if self._output_retries else ""
        if issue.in_calls and self._plan.is_native:
            advice = 'The server may not support tools: try `tool_calling="prompted"`.'
        elif "response_format" in self._plan.fields:
            advice = "The server may not support `response_format`."
        else:
            what = "tools" if issue.in_calls else "schema"
            advice = f"The {what} went into the prompt: a larger model, or one with native support, may do better."
        return OutputValidationError(
            f"The answer is invalid{attempts}: {issue.text}. `partial` contains it. {advice}",
            model=self._model,
            provider=reply.provider,
            generation_id=reply.id,
            partial=reply,
        )


def _as_list(messages: Any) -> Sequence[Mapping[str, Any]]:
    """Return messages as a list; a string is the user's."""
    if isinstance(messages, str):
        return [{"role": "user", "content": messages}]
    given: Any = messages
    wrong = [one for one in given if not isinstance(one, Mapping)] if isinstance(given, Sequence) else [given]
    if wrong:
        kind = type(wrong[0]).__name__
        raise ConfigurationError(
            '`messages` must be a string or a list of messages such as {"role": "user", "content": "…"}, got '
            f"{kind if wrong[0] is given else f'a list with {kind}'}."
        )
    checked: Sequence[Mapping[str, Any]] = messages
    for one in checked:
        if not isinstance(one.get("role"), str):
            raise ConfigurationError('A message has no `role`. Write it like {"role": "user", "content": "…"}.')
        content = one.get("content")
        if not isinstance(content, str | list | tuple | None):
            raise ConfigurationError(
                f"The `content` of a message must be a string or a list of parts, got {shown(content)}."
            )
    return checked
