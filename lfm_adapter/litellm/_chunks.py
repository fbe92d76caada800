"""A stream as LiteLLM wants it from a provider of one's own: in one shape that its releases 1.81 to 1.109 all read.

LiteLLM documents `GenericStreamingChunk` for this. It has no field for reasoning, log probabilities and ids. Since May
2026 a `ModelResponseStream` is taken as well, which has, but what comes with its finish reason or after it is lost, and
before that month it is an error (https://github.com/BerriAI/litellm/pull/27580). So a chunk here is both: the generic
one, in which LiteLLM looks for the finish reason and the usage, with the other as its `original_chunk`, from which it
takes all else, as it does for its own OpenAI provider. Where LiteLLM does not look there, the generic one stands alone.
So it does for plain text, which is most chunks: the other one would add nothing but an empty `citations`, and makes a
chunk a fifth to a third dearer. The generation's id is an attribute of the chunk: LiteLLM would make one up before it
looks into the other.

Usage comes in the chunk of the finish reason: some releases stop reading at that chunk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litellm.types.utils import Delta, ModelResponseStream, StreamingChoices

from lfm_adapter.litellm._convert import call_of, choice_fields, head_of, message_fields, reply_fields, usage_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lfm_adapter.types import JSONDict
    from lfm_adapter.types import _reply as values

__all__ = ["Chunk", "chunks_of"]


class Chunk(dict[str, Any]):
    """A `GenericStreamingChunk` with the id of the reply that it is part of, once that is known."""

    id: str


def chunks_of(delta: values.Delta, model: str) -> Iterator[Chunk]:
    """Yield the chunks that a delta becomes, at least one.

    Args:
        delta: A piece of the first choice, or the last delta of a stream.
        model: The model's name with `lfm/`.
    """
    if delta.reply is not None:
        yield from _closing(delta.reply, model)
        return
    head = {"id": delta.generation_id} if delta.generation_id else {}
    fields: JSONDict = {}
    if delta.text:
        fields["content"] = delta.text
    if delta.reasoning:
        fields["reasoning_content"] = delta.reasoning
    if delta.refusal:
        fields["provider_specific_fields"] = {"refusal": delta.refusal}
    if delta.text and len(fields) == 1 and not delta.logprobs:
        yield _generic(delta.text, head)
    elif fields or delta.logprobs:
        yield _chunk(model, fields, head=head, logprobs=delta.logprobs)
    for call in delta.tool_calls:
        yield _chunk(model, {"tool_calls": [call_of(call)]}, head=head, tool_use=call_of(call))


def _closing(reply: values.Reply, model: str) -> Iterator[Chunk]:
    """Yield what is known only at the end: first the facts, then the finish reason with the usage."""
    choice = reply.choices[0]
    facts = {**reply_fields(reply), **choice_fields(choice)}
    facts.pop("refusal", None)  # came piece by piece
    head = head_of(reply)
    yield _chunk(model, {**message_fields(choice), "provider_specific_fields": facts}, head=head)
    usage = usage_of(reply) if reply.usage else None
    yield _chunk(model, {}, head=head, finish_reason=choice.finish_reason, usage=usage)


def _chunk(
    model: str,
    fields: JSONDict,
    *,
    head: JSONDict,
    tool_use: JSONDict | None = None,
    finish_reason: str | None = None,
    usage: JSONDict | None = None,
    logprobs: Any = None,
) -> Chunk:
    choice = StreamingChoices(index=0, delta=Delta(**fields), logprobs=logprobs, finish_reason=finish_reason)
    chunk = _generic(fields.get("content", ""), head)
    chunk["original_chunk"] = ModelResponseStream(model=model, choices=[choice], **head)
    chunk["tool_use"] = tool_use
    if finish_reason is not None:
        chunk["is_finished"], chunk["finish_reason"] = True, finish_reason
    chunk["usage"] = usage
    return chunk


def _generic(text: str, head: JSONDict) -> Chunk:
    chunk = Chunk(text=text, is_finished=False, finish_reason="", usage=None, index=0, tool_use=None)
    if "id" in head:
        chunk.id = head["id"]
    return chunk
