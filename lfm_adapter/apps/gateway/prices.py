"""OpenRouter's prices of models outside the catalogue, which budgets need (`--any-model`)."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from lfm_adapter._client.async_client import AsyncLFMClient
from lfm_adapter.catalog import from_listing
from lfm_adapter.errors import APIError

if TYPE_CHECKING:
    from lfm_adapter._client.settings import Settings
    from lfm_adapter.types import ModelCard

MAX_AGE_S = 3600.0

logger = logging.getLogger("lfm_adapter.gateway")


class Prices:
    """OpenRouter's list of models, fetched on first use and then at most once an hour."""

    def __init__(self, settings: Settings) -> None:
        self._client = AsyncLFMClient.from_settings(settings)
        self._reading = asyncio.Lock()
        self._cards: dict[str, ModelCard] = {}
        self._read_at = float("-inf")

    async def card(self, model: str) -> ModelCard | None:
        """Return the card of a model; None if OpenRouter does not list it, or cannot be reached."""
        async with self._reading:
            if time.monotonic() - self._read_at > MAX_AGE_S:
                try:
                    listed = await self._client.list_models()
                except APIError as error:
                    logger.warning("Could not read the prices of OpenRouter's models: %s", error)
                    return self._cards.get(model)
                self._cards = {str(row.get("id")): from_listing(row, checked=None) for row in listed}
                self._read_at = time.monotonic()
        return self._cards.get(model)
