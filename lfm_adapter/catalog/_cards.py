"""Look up a model by id, alias or dated slug.

The facts stand in `models.json` beside this file. They were collected from public documents, each named in the card's
`sources` with the day it was read; what no source says is None, never a guess. `lfm_adapter.catalog.refresh` asks
OpenRouter for today's facts.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from decimal import Decimal
from functools import cache, lru_cache
from typing import Any

from lfm_adapter.types import Capabilities, ModelCard, Pricing, Source

__all__ = ["get", "models"]

# They choose among a model's endpoints, or add a search, and belong to no model's id:
# https://openrouter.ai/docs/guides/routing/model-variants/nitro (and /floor, /exacto, /online), read 2026-11-23.
_DYNAMIC_VARIANTS = frozenset({"exacto", "floor", "nitro", "online"})

_DATED_SLUG = re.compile(r"(?P<undated>.+)-20\d{6}(?P<variant>:[^:/]+)?")


@lru_cache(maxsize=1024)
def get(name: str) -> ModelCard:
    """Return what is known of a model. Never fails: the card of an unknown model holds its name and no facts.

    Args:
        name: An id ("liquid/lfm-3b"), an alias ("lfm-3b"), or a dated slug as replies have it
            ("liquid/lfm-2.5-2.6b-20260811:free"). A routing suffix (`:nitro`, `:floor`, `:exacto`, `:online`) stays in
            the card's id and makes its prices unknown, because it may change the provider or add a fee.

    Returns:
        The model's card. The same name gives the same object.

    >>> get("lfm-3b").id, get("lfm-3b").status
    ('liquid/lfm-3b', 'retired')
    >>> get("liquid/lfm-2.5-2.6b-20260811:free").id
    'liquid/lfm-2.5-2.6b:free'
    >>> get("liquid/lfm-9b").status
    'unknown'
    """
    known = _index().get(name) or _dated(name)
    if known is not None:
        return known
    base, _, variant = name.rpartition(":")
    if variant in _DYNAMIC_VARIANTS and (card := get(base)).status != "unknown":
        return replace(card, id=f"{card.id}:{variant}", aliases=(), pricing=Pricing())
    return ModelCard(id=name, name=name)


@cache
def models() -> tuple[ModelCard, ...]:
    """Return the card of every Liquid model that OpenRouter is known to have listed, the oldest first."""
    import json
    from importlib.resources import files

    text = files("lfm_adapter.catalog").joinpath("models.json").read_text(encoding="utf-8")
    return tuple(_card(entry) for entry in json.loads(text)["models"])


@cache
def _index() -> dict[str, ModelCard]:
    return {name: card for card in models() for name in (card.id, *card.aliases)}


def _dated(name: str) -> ModelCard | None:
    found = _DATED_SLUG.fullmatch(name)
    if found is None:
        return None
    variant = found["variant"] or ""
    card = _index().get(found["undated"] + variant)
    # Where the file has no dated slug, any date is taken for the model's own.
    return card if card is not None and card.canonical_slug in {None, name.removesuffix(variant)} else None


def _card(entry: dict[str, Any]) -> ModelCard:
    """Turn an entry of `models.json`, whose shape `models.schema.json` holds, into a card."""
    prices = {key: Decimal(price) for key, price in entry["pricing"].items() if price is not None}
    parameters = entry["supported_parameters"]
    retired_between = entry["retired_between"]
    facts = entry | {
        "aliases": tuple(entry["aliases"]),
        "retired_between": None if retired_between is None else tuple(retired_between),
        "successors": tuple(entry["successors"]),
        "created": _date(entry["created"]),
        "pricing": Pricing(**prices),
        "supported_parameters": None if parameters is None else frozenset(parameters),
        "capabilities": Capabilities(**entry["capabilities"]),
        "sources": tuple(
            Source(url=source["url"], read=date.fromisoformat(source["read"]), says=source["says"])
            for source in entry["sources"]
        ),
        "checked": _date(entry["checked"]),
    }
    return ModelCard(**facts)


def _date(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)
