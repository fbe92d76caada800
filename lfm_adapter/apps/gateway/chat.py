"""`/v1/chat/completions`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from lfm_adapter.apps.gateway.call import GATEWAY, Call, UpstreamCall, read_object
from lfm_adapter.apps.gateway.sse import send_events
from lfm_adapter.apps.gateway.wire import ChunkWriter, completion_of, encoded, to_json

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from lfm_adapter.types import JSONDict

__all__ = ["answer_headers", "chat_completions", "json_response"]


async def chat_completions(request: web.Request) -> web.StreamResponse:
    """Answer a chat request, streamed or not."""
    call = Call(request.app[GATEWAY], request, await read_object(request))
    if call.is_stream:
        writer = ChunkWriter(call.route.models[0])
        headers: dict[str, str] = {}
        events = _events(call, writer, headers)
        return await send_events(request, events, writer.error, headers)
    model, reply = await call.reply()
    return json_response(completion_of(reply, model), headers=answer_headers(call, model, reply.id))


async def _events(call: Call, writer: ChunkWriter, headers: dict[str, str]) -> AsyncGenerator[bytes]:
    model, stream, deltas = await call.open_stream()
    headers |= answer_headers(call, model, deltas[0].generation_id)
    async with stream:
        while stream.reply is None:
            yield writer.events(deltas)
            deltas = await stream._next_batch()
    yield writer.events(deltas)


def json_response(
    body: JSONDict, *, status: int = 200, reason: str | None = None, headers: dict[str, str] | None = None
) -> web.Response:
    """Return a response with `body` as JSON."""
    return web.Response(
        body=encoded(to_json(body)), status=status, reason=reason, content_type="application/json", headers=headers
    )


def answer_headers(call: UpstreamCall, model: str, generation_id: str | None) -> dict[str, str]:
    """Return the headers that tell which model was asked, and which retired one it replaces."""
    headers = {
        "X-LFM-Model": model,
        "X-LFM-Retired-Model": call.route.retired,
        "X-Generation-Id": generation_id,
    }
    return {name: value for name, value in headers.items() if value}
