"""The tools that ask a question, list the models, and show the usage."""

from decimal import Decimal
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, Field

from lfm_adapter import catalog
from lfm_adapter.apps.mcp.invocation import ToolInvocation
from lfm_adapter.apps.mcp.result import Result
from lfm_adapter.apps.mcp.session import Session, Tally, Usd
from lfm_adapter.apps.mcp.tool import MaxTokens, ModelName, Tool
from lfm_adapter.types import ModelCard


class Answer(Result):
    """What `ask` returns."""

    text_field: ClassVar = "text"

    text: str = Field(description="The answer.")
    model: str = Field(description="The model that answered.")
    truncated: bool = Field(description="Whether it was cut off at `max_tokens`.")


class Ask(Tool):
    """Ask a small, fast, cheap language model one question.

    Good for rewording, translating, naming, drafting, and questions about a text in the prompt. It does not see
    this conversation, earlier calls or files: put everything it needs into `prompt`. Do not rely on it for facts,
    arithmetic or long reasoning.
    """

    title: ClassVar = "Ask a small language model"
    result: ClassVar = Answer

    prompt: Annotated[str, Field(min_length=1, description="The question, with everything needed to answer it.")]
    system: Annotated[str, Field(description="How to answer: role, language, form.")] = ""
    model: ModelName = ""
    max_tokens: MaxTokens = 0

    async def run(self, call: ToolInvocation) -> Answer:
        """See `Tool.run`."""
        messages = [{"role": "system", "content": self.system}] if self.system else []
        reply = await call.ask([*messages, {"role": "user", "content": self.prompt}], max_tokens=self.max_tokens)
        return Answer(text=reply.text, model=call.answered_by(reply), truncated=reply.finish_reason == "length")


class ListedModel(BaseModel):
    """One model. null means unknown."""

    id: str = Field(description="What to pass as `model`.")
    kind: str = Field(description='"chat", or "decisions", which is only for the tool `classify`.')
    status: str = Field(description='"live", "preview", "unknown", or "retired": no longer served.')
    is_default: bool = Field(description="Whether it is asked where a call names no model.")
    context_length: int | None = Field(description="Context in tokens, for prompt and answer together.")
    max_output_tokens: int | None = Field(description="Maximum tokens of an answer.")
    input_usd_per_million: Usd | None = Field(description="US$ per million prompt tokens.")
    output_usd_per_million: Usd | None = Field(description="US$ per million answer tokens.")
    reasons: bool | None = Field(description="Whether it can reason before answering, which takes tokens and time.")
    successors: list[str] = Field(description="Models to ask instead of a retired one.")


class ModelList(Result):
    """What `models` returns."""

    default: str = Field(description="The model to ask if a call names none.")
    server: str = Field(description='"OpenRouter", "this machine", or the address of another server.')
    models: list[ListedModel]


class ListModels(Tool):
    """List the models that the other tools can ask, with prices and limits, and the default.

    Call it if a model is refused, is too expensive, or has too short a context; otherwise the default is fine.
    """

    title: ClassVar = "List the models"
    result: ClassVar = ModelList
    asks_model: ClassVar = False

    include_retired: Annotated[bool, Field(description="Also list models that are no longer served.")] = False

    async def run(self, call: ToolInvocation) -> ModelList:
        """See `Tool.run`."""
        session, settings = call.session, call.session.settings
        if settings.is_openrouter:
            cards = [card for card in catalog.models()[::-1] if card.kind in ("chat", "decisions")]
        else:
            cards = [settings.card(str(model["id"])) for model in await session.client.list_models() if model.get("id")]
        server = "OpenRouter" if settings.is_openrouter else settings.base_url
        return ModelList(
            default=session.model,
            server="this machine" if session.is_local else server,
            models=[_listed(card, session) for card in cards if self.include_retired or card.status != "retired"],
        )


def _listed(card: ModelCard, session: Session) -> ListedModel:
    is_free = session.is_local or card.is_free
    return ListedModel(
        id=card.id,
        kind=card.kind,
        status=card.status,
        is_default=card.id == session.model,
        context_length=card.context_length or session.context_length,
        max_output_tokens=card.max_output_tokens,
        input_usd_per_million=Decimal(0) if is_free else _per_million(card.pricing.prompt),
        output_usd_per_million=Decimal(0) if is_free else _per_million(card.pricing.completion),
        reasons=card.capabilities.reasoning,
        successors=list(card.successors),
    )


def _per_million(price_usd: Decimal | None) -> Decimal | None:
    return None if price_usd is None else price_usd * 1_000_000


class ModelUsage(Tally):
    """The usage of one model."""

    model: str


class UsageReport(Tally, Result):
    """What `usage` returns: the usage since the server started."""

    uncertain_usd: Usd = Field(description="What calls that were interrupted may have cost, under a limit.")
    limit_usd: Usd | None = Field(description="The spending limit; null for none.")
    left_usd: Usd | None = Field(description="What is left of the limit.")
    by_model: list[ModelUsage]


class Usage(Tool):
    """Show the tokens and the cost in US$ since this server started, and what is left of the spending limit.

    Costs nothing. Each result also has its own tokens and cost, in `_meta`.
    """

    title: ClassVar = "Show tokens and cost"
    result: ClassVar = UsageReport
    asks_model: ClassVar = False

    async def run(self, call: ToolInvocation) -> UsageReport:
        """See `Tool.run`."""
        session = call.session
        by_model = [ModelUsage(model=model, **vars(tally)) for model, tally in session.tallies.items()]
        totals: dict[str, Any] = {name: sum(vars(tally)[name] for tally in by_model) for name in Tally.model_fields}
        limit, spent = session.limit_usd, session.spent_usd
        return UsageReport(
            **totals,
            uncertain_usd=max(Decimal(0), spent - totals["cost_usd"]),
            limit_usd=limit,
            left_usd=None if limit is None else max(Decimal(0), limit - spent),
            by_model=by_model,
        )
