"""What a request cost: OpenRouter's own figure, or usage times catalogue price."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from lfm_adapter.catalog.cards import ModelCard

__all__ = ["Cost", "cost"]

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Cost:
    """What one request cost, in US$.

    Attributes:
        total: All of it.
        prompt: The prompt's share; None where OpenRouter reported the total, which it does not split.
        completion: The answer's share, reasoning included; None likewise.
        source: "openrouter" for the amount that was charged, "catalog" for an amount computed here.
    """

    total: Decimal
    prompt: Decimal | None
    completion: Decimal | None
    source: Literal["openrouter", "catalog"]

    def __add__(self, other: Cost) -> Cost:
        """Return what two requests cost together; "openrouter" is its source only if it is that of both."""
        return Cost(
            total=self.total + other.total,
            prompt=None if self.prompt is None or other.prompt is None else self.prompt + other.prompt,
            completion=(
                None if self.completion is None or other.completion is None else self.completion + other.completion
            ),
            source=self.source if self.source == other.source else "catalog",
        )


def cost(usage: Mapping[str, Any], card: ModelCard) -> Cost | None:
    """Return what a request cost.

    The `cost` that OpenRouter reports wins; replies have carried it unasked since 2025
    (https://openrouter.ai/docs/cookbook/administration/usage-accounting). It arrives as a JSON number and becomes a
    Decimal through its shortest repr, so 0.1 is `Decimal("0.1")` and not its 55 binary digits. A cost that is no finite
    amount of at least 0 counts as not reported.

    Else the tokens are multiplied by the card's prices: what was read from a cache at `input_cache_read`, what was
    written to one at `input_cache_write` (each at the prompt's price where it has none of its own), the rest of the
    prompt at `prompt`, and the answer, in which reasoning is counted, at `completion`; `request` is added, to the total
    only. A request to a free model costs 0.

    Args:
        usage: The `usage` object of a reply. Any field may be missing, null or of the wrong type.
        card: The model that answered.

    Returns:
        The cost, or None where neither the reply nor the catalogue knows it. Never negative.

    >>> from lfm_adapter.catalog import get
    >>> cost({"prompt_tokens": 1000, "completion_tokens": 500, "cost": 0.00003}, get("lfm-3b")).total
    Decimal('0.00003')
    >>> cost({"prompt_tokens": 1000, "completion_tokens": 500}, get("lfm-3b")).total
    Decimal('0.00003000')
    """
    reported = _amount(usage.get("cost"))
    if reported is not None:
        return Cost(total=reported, prompt=None, completion=None, source="openrouter")
    if card.is_free:
        return Cost(total=_ZERO, prompt=_ZERO, completion=_ZERO, source="catalog")
    return _computed(usage, card)


def _computed(usage: Mapping[str, Any], card: ModelCard) -> Cost | None:
    pricing = card.pricing
    prompt_tokens = _count(usage.get("prompt_tokens"))
    completion_tokens = _count(usage.get("completion_tokens"))
    if pricing.prompt is None or pricing.completion is None or prompt_tokens is None or completion_tokens is None:
        return None
    details = usage.get("prompt_tokens_details")
    details = details if isinstance(details, Mapping) else {}
    read = min(_count(details.get("cached_tokens")) or 0, prompt_tokens)
    written = min(_count(details.get("cache_write_tokens")) or 0, prompt_tokens - read)
    prompt = (
        (prompt_tokens - read - written) * pricing.prompt
        + read * _first(pricing.input_cache_read, pricing.prompt)
        + written * _first(pricing.input_cache_write, pricing.prompt)
    )
    completion = completion_tokens * pricing.completion
    total = prompt + completion + _first(pricing.request, _ZERO)
    return Cost(total=total, prompt=prompt, completion=completion, source="catalog")


def _first(price: Decimal | None, otherwise: Decimal) -> Decimal:
    return otherwise if price is None else price


def _amount(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    amount = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    return amount if amount.is_finite() and amount >= 0 else None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
