"""LiteLLM's messages as OpenRouter's; replies, whole or streamed, as LiteLLM's.

A chunk of a stream has the one form that LiteLLM 1.81 to 1.110 read correctly. LiteLLM documents
`GenericStreamingChunk`, which has no field for reasoning, log probabilities and ids. Since May 2026 it also takes a
`ModelResponseStream` (https://github.com/BerriAI/litellm/pull/27580), but drops the usage that comes with or after the
finish reason. So a chunk here is a generic one, from which LiteLLM reads text, finish reason and usage, with a
`ModelResponseStream` as its `original_chunk` for the rest. Chunks of plain text have none, which saves a fifth to a
third of their cost.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from litellm.types.utils import (
    Choices,
    Delta,
    EmbeddingResponse,
    Message,
    ModelResponse,
    ModelResponseStream,
    StreamingChoices,
    Usage,
)
from pydantic import BaseModel

from lfm_adapter._json import as_dict, as_number
from lfm_adapter._masking import shown
from lfm_adapter.errors import ConfigurationError
from lfm_adapter.litellm._model_cost import PROVIDER
from lfm_adapter.types import ToolCall

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lfm_adapter import types
    from lfm_adapter.types import Choice, EmbeddingReply, JSONDict, Reply

# Fields of LiteLLM's messages that OpenRouter does not know. LiteLLM makes `thinking_blocks` from `reasoning_details`.
_LITELLM_ONLY = frozenset({
    "annotations", "audio", "function_call", "images", "provider_specific_fields", "reasoning_content",
    "reasoning_items", "thinking_blocks",
})  # fmt: skip


def to_messages(messages: Any) -> list[JSONDict]:
    """Return messages in OpenRouter's form; an assistant's reasoning goes back as OpenRouter sent it."""
    if not isinstance(messages, list | tuple):
        raise ConfigurationError(f"`messages` must be a list, got {shown(messages)}.")
    return [_to_message(message) for message in messages]


def _to_message(given: Any) -> JSONDict:
    message: Any = given.model_dump() if isinstance(given, BaseModel) else given
    if not isinstance(message, Mapping):
        raise ConfigurationError(f'A message must be like {{"role": "user", "content": "…"}}, got {shown(given)}.')
    wire = {name: value for name, value in message.items() if name not in _LITELLM_ONLY and value is not None}
    wire.setdefault("content", None)  # LiteLLM leaves it out beside tool calls
    details = as_dict(message.get("provider_specific_fields")).get("reasoning_details")
    if details:
        wire.setdefault("reasoning_details", details)
    if message.get("reasoning_content") and "reasoning_details" not in wire:
        wire.setdefault("reasoning", message["reasoning_content"])
    return wire


def to_response(reply: Reply, model: str) -> ModelResponse:
    """Return a whole reply as LiteLLM's `ModelResponse`, with OpenRouter's id and reported cost."""
    usage, head = _to_usage(reply), _head(reply, model)
    choices = [_to_choice(index, choice, reply) for index, choice in enumerate(reply.choices)]
    response = ModelResponse(choices=choices, usage=usage and Usage(**usage), **head)
    if usage and "cost" in usage:
        response._hidden_params["response_cost"] = usage["cost"]  # LiteLLM takes it even if the caller set prices
    return response


def to_embedding_response(reply: EmbeddingReply, model: str) -> EmbeddingResponse:
    """Return vectors as LiteLLM's `EmbeddingResponse`, with OpenRouter's reported cost."""
    data = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(reply.vectors)]
    usage = _to_usage(reply)
    # `model` with `lfm/`: see `_head`.
    response = EmbeddingResponse(model=f"{PROVIDER}/{model}", data=data, usage=Usage(**usage) if usage else None)
    if usage and "cost" in usage:
        response._hidden_params["response_cost"] = usage["cost"]
    return response


_FINISH_REASONS = {"content_filter", "function_call", "length", "stop", "tool_calls"}


def _to_choice(index: int, choice: Choice, reply: Reply) -> Choices:
    message: Any = Message(
        content=choice.text or (None if choice.tool_calls else ""),
        tool_calls=[_to_tool_call(call) for call in choice.tool_calls] or None,
        reasoning_content=choice.reasoning or None,
        provider_specific_fields=_provider_fields(reply, choice) or None,
    )
    thinking = [
        {"type": "thinking", "thinking": detail["text"], "signature": detail.get("signature") or ""}
        for detail in choice.reasoning_details
        if detail.get("type") == "reasoning.text" and isinstance(detail.get("text"), str)
    ]
    # `Message(...)` would refuse a reply for an unexpected field within these.
    if thinking:
        message.thinking_blocks = thinking
    if citations := _citations(choice):
        message.annotations = citations
    fields = {"index": index, "finish_reason": choice.finish_reason, "message": message}
    try:
        return Choices(logprobs=choice.logprobs, **fields)
    except ValueError:  # older releases refuse fields of log probabilities and finish reasons that they do not know
        refused: dict[str, Any] = {"logprobs": choice.logprobs} if choice.logprobs else {}
        if choice.finish_reason and choice.finish_reason not in _FINISH_REASONS:
            refused["finish_reason"] = choice.finish_reason
            fields["finish_reason"] = "stop"  # what newer releases make of it
        message.provider_specific_fields = {**(message.provider_specific_fields or {}), **refused}
        return Choices(**fields)


class Chunk(dict[str, Any]):
    """A `GenericStreamingChunk` with the reply's id, if known. LiteLLM reads this attribute, or makes an id up."""

    id: str


