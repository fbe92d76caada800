"""Replies and deltas as LangChain's messages and chunks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar, cast

from langchain_core.messages import AIMessage, ai
from langchain_core.messages.ai import InputTokenDetails, OutputTokenDetails, UsageMetadata
from langchain_core.messages.tool import invalid_tool_call, tool_call, tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.utils.json import parse_partial_json
from pydantic import ConfigDict

from lfm_adapter._json import as_dict, as_number, dicts
from lfm_adapter.langchain._blocks import message_blocks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from langchain_core.messages import InvalidToolCall
    from langchain_core.messages import ToolCall as LangChainToolCall
    from pydantic import BaseModel

    from lfm_adapter.types import Choice, Delta, JSONDict, Reply

M = TypeVar("M", bound="BaseModel")

PROVIDER = "openrouter"
"""`model_provider` of each message, also where another server than OpenRouter answered.

It names the format of the message: LangChain chooses the reader of the blocks by it, and its middleware compares it
with LangSmith's `ls_provider`. (`ChatOpenAI` writes "openai", whatever its `base_url`.) `provider` and `model_name` say
who answered.
"""


class _Whole:
    """The class that LangChain's `message_chunk_to_message` instantiates: the second one in the MRO of a chunk."""

    def __new__(cls, *_: Any, **fields: Any) -> Any:
        return AIMessage(**fields) if cls is _Whole else super().__new__(cls)


class AIMessageChunk(_Whole, ai.AIMessageChunk):
    """A chunk whose sum equals the message of `invoke`.

    LangChain completes the arguments of a tool call while they arrive, and leaves them so at the end of the stream: a
    call cut off at `max_tokens` would look whole, and an agent would run it with half of its arguments
    (https://github.com/langchain-ai/langchain/issues/39275). Here the end of the stream decides which calls are valid.
    """

    model_config = ConfigDict(defer_build=True)

    def __add__(self, other: Any) -> Any:
        """Return the sum; with the last chunk of the stream, a plain chunk of LangChain's."""
        return _settled(super().__add__(other))

    def __radd__(self, other: Any) -> Any:
        """Return the sum with a chunk of LangChain's before it."""
        if not isinstance(other, ai.AIMessageChunk):
            return NotImplemented
        return _settled(ai.AIMessageChunk.__add__(other, self))

    def __eq__(self, other: object) -> bool:
        """Return whether a chunk, also one of LangChain's, has the same content."""
        return isinstance(other, ai.AIMessageChunk) and self.__dict__ == other.__dict__

    __hash__ = None  # type: ignore[assignment]  # as with every message

    def __reduce__(self) -> Any:
        return _new_chunk, (), self.__getstate__()

    @classmethod
    def lc_id(cls) -> list[str]:
        """Serialize as LangChain's own class."""
        return ai.AIMessageChunk.lc_id()


# LangGraph writes this name into its checkpoints, and in strict mode loads only classes that it knows.
AIMessageChunk.__module__ = ai.AIMessageChunk.__module__


def _new_chunk() -> Any:
    return AIMessageChunk.__new__(AIMessageChunk)


def _settled(total: Any) -> ai.AIMessageChunk:
    """Return a sum of chunks. If it has the last chunk, its calls are judged by the end of the stream."""
    if total.chunk_position != "last":
        return cast("ai.AIMessageChunk", total)
    whole = ai.AIMessageChunk(**dict(total))
    errors = as_dict(whole.response_metadata.get("tool_call_errors"))
    whole.tool_calls, whole.invalid_tool_calls = _parsed_calls(
        (call["id"], call["name"], call["args"] or "", errors.get(call["id"] or "")) for call in whole.tool_call_chunks
    )
    broken = {call["id"] for call in whole.invalid_tool_calls}
    for call in whole.tool_call_chunks:
        if call["id"] in broken:  # LangChain reads the pieces again when it loads the message, as from a checkpoint
            call["args"] = _unreadable(call["args"] or "")
    if whole.response_metadata.get("output_version") == "v1" and isinstance(whole.content, list):
        parts = [block["value"] for block in dicts(whole.content) if block["type"] == "non_standard"]
        whole.content = [whole.text, *[part for part in parts if part.get("type") != "refusal"]]
        whole.content = cast("list[str | dict[str, Any]]", message_blocks(whole))
    return whole


def _unreadable(arguments: str) -> str:
    """Return arguments with an end that keeps LangChain's lenient parser from reading an object."""
    for end in ("", "]", "}", '"]', '"}', '""]', '""}'):
        try:
            if not isinstance(parse_partial_json(arguments + end), dict):
                return arguments + end
        except (ValueError, RecursionError):
            return arguments + end
    return ""


_MESSAGE = AIMessage(
    content="", tool_calls=[], invalid_tool_calls=[], additional_kwargs={}, response_metadata={}, usage_metadata=None
)
_GENERATION = ChatGeneration(message=AIMessage(""), generation_info={})
_RESULT = ChatResult(generations=[])
_CHUNK = ai.AIMessageChunk(content="", additional_kwargs={}, response_metadata={}, tool_call_chunks=[])
_CHUNK_GENERATION = ChatGenerationChunk(message=ai.AIMessageChunk(content=""))


_set = object.__setattr__


def _like(cls: type[M], example: BaseModel, **values: Any) -> M:
    """Return an object like a validated example, with values that validation would not change.

    A streamed chunk takes 5 µs this way, 15 µs with validation and 14.5 µs with `model_construct`. The tests compare
    the objects with validated ones.
    """
    made = object.__new__(cls)
    _set(made, "__dict__", {**example.__dict__, **values})
    _set(made, "__pydantic_fields_set__", {*example.__pydantic_fields_set__})
    _set(made, "__pydantic_extra__", None if example.__pydantic_extra__ is None else {})
    _set(made, "__pydantic_private__", None)
    return made


