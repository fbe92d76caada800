"""`LFMDecisions`: Liquid AI's decision models for LangChain's middlewares and chains."""

# No `from __future__ import annotations`: see `chat_model`.

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from langchain_core.messages import BaseMessage
from pydantic import BaseModel, Field, model_validator

from lfm_adapter._client.request import DEFAULT_MODELS, model_for
from lfm_adapter.catalog._usage import chat_usage
from lfm_adapter.errors import ConfigurationError, InvalidDecisionError
from lfm_adapter.langchain._messages import to_wire
from lfm_adapter.langchain._params import CommonFields, translate_errors
from lfm_adapter.langchain._replies import PROVIDER, usage_metadata
from lfm_adapter.types import DecisionParameters, DecisionReply, OtherAnswer

try:
    from langchain_core.decisions import BaseDecisionModel, ClassifierResponse
except ImportError:
    from lfm_adapter.langchain._older import BaseDecisionModel, ClassifierResponse

if TYPE_CHECKING:
    from langchain_core.decisions import Question, State

__all__ = ["DecisionResponse", "LFMDecisions"]

_PARAMETERS = ("model", *DecisionParameters.__annotations__)


class DecisionResponse(ClassifierResponse):
    """The answers, with what OpenRouter reports about the request.

    Attributes:
        cost: US$, from the response or else from the catalogue; None if unknown.
        cost_source: "openrouter" or "catalog".
        provider: The provider that served ("Liquid").
        calibrated: See `types.DecisionReply`.
        generation_id: OpenRouter's id to look up the request with `LFMClient.generation`; the same as `request_id`
            unless the server has another.
        other_answers: Answers of types that LangChain does not know.
    """

    cost: float | None = None
    cost_source: str | None = None
    provider: str | None = None
    calibrated: bool | None = None
    generation_id: str | None = None
    other_answers: dict[str, Any] = Field(default_factory=dict)


class LFMDecisions(CommonFields, BaseDecisionModel):
    """Ask Liquid AI's decision models typed questions about text, messages or JSON.

    Needs langchain-core 1.8. On OpenRouter decisions are an alpha API. The state may hold LangChain's messages and
    images (as base64) at any depth; other media are refused. Errors are those of `ChatLFM`, and `InvalidDecisionError`.

        >>> from lfm_adapter import LFMDecisions
        >>> LFMDecisions().model
        'liquid/d1.2'

    ```python
    from langchain_core.decisions import Choice, Noul

    classifier = LFMDecisions()
    response = classifier.invoke({
        "state": "I was charged twice. Please refund me.",
        "questions": {
            "refund": Noul(instructions="Is the customer asking for a refund?"),
            "team": Choice(instructions="Which team?", criteria={"billing": "payments", "other": None}),
        },
    })
    response.nouls["refund"].noul, response.choices["team"].choice, response.cost
    ```

    `ModelRouterMiddleware` and `AutoModeMiddleware` of langchain 1.5 take it as their `classifier`. `api_key`,
    `base_url`, `timeout` (seconds), `max_retries` and the other settings are those of `ClientOptions`.

    Attributes:
        model: An id or an alias of a decision model.
        default_headers: Headers for every request. Not shown and not serialized, since they may be secret.
        provider: Routing (https://openrouter.ai/docs/features/provider-routing): `{"data_collection": "deny"}` …
        user: A stable id of your end user.
        session_id: Groups requests. At most 256 characters.
        trace: Trace ids for OpenRouter's Broadcast.
        extra_body: Other fields of the request.
        route: OpenRouter's address, "alpha" or "systemone": see `types.DecisionParameters`.
        via: "chat" asks a chat model, if its server gives log probabilities: see `types.DecisionParameters`.
        orders: In how many orders options are asked with `via="chat"`: see `types.DecisionParameters`.
    """

    model: str = DEFAULT_MODELS["decisions"]  # pyright: ignore[reportIncompatibleVariableOverride]
    provider: dict[str, Any] | None = None
    user: str | None = None
    session_id: str | None = None
    trace: dict[str, Any] | None = None
    extra_body: dict[str, Any] | None = None
    route: str | None = None
    via: str | None = None
    orders: int | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.via != "chat":
            model_for("decisions", self.model, self._settings())
        return self

    @property
    def _provider(self) -> str:
        return PROVIDER

    def _classify(self, state: "State", questions: "dict[str, Question]") -> DecisionResponse:
        with translate_errors():
            return _response(self._client().decide(_state(state), _questions(questions), **self._parameters()))

    async def _aclassify(self, state: "State", questions: "dict[str, Question]") -> DecisionResponse:
        with translate_errors():
            client = self._async_client()
            return _response(await client.decide(_state(state), _questions(questions), **self._parameters()))

    def _parameters(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _PARAMETERS}


def _questions(questions: Mapping[str, Any]) -> dict[str, Any]:
    return {id_: asked.model_dump() if isinstance(asked, BaseModel) else asked for id_, asked in questions.items()}


def _state(state: Any) -> Any:
    try:
        return _json(state)
    except RecursionError:
        raise ConfigurationError("`state` is nested too deeply.") from None


def _json(value: Any) -> Any:
    """Return a state with its messages in wire form, a list of them where one carries the results of several tools."""
    if isinstance(value, BaseMessage):
        wires = to_wire([value])
        return wires[0] if len(wires) == 1 else wires
    if isinstance(value, Mapping):
        return {key: _json(member) for key, member in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_json(member) for member in value]
    return value


def _response(reply: DecisionReply) -> DecisionResponse:
    if any(answer.extra.get("method") == "json" for answer in reply.answers.values()):
        raise InvalidDecisionError(
            "The server returned no log probabilities, which LangChain's answers require. `reply` holds the model's "
            "answers; `LFMClient.decide` returns them.",
            reply=reply,
            model=reply.model,
        )
    cost = reply.cost
    answers = reply.to_wire()["answers"]
    other = {id_: answers.pop(id_) for id_, answer in reply.answers.items() if isinstance(answer, OtherAnswer)}
    return DecisionResponse.model_validate(
        {
            "model": reply.model,
            "answers": answers,
            "usage": usage_metadata(chat_usage(reply.usage or {})),
            "request_id": reply.id,
            "cost": None if cost is None else float(cost.total),
            "cost_source": None if cost is None else cost.source,
            "provider": reply.provider,
            "calibrated": reply.calibrated,
            "generation_id": reply.headers.get("x-generation-id") or reply.id,
            "other_answers": other,
        }
    )
