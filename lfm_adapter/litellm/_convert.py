"""Between LiteLLM's messages and the wire's, and from a whole reply to LiteLLM's `ModelResponse`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from litellm.types.utils import Choices, Message, ModelResponse, Usage

from lfm_adapter._json import as_dict, as_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lfm_adapter.types import Choice, JSONDict, Reply, ToolCall

__all__ = [
    "call_of",
    "choice_fields",
    "head_of",
    "message_fields",
    "reply_fields",
    "response_of",
    "to_wire",
    "usage_of",
]

# What LiteLLM has in a message and OpenRouter does not know. `thinking_blocks` are made from `reasoning_details`.
_NOT_WIRE = frozenset({
    "annotations", "audio", "function_call", "images", "provider_specific_fields", "reasoning_content",
    "reasoning_items", "thinking_blocks",
})  # fmt: skip


def to_wire(messages: Iterable[Any]) -> list[JSONDict]:
    """Return messages as they go over the wire; an assistant's reasoning goes back as OpenRouter sent it."""
    return [_wire_message(message if isinstance(message, dict) else message.model_dump()) for message in messages]


def _wire_message(message: Mapping[str, Any]) -> JSONDict:
    wire = {name: value for name, value in message.items() if name not in _NOT_WIRE and value is not None}
    wire.setdefault("content", None)  # beside tool calls; LiteLLM leaves it out
    details = as_dict(message.get("provider_specific_fields")).get("reasoning_details")
    if details:
        wire.setdefault("reasoning_details", details)
    if message.get("reasoning_content") and "reasoning_details" not in wire:
        wire.setdefault("reasoning", message["reasoning_content"])
    return wire


def response_of(reply: Reply, model: str) -> ModelResponse:
    """Return a whole reply as LiteLLM's `ModelResponse`.

    Args:
        reply: The reply.
        model: The model's name as LiteLLM's price table has it, with `lfm/`: to some releases of LiteLLM a reply that
            names another one costs nothing.

    Returns:
        The response. Its `id` is OpenRouter's. What LiteLLM has no field for stands in `provider_specific_fields` of
        the message. The cost that OpenRouter reports is in the hidden parameters, from which LiteLLM takes it.
    """
    response = ModelResponse(
        model=model,
        choices=[_choice(index, choice, reply_fields(reply)) for index, choice in enumerate(reply.choices)],
        usage=None if reply.usage is None else Usage(**usage_of(reply)),
        **head_of(reply),
    )
    cost = _reported_cost(reply)
    if cost is not None:
        response._hidden_params["additional_headers"] = {"llm_provider-x-litellm-response-cost": cost}
    return response


def _choice(index: int, choice: Choice, facts: JSONDict) -> Choices:
    facts = {**facts, **choice_fields(choice)}
    try:
        return _made(index, choice, facts, message_fields(choice), choice.logprobs)
    except ValueError:  # pydantic's: some field is of another kind than LiteLLM's types say
        apart = {"images": choice.images, "logprobs": choice.logprobs}
        return _made(index, choice, facts | {name: value for name, value in apart.items() if value}, {}, None)


def _made(index: int, choice: Choice, facts: JSONDict, fields: JSONDict, logprobs: JSONDict | None) -> Choices:
    message = Message(
        content=choice.text or (None if choice.tool_calls else ""),
        tool_calls=[call_of(call) for call in choice.tool_calls] or None,
        reasoning_content=choice.reasoning or None,
        **fields,
        provider_specific_fields=facts or None,
    )
    return Choices(index=index, finish_reason=choice.finish_reason, logprobs=logprobs, message=message)


def head_of(reply: Reply) -> JSONDict:
    """Return what is said of the reply as a whole, under OpenAI's names and OpenRouter's."""
    named = {
        "id": reply.id,
        "created": reply.created or int(time.time()),
        "system_fingerprint": reply.system_fingerprint,
        "service_tier": reply.service_tier,
        "provider": reply.provider,
    }
    return {name: value for name, value in named.items() if value is not None}


def reply_fields(reply: Reply) -> JSONDict:
    """Return the facts about a reply that LiteLLM has no field for."""
    fit = reply.token_limits
    usage = reply.usage or {}
    facts = {
        **reply.extra,
        "model": reply.model,
        "provider": reply.provider,
        "cost": None if reply.cost is None else float(reply.cost.total),
        "cost_source": None if reply.cost is None else reply.cost.source,
        "cost_details": usage.get("cost_details"),
        "is_byok": usage.get("is_byok"),
        "output_retries": reply.output_retries or None,
        "validation_error": reply.validation_error,
        "max_tokens_clamped": {"from": fit.clamped_from, "to": fit.max_tokens} if fit and fit.clamped_from else None,
    }
    return {name: value for name, value in facts.items() if value is not None}


def choice_fields(choice: Choice) -> JSONDict:
    """Return the facts about an answer that LiteLLM has no field for, and those that its fields cannot hold."""
    facts = {
        **choice.extra,
        "native_finish_reason": choice.native_finish_reason,
        "tool_call_errors": {call.id: call.error for call in choice.tool_calls if call.error},
        "reasoning_details": choice.reasoning_details,
        "refusal": choice.refusal,
        "annotations": choice.annotations,
        "parts": choice.parts,
        "audio": choice.audio,
    }
    return {name: value for name, value in facts.items() if value}


def message_fields(choice: Choice) -> JSONDict:
    """Return what LiteLLM has fields for, of the kinds that they hold."""
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


def call_of(call: ToolCall) -> JSONDict:
    """Return a tool call, or a piece of one."""
    function = {"name": call.name, "arguments": call.arguments}
    return {"index": call.index, "id": call.id, "type": "function", "function": function}


def usage_of(reply: Reply) -> JSONDict:
    """Return the arguments of LiteLLM's `Usage`: numbers of a kind that it takes, and OpenRouter's own fields."""
    usage: JSONDict = dict(reply.usage or {})
    for name in ("prompt_tokens", "completion_tokens", "total_tokens"):
        usage[name] = int(as_number(usage.get(name)) or 0)
    for name in ("prompt_tokens_details", "completion_tokens_details"):
        counts = {key: as_number(count) for key, count in as_dict(usage.get(name)).items()}
        usage[name] = {key: int(count) for key, count in counts.items() if count is not None} or None
    usage["cost"] = _reported_cost(reply)
    return {name: value for name, value in usage.items() if value is not None}


def _reported_cost(reply: Reply) -> float | None:
    """Return what OpenRouter says that a reply cost, in US$."""
    return float(reply.cost.total) if reply.cost is not None and reply.cost.source == "openrouter" else None