def to_result(reply: Reply) -> ChatResult:
    """Return what `_generate` returns: a generation for each choice of a reply."""
    return _like(ChatResult, _RESULT, generations=[_generation(reply, choice) for choice in reply.choices])


def _generation(reply: Reply, choice: Choice) -> ChatGeneration:
    calls, invalid = _parsed_calls((call.id, call.name, call.arguments, call.error) for call in choice.tool_calls)
    content = [choice.text, *choice.parts] if choice.parts else choice.text
    facts = _facts(reply, choice, streamed=False)
    message = _like(AIMessage, _MESSAGE, content=content, tool_calls=calls, invalid_tool_calls=invalid, **facts)
    info = {"finish_reason": choice.finish_reason}
    return _like(ChatGeneration, _GENERATION, text=choice.text, message=message, generation_info=info)


def to_chunk(delta: Delta) -> ChatGenerationChunk:
    """Return a delta as a chunk. Facts of the whole reply come with the last one."""
    if delta.reply is not None:  # LangChain joins the strings of chunks, so facts must be in one chunk only
        choice = delta.reply.choices[0]
        facts = _facts(delta.reply, choice, streamed=True)
        content = cast("list[str | dict[str, Any]]", choice.parts) or ""
        return ChatGenerationChunk(message=AIMessageChunk(content=content, chunk_position="last", **facts))
    more: JSONDict = {}
    if delta.reasoning:
        more["reasoning_content"] = delta.reasoning
    if delta.refusal:
        more["refusal"] = delta.refusal
    metadata: JSONDict = {"model_provider": PROVIDER}
    if delta.logprobs:
        metadata["logprobs"] = delta.logprobs
    if delta.tool_calls:
        calls = [tool_call_chunk(name=c.name, args=c.arguments, id=c.id, index=c.index) for c in delta.tool_calls]
        message = AIMessageChunk(
            content=delta.text, additional_kwargs=more, response_metadata=metadata, tool_call_chunks=calls
        )
        return ChatGenerationChunk(message=message)
    message = _like(
        AIMessageChunk, _CHUNK, content=delta.text, additional_kwargs=more, response_metadata=metadata,
        tool_calls=[], invalid_tool_calls=[], tool_call_chunks=[],
    )  # fmt: skip
    return _like(ChatGenerationChunk, _CHUNK_GENERATION, text=delta.text, message=message)


def _facts(reply: Reply, choice: Choice, *, streamed: bool) -> JSONDict:
    """Return what a message has beside content and calls; with `streamed`, without what came piece by piece."""
    more = {
        "reasoning_content": None if streamed else choice.reasoning,
        "reasoning_details": choice.reasoning_details,
        "refusal": None if streamed else choice.refusal,
        "annotations": choice.annotations,
        "images": choice.images,
        "audio": choice.audio,
    }
    named = {
        "model_name": reply.model,
        "model_provider": PROVIDER,
        "id": reply.id,
        "created": reply.created,
        "finish_reason": choice.finish_reason,
        "logprobs": None if streamed else choice.logprobs,
        "system_fingerprint": reply.system_fingerprint,
        "service_tier": reply.service_tier,
    }
    named = {name: value for name, value in named.items() if value is not None}
    return {
        "additional_kwargs": {**choice.extra, **{name: value for name, value in more.items() if value}},
        "response_metadata": {**reply.metadata(), **named, **choice.metadata()},
        "usage_metadata": usage_metadata(reply.usage),
    }


def _parsed_calls(
    calls: Iterable[tuple[str | None, str | None, str, str | None]],
) -> tuple[list[LangChainToolCall], list[InvalidToolCall]]:
    """Return the valid and the invalid ones among calls, each given as (id, name, arguments, error)."""
    valid: list[LangChainToolCall] = []
    invalid: list[InvalidToolCall] = []
    for call_id, name, arguments, error in calls:
        try:
            # Models put line breaks into strings without escaping them.
            parsed = json.loads(arguments, strict=False) if arguments.strip() else {}
        except (ValueError, RecursionError):
            parsed = None
        if isinstance(parsed, dict) and name and error is None:
            valid.append(tool_call(name=name, args=parsed, id=call_id))
        else:
            why = "The arguments are not a JSON object." if name else "The call names no tool."
            invalid.append(invalid_tool_call(name=name, args=arguments, id=call_id, error=error or why))
    return valid, invalid


def usage_metadata(usage: Mapping[str, Any] | None) -> UsageMetadata | None:
    """Return the token counts of a reply, None if it has none. LangChain can only add whole numbers."""
    counts = _counts(usage)
    if usage is None or not {"prompt", "completion"} & counts.keys():
        return None
    prompt, completion = counts.get("prompt", 0), counts.get("completion", 0)
    metadata = UsageMetadata(
        input_tokens=prompt, output_tokens=completion, total_tokens=counts.get("total", prompt + completion)
    )
    names = {"cached": "cache_read", "cache_write": "cache_creation"}
    details = {names.get(name, name): count for name, count in _counts(usage.get("prompt_tokens_details")).items()}
    if details:
        metadata["input_token_details"] = cast("InputTokenDetails", details)
    if details := _counts(usage.get("completion_tokens_details")):
        metadata["output_token_details"] = cast("OutputTokenDetails", details)
    return metadata


def _counts(usage: object) -> dict[str, int]:
    """Return the numbers among OpenRouter's fields, under their names without `_tokens`."""
    numbers = {name.removesuffix("_tokens"): as_number(value) for name, value in as_dict(usage).items()}
    return {name: int(number) for name, number in numbers.items() if number is not None}
