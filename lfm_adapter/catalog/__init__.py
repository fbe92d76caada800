"""What Liquid's models are: ids, limits, prices and capabilities, as data with sources.

>>> from lfm_adapter import catalog
>>> card = catalog.get("lfm-3b")
>>> card.context_length, str(card.pricing.prompt * 1_000_000), card.successors[0]
(32768, '0.02000000', 'liquid/lfm-3-1.7b')
"""

from __future__ import annotations

from lfm_adapter.catalog import limits, pricing
from lfm_adapter.catalog.cards import Capabilities, Endpoint, ModelCard, Pricing, get, models
from lfm_adapter.catalog.listing import from_listing
from lfm_adapter.catalog.live import arefresh, refresh

__all__ = [
    "Capabilities",
    "Endpoint",
    "ModelCard",
    "Pricing",
    "arefresh",
    "from_listing",
    "get",
    "limits",
    "models",
    "pricing",
    "refresh",
]