def to_chunks(delta: types.Delta, model: str, log: Any) -> Iterator[Chunk]:
    """Yield the chunks, at least one, for a delta of the first choice or for the last delta of a stream.

    `log` is LiteLLM's `logging_obj` of the call, which computes the cost when the stream has ended.
    """
    if delta.reply is not None:
        yield from _final_chunks(delta.reply, model, log)
        return
    head = {"id": delta.generation_id} if delta.generation_id else {}
    if delta.text and not (delta.reasoning or delta.refusal or delta.logprobs):
        yield _generic(head, delta.text)
    else:
        refusal = {"refusal": delta.refusal} if delta.refusal else None
        fields = {"content": delta.text, "reasoning_content": delta.reasoning, "provider_specific_fields": refusal}
        fields = {name: value for name, value in fields.items() if value}
        if fields or delta.logprobs:
            yield _chunk(head, fields, logprobs=delta.logprobs)
    for call in delta.tool_calls:
        yield _chunk(head, {"tool_calls": [_to_tool_call(call)]}, tool_use=_to_tool_call(call))


def _final_chunks(reply: Reply, model: str, log: Any) -> Iterator[Chunk]:
    """Yield the other facts, then finish reason and usage together, since some releases stop at the finish reason."""
    choice, head, usage = reply.choices[0], _head(reply, model), _to_usage(reply)
    if log is not None and usage and "cost" in usage:
        log.litellm_params = _without_prices(log.litellm_params)  # LiteLLM 1.110 would take them instead of the cost
    facts = _provider_fields(reply, choice)
    facts.pop("refusal", None)  # was streamed
    fields: JSONDict = {"annotations": _citations(choice) or None, "provider_specific_fields": facts}
    if choice.tool_calls:  # without one, LiteLLM's `/v1/messages` would begin a text block after the calls
        nothing_more = ToolCall(choice.tool_calls[-1].index, None, None, "")
        fields["tool_calls"] = [_to_tool_call(nothing_more)]
    yield _chunk(head, fields)
    yield _chunk(head, {}, finish_reason=choice.finish_reason, usage=usage)


def _without_prices(params: JSONDict) -> JSONDict:
    """Return LiteLLM's parameters of a call without the prices of the caller or of the deployment."""
    return {
        name: _without_prices(value) if name in _WITH_PRICES and isinstance(value, dict) else value
        for name, value in params.items()
        if "_cost" not in name and "pricing" not in name
    }


_WITH_PRICES = ("metadata", "litellm_metadata", "model_info")


def _chunk(
    head: JSONDict,
    fields: JSONDict,
    *,
    logprobs: JSONDict | None = None,
    finish_reason: str | None = None,
    **generic: Any,
) -> Chunk:
    choice = StreamingChoices(index=0, delta=Delta(**fields), logprobs=logprobs, finish_reason=finish_reason)
    chunk = _generic(head, fields.get("content", ""), finish_reason or "")
    chunk.update(generic, original_chunk=ModelResponseStream(choices=[choice], **head))
    return chunk


def _generic(head: JSONDict, text: str, finish_reason: str = "") -> Chunk:
    is_finished = bool(finish_reason)
    chunk = Chunk(text=text, is_finished=is_finished, finish_reason=finish_reason, usage=None, index=0, tool_use=None)
    if "id" in head:
        chunk.id = head["id"]
    return chunk


def _head(reply: Reply, model: str) -> JSONDict:
    """Return the fields of a response or chunk beside its choices and usage."""
    fields = {
        # With `lfm/`, as in LiteLLM's price table: up to 1.106, LiteLLM cannot price other names.
        "model": f"{PROVIDER}/{model}",
        "id": reply.id,
        "created": reply.created or int(time.time()),
        "system_fingerprint": reply.system_fingerprint,
        "service_tier": reply.service_tier,
        "provider": reply.provider,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _citations(choice: Choice) -> list[JSONDict]:
    """Return the annotations that LiteLLM has a type for."""
    return [item for item in choice.annotations if item.get("type") == "url_citation"]


def _provider_fields(reply: Reply, choice: Choice) -> JSONDict:
    """Return `provider_specific_fields`: facts for which LiteLLM has no field, or one of another type."""
    names = ("reasoning_details", "refusal", "annotations", "parts", "images", "audio")
    facts = {**choice.extra, "model": reply.model, **{name: getattr(choice, name) for name in names}}
    known = {name: fact for name, fact in facts.items() if fact}
    return {**reply.metadata(), **known, **choice.metadata()}


def _to_tool_call(call: ToolCall) -> JSONDict:
    function = {"name": call.name, "arguments": call.arguments}
    return {"index": call.index, "id": call.id, "type": "function", "function": function}


def _to_usage(reply: Reply | EmbeddingReply) -> JSONDict | None:
    """Return the arguments of LiteLLM's `Usage`: integers where it wants them, and OpenRouter's own fields."""
    if not reply.usage:
        return None
    usage = dict(reply.usage)
    for name in ("prompt_tokens", "completion_tokens", "total_tokens"):
        usage[name] = int(as_number(usage.get(name)) or 0)
    for name in ("prompt_tokens_details", "completion_tokens_details"):
        counts = {key: as_number(count) for key, count in as_dict(usage.get(name)).items()}
        usage[name] = {key: int(count) for key, count in counts.items() if count is not None} or None
    reported = reply.cost is not None and reply.cost.source == "openrouter"
    usage["cost"] = float(reply.cost.total) if reply.cost is not None and reported else None
    return {name: value for name, value in usage.items() if value is not None}
