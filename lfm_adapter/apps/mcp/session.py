"""The state that all calls to a server share: the client, the budget, and the usage so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, Field, PlainSerializer

from lfm_adapter._client.metering import Meter
from lfm_adapter._client.request import DEFAULT_MODELS
from lfm_adapter._json import as_count
from lfm_adapter.catalog._usage import chat_usage

if TYPE_CHECKING:
    from pathlib import Path

    from lfm_adapter._client.async_client import AsyncLFMClient
    from lfm_adapter._client.settings import Settings
    from lfm_adapter.ledger import Budget, Ledger
    from lfm_adapter.types import DecisionReply, EmbeddingReply, ModelCard, Reply

_MILLION = 1_000_000

Usd = Annotated[Decimal, PlainSerializer(float)]


class Tally(BaseModel):
    """Usage of a model, or of several."""

    answers: Annotated[
        int, Field(description="Answers, including invalid ones that the model was asked to correct.")
    ] = 0
    prompt_tokens: Annotated[int, Field(description="Tokens of the prompts, as far as replies have them.")] = 0
    completion_tokens: Annotated[int, Field(description="Tokens of the answers, including reasoning.")] = 0
    cost_usd: Annotated[Usd, Field(description="What was charged, as far as known.")] = Decimal(0)
    unpriced_answers: Annotated[int, Field(description="Answers without a known cost.")] = 0

    def add(self, reply: Reply | DecisionReply | EmbeddingReply, *, is_free: bool) -> None:
        """Add a reply, or a part of one."""
        usage = chat_usage(reply.usage or {})
        self.answers += 1 + getattr(reply, "output_retries", 0)
        self.prompt_tokens += as_count(usage.get("prompt_tokens")) or 0
        self.completion_tokens += as_count(usage.get("completion_tokens")) or 0
        if reply.cost is not None:
            self.cost_usd += reply.cost.total
        elif not is_free:
            self.unpriced_answers += 1


@dataclass
class Session:
    """A client, its budget, and its usage.

    Attributes:
        client: The client. Its model is the default.
        ledger: Records each request; None for no record.
        budget: The spending limit, or None.
        is_local: Whether the server started the model on this machine, where it costs nothing.
        max_tokens: Maximum tokens of an answer, unless a call sets its own.
        context_length: Context in tokens, if the catalogue does not have it.
        folders: Folders with files to read, besides those that a client opens.
        results_folder: The folder for results that are too large for clients, or None.
        notice: A sentence about the model for agents, or "".
        problems: What the user should fix. It is added to each result.
        has_model: Whether a model can be asked despite the problems.
        may_decide: False once a decision model has refused the key.
        tallies: The usage by model.
    """

    client: AsyncLFMClient
    ledger: Ledger | None = None
    budget: Budget | None = None
    is_local: bool = False
    max_tokens: int = 4096
    context_length: int | None = None
    folders: tuple[Path, ...] = ()
    results_folder: Path | None = None
    notice: str = ""
    problems: list[str] = field(default_factory=list)
    has_model: bool = True
    may_decide: bool = True
    tallies: dict[str, Tally] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        """The client's settings."""
        return self.client._settings

    @property
    def model(self) -> str:
        """The default model."""
        return self.settings.resolve_model()

    @property
    def limit_usd(self) -> Decimal | None:
        """The spending limit, or None."""
        return None if self.budget is None or self.budget.usd is None else Decimal(self.budget.usd)

    @property
    def spent_usd(self) -> Decimal:
        """The spent part of the budget. Calls with an unknown cost count with their maximum."""
        ledger = self.meter().ledger
        return Decimal(0) if self.budget is None or ledger is None else ledger.spent(self.budget)

    @property
    def decision_model(self) -> str | None:
        """The decision model to use if a call names no model; None to use the chat model.

        It is None if the default model is free, so that no call costs anything unasked.
        """
        reaches = self.may_decide and self.settings.is_openrouter and not self.card().is_free
        return DEFAULT_MODELS["decisions"] if reaches else None

    def card(self, model: str = "") -> ModelCard:
        """Return the card of a model. Default: `self.model`."""
        return self.settings.card(model or self.model)

    def meter(self, app: str = "mcp") -> Meter:
        """Return the meter for calls of an app."""
        return Meter.of_ledger(self.ledger, self.budget, app, "mcp", is_free=self.is_local)

    def price_cap(self, card: ModelCard) -> dict[str, Any]:
        """Return the parameter that limits OpenRouter's prices to the catalogue's, which the budget relies on.

        https://openrouter.ai/docs/guides/routing/provider-selection#max-price (US$ per million tokens).
        """
        prompt, completion = card.pricing.prompt, card.pricing.completion
        is_capped = self.budget is not None and self.settings.is_openrouter and not card.is_free
        if not is_capped or prompt is None or completion is None:
            return {}
        return {
            "provider": {"max_price": {"prompt": float(prompt * _MILLION), "completion": float(completion * _MILLION)}}
        }
