"""Converts LiteLLM's messages to OpenRouter's, and a whole reply to LiteLLM's `ModelResponse`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from litellm.types.utils import Choices, Message, ModelResponse, Usage

from lfm_adapter._json import as_dict, as_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lfm_adapter.types import Choice, JSONDict, Reply, ToolCall

__all__ = [
    "message_fields",
    "provider_fields",
    "response_fields",
    "to_messages",
    "to_response",
    "to_tool_call",
    "to_usage",
]

# Fields of LiteLLM's messages that OpenRouter does not know. LiteLLM makes `thinking_blocks` from `reasoning_details`.
_LITELLM_ONLY = frozenset({
    "annotations", "audio", "function_call", "images", "provider_specific_fields", "reasoning_content",
    "reasoning_items", "thinking_blocks",
})  # fmt: skip


def to_messages(messages: Iterable[Any]) -> list[JSONDict]:
    """Return messages in OpenRouter's form; an assistant's reasoning goes back as OpenRouter sent it."""
    return [_to_message(message if isinstance(message, dict) else message.model_dump()) for message in messages]


def _to_message(message: Mapping[str, Any]) -> JSONDict:
    wire = {name: value for name, value in message.items() if name not in _LITELLM_ONLY and value is not None}
    wire.setdefault("content", None)  # LiteLLM leaves it out beside tool calls
    details = as_dict(message.get("provider_specific_fields")).get("reasoning_details")
    if details:
        wire.setdefault("reasoning_details", details)
    if message.get("reasoning_content") and "reasoning_details" not in wire:
        wire.setdefault("reasoning", message["reasoning_content"])
    return wire


def to_response(reply: Reply, model: str) -> ModelResponse:
    """Return a whole reply as LiteLLM's `ModelResponse`, with OpenRouter's id and reported cost.

    `model` is the name with `lfm/`, as in LiteLLM's price table: up to 1.106, LiteLLM cannot price other names.
    """
    response = ModelResponse(
        model=model,
        choices=[_to_choice(index, choice, reply) for index, choice in enumerate(reply.choices)],
        usage=None if reply.usage is None else Usage(**to_usage(reply)),
        **response_fields(reply),
    )
    cost = _reported_cost(reply)
    if cost is not None:  # LiteLLM takes it from here
        response._hidden_params["additional_headers"] = {"llm_provider-x-litellm-response-cost": cost}
    return response


def _to_choice(index: int, choice: Choice, reply: Reply) -> Choices:
    facts = provider_fields(reply, choice)
    try:
        return _make_choice(index, choice, facts, message_fields(choice), choice.logprobs)
    except ValueError:  # Pydantic's: a field has another type than LiteLLM declares
        untyped = {"images": choice.images, "logprobs": choice.logprobs}
        return _make_choice(index, choice, facts | {name: value for name, value in untyped.items() if value}, {}, None)


def _make_choice(index: int, choice: Choice, facts: JSONDict, fields: JSONDict, logprobs: JSONDict | None) -> Choices:
    message = Message(
        content=choice.text or (None if choice.tool_calls else ""),
        tool_calls=[to_tool_call(call) for call in choice.tool_calls] or None,
        reasoning_content=choice.reasoning or None,
        **fields,
        provider_specific_fields=facts or None,
    )
    return Choices(index=index, finish_reason=choice.finish_reason, logprobs=logprobs, message=message)


def response_fields(reply: Reply) -> JSONDict:
    """Return the fields that a `ModelResponse` or a chunk has beside its choices and usage."""
    fields = {
        "id": reply.id,
        "created": reply.created or int(time.time()),
        "system_fingerprint": reply.system_fingerprint,
        "service_tier": reply.service_tier,
        "provider": reply.provider,
    }
    return {name: value for name, value in fields.items() if value is not None}


def provider_fields(reply: Reply, choice: Choice) -> JSONDict:
    """Return `provider_specific_fields`: facts that LiteLLM has no field for, or whose type its fields do not take."""
    facts = {
        **choice.extra,
        "model": reply.model,
        "reasoning_details": choice.reasoning_details,
        "refusal": choice.refusal,
        "annotations": choice.annotations,
        "parts": choice.parts,
        "audio": choice.audio,
    }
    known = {name: fact for name, fact in facts.items() if fact}
    return {**reply.metadata(), **known, **choice.metadata()}


def message_fields(choice: Choice) -> JSONDict:
    """Return the fields that LiteLLM declares for a message, without items of other types."""
    citations = [item for item in choice.annotations if item.get("type") == "url_citation"]
    images = [
        {"type": "image_url", "index": index, "image_url": image["image_url"]}
        for index, image in enumerate(choice.images)
        if isinstance(as_dict(image.get("image_url")).get("url"), str)
    ]
    thinking = [
        {"type": "thinking", "thinking": detail["text"], "signature": detail.get("signature") or ""}
        for detail in choice.reasoning_details
        if detail.get("type") == "reasoning.text" and isinstance(detail.get("text"), str)
    ]
    fields = {"annotations": citations, "images": images, "thinking_blocks": thinking}
    return {name: value for name, value in fields.items() if value}


def to_tool_call(call: ToolCall) -> JSONDict:
    """Return a tool call, or a piece of one."""
    function = {"name": call.name, "arguments": call.arguments}
    return {"index": call.index, "id": call.id, "type": "function", "function": function}


def to_usage(reply: Reply) -> JSONDict:
    """Return the arguments of LiteLLM's `Usage`: integers where it wants them, and OpenRouter's own fields."""
    usage: JSONDict = dict(reply.usage or {})
    for name in ("prompt_tokens", "completion_tokens", "total_tokens"):
        usage[name] = int(as_number(usage.get(name)) or 0)
    for name in ("prompt_tokens_details", "completion_tokens_details"):
        counts = {key: as_number(count) for key, count in as_dict(usage.get(name)).items()}
        usage[name] = {key: int(count) for key, count in counts.items() if count is not None} or None
    usage["cost"] = _reported_cost(reply)
    return {name: value for name, value in usage.items() if value is not None}


def _reported_cost(reply: Reply) -> float | None:
    """Return the cost in US$ if OpenRouter reported it."""
    return float(reply.cost.total) if reply.cost is not None and reply.cost.source == "openrouter" else None
