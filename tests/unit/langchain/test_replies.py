"""Messages and chunks that are built without validation equal validated ones."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest
from langchain_core.messages import AIMessage, message_chunk_to_message
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from lfm_adapter.langchain._replies import AIMessageChunk, to_chunk, to_result
from lfm_adapter.types import Choice, Delta, Reply, ToolCall

if TYPE_CHECKING:
    from pydantic import BaseModel


def test_sum_of_unfinished_stream_becomes_a_message():
    left_early = to_chunk(Delta(text="Once ")).message + to_chunk(Delta(text="upon")).message
    message = message_chunk_to_message(left_early)
    assert type(message) is AIMessage
    assert message.text == "Once upon"


def test_chunk_can_be_pickled():
    chunk = to_chunk(Delta(text="Once ")).message
    assert pickle.loads(pickle.dumps(chunk)) == chunk  # noqa: S301 # our own


@pytest.mark.parametrize(
    "delta",
    [
        Delta(text="Once "),
        Delta(reasoning="Hm."),
        Delta(refusal="No."),
        Delta(text="a", logprobs={"content": [{"token": "a", "logprob": -0.1}]}),
    ],
    ids=["text", "reasoning", "refusal", "logprobs"],
)
def test_unvalidated_chunk_equals_validated_chunk(delta: Delta):
    chunk = to_chunk(delta)
    message = chunk.message
    assert isinstance(message, AIMessageChunk)
    validated = AIMessageChunk(
        content=message.content,
        additional_kwargs=message.additional_kwargs,
        response_metadata=message.response_metadata,
        tool_call_chunks=[],
    )
    whole = ChatGenerationChunk(message=validated)
    for ours, theirs in ((message, validated), (chunk, whole)):
        assert_same(ours, theirs)
    assert (chunk + chunk) == (whole + whole)


def assert_same(ours: BaseModel, theirs: BaseModel) -> None:
    assert ours == theirs
    assert type(ours) is type(theirs)
    assert ours.model_dump() == theirs.model_dump()
    assert ours.model_fields_set == theirs.model_fields_set
    assert (ours.__pydantic_extra__, ours.__pydantic_private__) == (
        theirs.__pydantic_extra__,
        theirs.__pydantic_private__,
    )
    assert pickle.loads(pickle.dumps(ours)) == theirs  # noqa: S301 - our own bytes
    assert ours.model_copy(deep=True) == theirs


@pytest.mark.parametrize(
    "reply",
    [
        Reply([Choice("Hello", finish_reason="stop")], id="gen-1", usage={"prompt_tokens": 3, "completion_tokens": 1}),
        Reply([Choice("", reasoning="Hm.", refusal="No.", extra={"odd": 1})]),
        Reply([Choice("one"), Choice("other")], usage={"prompt_tokens": 3, "prompt_tokens_details": {"new_tokens": 1}}),
        Reply([Choice("See:", parts=[{"type": "image_url", "image_url": {"url": "data:,"}}])]),
        Reply([Choice(tool_calls=[ToolCall(0, "call_1", "weather", '{"city": "Oslo"}')])]),
        Reply([Choice(tool_calls=[ToolCall(0, "call_1", "weather", '{"city')])]),
    ],
    ids=["text", "reasoning", "choices", "parts", "call", "broken call"],
)
def test_unvalidated_result_equals_validated_result(reply: Reply):
    result = to_result(reply)
    validated = []
    for choice, generation in zip(reply.choices, result.generations, strict=True):
        ours = generation.message
        assert isinstance(ours, AIMessage)
        theirs = AIMessage(
            content=ours.content,
            tool_calls=ours.tool_calls,
            invalid_tool_calls=ours.invalid_tool_calls,
            additional_kwargs=ours.additional_kwargs,
            response_metadata=ours.response_metadata,
            usage_metadata=ours.usage_metadata,
        )
        assert_same(ours, theirs)
        validated.append(
            ChatGeneration(message=theirs, generation_info={"finish_reason": choice.finish_reason}),
        )
        assert_same(generation, validated[-1])
    assert_same(result, ChatResult(generations=validated))


def test_chunks_share_no_mutable_values():
    one, other = to_chunk(Delta(text="a")).message, to_chunk(Delta(text="b")).message
    shared = {
        name for name, value in one.__dict__.items() if isinstance(value, list | dict) and value is other.__dict__[name]
    }
    assert not shared
    one.additional_kwargs["x"] = 1
    assert not to_chunk(Delta(text="c")).message.additional_kwargs
