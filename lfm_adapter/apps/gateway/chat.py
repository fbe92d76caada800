"""`/v1/chat/completions`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from lfm_adapter.apps.gateway.call import GATEWAY, Call, read_object
from lfm_adapter.apps.gateway.sse import send_events
from lfm_adapter.apps.gateway.wire import ChunkWriter, completion_of, encoded, to_json

if TYPE_CHECKING:
    from lfm_adapter.types import JSONDict


async def chat_completions(request: web.Request) -> web.StreamResponse:
    """Answer a chat request, streamed or not."""
    call = Call(request.app[GATEWAY], request, await read_object(request))
    if call.is_stream:
        writer = ChunkWriter(call.route.models[0])
        headers: dict[str, str] = {}
        return await send_events(request, call.events(writer.events, headers), writer.error, headers)
    model, reply = await call.reply()
    return json_response(completion_of(reply, model), headers=call.answer_headers(model, reply.id))


def json_response(
    body: JSONDict, *, status: int = 200, reason: str | None = None, headers: dict[str, str] | None = None
) -> web.Response:
    """Return a response with `body` as JSON."""
    return web.Response(
        body=encoded(to_json(body)), status=status, reason=reason, content_type="application/json", headers=headers
    )
