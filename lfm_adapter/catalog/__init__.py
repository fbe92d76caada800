"""Facts about Liquid's models: ids, limits, prices and capabilities, with sources.

>>> from lfm_adapter import catalog
>>> card = catalog.get("lfm-3b")
>>> card.context_length, str(card.pricing.prompt * 1_000_000), card.successors[0]
(32768, '0.02000000', 'liquid/lfm-3-1.7b')
"""

from __future__ import annotations

from lfm_adapter.catalog._cards import get, models
from lfm_adapter.catalog._listing import from_listing
from lfm_adapter.catalog._usage import apply_context_limit, check_text_lengths, compute_cost, estimate_tokens

__all__ = [
    "apply_context_limit",
    "check_text_lengths",
    "compute_cost",
    "estimate_tokens",
    "from_listing",
    "get",
    "models",
]
