"""`/v1/chat/completions`."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from aiohttp import web

from lfm_adapter.apps.gateway.call import GATEWAY, Call, read_object
from lfm_adapter.apps.gateway.errors import GatewayError, to_gateway_error
from lfm_adapter.apps.gateway.wire import DONE, KEEP_ALIVE, ChunkWriter, completion_of, to_json
from lfm_adapter.errors import LFMError

if TYPE_CHECKING:
    from lfm_adapter.types import JSONDict

__all__ = ["chat_completions", "json_response", "send_stream"]

# An error within this time has its own status. Then the headers go out: some apps give up on a silent server (CHIM and
# other PHP programs after a few seconds), and an error that comes later is an event of the stream.
HEADERS_AFTER_S = 1.0

KEEP_ALIVE_S = 10.0

_STREAM_HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


async def chat_completions(request: web.Request) -> web.StreamResponse:
    """Answer a chat request, streamed or not."""
    call = Call(request.app[GATEWAY], request, await read_object(request))
    if call.stream:
        return await send_stream(request, call, ChunkWriter(call.route.models[0]))
    model, reply = await call.reply()
    return json_response(completion_of(reply, model), headers=_headers(call, model, reply.id))


def json_response(body: JSONDict, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """Return a response with `body` as JSON."""
    text = to_json(body).encode("utf-8", "replace")
    return web.Response(body=text, status=status, content_type="application/json", headers=headers)


async def send_stream(request: web.Request, call: Call, writer: ChunkWriter) -> web.StreamResponse:
    """Send the events of a stream as they come.

    Raises:
        LFMError: Nothing was sent yet.
        GatewayError: Likewise.
    """
    response = web.StreamResponse(headers=_STREAM_HEADERS)
    opening = asyncio.create_task(call.open_stream())
    keeper: asyncio.Task[None] | None = None
    try:
        await asyncio.wait({opening}, timeout=HEADERS_AFTER_S)
        if not opening.done():
            await response.prepare(request)
            keeper = asyncio.create_task(_keep_alive(response))
        model, stream, delta = await opening
        async with stream:
            if keeper is None:
                response.headers.update(_headers(call, model, delta.generation_id))
                await response.prepare(request)
            else:
                keeper.cancel()
            while delta.reply is None:
                await response.write(writer.delta(delta))
                delta = await anext(stream)
        await response.write(writer.last(delta.reply) + DONE)
    except ConnectionResetError:  # of the client, whose upstream request has just been closed
        return response
    except (LFMError, GatewayError) as error:
        if not response.prepared:
            raise
        told = to_gateway_error(error) if isinstance(error, LFMError) else error
        with suppress(ConnectionResetError):
            await response.write(writer.error(told) + DONE)
    finally:
        opening.cancel()
        if keeper is not None:
            keeper.cancel()
    return response


async def _keep_alive(response: web.StreamResponse) -> None:
    """Send a comment now and then: proxies and clients cut off what is silent."""
    with suppress(ConnectionResetError):
        while True:
            await asyncio.sleep(KEEP_ALIVE_S)
            await response.write(KEEP_ALIVE)


def _headers(call: Call, model: str, generation_id: str | None) -> dict[str, str]:
    headers = {
        "X-LFM-Model": model,
        "X-LFM-Retired-Model": call.route.retired,
        "X-Generation-Id": generation_id,
    }
    return {name: value for name, value in headers.items() if value}
