"""The tools that ask a model in one go, and those that tell about it.

Their signatures are their input schemas, which the SDK evaluates: no annotation here is left a string.
"""

from decimal import Decimal
from typing import Annotated, Any

from mcp.server.mcpserver import Context
from mcp.types import CallToolResult
from pydantic import Field

from lfm_adapter import catalog
from lfm_adapter.apps.mcp.call import Call
from lfm_adapter.apps.mcp.results import Answer, ListedModel, ModelList, ModelUsage, Usage
from lfm_adapter.apps.mcp.session import Session
from lfm_adapter.types import ModelCard

__all__ = ["MaxTokens", "ModelName", "Tools"]

_MILLION = 1_000_000

ModelName = Annotated[
    str, Field(description='Another model than the default, by an id that the tool `models` lists. "" for the default.')
]
MaxTokens = Annotated[
    int,
    Field(ge=0, description="The most tokens to answer with, any reasoning included. 0 for the server's default."),
]


class Tools:
    """The tools of one session."""

    def __init__(self, session: Session) -> None:
        self.session = session

    async def ask(
        self,
        *,
        context: Context,
        prompt: Annotated[str, Field(min_length=1, description="The question, with all that is needed to answer it.")],
        system: Annotated[str, Field(description="How to answer: role, language, form.")] = "",
        model: ModelName = "",
        max_tokens: MaxTokens = 0,
    ) -> Annotated[CallToolResult, Answer]:
        """Ask a small, fast, cheap language model one question.

        Good for rewording, translating, naming, drafting, and questions about a text that stands in the prompt. It
        knows nothing of this conversation, remembers no earlier call, and reads no files: put all that it needs into
        `prompt`. Do not rely on it for facts, arithmetic or long reasoning.
        """
        async with Call(self.session, context, model) as call:
            messages = [{"role": "system", "content": system}] if system else []
            reply = await call.ask([*messages, {"role": "user", "content": prompt}], max_tokens=max_tokens)
            answer = Answer(text=reply.text, model=call.named(reply), truncated=reply.finish_reason == "length")
            call.done(answer, reply.text)
        return call.result

    async def models(
        self,
        *,
        context: Context,
        include_retired: Annotated[bool, Field(description="List models that are no longer served, too.")] = False,
    ) -> Annotated[CallToolResult, ModelList]:
        """List the models that the other tools can ask, with prices, limits, and which one is the default.

        Call it when a model is refused or too dear, or its context too short; otherwise the default is fine.
        """
        async with Call(self.session, context) as call:
            settings = self.session.client._settings
            if settings.is_openrouter:
                cards = [card for card in catalog.models()[::-1] if card.kind == "chat"]
            else:
                names = [str(served["id"]) for served in await self.session.client.list_models() if served.get("id")]
                cards = [settings.card(name) for name in names]
            listed = [self._listed(card) for card in cards if include_retired or card.status != "retired"]
            served_by = "OpenRouter" if settings.is_openrouter else settings.base_url
            server = "this machine" if self.session.free else served_by
            call.done(ModelList(default=self.session.model, server=server, models=listed))
        return call.result

    async def usage(self, *, context: Context) -> Annotated[CallToolResult, Usage]:
        """Tell what the calls since this server started have used: tokens, US$, and what the spending limit leaves.

        Costs nothing. Each tool's result also tells its own share, in `_meta`.
        """
        async with Call(self.session, context) as call:
            tallies = self.session.tallies
            budget = self.session.budget
            used = Usage(
                answers=sum(tally.answers for tally in tallies.values()),
                prompt_tokens=sum(tally.prompt_tokens for tally in tallies.values()),
                completion_tokens=sum(tally.completion_tokens for tally in tallies.values()),
                cost_usd=float(sum(tally.cost_usd for tally in tallies.values())),
                uncertain_usd=float(sum(tally.uncertain_usd for tally in tallies.values())),
                unpriced_answers=sum(tally.unpriced for tally in tallies.values()),
                limit_usd=_number(budget.limit_usd),
                left_usd=_number(budget.left_usd),
                by_model=[
                    ModelUsage(
                        model=model,
                        answers=tally.answers,
                        prompt_tokens=tally.prompt_tokens,
                        completion_tokens=tally.completion_tokens,
                        cost_usd=float(tally.cost_usd),
                    )
                    for model, tally in tallies.items()
                ],
            )
            call.done(used)
        return call.result

    def _listed(self, card: ModelCard) -> ListedModel:
        free = self.session.free or card.is_free
        return ListedModel(
            id=card.id,
            status=card.status,
            is_default=card.id == self.session.model,
            context_length=card.context_length or (self.session.context_length if free else None),
            max_output_tokens=card.max_output_tokens,
            input_usd_per_million=0 if free else _per_million(card.pricing.prompt),
            output_usd_per_million=0 if free else _per_million(card.pricing.completion),
            reasons=card.capabilities.reasoning,
            successors=list(card.successors),
        )


def _per_million(price_usd: Decimal | None) -> float | None:
    return None if price_usd is None else float(price_usd * _MILLION)


def _number(amount: Decimal | None) -> Any:
    return None if amount is None else float(amount)
