"""What a request cost: OpenRouter's own figure, or usage times catalogue price."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from lfm_adapter.types import Cost

if TYPE_CHECKING:
    from lfm_adapter.types import ModelCard

__all__ = ["compute_cost"]

_ZERO = Decimal(0)


def compute_cost(usage: Mapping[str, Any], card: ModelCard) -> Cost | None:
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
    >>> compute_cost({"prompt_tokens": 1000, "completion_tokens": 500, "cost": 0.00003}, get("lfm-3b")).total
    Decimal('0.00003')
    >>> compute_cost({"prompt_tokens": 1000, "completion_tokens": 500}, get("lfm-3b")).total
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
