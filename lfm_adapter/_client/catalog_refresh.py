"""The catalogue as OpenRouter has it now.

`catalog.get` keeps answering from the file, so a program decides when to ask and what to do with the answer.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from lfm_adapter.catalog._cards import models
from lfm_adapter.catalog._listing import from_listing
from lfm_adapter.errors import NotFoundError, ResponseError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from lfm_adapter.types import ModelCard

__all__ = ["AsyncListingClient", "ListingClient", "arefresh_catalog", "refresh_catalog"]


class ListingClient(Protocol):
    """What `refresh` needs of a client. `lfm_adapter.LFMClient` is one."""

    def list_models(self) -> Sequence[Mapping[str, Any]]:
        """Return the `data` of `GET /models`: every model of the default listing."""
        ...

    def list_endpoints(self, model: str, /) -> Mapping[str, Any]:
        """Return the `data` of `GET /models/{model}/endpoints`."""
        ...


class AsyncListingClient(Protocol):
    """The twin of `ListingClient` for asyncio. `lfm_adapter.AsyncLFMClient` is one."""

    async def list_models(self) -> Sequence[Mapping[str, Any]]:
        """See `ListingClient.models`."""
        ...

    async def list_endpoints(self, model: str, /) -> Mapping[str, Any]:
        """See `ListingClient.endpoints`."""
        ...


def refresh_catalog(client: ListingClient, *, checked: date | None = None) -> tuple[ModelCard, ...]:
    """Ask OpenRouter which Liquid models it serves, at what prices and limits, and by whom.

    A model that the file calls live, but that the listing lacks, comes back retired, as the listing is complete. That
    holds for chat models only: the listing leaves out those that give no text. The file's cards of those, and of models
    long retired, come back as they are.

    Args:
        client: What to ask through. Default: a new `LFMClient`; these requests need no key.
        checked: Today, to be written on the cards. Nothing here looks at a clock.

    Returns:
        The file's models in the file's order, then models new to it.

    Raises:
        APIError: A request failed.
        ResponseError: The listing holds no Liquid model, as another server's, and so says nothing about any.
    """
    listed = _liquid(client.list_models())
    endpoints: dict[str, Mapping[str, Any] | None] = {}
    for model_id in listed:
        try:
            endpoints[model_id] = client.list_endpoints(model_id)
        except NotFoundError:  # it went away in between
            endpoints[model_id] = None
    return _merge(listed, endpoints, checked)


async def arefresh_catalog(client: AsyncListingClient, *, checked: date | None = None) -> tuple[ModelCard, ...]:
    """Do as `refresh` does, through an `AsyncLFMClient`.

    Args:
        client: See `refresh`.
        checked: See `refresh`.

    Returns:
        See `refresh`.

    Raises:
        APIError: A request failed.
        ResponseError: The listing is empty, which says nothing about any model.
    """
    listed = _liquid(await client.list_models())
    endpoints: dict[str, Mapping[str, Any] | None] = {}
    for model_id in listed:
        try:
            endpoints[model_id] = await client.list_endpoints(model_id)
        except NotFoundError:  # it went away in between
            endpoints[model_id] = None
    return _merge(listed, endpoints, checked)


def _liquid(listing: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    liquid = {
        model["id"]: model
        for model in listing
        if isinstance(model.get("id"), str) and model["id"].startswith("liquid/")
    }
    if not liquid:
        raise ResponseError(
            "The list of models holds none of Liquid's, so it is hardly OpenRouter's. Check `base_url`, or use the "
            "catalogue as it is."
        )
    return liquid


def _merge(
    listed: Mapping[str, Mapping[str, Any]],
    endpoints: Mapping[str, Mapping[str, Any] | None],
    checked: date | None,
) -> tuple[ModelCard, ...]:
    today = {model_id: from_listing(model, endpoints[model_id], checked=checked) for model_id, model in listed.items()}
    known = [today[card.id] if card.id in today else _absent(card, checked) for card in models()]
    ids = {card.id for card in known}
    return (*known, *(card for card in today.values() if card.id not in ids))


def _absent(card: ModelCard, checked: date | None) -> ModelCard:
    if card.status != "live" or card.kind != "chat":
        return card
    between = None if card.checked is None or checked is None else (card.checked.isoformat(), checked.isoformat())
    return replace(card, status="retired", retired_between=between, checked=checked)
