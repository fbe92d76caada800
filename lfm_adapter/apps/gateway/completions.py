"""`/v1/completions`, the older API for a single prompt, which is sent as a user message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfm_adapter.apps.gateway.call import GATEWAY, Call, read_object
from lfm_adapter.apps.gateway.chat import json_response
from lfm_adapter.apps.gateway.errors import GatewayError
from lfm_adapter.apps.gateway.sse import send_events
from lfm_adapter.apps.gateway.wire import DONE, completion_of, event_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohttp import web

    from lfm_adapter.types import Delta, JSONDict, Reply

_REFUSED = ("suffix", "echo", "best_of")


async def completions(request: web.Request) -> web.StreamResponse:
    """Answer a completion request, streamed or not.

    Raises:
        GatewayError: The request needs what a chat model cannot do.
    """
    body = await read_object(request)
    refused = next((name for name in _REFUSED if body.get(name)), None)
    if refused:
        raise GatewayError(400, f"`{refused}` does not work with chat models. Use /v1/chat/completions.")
    prompt = body.pop("prompt", None)
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if not isinstance(prompt, str) or not prompt:
        raise GatewayError(400, "`prompt` must be a single non-empty string.")
    call = Call(request.app[GATEWAY], request, body | {"messages": [{"role": "user", "content": prompt}]})
    if call.is_stream:
        headers: dict[str, str] = {}
        events = call.events(lambda deltas: _events_of(deltas, headers["X-LFM-Model"]), headers)
        return await send_events(request, events, _error_event, headers)
    model, reply = await call.reply()
    return json_response(_completion(completion_of(reply, model)), headers=call.answer_headers(model, reply.id))


def _events_of(deltas: Sequence[Delta], model: str) -> bytes:
    return b"".join(event_of(_piece(delta, model)) for delta in deltas if delta.text) + (
        _last_event(deltas[-1].reply, model) if deltas[-1].reply else b""
    )


def _piece(delta: Delta, model: str) -> JSONDict:
    choice = {"index": delta.index, "text": delta.text, "logprobs": None, "finish_reason": None}
    return {"id": delta.generation_id, "object": "text_completion", "model": model, "choices": [choice]}


def _last_event(reply: Reply, model: str) -> bytes:
    last = _completion(completion_of(reply, model))
    for choice in last["choices"]:
        choice["text"] = ""
    return event_of(last) + DONE


def _completion(chat: JSONDict) -> JSONDict:
    choices = [
        {
            "index": choice["index"],
            "text": choice["message"]["content"] or "",
            "logprobs": choice["logprobs"],
            "finish_reason": choice["finish_reason"],
        }
        for choice in chat["choices"]
    ]
    return chat | {"object": "text_completion", "choices": choices}


def _error_event(error: GatewayError) -> bytes:
    return event_of(error.body()) + DONE
