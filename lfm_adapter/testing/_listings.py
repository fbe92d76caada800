"""Replies to GET requests: the catalogue's models, the endpoints of one, the key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from lfm_adapter.testing._reply import ScriptedReply, json_reply
from lfm_adapter.testing._wire import CREATED, error

if TYPE_CHECKING:
    from lfm_adapter.types import ModelCard


def model_list() -> ScriptedReply:
    """Return the reply to `GET /models`: the chat models of the catalogue that OpenRouter serves."""
    data = [_listed(card) for card in _served()]
    return json_reply({"data": data})


def key_info(*, limit: float | None = None, used: float = 0) -> ScriptedReply:
    """Return the reply to `GET /key`.

    Args:
        limit: What the key may spend, in US$; None for a key without a limit.
        used: What it has spent, in US$.
    """
    data = {
        "label": "a key made up for tests",
        "limit": limit,
        "limit_remaining": None if limit is None else limit - used,
        "usage": used,
        "is_free_tier": True,
        "free_model_daily_requests": {"used": 0, "limit": 50, "remaining": 50},
    }
    return json_reply({"data": data})


def listing(path: str, *, has_key: bool) -> ScriptedReply:
    """Return the reply to a GET of `path`."""
    path = unquote(path)
    if path == "/models":
        return model_list()
    if path == "/key":
        return key_info() if has_key else error(401, "No cookie auth credentials found")
    if path == "/generation":
        return json_reply({"data": {"total_cost": 0.00002, "cancelled": True, "provider_name": "Liquid"}})
    model_id = path.removeprefix("/models/").removesuffix("/endpoints")
    card = next((card for card in _served() if card.id == model_id), None)
    return error(404, "Not Found") if card is None else _endpoints(card)


def _served() -> list[ModelCard]:
    from lfm_adapter import catalog  # on use: it takes a millisecond

    return [card for card in catalog.models() if card.kind == "chat" and card.status == "live"]


def _listed(card: ModelCard) -> dict[str, Any]:
    """Return a model as `GET /models` lists it."""
    limits = {"context_length": card.context_length, "max_completion_tokens": card.max_output_tokens}
    return {
        "id": card.id,
        "canonical_slug": card.id.removesuffix(":free"),
        "name": card.name,
        "created": CREATED,
        "architecture": {"input_modalities": ["text"], "output_modalities": ["text"]},
        "context_length": card.context_length,
        "pricing": {"prompt": f"{card.pricing.prompt:f}", "completion": f"{card.pricing.completion:f}"},
        "top_provider": limits | {"is_moderated": False},
        "supported_parameters": sorted(card.supported_parameters or ()),
        "reasoning": {"mandatory": True} if card.capabilities.reasoning_mandatory else None,
    }


def _endpoints(card: ModelCard) -> ScriptedReply:
    listed = _listed(card)
    described = {name: listed[name] for name in ("id", "name", "created", "architecture")}
    endpoint = {name: listed[name] for name in ("context_length", "pricing", "supported_parameters")}
    endpoint |= {"provider_name": "Liquid", "tag": "liquid/fp8", "quantization": "fp8", "status": 0}
    endpoint |= {"max_completion_tokens": card.max_output_tokens, "max_prompt_tokens": None, "uptime_last_30m": 100}
    return json_reply({"data": described | {"endpoints": [endpoint]}})
