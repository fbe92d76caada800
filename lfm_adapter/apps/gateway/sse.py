"""Sends streams of server-sent events, with comments as keep-alive while no event comes."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

from aiohttp import web

from lfm_adapter.apps.gateway.errors import GatewayError, to_gateway_error
from lfm_adapter.apps.gateway.shutdown import IN_PROGRESS, stopped
from lfm_adapter.errors import LFMError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

# An error within this time gets its own HTTP status. After it the headers are sent, because some apps give up on a
# silent server (CHIM and other PHP programs after a few seconds), and a later error becomes an event.
HEADERS_AFTER_S = 1.0

# A stream yields to the others after this many batches. Without it, the first tokens of 8 simultaneous bursts of 500
# events came after 76 ms.
TURN = 2

KEEP_ALIVE_S = 10.0
KEEP_ALIVE = b": keep-alive\n\n"

_HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


async def send_events(
    request: web.Request,
    events: AsyncGenerator[bytes],
    on_error: Callable[[GatewayError], bytes],
    headers: Mapping[str, str],
) -> web.StreamResponse:
    """Send the events of a stream as they come.

    Args:
        request: The client's request.
        events: The events. Always closed at the end.
        on_error: Returns the events for an error in the middle of the stream.
        headers: More headers, which are read when the first event comes.

    Raises:
        LFMError: It failed before anything was sent.
        GatewayError: Likewise.
    """
    response = web.StreamResponse(headers=_HEADERS)
    async with aclosing(events):
        opening = asyncio.ensure_future(anext(events))
        keeper: asyncio.Task[None] | None = None
        try:
            await asyncio.wait({opening}, timeout=HEADERS_AFTER_S)
            if not opening.done():
                await response.prepare(request)
                keeper = asyncio.create_task(_keep_alive(response))
            first = await opening
            if keeper is None:
                response.headers.update(headers)
                await response.prepare(request)
            else:
                keeper.cancel()
            await response.write(first)
            sent = 1
            async for event in events:
                await response.write(event)
                sent += 1
                if sent % TURN == 0:
                    await asyncio.sleep(0)
        except ConnectionResetError:  # the client hung up; closing `events` ends the upstream request
            pass
        except (LFMError, GatewayError, asyncio.CancelledError) as error:
            failure = _failure_of(error, request)
            if failure is None or not response.prepared:
                raise
            with suppress(ConnectionResetError):
                await response.write(on_error(failure))
        finally:
            if keeper is not None:
                keeper.cancel()
            if opening.cancel():
                await asyncio.wait({opening})  # a running generator cannot be closed
    return response


def _failure_of(error: BaseException, request: web.Request) -> GatewayError | None:
    """Return the error to send; None if the client has hung up."""
    match error:
        case LFMError():
            return to_gateway_error(error)
        case GatewayError():
            return error
        case _:
            return stopped() if request.app[IN_PROGRESS].is_stopping else None


async def _keep_alive(response: web.StreamResponse) -> None:
    """Send comments: proxies and clients close silent connections."""
    with suppress(ConnectionResetError):
        while True:
            await asyncio.sleep(KEEP_ALIVE_S)
            await response.write(KEEP_ALIVE)
