"""What the scripted server answers to GET: the catalogue's models, the endpoints of one, the key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from lfm_adapter.testing._reply import ScriptedReply, json_reply
from lfm_adapter.testing._wire import CREATED, error

if TYPE_CHECKING:
    from lfm_adapter.types import ModelCard

__all__ = ["key_info", "listing", "model_list"]


def model_list() -> ScriptedReply:
    """Return the reply to `GET /models`: the chat models that OpenRouter serves, as the catalogue has them."""
    data = [_listed(card) for card in _served()]
    return json_reply({"data": data, "total_count": len(data), "links": {"next": None}})


def key_info(*, limit: float | None = None, used: float = 0) -> ScriptedReply:
    """Return the reply to `GET /key`.

    Args:
        limit: What the key may spend, in US$; None for a key without a limit.
        used: What it has spent, in US$.
    """
    spent = {
        f"{kind}{period}": used * (kind == "usage")
        for kind in ("usage", "byok_usage")
        for period in ("", "_daily", "_weekly", "_monthly")
    }
    data = {
        "label": "a key made up for tests",
        "is_management_key": False,
        "limit": limit,
        "limit_reset": None,
        "limit_remaining": None if limit is None else limit - used,
        "include_byok_in_limit": False,
        **spent,
        "is_free_tier": True,
        "expires_at": None,
        "free_model_daily_requests": {"used": 0, "limit": 50, "remaining": 50},
        "rate_limit": {"requests": -1, "interval": "10s", "note": "Deprecated."},
    }
    return json_reply({"data": data})


def listing(path: str, *, has_key: bool) -> ScriptedReply:
    """Return the reply to a GET of `path`."""
    path = unquote(path)
    if path == "/models":
        return model_list()
    if path == "/key":
        return key_info() if has_key else error(401, "No cookie auth credentials found")
    model_id = path.removeprefix("/models/").removesuffix("/endpoints")
    card = next((card for card in _served() if card.id == model_id), None)
    return error(404, "Not Found") if card is None else _endpoints(card)


def _served() -> list[ModelCard]:
    from lfm_adapter import catalog  # costs a millisecond that other tests of the process need not pay

    return [card for card in catalog.models() if card.kind == "chat" and card.status == "live"]


def _listed(card: ModelCard) -> dict[str, Any]:
    limits = {"context_length": card.context_length, "max_completion_tokens": card.max_output_tokens}
    return _described(card) | {
        "canonical_slug": card.id.removesuffix(":free"),
        "context_length": card.context_length,
        "pricing": _pricing(card),
        "top_provider": limits | {"is_moderated": False},
        "per_request_limits": None,
        "supported_parameters": sorted(card.supported_parameters or ()),
        "default_parameters": None,
        "expiration_date": None,
        "links": {"details": f"/api/v1/models/{card.id}/endpoints"},
        "reasoning": {"mandatory": True} if card.capabilities.reasoning_mandatory else None,
    }


def _endpoints(card: ModelCard) -> ScriptedReply:
    endpoint = {
        "name": f"Liquid | {card.id}",
        "model_id": card.id,
        "model_name": card.name,
        "context_length": card.context_length,
        "pricing": _pricing(card) | {"discount": 0},
        "provider_name": "Liquid",
        "tag": "liquid/fp8",
        "quantization": "fp8",
        "max_completion_tokens": card.max_output_tokens,
        "max_prompt_tokens": None,
        "supported_parameters": sorted(card.supported_parameters or ()),
        "status": 0,
        "uptime_last_30m": 100,
        "supports_implicit_caching": False,
        "latency_last_30m": None,
        "throughput_last_30m": None,
    }
    return json_reply({"data": _described(card) | {"endpoints": [endpoint]}})


def _described(card: ModelCard) -> dict[str, Any]:
    texts = {"input_modalities": ["text"], "output_modalities": ["text"]}
    return {
        "id": card.id,
        "name": card.name,
        "created": CREATED,
        "description": "Made up for tests.",
        "architecture": {"modality": "text->text", "tokenizer": "Other", "instruct_type": None} | texts,
    }


def _pricing(card: ModelCard) -> dict[str, Any]:
    return {"prompt": f"{card.pricing.prompt:f}", "completion": f"{card.pricing.completion:f}"}
