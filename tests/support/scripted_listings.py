"""What the scripted server answers to GET: the models, the endpoints of one, the key.

The models are Liquid's, their limits and prices as OpenRouter listed them in autumn 2026
(https://openrouter.ai/liquid); the rest of each object is made up in the shape of
https://openrouter.ai/docs/api-reference/list-available-models.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.support.http_reply import json_reply
from tests.support.openrouter_replies import CREATED, error

if TYPE_CHECKING:
    from tests.support.http_reply import Reply

__all__ = ["RETIRED", "SERVED", "ServedModel", "key_information", "model_endpoints", "model_list"]

SAMPLING = ("max_tokens", "temperature", "stop", "seed", "top_k", "min_p", "repetition_penalty")
TOOLS = ("tools", "tool_choice", "response_format", "structured_outputs")


@dataclass(frozen=True)
class ServedModel:
    """One model that the scripted server serves. Prices are US$ per token, as decimal strings."""

    model_id: str
    context_tokens: int
    max_output_tokens: int
    prompt_price: str
    completion_price: str
    parameters: tuple[str, ...]
    reasons: bool


SERVED = {
    model.model_id: model
    for model in (
        ServedModel(
            "liquid/lfm-2.5-2.6b:free",
            65536,
            8192,
            "0",
            "0",
            (*SAMPLING, *TOOLS, "reasoning", "include_reasoning"),
            True,
        ),
        ServedModel("liquid/lfm-3-1.7b", 262144, 8192, "0.00000008", "0.0000002", (*SAMPLING, *TOOLS), False),
        ServedModel("liquid/lfm-3-1.7b:free", 262144, 8192, "0", "0", (*SAMPLING, *TOOLS), False),
    )
}

RETIRED = frozenset(
    {
        "liquid/lfm-3b",
        "liquid/lfm-7b",
        "liquid/lfm-40b",
        "liquid/lfm-2.2-6b",
        "liquid/lfm2-8b-a1b",
        "liquid/lfm-2-24b-a2b",
        "liquid/lfm-2.5-1.2b-instruct:free",
        "liquid/lfm-2.5-1.2b-thinking:free",
    }
)


def model_list() -> Reply:
    """`GET /models`."""
    models = [_listed(model) for model in SERVED.values()]
    return json_reply({"data": models, "total_count": len(models), "links": {"next": None}})


def model_endpoints(model_id: str) -> Reply:
    """`GET /models/{author}/{slug}/endpoints`."""
    model = SERVED.get(model_id)
    if model is None:
        return error(404, "Not Found")
    endpoint = {
        "name": f"Liquid | {model.model_id}",
        "model_id": model.model_id,
        "model_name": _name(model),
        "context_length": model.context_tokens,
        "pricing": _pricing(model) | {"discount": 0},
        "provider_name": "Liquid",
        "tag": "liquid/fp8",
        "quantization": "fp8",
        "max_completion_tokens": model.max_output_tokens,
        "max_prompt_tokens": None,
        "supported_parameters": list(model.parameters),
        "status": 0,
        "uptime_last_30m": 100,
        "supports_implicit_caching": False,
        "latency_last_30m": None,
        "throughput_last_30m": None,
    }
    described = {"id": model.model_id, "name": _name(model), "created": CREATED, "description": "Made up for tests."}
    return json_reply({"data": described | {"architecture": _ARCHITECTURE, "endpoints": [endpoint]}})


def key_information() -> Reply:
    """`GET /key`, for a key without a limit."""
    spent = {
        f"{kind}{period}": 0 for kind in ("usage", "byok_usage") for period in ("", "_daily", "_weekly", "_monthly")
    }
    return json_reply(
        {
            "data": {
                "label": "a key made up for tests",
                "is_management_key": False,
                "limit": None,
                "limit_reset": None,
                "limit_remaining": None,
                "include_byok_in_limit": False,
                **spent,
                "is_free_tier": True,
                "expires_at": None,
                "free_model_daily_requests": {"used": 0, "limit": 50, "remaining": 50},
                "rate_limit": {"requests": -1, "interval": "10s", "note": "Deprecated."},
            }
        }
    )


_ARCHITECTURE = {
    "modality": "text->text",
    "input_modalities": ["text"],
    "output_modalities": ["text"],
    "tokenizer": "Other",
    "instruct_type": None,
}


def _listed(model: ServedModel) -> dict[str, Any]:
    return {
        "id": model.model_id,
        "canonical_slug": model.model_id.removesuffix(":free"),
        "name": _name(model),
        "created": CREATED,
        "description": "Made up for tests.",
        "context_length": model.context_tokens,
        "architecture": _ARCHITECTURE,
        "pricing": _pricing(model),
        "top_provider": {
            "context_length": model.context_tokens,
            "max_completion_tokens": model.max_output_tokens,
            "is_moderated": False,
        },
        "per_request_limits": None,
        "supported_parameters": list(model.parameters),
        "default_parameters": None,
        "expiration_date": None,
        "links": {"details": f"/api/v1/models/{model.model_id}/endpoints"},
        "reasoning": {"mandatory": True} if model.reasons else None,
    }


def _name(model: ServedModel) -> str:
    return f"LiquidAI: {model.model_id.removeprefix('liquid/')}"


def _pricing(model: ServedModel) -> dict[str, Any]:
    return {"prompt": model.prompt_price, "completion": model.completion_price}
