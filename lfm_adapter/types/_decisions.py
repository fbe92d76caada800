"""Decisions: typed questions about a state, and their answers. The shape is TypeSafe's System One."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Required, TypeAlias, TypedDict, TypeVar

from lfm_adapter.types._reply import Cost
from lfm_adapter.types._request import JSONDict, ProviderPreferences

T = TypeVar("T")

State: TypeAlias = str | Mapping[str, Any] | Sequence[Any]
Content: TypeAlias = str | Mapping[str, Any] | Sequence[Any]


class NoulQuestion(TypedDict, total=False):
    """A yes-or-no question. `criteria` may say what counts as yes ("true") and as no ("false")."""

    type: Required[Literal["noul"]]
    instructions: Required[Content]
    criteria: Mapping[str, Content | None] | None


class ChoiceQuestion(TypedDict):
    """A question for one of up to 255 options. `criteria` has a description, or None, for each option's name."""

    type: Literal["choice"]
    instructions: Content
    criteria: Mapping[str, Content | None]


class ScoreQuestion(TypedDict):
    """A question for a level. `criteria` describes 2 to 10 levels, the lowest first."""

    type: Literal["score"]
    instructions: Content
    criteria: Sequence[Content | None]


class BoxQuestion(TypedDict):
    """A question for the place of something in the image of the state."""

    type: Literal["box"]
    instructions: Content


Question: TypeAlias = NoulQuestion | ChoiceQuestion | ScoreQuestion | BoxQuestion


class DecisionParameters(TypedDict, total=False):
    """The keyword arguments of `LFMClient.decide`.

    Attributes:
        provider: OpenRouter's routing (https://openrouter.ai/docs/features/provider-routing).
        user: A stable id of your end user.
        session_id: Groups requests; at most 256 characters.
        trace: Trace ids for OpenRouter's Broadcast.
        extra_body: Further fields of the request.
        route: OpenRouter's address: "alpha" is `/api/alpha/decisions`, "systemone" is `/api/v1/systemone`.
        via: "decisions" asks a decision model; "chat" asks a chat model the same questions, whose probabilities are not
            calibrated.
        orders: With `via="chat"`: in how many orders to ask for the options of a choice; the answer is their mean.
    """

    provider: ProviderPreferences
    user: str
    session_id: str
    trace: JSONDict
    extra_body: JSONDict
    route: Literal["alpha", "systemone"]
    via: Literal["decisions", "chat"]
    orders: int


@dataclass(slots=True)
class NoulAnswer:
    """The answer to a yes-or-no question.

    Attributes:
        noul: The probability of yes, 0 to 1. It is not a confidence: near 0 the model is sure of no. None from a chat
            model without log probabilities.
        yes: Whether the answer is yes: by default whether `noul` is at least 0.5.
        extra: Other fields of the answer, as in the other answers.
    """

    noul: float | None
    yes: bool = False
    extra: JSONDict = field(default_factory=dict)
    type: Literal["noul"] = "noul"

    def __post_init__(self) -> None:
        if self.noul is not None:
            self.yes = self.noul >= 0.5


@dataclass(slots=True)
class ChoiceAnswer:
    """The answer to a choice.

    Attributes:
        choice: The most probable option.
        probabilities: The probability of each option; their sum is 1. A chat model without log probabilities has
            none.
        confidence: 0 to 1, as the server computes it, else `(p - 1/n) / (1 - 1/n)` with the highest probability p of n;
            servers compute it differently. None without probabilities.
    """

    choice: str
    probabilities: dict[str, float]
    confidence: float | None
    extra: JSONDict = field(default_factory=dict)
    type: Literal["choice"] = "choice"


