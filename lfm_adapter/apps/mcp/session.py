"""What all calls to one server share: the client, the spending limit, and the usage so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from lfm_adapter._client.async_client import AsyncLFMClient
from lfm_adapter.apps.mcp.spending import MeteredTransport, SpendingLimit, max_cost
from lfm_adapter.errors import APIError, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

    from lfm_adapter._client.settings import Settings
    from lfm_adapter.types import ModelCard, Reply

__all__ = ["Session", "Tally"]

_MILLION = 1_000_000


@dataclass
class Tally:
    """Counts of what was used.

    Attributes:
        answers: Answers, including invalid ones that the model was asked to correct.
        prompt_tokens: Tokens of the prompts, as far as replies have them.
        completion_tokens: Tokens of the answers, including reasoning, as far as replies have them.
        cost_usd: What was charged, as far as it is known.
        uncertain_usd: The maximum cost of requests that were interrupted.
        unpriced_answers: Answers without a known cost.
    """

    answers: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: Decimal = Decimal(0)
    uncertain_usd: Decimal = Decimal(0)
    unpriced_answers: int = 0

    def add(self, reply: Reply | None, uncertain_usd: Decimal, *, is_free: bool) -> None:
        """Add the reply to one question; None or a partial reply for one that failed."""
        self.uncertain_usd += uncertain_usd
        if reply is None:
            return
        usage = reply.usage or {}
        self.answers += 1 + reply.output_retries
        self.prompt_tokens += _count(usage.get("prompt_tokens"))
        self.completion_tokens += _count(usage.get("completion_tokens"))
        if reply.cost is not None:
            self.cost_usd += reply.cost.total
        elif not is_free and not uncertain_usd:
            self.unpriced_answers += 1


@dataclass
class Session:
    """A client, its spending limit, and its usage.

    Attributes:
        client: Asks the model; its own unless a call names another.
        spending: The limit.
        is_local: Whether the model runs in this process, and so costs nothing.
        max_tokens: Maximum tokens of an answer, unless a call sets its own.
        context_length: Context in tokens, where the catalogue does not have it.
        folders: Folders with files to read, besides those that a client opens.
        results_folder: Where results are saved that are too large for clients.
        notice: What else agents should know about the model.
        problems: What the user should put right. Each result says it.
        has_model: Whether there is a model to ask, in spite of the problems.
        tallies: The usage by model.
    """

    client: AsyncLFMClient
    spending: SpendingLimit = field(default_factory=SpendingLimit)
    is_local: bool = False
    max_tokens: int = 4096
    context_length: int | None = None
    folders: tuple[Path, ...] = ()
    results_folder: Path | None = None
    notice: str = ""
    problems: list[str] = field(default_factory=list)
    has_model: bool = True
    tallies: dict[str, Tally] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        """The client's settings."""
        return self.client._settings

    @property
    def model(self) -> str:
        """The model to ask if a call names none."""
        return self.settings.resolve_model()

    def card(self, model: str = "") -> ModelCard:
        """Return what is known about a model. Default: `model`."""
        return self.settings.card(model or self.model)

    async def ask(
        self,
        messages: Sequence[Mapping[str, Any]],
        tallies: Sequence[Tally],
        *,
        model: str = "",
        max_tokens: int = 0,
        on_chunk: Callable[[], Awaitable[None]] | None = None,
        **parameters: Any,
    ) -> Reply:
        """Ask a question.

        Args:
            messages: Messages in OpenAI's form.
            tallies: Where to count the usage, besides `self.tallies`.
            model: The model to ask. Default: the session's.
            max_tokens: Maximum tokens of the answer. Default: the session's.
            on_chunk: Called for each chunk of the answer, which is then streamed.
            **parameters: See `AsyncLFMClient.chat`.

        Raises:
            LFMError: The server or the spending limit refused the request, or it failed.
        """
        if not self.has_model:
            raise ConfigurationError("There is no model to ask. Only the user can fix this: tell them.")
        card = self.card(model)
        metered = MeteredTransport(self.client._transport, self.spending, self._max_cost_of(card), card.id)
        client = AsyncLFMClient.from_settings(self.settings, metered)
        parameters |= {"model": model or None, "max_tokens": max_tokens or self.max_tokens, **self._price_cap(card)}
        reply: Any = None
        try:
            if on_chunk is None:
                reply = await client.chat(messages, **parameters)
            else:
                async with client.stream(messages, **parameters) as stream:
                    async for _ in stream:
                        await on_chunk()
                reply = stream.reply
        except APIError as error:
            reply = error.partial
            raise
        finally:
            uncertain = metered.settle(reply)
            for tally in (self.tallies.setdefault(card.id, Tally()), *tallies):
                tally.add(reply, uncertain, is_free=self.is_local)
        return reply  # type: ignore[no-any-return]

    def _max_cost_of(self, card: ModelCard) -> Callable[[bytes], Decimal | None]:
        if self.is_local or self.spending.limit_usd is None:
            return lambda _: Decimal(0)
        return lambda body: max_cost(body, card)

    def _price_cap(self, card: ModelCard) -> dict[str, Any]:
        """Make OpenRouter refuse prices above the catalogue's, with which the limit is computed.

        https://openrouter.ai/docs/guides/routing/provider-selection#max-price (US$ per million tokens).
        """
        prompt, completion = card.pricing.prompt, card.pricing.completion
        is_capped = self.spending.limit_usd is not None and self.settings.is_openrouter and not card.is_free
        if not is_capped or prompt is None or completion is None:
            return {}
        return {
            "provider": {"max_price": {"prompt": float(prompt * _MILLION), "completion": float(completion * _MILLION)}}
        }


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
