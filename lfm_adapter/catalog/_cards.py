"""Looks up a model by id, alias or dated slug.

The facts in `models.json` come from public documents, listed in each card's `sources` with the day they were read. None
means that no source gives the fact. `LFMClient.refresh_catalog` asks OpenRouter for today's facts.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from decimal import Decimal
from functools import cache, lru_cache
from typing import Any

from lfm_adapter.types import Capabilities, ModelCard, Pricing, Source

# What chooses among a model's endpoints, adds a search, or names saved settings is not part of a model's id:
# https://openrouter.ai/docs/guides/routing/model-variants/nitro (and /floor, /exacto, /online), and
# https://openrouter.ai/docs/guides/features/presets, read 2026-11-23.
_ROUTED = re.compile(r"(?s)(.+?)((?::(?:exacto|floor|nitro|online))*(?:@preset/.+)?)")

_DATED_SLUG = re.compile(r"(?P<undated>.+)-20\d{6}(?P<variant>:[^:/]+)?")


@lru_cache(maxsize=1024)  # 3 µs for an unknown name, which a call looks up several times
def get(name: str) -> ModelCard:
    """Return the card of a model; for an unknown one, a card with its name and no facts.

    Args:
        name: An id ("liquid/lfm-3b"), an alias ("lfm-3b"), or a dated slug as in replies
            ("liquid/lfm-2.5-2.6b-20260811:free"). Routing suffixes (`:nitro`, `:floor`, `:exacto`, `:online`) and a
            preset (`@preset/mine`) stay in the card's id and make its prices unknown: they may change the provider or
            add a fee.

    Returns:
        The model's card, the same object for the same name.

    >>> get("lfm-3b").id, get("lfm-3b").status
    ('liquid/lfm-3b', 'retired')
    >>> get("liquid/lfm-2.5-2.6b-20260811:free").id
    'liquid/lfm-2.5-2.6b:free'
    >>> get("lfm-3b:nitro@preset/mine").id
    'liquid/lfm-3b:nitro@preset/mine'
    >>> get("liquid/lfm-9b").status
    'unknown'
    """
    known = _by_name().get(name) or _by_dated_slug(name)
    if known is not None:
        return known
    base, routing = split_routing(name)
    if routing and (card := get(base)).status != "unknown":
        return replace(card, id=card.id + routing, aliases=(), pricing=Pricing())
    return ModelCard(id=name, name=name)


def split_routing(name: str) -> tuple[str, str]:
    """Return a model's name and its routing suffixes, the preset included.

    >>> split_routing("liquid/lfm-3-1.7b:free:nitro@preset/mine")
    ('liquid/lfm-3-1.7b:free', ':nitro@preset/mine')
    """
    found = _ROUTED.fullmatch(name)
    return (found[1], found[2]) if found else (name, "")


@cache
def models() -> tuple[ModelCard, ...]:
    """Return the cards of all Liquid models that OpenRouter is known to have listed, the oldest first."""
    import json
    from importlib.resources import files

    text = files("lfm_adapter.catalog").joinpath("models.json").read_text(encoding="utf-8")
    return tuple(_card(entry) for entry in json.loads(text)["models"])


@cache
def _by_name() -> dict[str, ModelCard]:
    return {name: card for card in models() for name in (card.id, *card.aliases)}


def _by_dated_slug(name: str) -> ModelCard | None:
    found = _DATED_SLUG.fullmatch(name)
    if found is None:
        return None
    variant = found["variant"] or ""
    card = _by_name().get(found["undated"] + variant)
    # Any date matches a model whose dated slug is unknown.
    return card if card is not None and card.canonical_slug in {None, name.removesuffix(variant)} else None


def _card(entry: dict[str, Any]) -> ModelCard:
    """Return the card for an entry of `models.json`, whose form `models.schema.json` guarantees."""
    prices = {name: Decimal(price) for name, price in entry["pricing"].items() if price is not None}
    parameters, between = entry["supported_parameters"], entry["retired_between"]
    modalities = entry["input_modalities"]
    sources = (Source(**source | {"read": date.fromisoformat(source["read"])}) for source in entry["sources"])
    facts = entry | {
        "aliases": tuple(entry["aliases"]),
        "input_modalities": modalities and frozenset(modalities),
        "question_types": frozenset(entry["question_types"]),
        "retired_between": between and tuple(between),
        "successors": tuple(entry["successors"]),
        "created": entry["created"] and date.fromisoformat(entry["created"]),
        "pricing": Pricing(**prices),
        "supported_parameters": None if parameters is None else frozenset(parameters),
        "capabilities": Capabilities(**entry["capabilities"]),
        "sources": tuple(sources),
        "checked": entry["checked"] and date.fromisoformat(entry["checked"]),
    }
    return ModelCard(**facts)
