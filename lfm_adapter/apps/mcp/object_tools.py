"""The tools that turn a text into an object or a label, validated against a schema."""

import json
from typing import Annotated, Any, ClassVar, NamedTuple

from pydantic import Field

from lfm_adapter import catalog
from lfm_adapter._json import is_deeper
from lfm_adapter._toolcalls.json_schema import schema_error
from lfm_adapter.apps.mcp.invocation import ToolInvocation
from lfm_adapter.apps.mcp.result import Result
from lfm_adapter.apps.mcp.text_tools import TextTool
from lfm_adapter.apps.mcp.tool import ModelName, Strings, Tool
from lfm_adapter.errors import (
    ConfigurationError,
    ContextWindowExceededError,
    InvalidDecisionError,
    LFMError,
    NotFoundError,
    OutputValidationError,
    PermissionDeniedError,
)
from lfm_adapter.types import ChoiceQuestion, Reply

_MAX_TEXTS = 200
_MIN_PROBABILITY = 0.005

# The MCP SDK can write 255 levels, including those of the message.
_MAX_DEPTH = 200
_TOO_DEEP = f"The object is nested deeper than {_MAX_DEPTH} levels. Ask for a flatter one."


class Extraction(Result):
    """What `extract` returns."""

    data: dict[str, Any] = Field(description="The object, validated against your schema.")
    model: str = Field(description="The model that found it.")


class Extract(TextTool):
    """Extract an object that matches your JSON schema from a text or files.

    Good for turning prose, logs, mails, tables or pages into data. The object is validated against the schema; if
    it does not match, the model gets one retry, and then the call fails. The text must fit the model's context.
    Keep the schema small and flat, and let a property be null if the text may not contain it.
    """

    title: ClassVar = "Extract an object from a text"
    result: ClassVar = Extraction

    json_schema: Annotated[
        dict[str, Any],
        Field(alias="schema", description='A JSON schema with "type": "object". Describe its properties to the model.'),
    ]
    instructions: Annotated[str, Field(description="What else to know or to pay attention to.")] = ""

    async def run(self, call: ToolInvocation) -> Extraction:
        """See `Tool.run`."""
        _check_schema(self.json_schema)
        task = f"Extract from the text what the schema asks for. Invent nothing. {self.instructions}".strip()
        question = f"<text>\n{await self.read(call)}\n</text>\n\n{task}"
        data, reply = await _ask_object(call, question, self.json_schema, max_tokens=self.max_tokens)
        return Extraction(data=data, model=call.answered_by(reply))


class Classification(Result):
    """What `classify` returns."""

    label: str | None = Field(description="The label of `text`, spelt as you gave it; null for `texts`.")
    labels: list[str | None] = Field(description="The label of each of `texts`, in order; null if it has none.")
    probabilities: list[dict[str, float] | None] = Field(
        description="For each text, the probability of each label, from a decision model; those below 0.005 are left "
        "out. null for a text without a label, and if a chat model chose."
    )
    errors: list[str] = Field(description="Why texts have no label.")
    model: str = Field(description="The model that chose.")

    def __str__(self) -> str:
        lines = [f"{number}. {label or '(none)'}" for number, label in enumerate(self.labels, 1)]
        return self.label or "\n".join([*lines, *self.errors])


class _Chosen(NamedTuple):
    label: str
    model: str
    probabilities: dict[str, float] | None = None


