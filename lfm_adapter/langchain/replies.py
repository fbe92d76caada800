"""Replies to LangChain's messages, whole or in chunks."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from langchain_core.messages import AIMessage, ai
from langchain_core.messages.ai import InputTokenDetails, OutputTokenDetails, UsageMetadata
from langchain_core.messages.tool import invalid_tool_call, tool_call, tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk
from pydantic import ConfigDict

from lfm_adapter.langchain.blocks import PROVIDER, settled_blocks
from lfm_adapter.langchain.copies import Copies
from lfm_adapter.openrouter.lenient import as_dict, as_number

if TYPE_CHECKING:
    from collections.abc import Iterable

    from langchain_core.messages import InvalidToolCall
    from langchain_core.messages import ToolCall as LangChainToolCall

    from lfm_adapter.openrouter.values import Choice, Delta, Reply
    from lfm_adapter.openrouter.wire import JSONDict

__all__ = ["AIMessageChunk", "closing_chunk", "to_chunk", "to_message"]


class _Whole:
    """Stands where LangChain's `message_chunk_to_message` looks for the class of a whole message: right after ours."""

    def __new__(cls, *_: Any, **fields: Any) -> Any:
        return AIMessage(**fields) if cls is _Whole else super().__new__(cls)


class AIMessageChunk(_Whole, ai.AIMessageChunk):
    """A chunk whose sum ends like the message of `invoke`.

    LangChain completes the arguments of a tool call while they arrive, and leaves them so at the end of the stream: a
    call cut off at `max_tokens` would look whole, and an agent would run it with half of its arguments
    (https://github.com/langchain-ai/langchain/issues/39275). Here the end of the stream settles what was called.
    """

    model_config = ConfigDict(defer_build=True)

    def __add__(self, other: Any) -> ai.AIMessageChunk:  # type: ignore[override]  # BaseMessage adds up to a prompt
        """Return the sum, which is a plain chunk of LangChain's once it holds the last one."""
        total = cast("ai.AIMessageChunk", super().__add__(other))
        return _settled(total) if total.chunk_position == "last" else total

    @classmethod
    def lc_id(cls) -> list[str]:
        """Serialize as LangChain's own class."""
        return ai.AIMessageChunk.lc_id()


def _settled(total: ai.AIMessageChunk) -> ai.AIMessageChunk:
    whole = ai.AIMessageChunk(**dict(total))
    errors = as_dict(whole.response_metadata.get("tool_call_errors"))
    whole.tool_calls, whole.invalid_tool_calls = _parsed_calls(
        (call["id"], call["name"], call["args"] or "", errors.get(call["id"] or "")) for call in whole.tool_call_chunks
    )
    if whole.response_metadata.get("output_version") == "v1" and isinstance(whole.content, list):
        whole.content = [*settled_blocks(whole.content, whole.invalid_tool_calls)]
    return whole


def to_message(reply: Reply, choice: Choice) -> AIMessage:
    """Return one choice of a reply as a message."""
    calls, invalid = _parsed_calls((call.id, call.name, call.arguments, call.error) for call in choice.tool_calls)
    return AIMessage(
        content=[choice.text, *choice.parts] if choice.parts else choice.text,
        tool_calls=calls,
        invalid_tool_calls=invalid,
        additional_kwargs=_additional(choice, streamed=False),
        response_metadata=_metadata(reply, choice, streamed=False),
        usage_metadata=_usage(reply.usage),
    )


def to_chunk(delta: Delta) -> ChatGenerationChunk:
    """Return a piece of a reply as a chunk. What belongs to the whole reply comes with `closing_chunk`."""
    additional: JSONDict = {}
    if delta.reasoning:
        additional["reasoning_content"] = delta.reasoning
    if delta.refusal:
        additional["refusal"] = delta.refusal
    metadata: JSONDict = {"model_provider": PROVIDER}
    if delta.logprobs:
        metadata["logprobs"] = delta.logprobs
    if not delta.tool_calls:
        messages, chunks = _copies()
        message = messages.make(content=delta.text, additional_kwargs=additional, response_metadata=metadata)
        return chunks.make(text=delta.text, message=message)
    calls = [
        tool_call_chunk(name=call.name, args=call.arguments, id=call.id, index=call.index) for call in delta.tool_calls
    ]
    return ChatGenerationChunk(
        message=AIMessageChunk(
            content=delta.text, additional_kwargs=additional, response_metadata=metadata, tool_call_chunks=calls
        )
    )


@cache
def _copies() -> tuple[Copies[AIMessageChunk], Copies[ChatGenerationChunk]]:
    message = AIMessageChunk(content="", additional_kwargs={}, response_metadata={}, tool_call_chunks=[])
    return Copies(message), Copies(ChatGenerationChunk(message=message))


