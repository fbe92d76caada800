"""Deltas of a streamed reply as LangChain's chunks, and what their sum ends as."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from langchain_core.messages import AIMessage, ai
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk
from pydantic import ConfigDict

from lfm_adapter._json import as_dict
from lfm_adapter.langchain._blocks import PROVIDER, settled_blocks
from lfm_adapter.langchain._replies import (
    UnvalidatedFactory,
    additional_kwargs,
    parsed_calls,
    response_metadata,
    usage_metadata,
)

if TYPE_CHECKING:
    from lfm_adapter.types import Delta, JSONDict, Reply

__all__ = ["AIMessageChunk", "to_chunk"]


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

    def __add__(self, other: Any) -> ai.AIMessageChunk:  # type: ignore[override]  # BaseMessage adds up to a prompt
        """Return the sum; with the last chunk of the stream, a plain chunk of LangChain's."""
        total = cast("ai.AIMessageChunk", super().__add__(other))
        return _settled(total) if total.chunk_position == "last" else total

    @classmethod
    def lc_id(cls) -> list[str]:
        """Serialize as LangChain's own class."""
        return ai.AIMessageChunk.lc_id()


def _settled(total: ai.AIMessageChunk) -> ai.AIMessageChunk:
    whole = ai.AIMessageChunk(**dict(total))
    errors = as_dict(whole.response_metadata.get("tool_call_errors"))
    whole.tool_calls, whole.invalid_tool_calls = parsed_calls(
        (call["id"], call["name"], call["args"] or "", errors.get(call["id"] or "")) for call in whole.tool_call_chunks
    )
    if whole.response_metadata.get("output_version") == "v1" and isinstance(whole.content, list):
        whole.content = [*settled_blocks(whole.content, whole.invalid_tool_calls)]
    return whole


_MESSAGES = UnvalidatedFactory(
    AIMessageChunk(content="", additional_kwargs={}, response_metadata={}, tool_call_chunks=[])
)
_CHUNKS = UnvalidatedFactory(ChatGenerationChunk(message=AIMessageChunk(content="")))


def to_chunk(delta: Delta) -> ChatGenerationChunk:
    """Return a delta as a chunk. Facts of the whole reply come with the last one."""
    if delta.reply is not None:
        return _last_chunk(delta.reply)
    additional: JSONDict = {}
    if delta.reasoning:
        additional["reasoning_content"] = delta.reasoning
    if delta.refusal:
        additional["refusal"] = delta.refusal
    metadata: JSONDict = {"model_provider": PROVIDER}
    if delta.logprobs:
        metadata["logprobs"] = delta.logprobs
    if not delta.tool_calls:
        message = _MESSAGES.make(content=delta.text, additional_kwargs=additional, response_metadata=metadata)
        return _CHUNKS.make(text=delta.text, message=message)
    calls = [
        tool_call_chunk(name=call.name, args=call.arguments, id=call.id, index=call.index) for call in delta.tool_calls
    ]
    return ChatGenerationChunk(
        message=AIMessageChunk(
            content=delta.text, additional_kwargs=additional, response_metadata=metadata, tool_call_chunks=calls
        )
    )


# Adding chunks concatenates their strings, so facts of the reply (id, model, cost …) are in the last chunk only.
def _last_chunk(reply: Reply) -> ChatGenerationChunk:
    choice = reply.choices[0]
    message = AIMessageChunk(
        content=cast("list[str | dict[str, Any]]", choice.parts) or "",
        additional_kwargs=additional_kwargs(choice, streamed=True),
        response_metadata=response_metadata(reply, choice, streamed=True),
        usage_metadata=usage_metadata(reply.usage),
        chunk_position="last",
    )
    return ChatGenerationChunk(message=message)
