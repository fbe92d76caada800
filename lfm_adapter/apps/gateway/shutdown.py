"""Ends the requests in progress when the gateway stops, so that no client takes half an answer for a whole one."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from aiohttp import web

from lfm_adapter.apps.gateway.errors import GatewayError

if TYPE_CHECKING:
    from collections.abc import Awaitable

GRACE_S = 1.0  # to finish


@dataclass
class InProgress:
    """The requests in progress.

    Attributes:
        is_stopping: Whether those that remain are cancelled because the gateway stops.
    """

    is_stopping: bool = False
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    async def run(self, answer: Awaitable[web.StreamResponse]) -> web.StreamResponse:
        """Await an answer.

        Raises:
            GatewayError: The gateway stopped before anything was sent.
        """
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        self._tasks.add(task)
        try:
            return await answer
        except asyncio.CancelledError:
            if self.is_stopping:
                raise stopped() from None
            raise
        finally:
            self._tasks.discard(task)

    async def end(self, _: web.Application) -> None:
        """Wait for them, for `GRACE_S` seconds at most, and cancel the others."""
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=GRACE_S)
        self.is_stopping = True
        for task in self._tasks:
            task.cancel()


def stopped() -> GatewayError:
    """Return the error that a client gets for a request that the end of the gateway cancelled."""
    return GatewayError(503, "The gateway was stopped before the answer was complete.", code="stopped")


IN_PROGRESS = web.AppKey("in_progress", InProgress)
