"""The configuration of LiteLLM's Proxy for a model on this machine. Nobody edits it, so it is plain JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from lfm_adapter.apps.proxy_config import MASTER_KEY_VARIABLE, served_models

if TYPE_CHECKING:
    from lfm_adapter.types import JSONDict, ToolCalling

__all__ = ["local_config"]


def local_config(
    model: str, base_url: str, *, context_length: int, tool_calling: ToolCalling, max_tokens: int | None = None
) -> str:
    """Return a configuration, as YAML, in which one model answers to the names of all that `proxy_config` serves.

    So a client that was set up for OpenRouter's models works as it is. `/v1/models` lists the model under its own name
    alone.

    Args:
        model: The id of the model at `base_url`.
        base_url: A server on this machine.
        context_length: What it takes of prompt and answer together.
        tool_calling: How it is told of tools: "native", "prompted" or "auto".
        max_tokens: The most tokens of an answer where the client names no limit.
    """
    parameters: JSONDict = {
        "model": f"lfm/{model}",
        "api_base": base_url,
        "api_key": "none",  # a server on this machine asks for none, and the environment's is not for it
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
        "litellm_settings": {
            "custom_provider_map": [{"provider": "lfm", "custom_handler": "lfm_adapter.litellm.handler"}],
            "drop_params": True,
        },
        "router_settings": {
            "model_group_alias": {name: {"model": model, "hidden": True} for name in sorted(names)},
            "num_retries": 0,
            "timeout": 600,  # a laptop may read a long prompt for minutes
        },
        "general_settings": {"master_key": MASTER_KEY_VARIABLE, "trusted_proxy_ranges": []},
    }
    return json.dumps(config, indent=2)
