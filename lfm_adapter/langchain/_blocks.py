"""LangChain's standard content blocks (`message.content_blocks`, `output_version="v1"`) for messages of OpenRouter.

The reasoning is one block, with OpenRouter's own blocks in its extras. The text with its citations, other parts, a
refusal and the tool calls follow. In a stream the blocks have the indices by which LangChain joins them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from langchain_core.messages import AIMessageChunk

from lfm_adapter._json import as_dict, dicts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_core.messages import AIMessage, InvalidToolCall
    from langchain_core.messages.content import ContentBlock

    from lfm_adapter.types import JSONDict

__all__ = ["PROVIDER", "chunk_blocks", "message_blocks", "settled_blocks"]

PROVIDER = "openrouter"
"""`model_provider` of each message, also where another server than OpenRouter answered.

It names the format of the message: LangChain chooses the reader of the blocks by it, and its middleware compares it
with LangSmith's `ls_provider`. (`ChatOpenAI` writes "openai", whatever its `base_url`.) `provider` and `model_name`
tell who answered.
"""

_INDICES = {"reasoning": "lc_rs_0", "text": "lc_txt_0", "refusal": "lc_rf_0"}
_PLACES = {"reasoning": 0, "text": 1, "tool_call": 3, "invalid_tool_call": 4}


def message_blocks(message: AIMessage) -> list[ContentBlock]:
    """Return the standard blocks of a whole message."""
    blocks = _common_blocks(message)
    blocks += [
        {"type": "tool_call", "id": call["id"], "name": call["name"], "args": call["args"]}
        for call in message.tool_calls
    ]
    blocks += [{**call, "type": "invalid_tool_call"} for call in message.invalid_tool_calls]
    return cast("list[ContentBlock]", blocks)


def chunk_blocks(chunk: AIMessageChunk) -> list[ContentBlock]:
    """Return the standard blocks of a chunk, or of the sum of a stream's chunks."""
    if chunk.chunk_position == "last" and type(chunk) is AIMessageChunk:  # a sum: see `_chunks.AIMessageChunk`
        return message_blocks(chunk)
    blocks = [_indexed(block) for block in _common_blocks(chunk)]
    blocks += [{**call, "type": "tool_call_chunk"} for call in chunk.tool_call_chunks]
    return cast("list[ContentBlock]", blocks)


def settled_blocks(content: Sequence[str | JSONDict], invalid: Sequence[InvalidToolCall]) -> list[JSONDict]:
    """Return the blocks of a whole message from the v1 content of a sum of chunks and its invalid tool calls."""
    broken = {call["id"]: cast("JSONDict", call) for call in invalid}
    blocks = [
        {name: value for name, value in broken.get(block.get("id"), block).items() if name != "index"}
        for block in dicts(content)
    ]
    return sorted(blocks, key=lambda block: _PLACES.get(block["type"], 2))


def _common_blocks(message: AIMessage) -> list[JSONDict]:
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
    blocks += [{"type": "non_standard", "value": part} for part in parts]
    blocks += [_image(image) for image in dicts(more.get("images"))]
    if more.get("refusal"):
        blocks.append({"type": "non_standard", "value": {"type": "refusal", "refusal": more["refusal"]}})
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


def _image(image: JSONDict) -> JSONDict:
    url = as_dict(image.get("image_url")).get("url")
    return {"type": "image", "url": url} if url else {"type": "non_standard", "value": image}


def _indexed(block: JSONDict) -> JSONDict:
    kind = block["value"].get("type") if block["type"] == "non_standard" else block["type"]
    return {**block, "index": _INDICES[kind]} if kind in _INDICES else block
