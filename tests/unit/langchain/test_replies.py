"""Messages and chunks that are built without validation equal validated ones."""

from __future__ import annotations

import pickle
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ai, message_chunk_to_message
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.prompts import ChatPromptTemplate
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

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


CUT_OFF = ['{"path": "notes.txt", "te', 'xt": "half of']


def pieces_of_cut_off_call() -> list[Any]:
    """The chunks of a stream that ends at `max_tokens` in the middle of a call."""
    call = ToolCall(0, "call_1", "write_file", "".join(CUT_OFF))
    deltas = [
        Delta(text="I write."),
        Delta(tool_calls=[ToolCall(0, "call_1", "write_file", CUT_OFF[0])]),
        Delta(tool_calls=[ToolCall(0, None, None, CUT_OFF[1])]),
        Delta(reply=Reply([Choice("I write.", tool_calls=[call], finish_reason="length")], model="liquid/lfm-3b")),
    ]
    return [to_chunk(delta).message for delta in deltas]


def langchain_chunk(chunk: Any = None) -> ai.AIMessageChunk:
    """A chunk as LangChain itself would build it."""
    return ai.AIMessageChunk(**dict(chunk)) if chunk else ai.AIMessageChunk(content="")


@pytest.mark.parametrize(
    "added",
    [
        lambda chunks: reduce(add, chunks),
        lambda chunks: reduce(add, chunks, langchain_chunk()),
        lambda chunks: reduce(add, [*map(langchain_chunk, chunks[:-1]), chunks[-1]]),
        lambda chunks: chunks[0] + chunks[1:],
        lambda chunks: reduce(add, chunks) + langchain_chunk(),
        lambda chunks: langchain_chunk() + reduce(add, chunks),
        lambda chunks: langchain_chunk(reduce(add, chunks)),
    ],
    ids=["one by one", "to an empty chunk", "to plain chunks", "at once", "and an empty one", "again", "validated"],
)
def test_call_that_was_cut_off_stays_invalid_however_chunks_are_added(added: Any):
    total = added(pieces_of_cut_off_call())
    assert total.tool_calls == []
    (call,) = total.invalid_tool_calls
    assert (call["name"], call["args"].startswith("".join(CUT_OFF))) == ("write_file", True)
    message = message_chunk_to_message(total)
    assert type(message) is AIMessage
    assert message.tool_calls == []


@pytest.mark.parametrize("end", range(len('{"a": "x\\"y", "b": [1, {"c": null}]}')))
def test_cut_off_call_is_still_invalid_when_its_message_is_loaded(end: int):
    arguments = '{"a": "x\\"y", "b": [1, {"c": null}]}'[:end] or "{"
    call = ToolCall(0, "call_1", "f", arguments)
    last = Delta(reply=Reply([Choice(tool_calls=[call], finish_reason="length")]))
    total = to_chunk(Delta(tool_calls=[call])).message + to_chunk(last).message
    again = ai.AIMessageChunk.model_validate_json(total.model_dump_json())
    assert (again.tool_calls, len(again.invalid_tool_calls)) == ([], 1)


def test_chunk_is_added_to_other_things_as_langchain_adds_them():
    chunk = to_chunk(Delta(text="Once ")).message
    assert isinstance(HumanMessage("Hi") + chunk, ChatPromptTemplate)
    with pytest.raises(TypeError):
        1 + chunk  # type: ignore[operator]


@pytest.mark.parametrize("strict", [True, False])
def test_chunks_survive_the_checkpoints_of_langgraph(strict: bool, caplog: pytest.LogCaptureFixture):
    serializer = JsonPlusSerializer(allowed_msgpack_modules=None if strict else True)
    chunks = pieces_of_cut_off_call()
    for chunk in [*chunks, reduce(add, chunks[:-1])]:
        loaded = serializer.loads_typed(serializer.dumps_typed(chunk))
        assert type(loaded) is ai.AIMessageChunk
        assert loaded == chunk
    assert serializer.loads_typed(serializer.dumps_typed(reduce(add, chunks))).tool_calls == []
    assert not caplog.records
