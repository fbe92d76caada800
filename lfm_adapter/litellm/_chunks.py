"""Streams in the one form that LiteLLM 1.81 to 1.110 read correctly from a custom provider.

LiteLLM documents `GenericStreamingChunk`, which has no field for reasoning, log probabilities and ids. Since May 2026
it also takes a `ModelResponseStream` (https://github.com/BerriAI/litellm/pull/27580), but drops the usage that comes
with or after the finish reason. So a chunk here is a generic one, which LiteLLM reads for text, finish reason and
usage, with a `ModelResponseStream` as its `original_chunk`, from which it takes the rest. Plain text goes without: the
`original_chunk` would make a chunk a fifth to a third more expensive.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litellm.types.utils import Delta, ModelResponseStream, StreamingChoices

from lfm_adapter.litellm._convert import message_fields, provider_fields, response_fields, to_tool_call, to_usage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lfm_adapter import types
    from lfm_adapter.types import JSONDict

__all__ = ["Chunk", "to_chunks"]


class Chunk(dict[str, Any]):
    """A `GenericStreamingChunk` with the reply's id, if known: LiteLLM reads it as an attribute, else makes one up."""

    id: str


def to_chunks(delta: types.Delta, model: str) -> Iterator[Chunk]:
    """Yield the chunks, at least one, for a delta of the first choice or for the last delta of a stream."""
    if delta.reply is not None:
        yield from _final_chunks(delta.reply, model)
        return
    head = {"id": delta.generation_id} if delta.generation_id else {}
    if delta.text and not (delta.reasoning or delta.refusal or delta.logprobs):
        yield _generic(head, delta.text)
    else:
        fields: JSONDict = {}
        if delta.text:
            fields["content"] = delta.text
        if delta.reasoning:
            fields["reasoning_content"] = delta.reasoning
        if delta.refusal:
            fields["provider_specific_fields"] = {"refusal": delta.refusal}
        if fields or delta.logprobs:
            yield _chunk(model, head, fields, logprobs=delta.logprobs)
    for call in delta.tool_calls:
        yield _chunk(model, head, {"tool_calls": [to_tool_call(call)]}, tool_use=to_tool_call(call))


def _final_chunks(reply: types.Reply, model: str) -> Iterator[Chunk]:
    """Yield the facts, then finish reason and usage together: some releases stop reading at the finish reason."""
    choice = reply.choices[0]
    facts = provider_fields(reply, choice)
    facts.pop("refusal", None)  # was streamed
    head = response_fields(reply)
    yield _chunk(model, head, {**message_fields(choice), "provider_specific_fields": facts})
    usage = to_usage(reply) if reply.usage else None
    yield _chunk(model, head, {}, finish_reason=choice.finish_reason, usage=usage)


def _chunk(
    model: str,
    head: JSONDict,
    fields: JSONDict,
    *,
    logprobs: JSONDict | None = None,
    finish_reason: str | None = None,
    **generic: Any,
) -> Chunk:
    choice = StreamingChoices(index=0, delta=Delta(**fields), logprobs=logprobs, finish_reason=finish_reason)
    chunk = _generic(head, fields.get("content", ""), finish_reason or "")
    chunk.update(generic, original_chunk=ModelResponseStream(model=model, choices=[choice], **head))
    return chunk


def _generic(head: JSONDict, text: str, finish_reason: str = "") -> Chunk:
    is_finished = bool(finish_reason)
    chunk = Chunk(text=text, is_finished=is_finished, finish_reason=finish_reason, usage=None, index=0, tool_use=None)
    if "id" in head:
        chunk.id = head["id"]
    return chunk