@dataclass(slots=True)
class ScoreAnswer:
    """The answer to a score.

    Attributes:
        score: The expected level, a fraction from 0 to the number of levels less 1.
        probabilities: The probability of each level, from 0; empty as in `ChoiceAnswer`.
        legend: The description of each level.
        confidence: 0 to 1, as the server computes it, else 1 less the mean distance from the most probable level, in
            units of the mean distance that a guess would have. None without probabilities.
    """

    score: float
    probabilities: dict[int, float]
    legend: dict[int, Any]
    confidence: float | None
    extra: JSONDict = field(default_factory=dict)
    type: Literal["score"] = "score"


@dataclass(slots=True)
class Box:
    """Edges as fractions, 0 to 1, of the image's height (`top`, `bottom`) and width (`left`, `right`)."""

    top: float
    left: float
    bottom: float
    right: float


@dataclass(slots=True)
class BoxAnswer:
    """The place of something in an image, and the server's confidence from 0 to 1, if it sends one."""

    box: Box
    confidence: float | None = None
    extra: JSONDict = field(default_factory=dict)
    type: Literal["box"] = "box"


@dataclass(slots=True)
class OtherAnswer:
    """An answer of a type that this version does not know; `extra` has its fields."""

    type: str
    extra: JSONDict = field(default_factory=dict)


Answer: TypeAlias = NoulAnswer | ChoiceAnswer | ScoreAnswer | BoxAnswer | OtherAnswer


@dataclass(slots=True)
class DecisionReply:
    """The answers to the questions of one call.

    Attributes:
        answers: The answer to each question, by its id. `nouls`, `choices`, `scores` and `boxes` are those of one type.
        calibrated: True for a decision model that the catalogue knows, False for a chat model, whose probabilities say
            little about how often it is right. None for a model that only its server knows.
        id: The server's id ("gen-dec-…"), if it gives one.
        model: The model that served, possibly its dated slug.
        provider: The provider that served ("Liquid").
        usage: Tokens and cost as the server sent them. Each question may count the state again.
        cost: The cost, from the reply or else from the catalogue; None if unknown.
        headers: See `Reply.headers`.
        extra: Other fields of the reply.
    """

    answers: dict[str, Answer]
    calibrated: bool | None = None
    id: str | None = None
    model: str | None = None
    provider: str | None = None
    usage: JSONDict | None = None
    cost: Cost | None = None
    headers: dict[str, str] = field(default_factory=dict)
    extra: JSONDict = field(default_factory=dict)

    @property
    def nouls(self) -> dict[str, NoulAnswer]:
        """The answers to yes-or-no questions."""
        return self._of(NoulAnswer)

    @property
    def choices(self) -> dict[str, ChoiceAnswer]:
        """The answers to choices."""
        return self._of(ChoiceAnswer)

    @property
    def scores(self) -> dict[str, ScoreAnswer]:
        """The answers to scores."""
        return self._of(ScoreAnswer)

    @property
    def boxes(self) -> dict[str, BoxAnswer]:
        """The places in an image."""
        return self._of(BoxAnswer)

    def _of(self, cls: type[T]) -> dict[str, T]:
        return {name: answer for name, answer in self.answers.items() if isinstance(answer, cls)}

    def to_wire(self) -> JSONDict:
        """Return the reply as JSON in the form of `/v1/systemone`; what is unknown is left out."""
        facts = {"id": self.id, "model": self.model, "provider": self.provider, "usage": self.usage}
        answers = {name: _wire(answer) for name, answer in self.answers.items()}
        return {**self.extra, **{name: fact for name, fact in facts.items() if fact is not None}, "answers": answers}


def _wire(answer: Answer) -> JSONDict:
    # Not `asdict`, which copies deeply and takes twenty times as long.
    fields: JSONDict = {name: getattr(answer, name) for name in answer.__dataclass_fields__}
    extra = fields.pop("extra")
    if isinstance(answer, BoxAnswer):
        fields["box"] = asdict(answer.box)
    if fields.get("noul") is not None:
        del fields["yes"]
    for name in ("probabilities", "legend"):
        if name in fields:
            fields[name] = {str(key): value for key, value in fields[name].items()}
    return {"type": fields.pop("type"), **{name: fact for name, fact in fields.items() if fact is not None}, **extra}
