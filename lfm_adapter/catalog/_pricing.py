"""The cost of a request: OpenRouter's own figure, else usage times catalogue prices."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from lfm_adapter._json import as_dict
from lfm_adapter.types import Cost

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lfm_adapter.types import ModelCard

__all__ = ["compute_cost"]

_ZERO = Decimal(0)


def compute_cost(usage: Mapping[str, Any], card: ModelCard) -> Cost | None:
    """Return the cost of a request.

    The `cost` that OpenRouter reports takes precedence
    (https://openrouter.ai/docs/cookbook/administration/usage-accounting). It becomes a Decimal through its shortest
    repr, so that 0.1 is `Decimal("0.1")`, not its 55 binary digits.

    Otherwise tokens are multiplied by the card's prices: those read from a cache by `input_cache_read`, those written
    to one by `input_cache_write` (by `prompt` if unknown), the rest of the prompt by `prompt`, and the answer
    with its reasoning by `completion`. The price per `request` is added to the total. A free model costs 0.

    Args:
        usage: The `usage` object of a reply. Any field may be missing, null or of the wrong type.
        card: The model that answered.

    Returns:
        The cost, never negative, or None if neither the reply nor the catalogue has it.

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
    prices = card.pricing
    prompt_tokens, completion_tokens = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    if prices.prompt is None or prices.completion is None or prompt_tokens is None or completion_tokens is None:
        return None
    details = as_dict(usage.get("prompt_tokens_details"))
    read = min(_count(details.get("cached_tokens")) or 0, prompt_tokens)
    written = min(_count(details.get("cache_write_tokens")) or 0, prompt_tokens - read)
    prompt = (
        (prompt_tokens - read - written) * prices.prompt
        + read * (prices.prompt if prices.input_cache_read is None else prices.input_cache_read)
        + written * (prices.prompt if prices.input_cache_write is None else prices.input_cache_write)
    )
    completion = completion_tokens * prices.completion
    return Cost(
        total=prompt + completion + (prices.request or _ZERO), prompt=prompt, completion=completion, source="catalog"
    )


def _amount(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    amount = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    return amount if amount.is_finite() and amount >= 0 else None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
