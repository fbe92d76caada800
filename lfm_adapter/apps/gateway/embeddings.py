"""`/v1/embeddings`, and the list of its models."""

from __future__ import annotations

import base64
import struct
from typing import TYPE_CHECKING, Any

from lfm_adapter._client.request import DEFAULT_MODELS
from lfm_adapter._openrouter.embeddings import role_of
from lfm_adapter.apps.gateway.call import GATEWAY, UpstreamCall, model_of, read_object
from lfm_adapter.apps.gateway.chat import json_response
from lfm_adapter.apps.gateway.errors import GatewayError

if TYPE_CHECKING:
    from aiohttp import web

    from lfm_adapter.types import EmbeddingReply, JSONDict


class _EmbeddingsCall(UpstreamCall):
    _advice = "Try again, or send fewer texts."


async def embeddings(request: web.Request) -> web.Response:
    """Embed the texts of a request.

    Raises:
        GatewayError: The request is malformed, its model is not an embedding model, or no answer came in time.
    """
    gateway, fields = request.app[GATEWAY], await read_object(request)
    name = model_of(fields, DEFAULT_MODELS["embeddings"])
    call = _EmbeddingsCall(gateway, request, gateway.models.route(name, "embeddings"))
    texts = _texts(fields.pop("input", None))
    role = role_of(fields.pop("input_type", None), texts)
    encoding = fields.pop("encoding_format", None) or "float"
    if encoding not in ("float", "base64"):
        raise GatewayError(400, f"`encoding_format` must be 'float' or 'base64', got {encoding!r}.")
    model, reply = await call.first_answer(
        lambda client, model: client.embed(texts, role=role, model=model, extra_body=fields)
    )
    body = _body(reply, model, is_base64=encoding == "base64")
    return json_response(body, headers=call.answer_headers(model, reply.id))


async def embedding_models(request: web.Request) -> web.Response:
    """List the embedding models. As on OpenRouter, `/models` leaves them out."""
    return json_response({"object": "list", "data": request.app[GATEWAY].models.listing("embeddings")})


def _texts(given: object) -> list[str]:
    texts: list[Any] = given if isinstance(given, list) else [given]
    if texts and all(isinstance(text, int | list) for text in texts):
        raise GatewayError(
            400,
            "`input` must be text, because token ids are those of another model's tokenizer. LangChain's "
            "OpenAIEmbeddings sends text with `check_embedding_ctx_length=False`.",
        )
    if not texts or not all(isinstance(text, str) for text in texts):
        raise GatewayError(400, "`input` must be a string or a list of strings.")
    return texts


def _body(reply: EmbeddingReply, model: str, *, is_base64: bool) -> JSONDict:
    usage = {"prompt_tokens": 0, "total_tokens": 0, **(reply.usage or {})}
    if reply.cost is not None and usage.get("cost") is None:
        usage["cost"] = float(reply.cost.total)
    data = [
        {"object": "embedding", "index": index, "embedding": _base64(vector) if is_base64 else vector}
        for index, vector in enumerate(reply.vectors)
    ]
    facts = {"id": reply.id, "model": reply.model or model, "provider": reply.provider}
    known = {name: fact for name, fact in facts.items() if fact is not None}
    return {"object": "list", "data": data, **known, "usage": usage}


def _base64(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
