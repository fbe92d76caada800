"""`/v1/systemone` and OpenRouter's `/api/alpha/decisions`: typed questions for decision models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lfm_adapter._client.request import DEFAULT_MODELS
from lfm_adapter.apps.gateway.call import GATEWAY, UpstreamCall, model_of, read_object
from lfm_adapter.apps.gateway.chat import json_response
from lfm_adapter.apps.gateway.errors import GatewayError

if TYPE_CHECKING:
    from aiohttp import web

    from lfm_adapter.types import JSONDict


async def decisions(request: web.Request) -> web.Response:
    """Answer the questions of a request.

    Raises:
        GatewayError: The request is malformed, its model is not a decision model, or no answer came in time.
    """
    gateway, fields = request.app[GATEWAY], await read_object(request)
    name = model_of(fields, DEFAULT_MODELS["decisions"])
    call = UpstreamCall(gateway, request, gateway.models.route(name, "decisions"))
    questions = fields.pop("questions", None)
    state = _with_images(fields.pop("state", None), fields)
    fields.pop("stream", None)  # no server streams decisions
    model, reply = await call.first_answer(
        lambda client, model: client.decide(state, questions, model=model, extra_body=fields)
    )
    body = reply.to_wire()
    if reply.usage is not None and reply.cost is not None:
        body["usage"] = reply.usage | {"cost": float(reply.cost.total)}
    return json_response(body, headers=call.answer_headers(model, reply.id))


def _with_images(state: Any, fields: JSONDict) -> Any:
    """Return the state with the images in `images`, a field of Liquid's own API, or `files`, one of llama.cpp."""
    images = [image for name in ("images", "files") for image in fields.pop(name, None) or ()]
    if not images:
        return state
    parts = state if isinstance(state, list) else [] if state is None else [state]
    return [*parts, *map(_image, images)]


def _image(image: object) -> JSONDict:
    match image:
        case str():
            return {"type": "image_url", "image_url": {"url": image}}
        case {"content_type": str(kind), "base64": str(data)}:
            return {"type": "image_url", "image_url": {"url": f"data:{kind};base64,{data}"}}
    raise GatewayError(400, "Each of `images` must be a data URL, or an object with `content_type` and `base64`.")
