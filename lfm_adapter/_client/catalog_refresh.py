"""The catalogue as OpenRouter has it now. `catalog.get` keeps answering from the file."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lfm_adapter.catalog._cards import models
from lfm_adapter.catalog._listing import from_listing
from lfm_adapter.errors import NotFoundError, ResponseError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from lfm_adapter._client.async_client import AsyncLFMClient
    from lfm_adapter._client.sync_client import LFMClient
    from lfm_adapter.types import ModelCard

__all__ = ["arefresh_catalog", "refresh_catalog"]


def refresh_catalog(client: LFMClient, *, checked: date | None = None) -> tuple[ModelCard, ...]:
    """Ask OpenRouter which Liquid models it serves, at what prices and limits, and by whom.

    A chat model that the file calls live but the listing lacks comes back retired, as the listing has every chat model.
    The file's cards of other models, and of those long retired, come back unchanged.

    Args:
        client: What to ask through. These requests need no key.
        checked: Today, for the cards.

    Returns:
        The file's models in the file's order, then models new to it.

    Raises:
        APIError: A request failed.
        ResponseError: The listing has no Liquid model, so that it is not OpenRouter's.
    """
    listed = _liquid(client.list_models())
    endpoints: dict[str, Mapping[str, Any]] = {}
    for model in listed:
        try:
            endpoints[model] = client.list_endpoints(model)
        except NotFoundError:  # it went away in between
            continue
    return _merge(listed, endpoints, checked)


async def arefresh_catalog(client: AsyncLFMClient, *, checked: date | None = None) -> tuple[ModelCard, ...]:
    """See `refresh_catalog`."""
    listed = _liquid(await client.list_models())
    endpoints: dict[str, Mapping[str, Any]] = {}
    for model in listed:
        try:
            endpoints[model] = await client.list_endpoints(model)
        except NotFoundError:
            continue
    return _merge(listed, endpoints, checked)


def _liquid(listing: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    liquid = {model["id"]: model for model in listing if str(model.get("id")).startswith("liquid/")}
    if not liquid:
        raise ResponseError(
            "The list of models has no Liquid model, so it is probably not OpenRouter's. Check `base_url`."
        )
    return liquid


def _merge(
    listed: Mapping[str, Mapping[str, Any]], endpoints: Mapping[str, Mapping[str, Any]], checked: date | None
) -> tuple[ModelCard, ...]:
    today = {id_: from_listing(model, endpoints.get(id_), checked=checked) for id_, model in listed.items()}
    known = [today.get(card.id) or _unlisted(card, checked) for card in models()]
    ids = {card.id for card in known}
    return (*known, *(card for card in today.values() if card.id not in ids))


def _unlisted(card: ModelCard, checked: date | None) -> ModelCard:
    if card.status != "live" or card.kind != "chat":
        return card
    between = None if card.checked is None or checked is None else (card.checked.isoformat(), checked.isoformat())
    return replace(card, status="retired", retired_between=between, checked=checked)
