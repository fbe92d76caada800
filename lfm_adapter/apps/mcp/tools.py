"""The tools that ask a question, list the models, and show the usage.

The SDK makes input schemas from the signatures: no `from __future__ import annotations` here.
"""

from decimal import Decimal
from typing import Annotated

from mcp.server.mcpserver import Context
from mcp.types import CallToolResult
from pydantic import BaseModel, Field

from lfm_adapter import catalog
from lfm_adapter.apps.mcp.invocation import ToolInvocation
from lfm_adapter.apps.mcp.session import Session
from lfm_adapter.types import ModelCard

__all__ = ["LFMTools", "MaxTokens", "ModelName"]

ModelName = Annotated[str, Field(description='An id that the tool `models` lists. "" for the default model.')]
MaxTokens = Annotated[
    int, Field(ge=0, description="Maximum tokens of the answer, including reasoning. 0 for the server's default.")
]


class Answer(BaseModel):
    """What `ask` returns."""

    text: str = Field(description="The answer.")
    model: str = Field(description="The model that answered.")
    truncated: bool = Field(description="Whether it was cut off at `max_tokens`.")


class ListedModel(BaseModel):
    """One model. null means unknown."""

    id: str = Field(description="What to pass as `model`.")
    status: str = Field(description='"live", "preview", "unknown", or "retired": no longer served.')
    is_default: bool = Field(description="Whether it is asked where a call names no model.")
    context_length: int | None = Field(description="Context in tokens, for prompt and answer together.")
    max_output_tokens: int | None = Field(description="Maximum tokens of an answer.")
    input_usd_per_million: float | None = Field(description="US$ per million prompt tokens.")
    output_usd_per_million: float | None = Field(description="US$ per million answer tokens.")
    reasons: bool | None = Field(description="Whether it can reason before answering, which takes tokens and time.")
    successors: list[str] = Field(description="Models to ask instead of a retired one.")


class ModelList(BaseModel):
    """What `models` returns."""

    default: str = Field(description="The model to ask if a call names none.")
    server: str = Field(description='"OpenRouter", "this machine", or the address of another server.')
    models: list[ListedModel]


class ModelUsage(BaseModel):
    """The usage of one model."""

    model: str
    answers: int = Field(description="Answers, including failed ones.")
    prompt_tokens: int
    completion_tokens: int = Field(description="Including reasoning.")
    cost_usd: float = Field(description="What was charged, as far as known.")


class Usage(BaseModel):
    """What `usage` returns: the usage since the server started."""

    answers: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float = Field(description="What was charged, as far as known.")
    uncertain_usd: float = Field(description="Maximum cost of calls that were interrupted or cancelled.")
    unpriced_answers: int = Field(description="Answers without a known cost.")
    limit_usd: float | None = Field(description="The spending limit; null for none.")
    left_usd: float | None = Field(description="What is left of the limit.")
    by_model: list[ModelUsage]


class LFMTools:
    """The tools of a session that do not read texts."""

    def __init__(self, session: Session) -> None:
        self.session = session

    async def ask(
        self,
        *,
        context: Context,
        prompt: Annotated[str, Field(min_length=1, description="The question, with everything needed to answer it.")],
        system: Annotated[str, Field(description="How to answer: role, language, form.")] = "",
        model: ModelName = "",
        max_tokens: MaxTokens = 0,
    ) -> Annotated[CallToolResult, Answer]:
        """Ask a small, fast, cheap language model one question.

        Good for rewording, translating, naming, drafting, and questions about a text in the prompt. It does not see
        this conversation, earlier calls or files: put everything it needs into `prompt`. Do not rely on it for facts,
        arithmetic or long reasoning.
        """
        async with ToolInvocation(self.session, context, model) as call:
            messages = [{"role": "system", "content": system}] if system else []
            reply = await call.ask([*messages, {"role": "user", "content": prompt}], max_tokens=max_tokens)
            is_cut_off = reply.finish_reason == "length"
            call.finish(Answer(text=reply.text, model=call.answered_by(reply), truncated=is_cut_off), reply.text)
        return call.result

    async def models(
        self,
        *,
        context: Context,
        include_retired: Annotated[bool, Field(description="Also list models that are no longer served.")] = False,
    ) -> Annotated[CallToolResult, ModelList]:
        """List the models that the other tools can ask, with prices and limits, and the default.

        Call it if a model is refused, is too expensive, or has too short a context; otherwise the default is fine.
        """
        async with ToolInvocation(self.session, context) as call:
            settings = self.session.settings
            if settings.is_openrouter:
                cards = [card for card in catalog.models()[::-1] if card.kind == "chat"]
            else:
                ids = [str(model["id"]) for model in await self.session.client.list_models() if model.get("id")]
                cards = [settings.card(model) for model in ids]
            listed = [self._listed(card) for card in cards if include_retired or card.status != "retired"]
            server = "OpenRouter" if settings.is_openrouter else settings.base_url
            if self.session.is_local:
                server = "this machine"
            call.finish(ModelList(default=self.session.model, server=server, models=listed))
        return call.result

    async def usage(self, *, context: Context) -> Annotated[CallToolResult, Usage]:
        """Show the tokens and the cost in US$ since this server started, and what is left of the spending limit.

        Costs nothing. Each result also has its own tokens and cost, in `_meta`.
        """
        async with ToolInvocation(self.session, context) as call:
            by_model = {model: vars(tally) for model, tally in self.session.tallies.items()}
            spending = self.session.spending
            total = {
                name: sum(tally[name] for tally in by_model.values())
                for name in Usage.model_fields
                if name in vars(call.tally)
            }
            call.finish(
                Usage(
                    **total,
                    limit_usd=_number(spending.limit_usd),
                    left_usd=_number(spending.left_usd),
                    by_model=[ModelUsage(model=model, **tally) for model, tally in by_model.items()],
                )
            )
        return call.result

    def _listed(self, card: ModelCard) -> ListedModel:
        is_free = self.session.is_local or card.is_free
        return ListedModel(
            id=card.id,
            status=card.status,
            is_default=card.id == self.session.model,
            context_length=card.context_length or self.session.context_length,
            max_output_tokens=card.max_output_tokens,
            input_usd_per_million=0 if is_free else _per_million(card.pricing.prompt),
            output_usd_per_million=0 if is_free else _per_million(card.pricing.completion),
            reasons=card.capabilities.reasoning,
            successors=list(card.successors),
        )


def _per_million(price_usd: Decimal | None) -> float | None:
    return None if price_usd is None else float(price_usd * 1_000_000)


def _number(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)
