"""One call of `decide`: a request to a decision model, or some to a chat model in place of one."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from lfm_adapter._client.calls import Attempts, ModelCall, total_costs
from lfm_adapter._client.exchange import Exchange
from lfm_adapter._client.request import ApiRequest, model_for, require_kind, resolve_with_warning
from lfm_adapter._decisions.answers import read_answers
from lfm_adapter._decisions.by_chat import chat_decision
from lfm_adapter._decisions.questions import checked_questions
from lfm_adapter._decisions.servers import decision_body, decision_url, read_state
from lfm_adapter._json import as_dict, as_str
from lfm_adapter._masking import shown
from lfm_adapter._openrouter.request import check_types, encode
from lfm_adapter._openrouter.response import PaidBodyReader
from lfm_adapter.catalog._usage import check_state_length
from lfm_adapter.errors import ConfigurationError, ContextWindowExceededError, InvalidDecisionError
from lfm_adapter.types import DecisionParameters, DecisionReply

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lfm_adapter._client.settings import Settings
    from lfm_adapter._decisions.by_chat import ChatQuestion, ChatSteps
    from lfm_adapter.errors import APIError
    from lfm_adapter.types import Delta, JSONDict, ModelCard, Reply

MAX_CHATS = 4
"""Requests to a chat model that are under way at once."""

_KNOWN = {"id", "model", "provider", "usage", "answers"}


def decision_of(
    settings: Settings, state: object, questions: object, model: str | None, parameters: Mapping[str, Any]
) -> DecisionCall | ChatDecision:
    """Return the call for the arguments of `LFMClient.decide`, which it checks."""
    fields = dict(parameters)
    if unknown := fields.keys() - DecisionParameters.__annotations__.keys():
        raise ConfigurationError(
            f"`decide` has no parameter `{min(unknown)}`. To send another field of the request, use `extra_body`."
        )
    check_types(fields, DecisionParameters)
    via, route, orders = (fields.pop(name, None) for name in ("via", "route", "orders"))
    fields |= fields.pop("extra_body", None) or {}
    fields = {name: value for name, value in fields.items() if value is not None}
    if via not in ("decisions", "chat", None):
        raise ConfigurationError(f"`via` must be 'decisions' or 'chat', got {shown(via)}.")
    name = resolve_with_warning(model, settings) if via == "chat" else model_for("decisions", model, settings)
    card = settings.card(name)
    checked = checked_questions(questions, card)
    plain, images = read_state(state, card)
    has_box = any(question["type"] == "box" for question in checked.values())
    if via == "chat":
        require_kind("chat", card)
        if has_box:
            raise ConfigurationError(
                "Chat models cannot answer box questions. Leave them out, or ask a decision model that finds boxes."
            )
        return ChatDecision(settings, name, fields, chat_decision(plain, images, checked, card, orders), [*checked])
    if has_box and not (images or fields.get("assets")):  # of OpenRouter: images that the state names
        raise ConfigurationError("A box question needs an image in `state`.")
    body = decision_body(settings.base_url, name, plain, images, checked) | fields
    request = ApiRequest(
        settings,
        "",
        url=decision_url(settings.base_url, route=route or "alpha"),
        model=name,
        body=encode(body),
        reader=partial(PaidBodyReader, content="answers"),
    )
    text = plain if isinstance(plain, str) else encode(plain).decode()
    check_state_length(text, card, model=name, token_counter=settings.token_counter)
    return DecisionCall(settings, card, checked, request)


class DecisionCall(ModelCall):
    """A request to a decision model, and its attempts; `result` becomes a `DecisionReply`."""

    def __init__(
        self, settings: Settings, card: ModelCard, questions: Mapping[str, JSONDict], request: ApiRequest
    ) -> None:
        super().__init__(settings, request.model or card.id, card, {}, operation="decide")
        self._questions = questions
        self.attempts = Attempts(request, meter=self._meter)

    def on_error(self, error: APIError) -> float | None:
        """Treat a request that is too large as too long, whatever the server counts."""
        if error.status_code == 413 and not isinstance(error, ContextWindowExceededError):
            too_long = ContextWindowExceededError(error.message).with_traceback(error.__traceback__)
            too_long.__dict__.update(error.__dict__)
            error = too_long
        return super().on_error(error)

    def on_response(self, result: JSONDict) -> Sequence[Delta]:
        answers, problems = read_answers(self._questions, result["answers"])
        reader: Any = self.attempts.reader
        reply = DecisionReply(
            answers,
            calibrated=True if self._card.kind == "decisions" else None,
            id=as_str(result.get("id")) or reader.telling_headers.get("x-generation-id"),
            model=as_str(result.get("model")),
            provider=as_str(result.get("provider")),
            usage=as_dict(result.get("usage")) or None,
            headers=reader.telling_headers,
            extra={name: value for name, value in result.items() if name not in _KNOWN},
        )
        self._price(reply)
        if problems:
            raise InvalidDecisionError(
                f"The response does not match the questions: {'; '.join(problems)}. `reply` holds what arrived.",
                reply=reply,
                model=self._model,
                provider=reply.provider,
                generation_id=reply.id,
            )
        self.result = reply
        return ()


class ChatDecision:
    """The requests that ask a chat model in place of a decision model.

    Attributes:
        exchanges: The requests to send next.
        result: The reply, once it is there.
    """

    def __init__(self, settings: Settings, model: str, fields: JSONDict, steps: ChatSteps, ids: Sequence[str]) -> None:
        self._settings = settings
        self._model = model
        self._fields = fields
        self._steps = steps
        self._ids = ids
        self._replies: list[Reply] = []
        self.result: DecisionReply | None = None
        self._begin(next(steps))

    def on_end(self, error: APIError | None) -> None:
        """Take the results of the exchanges, or the error of one, which is raised if no other way to ask is left."""
        replies: list[Reply] = [] if error else [exchange.result for exchange in self.exchanges]
        self._replies += replies
        try:
            self._begin(self._steps.throw(error) if error else self._steps.send(replies))
        except StopIteration as end:
            reply = self._joined(end.value)
            if missing := ", ".join(repr(id_) for id_ in self._ids if id_ not in reply.answers):
                raise InvalidDecisionError(
                    f"The model did not answer {missing}. `reply` holds what arrived.", reply=reply, model=self._model
                ) from None
            self.result = reply

    def _begin(self, questions: list[ChatQuestion]) -> None:
        self.exchanges: list[Any] = [
            Exchange(self._settings, messages, self._model, {**self._fields, **parameters}, stream=False)
            for messages, parameters in questions
        ]

    def _joined(self, answers: dict[str, Any]) -> DecisionReply:
        last = self._replies[-1]
        usage, cost = total_costs(self._replies)
        return DecisionReply(
            answers,
            calibrated=False,
            id=last.id,
            model=last.model,
            provider=last.provider,
            usage=usage,
            cost=cost,
            headers=last.headers,
        )
