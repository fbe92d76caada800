"""The standard content blocks of our messages and chunks, for LangChain's `content_blocks`."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from langchain_core.messages import AIMessageChunk
from langchain_core.messages.content import KNOWN_BLOCK_TYPES

from lfm_adapter._json import as_dict, dicts

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage
    from langchain_core.messages.content import ContentBlock

    from lfm_adapter.types import JSONDict

# By these, LangChain joins the blocks of a stream.
_INDICES = {"reasoning": "lc_rs_0", "text": "lc_txt_0", "refusal": "lc_rf_0"}

_HAS_REFUSALS = "refusal" in KNOWN_BLOCK_TYPES  # since langchain-core 1.7.5


def message_blocks(message: AIMessage) -> list[ContentBlock]:
    """Return the standard blocks of a whole message."""
    blocks = _blocks(message)
    blocks += [
        {"type": "tool_call", "id": call["id"], "name": call["name"], "args": call["args"]}
        for call in message.tool_calls
    ]
    blocks += [{**call, "type": "invalid_tool_call"} for call in message.invalid_tool_calls]
    return cast("list[ContentBlock]", blocks)


def chunk_blocks(chunk: AIMessageChunk) -> list[ContentBlock]:
    """Return the standard blocks of a chunk, or of the sum of a stream's chunks."""
    if chunk.chunk_position == "last" and type(chunk) is AIMessageChunk:  # a sum
        return message_blocks(chunk)
    blocks = _blocks(chunk)
    for block in blocks:
        kind = as_dict(block.get("value")).get("type") or block["type"]
        if kind in _INDICES:
            block["index"] = _INDICES[kind]
    blocks += [{**call, "type": "tool_call_chunk"} for call in chunk.tool_call_chunks]
    return cast("list[ContentBlock]", blocks)


def _blocks(message: AIMessage) -> list[JSONDict]:
    """Return the blocks before the calls: reasoning, with OpenRouter's details in its extras, text, and other parts."""
    more = message.additional_kwargs
    blocks: list[JSONDict] = []
    reasoning: JSONDict = {"type": "reasoning"}
    if more.get("reasoning_content"):
        reasoning["reasoning"] = more["reasoning_content"]
    if more.get("reasoning_details"):
        reasoning["extras"] = {"reasoning_details": more["reasoning_details"]}
    if len(reasoning) > 1:
        blocks.append(reasoning)
    citations = [_citation(annotation) for annotation in dicts(more.get("annotations"))]
    if message.text or citations:
        block: JSONDict = {"type": "text", "text": str(message.text)}
        blocks.append({**block, "annotations": citations} if citations else block)
    parts = [part for part in dicts(message.content) if part.get("type") != "text"]
    for image in dicts(more.get("images")):
        url = as_dict(image.get("image_url")).get("url")
        blocks.append({"type": "image", "url": url} if url else {"type": "non_standard", "value": image})
    blocks += [{"type": "non_standard", "value": part} for part in parts]
    if more.get("refusal"):
        refusal = {"type": "refusal", "refusal": more["refusal"]}
        blocks.append(refusal if _HAS_REFUSALS else {"type": "non_standard", "value": refusal})
    return blocks


def _citation(annotation: JSONDict) -> JSONDict:
    found = as_dict(annotation.get("url_citation"))
    if annotation.get("type") != "url_citation" or not found:
        return {"type": "non_standard_annotation", "value": annotation}
    names = {"url": "url", "title": "title", "content": "cited_text", "start_index": "start_index",
             "end_index": "end_index"}  # fmt: skip
    return {
        "type": "citation",
        **{ours: found[theirs] for theirs, ours in names.items() if found.get(theirs) is not None},
    }
