"""`content_blocks` and `output_version="v1"`: LangChain's standard blocks of what OpenRouter answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.messages import AIMessage
from langchain_core.messages.content import KNOWN_BLOCK_TYPES

from lfm_adapter.langchain._replies import PROVIDER
from lfm_adapter.testing import chunk, completion, events, stream, token_usage, tool_call
from tests.support.chat_ways import ask, chat

if TYPE_CHECKING:
    from lfm_adapter.testing import ScriptedOpenRouter

WEATHER = tool_call("get_weather", {"city": "Paris"})
REFUSAL = {"type": "refusal", "refusal": "I cannot."}
# A standard block since langchain-core 1.7.5.
REFUSAL_BLOCK = REFUSAL if "refusal" in KNOWN_BLOCK_TYPES else {"type": "non_standard", "value": REFUSAL}
WEATHER_BLOCK = {"type": "tool_call", "id": "call_1", "name": "get_weather", "args": {"city": "Paris"}}


@pytest.mark.parametrize("output_version", ["v0", "v1"])
@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "astream"])
def test_reasoning_text_and_calls_are_blocks_in_this_order(server: ScriptedOpenRouter, way: str, output_version: str):
    reply = (
        stream(["I ", "look."], reasoning=["H", "m."], tool_calls=[WEATHER])
        if "stream" in way
        else completion("I look.", reasoning="Hm.", tool_calls=[WEATHER])
    )
    server.add(reply)
    answer = ask(chat(server, output_version=output_version), way)
    details = [{"type": "reasoning.text", "text": "Hm.", "format": "unknown", "index": 0}]
    assert answer.content_blocks == [
        {"type": "reasoning", "reasoning": "Hm.", "extras": {"reasoning_details": details}},
        {"type": "text", "text": "I look."},
        WEATHER_BLOCK,
    ]
    assert answer.content == (answer.content_blocks if output_version == "v1" else "I look.")
    assert answer.text == "I look."


def test_citations_are_annotations_of_the_text_block(server: ScriptedOpenRouter):
    cited = {"url": "https://example.com", "title": "Cats", "content": "A cat", "start_index": 0, "end_index": 5}
    file = {"type": "file", "file": {"hash": "h", "name": "a.pdf", "content": []}}
    annotations = [{"type": "url_citation", "url_citation": cited}, file]
    server.add(completion("A cat.", message={"annotations": annotations}))
    assert chat(server).invoke("Hi").content_blocks == [
        {
            "type": "text",
            "text": "A cat.",
            "annotations": [
                {
                    "type": "citation",
                    "url": "https://example.com",
                    "title": "Cats",
                    "cited_text": "A cat",
                    "start_index": 0,
                    "end_index": 5,
                },
                {"type": "non_standard_annotation", "value": file},
            ],
        }
    ]


def test_refusal_image_and_invalid_call_are_blocks(server: ScriptedOpenRouter):
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    server.add(
        completion(
            "",
            refusal="I cannot.",
            tool_calls=[tool_call("f", "{", call_id="call_0"), WEATHER],
            message={"images": [image]},
        )
    )
    assert chat(server).invoke("Hi").content_blocks == [
        {"type": "image", "url": "data:image/png;base64,AAAA"},
        REFUSAL_BLOCK,
        WEATHER_BLOCK,
        {
            "type": "invalid_tool_call",
            "id": "call_0",
            "name": "f",
            "args": "{",
            "error": "The arguments are not a JSON object.",
        },
    ]


def test_text_parts_are_joined_into_one_block():
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    message = AIMessage(["Hel", image, {"type": "text", "text": "lo."}], response_metadata={"model_provider": PROVIDER})
    assert message.content_blocks == [{"type": "text", "text": "Hello."}, {"type": "non_standard", "value": image}]


def test_chunk_has_blocks_of_its_own_delta(server: ScriptedOpenRouter):
    server.add(stream(["Hel", "lo."], reasoning=["Hm."], tool_calls=[WEATHER]))
    chunks = list(chat(server).stream("Hi"))
    kinds = [[block["type"] for block in chunk.content_blocks] for chunk in chunks]
    assert kinds == [["reasoning"], ["text"], ["text"], *[["tool_call_chunk"]] * 4, ["reasoning"]]


def test_unfinished_stream_has_tool_call_chunk_blocks(server: ScriptedOpenRouter):
    server.add(stream([], tool_calls=[WEATHER]))
    first, second, *_ = chat(server).stream("Hi")
    (block,) = (first + second).content_blocks
    assert block["type"] == "tool_call_chunk"


def test_encrypted_reasoning_is_a_block_without_text(server: ScriptedOpenRouter):
    secret: dict[str, Any] = {"type": "reasoning.encrypted", "data": "AAAA", "index": 0}
    server.add(
        events(
            chunk({"content": "", "reasoning_details": [secret]}),
            chunk({"content": "Hello."}),
            chunk({"content": ""}, finish_reason="stop", usage=token_usage()),
        )
    )
    assert ask(chat(server, output_version="v1"), "stream").content == [
        {"type": "reasoning", "extras": {"reasoning_details": [secret]}},
        {"type": "text", "text": "Hello."},
    ]


@pytest.mark.parametrize("answer", [completion(""), stream([])])
def test_empty_answer_has_no_blocks(server: ScriptedOpenRouter, answer: Any):
    server.add(answer)
    way = "stream" if "event-stream" in answer.headers["Content-Type"] else "invoke"
    assert ask(chat(server, output_version="v1"), way).content_blocks == []


@pytest.mark.parametrize("output_version", ["v0", "v1"])
@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_refusal_is_a_block(server: ScriptedOpenRouter, way: str, output_version: str):
    server.add(stream([], refusal=["I can", "not."]) if way == "stream" else completion(None, refusal="I cannot."))
    assert ask(chat(server, output_version=output_version), way).content_blocks == [REFUSAL_BLOCK]