class Classify(Tool):
    """Choose the label that fits a text best, for one text or many in one call.

    A decision model chooses, with probabilities, if the key reaches one and you name no chat model. Good for sorting
    many items cheaply: triage, sentiment, language, topic, spam. Add a label such as "other" if none may fit, and
    explain in `instructions` what the labels alone do not make clear.
    """

    title: ClassVar = "Choose labels for texts"
    result: ClassVar = Classification

    text: Annotated[str, Field(description='The text to classify. "" for `texts`.')] = ""
    texts: Strings = Field([], max_length=_MAX_TEXTS, description="Texts to classify, each on its own.")
    labels: Annotated[
        list[str], Field(min_length=2, max_length=100, description="The labels to choose from, without duplicates.")
    ]
    instructions: Annotated[str, Field(description="What the labels mean, or how to decide.")] = ""
    model: ModelName = ""

    async def run(self, call: ToolInvocation) -> Classification:
        """See `Tool.run`."""
        if len(set(self.labels)) < len(self.labels):
            raise ConfigurationError("`labels` contains duplicates.")
        if bool(self.text.strip()) == bool(self.texts):
            raise ConfigurationError("Pass either `text` or `texts`.")
        if not self.texts:
            chosen = await self._choose(call, self.text)
            return Classification(
                label=chosen.label, labels=[], probabilities=[chosen.probabilities], errors=[], model=chosen.model
            )
        answers = await self._choose_all(call)
        errors = [answer for answer in answers if isinstance(answer, LFMError)]
        if len(errors) == len(answers):
            raise errors[0]
        labels = [None if isinstance(answer, LFMError) else answer for answer in answers]
        return Classification(
            label=None,
            labels=[answer and answer.label for answer in labels],
            probabilities=[answer and answer.probabilities for answer in labels],
            errors=list(dict.fromkeys(map(str, errors))),
            model=next(answer.model for answer in labels if answer),
        )

    async def _choose_all(self, call: ToolInvocation) -> list[_Chosen | LFMError]:
        """Return the choice for each text, or its error, so that answers already paid for are not lost."""
        stopped: LFMError | None = None

        async def choose(text: str) -> _Chosen | LFMError:
            nonlocal stopped
            try:
                return stopped or await self._choose(call, text)
            except (OutputValidationError, InvalidDecisionError, ContextWindowExceededError) as error:
                return error
            except LFMError as error:  # such as a wrong key: the other texts would fail alike
                stopped = error
                return error

        return await call.ask_each(self.texts, choose, "texts classified")

    async def _choose(self, call: ToolInvocation, text: str) -> _Chosen:
        if self.model:
            decides = catalog.get(self.model).kind == "decisions"
            return await (self._decide(call, text, self.model) if decides else self._choose_by_chat(call, text))
        if model := call.session.decision_model:
            try:
                return await self._decide(call, text, model)
            except (NotFoundError, PermissionDeniedError):
                call.session.may_decide = False
        return await self._choose_by_chat(call, text)

    async def _decide(self, call: ToolInvocation, text: str, model: str) -> _Chosen:
        instructions = f"Which of these labels fits the text best? {self.instructions}".strip()
        question: ChoiceQuestion = {
            "type": "choice", "instructions": instructions, "criteria": dict.fromkeys(self.labels)
        }  # fmt: skip
        reply = await call.decide(text, {"label": question}, model)
        answer = reply.choices["label"]
        probabilities = {label: round(p, 3) for label, p in answer.probabilities.items() if p >= _MIN_PROBABILITY}
        return _Chosen(answer.choice, call.answered_by(reply), probabilities)

    async def _choose_by_chat(self, call: ToolInvocation, text: str) -> _Chosen:
        schema = {
            "type": "object",
            "properties": {"label": {"type": "string", "enum": self.labels}},
            "required": ["label"],
        }
        task = f"Which of these labels fits the text best? {'; '.join(self.labels)}. {self.instructions}".strip()
        chosen, reply = await _ask_object(call, f"<text>\n{text}\n</text>\n\n{task}", schema)
        return _Chosen(chosen["label"], call.answered_by(reply))


def _check_schema(schema: dict[str, Any]) -> None:
    if problem := schema_error(schema):
        raise ConfigurationError(f"`schema` is not a valid JSON schema: {problem}")
    if schema.get("type") != "object":
        raise ConfigurationError(
            '`schema` must have "type": "object" at its root. For a list, make it a property: '
            '{"type": "object", "properties": {"items": {"type": "array", "items": …}}, "required": ["items"]}.'
        )


async def _ask_object(
    call: ToolInvocation, question: str, schema: dict[str, Any], *, max_tokens: int = 0
) -> tuple[dict[str, Any], Reply]:
    """Return an object that matches a schema, and its reply. `AsyncLFMClient` validates it."""
    reply = await call.ask(
        [{"role": "user", "content": question}],
        max_tokens=max_tokens,
        response_format={"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}},
    )
    try:
        found = json.loads(reply.text)
    except ValueError:  # an answer that was cut off is not validated
        problem = "The answer was cut off before the object was complete. Raise `max_tokens`, or ask for less."
    except RecursionError:
        problem = _TOO_DEEP
    else:
        if not is_deeper(found, _MAX_DEPTH):
            return found, reply
        problem = _TOO_DEEP
    raise OutputValidationError(problem, model=call.answered_by(reply), partial=reply)
