"""`/v1/completions`: the older API of prompts without roles. The prompt goes out as the words of a user."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfm_adapter.apps.gateway.call import GATEWAY, Call, read_object
from lfm_adapter.apps.gateway.chat import answer_headers, json_response
from lfm_adapter.apps.gateway.errors import GatewayError
from lfm_adapter.apps.gateway.sse import send_events
from lfm_adapter.apps.gateway.wire import DONE, completion_of, to_json

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from aiohttp import web

    from lfm_adapter.types import JSONDict

__all__ = ["completions"]

_REFUSED = ("suffix", "echo", "best_of")


async def completions(request: web.Request) -> web.StreamResponse:
    """Answer a completion request, streamed or not.

    Raises:
        GatewayError: The request asks for what a chat model cannot do.
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
        return await send_events(request, _events(call, headers), _error_event, headers)
    model, reply = await call.reply()
    return json_response(_completion(completion_of(reply, model)), headers=answer_headers(call, model, reply.id))


async def _events(call: Call, headers: dict[str, str]) -> AsyncGenerator[bytes]:
    model, stream, delta = await call.open_stream()
    headers |= answer_headers(call, model, delta.generation_id)
    async with stream:
        while delta.reply is None:
            if delta.text:
                choice = {"index": delta.index, "text": delta.text, "logprobs": None, "finish_reason": None}
                yield _event(
                    {"id": delta.generation_id, "object": "text_completion", "model": model, "choices": [choice]}
                )
            delta = await anext(stream)
    last = _completion(completion_of(delta.reply, model))
    for choice in last["choices"]:
        choice["text"] = ""
    yield _event(last) + DONE


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
    return _event(error.body()) + DONE


def _event(body: JSONDict) -> bytes:
    return f"data: {to_json(body)}\n\n".encode("utf-8", "replace")
