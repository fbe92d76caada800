"""One call of `decide`: a request to a decision model, and its attempts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lfm_adapter._client.metered import MeteredCall
from lfm_adapter._client.request import ApiRequest, model_for
from lfm_adapter._client.retries import Attempts
from lfm_adapter._decisions.answers import read_answers
from lfm_adapter._decisions.questions import checked_questions
from lfm_adapter._decisions.servers import decision_body, decision_url, read_state
from lfm_adapter._json import as_dict, as_str
from lfm_adapter._openrouter.request import encode
from lfm_adapter._openrouter.response import PaidBodyReader
from lfm_adapter.catalog import estimate_tokens
from lfm_adapter.errors import ConfigurationError, ContextWindowExceededError, InvalidDecisionError
from lfm_adapter.types import DecisionParameters, DecisionReply

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lfm_adapter._client.settings import Settings
    from lfm_adapter.errors import APIError
    from lfm_adapter.types import Delta, JSONDict

__all__ = ["DecisionCall"]

_KNOWN = {"id", "model", "provider", "usage", "answers"}


class DecisionRequest(ApiRequest):
    """A POST request for the answers to some questions."""

    def __init__(self, settings: Settings, model: str, body: JSONDict, route: str) -> None:
        super().__init__(settings, "", model=model)
        self._url = decision_url(settings.base_url, route=route)
        self.body = encode(body)

    def reader(self, status: int, headers: Mapping[str, str]) -> PaidBodyReader:
        """Return a reader for the response."""
        limit = self.settings.max_reply_bytes
        return PaidBodyReader(status, headers, self._context, content="answers", max_bytes=limit)


class DecisionCall(MeteredCall):
    """A request to a decision model, and its attempts; `result` becomes a `DecisionReply`.

    The arguments are those of `LFMClient.decide`.

    Raises:
        ConfigurationError: An argument is invalid.
        ContextWindowExceededError: The state and a question are too long.
    """

    def __init__(
        self,
        settings: Settings,
        state: object,
        questions: object,
        model: str | None,
        parameters: Mapping[str, Any],
    ) -> None:
        fields, route = _fields(parameters)
        name = model_for("decisions", model, settings)
        card = settings.card(name)
        self._questions = checked_questions(questions, card)
        plain, images = read_state(state, card)
        if not images and any(question["type"] == "box" for question in self._questions.values()):
            raise ConfigurationError("A box question needs an image in `state`.")
        body = decision_body(settings.base_url, name, plain, images, self._questions) | fields
        super().__init__(settings, name, card, fields, operation="decide")
        self.attempts = Attempts(DecisionRequest(settings, name, body, route), meter=self._meter)
        self._check_length(plain)

    def on_error(self, error: APIError) -> float | None:
        """See `Lookup`. A request that is too large is too long, whatever the server counts."""
        if error.status_code == 413 and not isinstance(error, ContextWindowExceededError):
            too_long = ContextWindowExceededError(error.message).with_traceback(error.__traceback__)
            too_long.__dict__.update(error.__dict__)
            error = too_long
        return super().on_error(error)

    def on_response(self, result: JSONDict) -> Sequence[Delta]:
        """See `Lookup`.

        Raises:
            InvalidDecisionError: A question has no answer, or one that does not fit it.
        """
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
                f"The response does not fit the questions: {'; '.join(problems)}. `reply` holds what came.",
                reply=reply,
                model=self._model,
                provider=reply.provider,
                generation_id=reply.id,
            )
        self.result = reply
        return ()

    def _check_length(self, state: Any) -> None:
        context, count = self._card.context_length, self._settings.token_counter
        text = state if isinstance(state, str) else encode(state).decode()
        if context is None or (count is None and len(text) // 2 < context):  # see `apply_context_limit`
            return
        tokens = (count or estimate_tokens)([{"role": "user", "content": text}])
        if tokens >= context:
            raise ContextWindowExceededError(
                f"The state has {'' if count else 'at least '}{tokens:,} tokens, but `{self._model}` takes at most "
                f"{context:,}, with the question. Shorten the state.",
                estimated_tokens=tokens,
                context_length=context,
                model=self._model,
                code="context_length_exceeded",
                status_code=400,
            )


def _fields(parameters: Mapping[str, Any]) -> tuple[JSONDict, str]:
    """Return the fields of the request that are in the parameters of a call, and the route."""
    fields = dict(parameters)
    if unknown := fields.keys() - DecisionParameters.__annotations__.keys():
        raise ConfigurationError(
            f"`decide` has no parameter `{min(unknown)}`. Pass fields of the request that it does not know in "
            "`extra_body`."
        )
    route = fields.pop("route", None) or "alpha"
    fields |= fields.pop("extra_body", None) or {}
    return {name: value for name, value in fields.items() if value is not None}, route
