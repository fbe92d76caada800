"""What one server has in common for all its calls: the client, the model, the limit, and what was used."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from lfm_adapter._client.async_client import AsyncLFMClient
from lfm_adapter.apps.mcp.budget import Budget, MeteredTransport, worst_case_usd
from lfm_adapter.errors import APIError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

    from lfm_adapter.types import ModelCard, Reply

__all__ = ["Session", "Tally"]

_MILLION = 1_000_000


@dataclass
class Tally:
    """What was used.

    Attributes:
        answers: OutputReader, each of which may have taken several requests.
        prompt_tokens: Tokens of the prompts, as far as replies told.
        completion_tokens: Tokens of the answers, reasoning included, likewise.
        cost_usd: What was charged, as far as it is known.
        uncertain_usd: The most that requests may have cost which broke off without telling.
        unpriced: OutputReader of which no cost is known.
    """

    answers: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: Decimal = Decimal(0)
    uncertain_usd: Decimal = Decimal(0)
    unpriced: int = 0

    def add(self, reply: Reply | None, uncertain_usd: Decimal, *, free: bool) -> None:
        """Add one answer, or one that failed."""
        self.uncertain_usd += uncertain_usd
        if reply is None:
            return
        usage = reply.usage or {}
        self.answers += 1
        self.prompt_tokens += _count(usage.get("prompt_tokens"))
        self.completion_tokens += _count(usage.get("completion_tokens"))
        if reply.cost is not None:
            self.cost_usd += reply.cost.total
        elif not free and not uncertain_usd:
            self.unpriced += 1


@dataclass
class Session:
    """A client, what it may spend, and what it has used.

    Attributes:
        client: Asks; its model is the one where a call names none.
        budget: The limit.
        free: The model runs on this machine, in this process.
        max_tokens: The most tokens of an answer where a call names no number.
        context_length: Tokens of prompt and answer together, where the catalogue does not know them.
        folders: Folders whose files may be read, beside those that a client opens.
        notice: What else an agent should know of the model.
        tallies: What was used, by the model that was asked.
    """

    client: AsyncLFMClient
    budget: Budget = field(default_factory=Budget)
    free: bool = False
    max_tokens: int = 4096
    context_length: int | None = None
    folders: tuple[Path, ...] = ()
    notice: str = ""
    tallies: dict[str, Tally] = field(default_factory=dict)

    @property
    def model(self) -> str:
        """The model that is asked where a call names none."""
        settings = self.client._settings
        return settings.resolve_model(settings.model)

    def card(self, model: str) -> ModelCard:
        """Return what is known of a model, or of the one that is asked where a call names none."""
        return self.client._settings.card(model or self.model)

    async def ask(
        self,
        messages: Sequence[Mapping[str, Any]],
        tallies: Sequence[Tally],
        *,
        model: str = "",
        max_tokens: int = 0,
        on_piece: Callable[[], Awaitable[None]],
        **parameters: Any,
    ) -> Reply:
        """Ask a question.

        Args:
            messages: In wire form.
            tallies: Where, beside the session's own, it is to be counted.
            model: Another model than the session's.
            max_tokens: The most tokens of the answer, if not the session's.
            on_piece: Called for each piece of the answer.
            **parameters: See `AsyncLFMClient.chat`.

        Raises:
            LFMError: It was refused, by the server or by the budget, or failed.
        """
        settings = self.client._settings
        # A name that a call gives is one that its agent chose: it is told of a retired model, and not moved.
        own: dict[str, Any] = {"model": model, "when_retired": "raise"} if model else {}
        card = self.card(model)
        metered = MeteredTransport(
            self.client._transport, self.budget, lambda body: self._worst_case(body, card), card.id
        )
        stream = AsyncLFMClient.from_settings(settings, metered).stream(
            messages, max_tokens=max_tokens or self.max_tokens, **own, **self._price_cap(card), **parameters
        )
        reply: Any = None
        try:
            async with stream:
                async for _ in stream:
                    await on_piece()
            reply = stream.reply
        except APIError as error:
            reply = error.partial
            raise
        finally:
            uncertain = metered.settle(reply)
            for tally in (self.tallies.setdefault(card.id, Tally()), *tallies):
                tally.add(reply, uncertain, free=self.free)
        return stream.reply  # type: ignore[return-value]

    def _worst_case(self, body: bytes, card: ModelCard) -> Decimal | None:
        return Decimal(0) if self.free or self.budget.limit_usd is None else worst_case_usd(body, card)

    def _price_cap(self, card: ModelCard) -> dict[str, Any]:
        """Have OpenRouter refuse where its price is above the catalogue's, by which the limit is kept.

        See https://openrouter.ai/docs/guides/routing/provider-selection#max-price. It counts in US$ per million tokens.
        """
        prompt, completion = card.pricing.prompt, card.pricing.completion
        is_capped = self.budget.limit_usd is not None and self.client._settings.is_openrouter and not card.is_free
        if not is_capped or prompt is None or completion is None:
            return {}
        most = {"prompt": float(prompt * _MILLION), "completion": float(completion * _MILLION)}
        return {"provider": {"max_price": most}}


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