def closing_chunk(reply: Reply) -> ChatGenerationChunk:
    """Return the last chunk of a stream.

    Adding chunks joins their strings, so what is said once of a reply (its id, model, finish reason, cost) is said in
    this chunk alone.
    """
    choice = reply.choices[0]
    message = AIMessageChunk(
        content=cast("list[str | dict[str, Any]]", choice.parts) or "",
        additional_kwargs=_additional(choice, streamed=True),
        response_metadata=_metadata(reply, choice, streamed=True),
        usage_metadata=_usage(reply.usage),
        chunk_position="last",
    )
    return ChatGenerationChunk(message=message)


def _additional(choice: Choice, *, streamed: bool) -> JSONDict:
    fields = {
        "reasoning_content": None if streamed else choice.reasoning,
        "reasoning_details": choice.reasoning_details,
        "refusal": None if streamed else choice.refusal,
        "annotations": choice.annotations,
        "images": choice.images,
        "audio": choice.audio,
    }
    return {**choice.extra, **{name: value for name, value in fields.items() if value}}


def _metadata(reply: Reply, choice: Choice, *, streamed: bool) -> JSONDict:
    usage = reply.usage or {}
    fit = reply.fit
    fields = {
        "model_name": reply.model,
        "model_provider": PROVIDER,
        "id": reply.id,
        "provider": reply.provider,
        "created": reply.created,
        "finish_reason": choice.finish_reason,
        "native_finish_reason": choice.native_finish_reason,
        "cost": None if reply.cost is None else float(reply.cost.total),
        "cost_source": None if reply.cost is None else reply.cost.source,
        "cost_details": usage.get("cost_details"),
        "is_byok": usage.get("is_byok"),
        "server_tool_use_details": usage.get("server_tool_use_details"),
        "logprobs": None if streamed else choice.logprobs,
        "system_fingerprint": reply.system_fingerprint,
        "service_tier": reply.service_tier,
        "repairs": reply.repairs or None,
        "unfit": reply.unfit,
        "tool_call_errors": {call.id: call.error for call in choice.tool_calls if call.error} or None,
        "max_tokens_clamped": {"from": fit.clamped_from, "to": fit.max_tokens} if fit and fit.clamped_from else None,
    }
    return {**reply.extra, **{name: value for name, value in fields.items() if value is not None}}


def _parsed_calls(
    calls: Iterable[tuple[str | None, str | None, str, str | None]],
) -> tuple[list[LangChainToolCall], list[InvalidToolCall]]:
    """Return the calls (id, name, arguments, what is wrong with it) that can be made, and those that cannot."""
    valid: list[LangChainToolCall] = []
    invalid: list[InvalidToolCall] = []
    for call_id, name, arguments, error in calls:
        parsed = _parsed(arguments) if arguments.strip() else {}
        if isinstance(parsed, dict) and name and error is None:
            valid.append(tool_call(name=name, args=parsed, id=call_id))
        else:
            why = "The arguments are no JSON object." if name else "The call names no tool."
            invalid.append(invalid_tool_call(name=name, args=arguments, id=call_id, error=error or why))
    return valid, invalid


def _parsed(arguments: str) -> Any:
    try:
        # Models put line breaks into strings without escaping them.
        return json.loads(arguments, strict=False)
    except (ValueError, RecursionError):
        return None


def _usage(usage: JSONDict | None) -> UsageMetadata | None:
    """Return the token counts that the reply has; none is made up. LangChain can add whole numbers only."""
    if not usage:
        return None
    prompt, completion = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    if prompt is None and completion is None:
        return None
    total = _count(usage, "total_tokens")
    metadata = UsageMetadata(
        input_tokens=prompt or 0,
        output_tokens=completion or 0,
        total_tokens=(prompt or 0) + (completion or 0) if total is None else total,
    )
    prompt_details = _details(
        usage.get("prompt_tokens_details"), cached_tokens="cache_read", cache_write_tokens="cache_creation"
    )
    if prompt_details:
        metadata["input_token_details"] = cast("InputTokenDetails", prompt_details)
    completion_details = _details(usage.get("completion_tokens_details"))
    if completion_details:
        metadata["output_token_details"] = cast("OutputTokenDetails", completion_details)
    return metadata


def _count(counts: JSONDict, name: str) -> int | None:
    number = as_number(counts.get(name))
    return None if number is None else int(number)


def _details(details: object, **names: str) -> dict[str, int]:
    """Return detailed counts under LangChain's names: those given, else OpenRouter's without `_tokens`."""
    counts = as_dict(details)
    return {
        names.get(name, name.removesuffix("_tokens")): count
        for name in counts
        if (count := _count(counts, name)) is not None
    }
