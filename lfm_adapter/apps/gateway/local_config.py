"""The Proxy's configuration for a model on this machine. Nobody edits it, so it is plain JSON, which is YAML too."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal

from lfm_adapter.apps.proxy_config import LITELLM_PROVIDER, MASTER_KEY_VARIABLE, served_models

if TYPE_CHECKING:
    from lfm_adapter.types import JSONDict

__all__ = ["local_config"]


def local_config(
    model: str,
    base_url: str,
    *,
    context_length: int,
    tool_calling: Literal["native", "prompted"],
    max_tokens: int | None = None,
) -> str:
    """Return a configuration in which one model answers to the names of all models that `proxy_config` serves.

    So clients that are set up for OpenRouter's models keep working. `/v1/models` lists only the model's own name.

    Args:
        model: The model's id at `base_url`.
        base_url: A server on this machine.
        context_length: Its context in tokens.
        tool_calling: See `ClientOptions.tool_calling`.
        max_tokens: Maximum tokens of an answer, unless the client sets its own.
    """
    parameters: JSONDict = {
        "model": f"lfm/{model}",
        "api_base": base_url,
        "api_key": "none",  # keeps the key of the environment from being sent
        "tool_calling": tool_calling,
    }
    if max_tokens is not None:
        parameters["max_tokens"] = max_tokens
    info = {
        "id": model,
        "mode": "chat",
        "max_input_tokens": context_length,
        "max_tokens": max_tokens or context_length,
        "input_cost_per_token": 0,
        "output_cost_per_token": 0,
        "cache_read_input_token_cost": 0,
        "cache_creation_input_token_cost": 0,
        "supports_function_calling": True,
        "supports_response_schema": True,
        "supports_system_messages": True,
    }
    names = {name for card in served_models() for name in (card.id, *card.aliases)}
    config = {
        "model_list": [{"model_name": model, "litellm_params": parameters, "model_info": info}],
        "litellm_settings": {"custom_provider_map": [LITELLM_PROVIDER], "drop_params": True},
        "router_settings": {
            "model_group_alias": {name: {"model": model, "hidden": True} for name in sorted(names)},
            "num_retries": 0,
            "timeout": 600,  # a laptop may take minutes to read a long prompt
        },
        "general_settings": {"master_key": MASTER_KEY_VARIABLE, "trusted_proxy_ranges": []},
    }
    return json.dumps(config, indent=2)
