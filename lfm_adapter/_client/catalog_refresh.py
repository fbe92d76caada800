"""Updates the catalogue's cards with what OpenRouter lists now. `catalog.get` keeps answering from the file."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lfm_adapter.catalog import from_listing, models
from lfm_adapter.errors import ResponseError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from lfm_adapter.types import ModelCard

__all__ = ["liquid_models", "refreshed_cards"]


def liquid_models(listing: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Return the Liquid models of a listing by id, or raise `ResponseError` if there are none."""
    liquid = {model["id"]: model for model in listing if str(model.get("id")).startswith("liquid/")}
    if not liquid:
        raise ResponseError(
            "The list of models contains no Liquid model, so the server is probably not OpenRouter. Check `base_url`."
        )
    return liquid


def refreshed_cards(
    listed: Mapping[str, Mapping[str, Any]], endpoints: Mapping[str, Mapping[str, Any]], checked: date | None
) -> tuple[ModelCard, ...]:
    """Return the file's models in the file's order, then models new to it.

    A chat model that the file calls live but the listing lacks comes back retired, as the listing has every chat model.
    The file's cards of other models, and of those long retired, come back unchanged.
    """
    today = {id_: from_listing(model, endpoints.get(id_), checked=checked) for id_, model in listed.items()}
    known = [today.get(card.id) or _unlisted(card, checked) for card in models()]
    ids = {card.id for card in known}
    return (*known, *(card for card in today.values() if card.id not in ids))


def _unlisted(card: ModelCard, checked: date | None) -> ModelCard:
    if card.status != "live" or card.kind != "chat":
        return card
    between = None if card.checked is None or checked is None else (card.checked.isoformat(), checked.isoformat())
    return replace(card, status="retired", retired_between=between, checked=checked)
