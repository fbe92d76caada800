"""Asks OpenRouter what interrupted streams cost, so that budgets do not count their maximum."""

from __future__ import annotations

import asyncio
import logging
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from lfm_adapter._client.async_client import AsyncLFMClient
from lfm_adapter._json import as_number
from lfm_adapter.errors import LFMError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable

    from lfm_adapter._client.settings import Settings

    _Inquiry: TypeAlias = asyncio.Task[Decimal | None]

WAITS_S = (2.0, 10.0, 60.0)  # OpenRouter knows a generation a while after its end

logger = logging.getLogger("lfm_adapter.gateway")


class Inquiries:
    """Runs in the background. What it has not found out when the loop ends counts with its maximum."""

    def __init__(self, settings: Settings) -> None:
        self._client = AsyncLFMClient.from_settings(settings)
        self._running: set[_Inquiry] = set()  # the loop keeps only weak references

    def begin(self, generation_id: str, settle: Callable[[Decimal | None], None]) -> None:
        """Ask what a generation cost, and call `settle` with the US$, or with None if that stays unknown."""
        task = asyncio.create_task(self._ask(generation_id))
        self._running.add(task)
        task.add_done_callback(partial(self._end, settle))

    def _end(self, settle: Callable[[Decimal | None], None], task: _Inquiry) -> None:
        self._running.discard(task)
        settle(None if task.cancelled() else task.result())

    async def _ask(self, generation_id: str) -> Decimal | None:
        for wait in WAITS_S:
            await asyncio.sleep(wait)
            try:
                usd = as_number((await self._client.generation(generation_id)).get("total_cost"))
            except NotFoundError:
                continue
            except LFMError as error:
                logger.warning("Could not find out what an interrupted stream cost: %s", error)
                return None
            return None if usd is None else Decimal(str(usd))
        return None
