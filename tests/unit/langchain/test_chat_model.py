"""Answers of `ChatLFM`: the same message, streamed or not, sync or async."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.load import dumpd, load
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.prompts import ChatPromptTemplate

from lfm_adapter.errors import ConfigurationError
from lfm_adapter.testing import chunk, completion, events, stream, token_usage, tool_call
from lfm_adapter.testing._wire import CREATED, GENERATION_ID
from tests.support.chat_ways import ALL_WAYS, PLAIN, STREAMED, ask, chat, sent, summed

if TYPE_CHECKING:
    from lfm_adapter.testing import ScriptedOpenRouter, ScriptedReply

COMPARED = (
    "content",
    "text",
    "tool_calls",
    "invalid_tool_calls",
    "additional_kwargs",
    "response_metadata",
    "usage_metadata",
    "content_blocks",
)

WEATHER = tool_call("get_weather", {"city": "Paris"})
TIME = tool_call("get_time", {"zone": "Europe/Paris", "at": {"hours": [1, 2]}}, call_id="call_2")
CUT_OFF = tool_call("write_file", '{"path": "notes.txt", "text": "half of', call_id="call_3")
CITATION = {
    "type": "url_citation",
    "url_citation": {
        "url": "https://example.com",
        "title": "Cats",
        "content": "A cat",
        "start_index": 0,
        "end_index": 5,
    },
}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
ENCRYPTED = {
    "type": "reasoning.encrypted",
    "data": "c2VjcmV0",
    "id": "rs_1",
    "format": "openai-responses-v1",
    "index": 1,
}
TOKENS = [{"token": token, "logprob": -0.25, "bytes": None, "top_logprobs": []} for token in ("Hel", "lo.")]


def _finish(reason: str = "stop", **delta: Any) -> dict[str, Any]:
    return chunk({"content": "", **delta}, finish_reason=reason, usage=token_usage())


def _with_logprobs(text: str, token: dict[str, Any]) -> dict[str, Any]:
    event = chunk({"content": text})
    event["choices"][0]["logprobs"] = {"content": [token], "refusal": None}
    return event


ANSWERS: dict[str, tuple[ScriptedReply, ScriptedReply]] = {
    "text": (completion("Hello."), stream(["Hel", "lo."])),
    "nothing": (completion(""), stream([])),
    "reasoning": (
        completion("Hello.", reasoning="Say hello."),
        stream(["Hel", "lo."], reasoning=["Say ", "hello."]),
    ),
    "reasoning only": (
        completion("", reasoning="Say", finish_reason="length"),
        stream([], reasoning=["S", "ay"], finish_reason="length"),
    ),
    "tool calls": (completion(None, tool_calls=[WEATHER, TIME]), stream([], tool_calls=[WEATHER, TIME])),
    "text, reasoning and a tool call": (
        completion("I look.", reasoning="Look.", tool_calls=[WEATHER]),
        stream(["I ", "look."], reasoning=["Look."], tool_calls=[WEATHER]),
    ),
    "a tool call that was cut off": (
        completion(None, tool_calls=[WEATHER, CUT_OFF], finish_reason="length"),
        stream([], tool_calls=[WEATHER, CUT_OFF], finish_reason="length"),
    ),
    "a tool call with a raw line break": (
        completion(None, tool_calls=[tool_call("say", '{"text": "a\nb"}')]),
        stream([], tool_calls=[tool_call("say", '{"text": "a\nb"}')]),
    ),
    "refusal": (completion(None, refusal="I cannot."), stream([], refusal=["I can", "not."])),
    "annotations": (
        completion("Hello.", message={"annotations": [CITATION]}),
        events(chunk({"content": "Hel"}), chunk({"content": "lo."}), _finish(annotations=[CITATION])),
    ),
    "logprobs": (
        completion("Hello.", choice={"logprobs": {"content": TOKENS, "refusal": None}}),
        events(_with_logprobs("Hel", TOKENS[0]), _with_logprobs("lo.", TOKENS[1]), _finish()),
    ),
    "encrypted reasoning": (
        completion("Hello.", message={"reasoning_details": [ENCRYPTED]}),
        events(chunk({"content": "", "reasoning_details": [ENCRYPTED]}), chunk({"content": "Hello."}), _finish()),
    ),
    "an image": (
        completion("Hello.", message={"images": [IMAGE]}),
        events(chunk({"content": "Hello."}), _finish(images=[IMAGE])),
    ),
    "content in parts": (
        completion(message={"content": [{"type": "text", "text": "Hello."}, IMAGE]}),
        events(chunk({"content": "Hello."}), chunk({"content": [IMAGE]}), _finish()),
    ),
    "parts without a type": (
        completion(message={"content": [{"text": "Hello."}, {"type": None, "text": None}]}),
        events(chunk({"content": [{"type": None, "text": "Hello."}]}), chunk({"content": [{"type": None}]}), _finish()),
    ),
}  # fmt: skip


@pytest.mark.parametrize("output_version", ["v0", "v1"])
@pytest.mark.parametrize("way", STREAMED)
@pytest.mark.parametrize("answer", ANSWERS)
def test_sum_of_chunks_equals_invoked_message(server: ScriptedOpenRouter, answer: str, way: str, output_version: str):
    server.add(*ANSWERS[answer])
    model = chat(server, output_version=output_version)
    invoked = model.invoke("Hi")
    streamed = ask(model, way)
    for name in COMPARED:
        assert getattr(streamed, name) == getattr(invoked, name), name


@pytest.mark.parametrize("answer", ANSWERS)
def test_chunks_added_as_a_list_equal_invoked_message(server: ScriptedOpenRouter, answer: str):
    server.add(*ANSWERS[answer])
    model = chat(server)
    invoked = model.invoke("Hi")
    first, *rest = model.stream("Hi")
    for name in COMPARED:
        assert getattr(first + rest, name) == getattr(invoked, name), name


@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
@pytest.mark.parametrize("answer", ANSWERS)
def test_invoke_with_streaming_returns_the_same_message(server: ScriptedOpenRouter, answer: str, way: str):
    server.add(*ANSWERS[answer])
    plain = chat(server).invoke("Hi")
    streamed = ask(chat(server, streaming=True), way)
    assert sent(server)["stream"] is True
    assert type(streamed) is AIMessage
    for name in COMPARED:
        assert getattr(streamed, name) == getattr(plain, name), name


@pytest.mark.parametrize("way", ALL_WAYS)
def test_all_methods_send_the_same_messages(server: ScriptedOpenRouter, way: str):
    server.add(stream(["Hel", "lo."]) if way in STREAMED else completion("Hello."))
    answer = ask(chat(server), way)
    assert answer.text == "Hello."
    assert sent(server)["messages"] == [{"role": "user", "content": "Hi"}]
    assert sent(server).get("stream", False) is (way in STREAMED)


def test_stream_yields_one_chunk_per_event(server: ScriptedOpenRouter):
    server.add(stream(["Hel", "lo."]))
    chunks = list(chat(server).stream("Hi"))
    assert [chunk.text for chunk in chunks] == ["Hel", "lo.", ""]
    assert [chunk.chunk_position for chunk in chunks] == [None, None, "last"]
    assert all(isinstance(chunk, AIMessageChunk) for chunk in chunks)
    assert len({chunk.id for chunk in chunks}) == 1


@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_response_metadata_has_each_fact_once(server: ScriptedOpenRouter, way: str):
    facts = {"system_fingerprint": "fp_1"}
    finish = {"finish_reason": "stop", "native_finish_reason": "eos"}
    last = chunk(None, choices=[{"index": 0, "delta": {}, **finish}], usage=token_usage(), **facts)
    server.add(events(chunk({"content": "Hi"}), last) if way == "stream" else completion(choice=finish, **facts))
    assert ask(chat(server), way).response_metadata == {
        "model_name": "liquid/lfm-3b",
        "model_provider": "openrouter",
        "id": GENERATION_ID,
        "provider": "Liquid",
        "created": CREATED,
        "finish_reason": "stop",
        "native_finish_reason": "eos",
        "cost": 2.8e-07,
        "cost_source": "openrouter",
        "cost_details": token_usage()["cost_details"],
        "is_byok": False,
        **facts,
    }


@pytest.mark.parametrize("ending", ["A", "B", "C", "usage_in_finish"])
def test_metadata_is_the_same_for_every_stream_ending(server: ScriptedOpenRouter, ending: Any):
    server.add(completion(), stream(ending=ending))
    model = chat(server)
    invoked, streamed = model.invoke("Hi"), ask(model, "stream")
    assert streamed.response_metadata == invoked.response_metadata
    assert streamed.usage_metadata == invoked.usage_metadata


@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_usage_metadata_has_all_token_details(server: ScriptedOpenRouter, way: str):
    usage = token_usage(100, 50, reasoning_tokens=20, cached_tokens=30)
    server.add(stream(usage=usage) if way == "stream" else completion(usage=usage))
    assert ask(chat(server), way).usage_metadata == {
        "input_tokens": 100,
        "output_tokens": 50,
        "total_tokens": 150,
        "input_token_details": {"cache_read": 30, "cache_creation": 0, "audio": 0, "video": 0},
        "output_token_details": {"reasoning": 20, "image": 0, "audio": 0},
    }


def test_usage_metadata_converts_counts_to_integers(server: ScriptedOpenRouter):
    server.add(completion(usage={"prompt_tokens": 9.0, "completion_tokens": "5", "prompt_tokens_details": None}))
    usage = chat(server).invoke("Hi").usage_metadata
    assert usage == {"input_tokens": 9, "output_tokens": 5, "total_tokens": 14}
    assert all(type(count) is int for count in usage.values())


@pytest.mark.parametrize("usage", [None, {}, {"cost": 0.1}])
def test_usage_metadata_is_none_without_token_counts(server: ScriptedOpenRouter, usage: Any):
    server.add(completion(usage=usage))
    assert chat(server).invoke("Hi").usage_metadata is None


def test_cost_is_computed_from_catalogue_if_reply_has_none(server: ScriptedOpenRouter, monkeypatch):
    # A server on this machine costs nothing, so the catalogue's prices are not for it.
    monkeypatch.setattr("lfm_adapter._client.settings.Settings.is_local", False)
    server.add(completion(usage=token_usage(1_000_000, 0, cost=None)))
    metadata = chat(server).invoke("Hi").response_metadata
    assert (metadata["cost"], metadata["cost_source"]) == (0.02, "catalog")


def test_cost_is_absent_if_unknown(server: ScriptedOpenRouter):
    server.add(completion(usage=token_usage(cost=None)))
    metadata = chat(server).invoke("Hi").response_metadata
    assert "cost" not in metadata
    assert "cost_source" not in metadata


@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_additional_kwargs_have_reasoning(server: ScriptedOpenRouter, way: str):
    reply, streamed = ANSWERS["reasoning"]
    server.add(streamed if way == "stream" else reply)
    assert ask(chat(server), way).additional_kwargs == {
        "reasoning_content": "Say hello.",
        "reasoning_details": [{"type": "reasoning.text", "text": "Say hello.", "format": "unknown", "index": 0}],
    }


def test_unknown_response_fields_are_kept(server: ScriptedOpenRouter):
    server.add(completion(message={"mood": "good"}, weather="sunny"))
    message = chat(server).invoke("Hi")
    assert message.additional_kwargs == {"mood": "good"}
    assert message.response_metadata["weather"] == "sunny"


def test_server_tool_use_is_in_response_metadata(server: ScriptedOpenRouter):
    server.add(completion(usage=token_usage() | {"server_tool_use_details": {"web_search_requests": 2}}))
    assert chat(server).invoke("Hi").response_metadata["server_tool_use_details"] == {"web_search_requests": 2}


@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_clamped_max_tokens_are_in_response_metadata(server: ScriptedOpenRouter, way: str):
    server.add(stream() if way == "stream" else completion())
    answer = ask(chat(server, model="liquid/lfm-2.5-2.6b:free", max_tokens=9_000), way)
    assert sent(server)["max_tokens"] == 8_192
    assert answer.response_metadata["max_tokens_clamped"] == {"from": 9_000, "to": 8_192}


def test_when_retired_successor_replaces_named_model(server: ScriptedOpenRouter):
    server.add(completion(model="liquid/lfm-3-1.7b"))
    with pytest.warns(UserWarning, match="retired"):
        message = chat(server, when_retired="successor").invoke("Hi")
    assert sent(server)["model"] == "liquid/lfm-3-1.7b"
    assert message.response_metadata["model_name"] == "liquid/lfm-3-1.7b"


def test_n_answers_are_n_generations(server: ScriptedOpenRouter):
    choices = [
        {"index": index, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        for index, text in enumerate(["One.", "Two."])
    ]
    server.add(completion(choices=choices))
    result = chat(server, n=2).generate([[HumanMessage("Hi")]])
    assert sent(server)["n"] == 2
    assert [generation.text for generation in result.generations[0]] == ["One.", "Two."]


@pytest.mark.parametrize("way", STREAMED)
def test_n_above_1_cannot_be_streamed(server: ScriptedOpenRouter, way: str):
    with pytest.raises(ConfigurationError, match="n=1"):
        ask(chat(server, n=2), way)
    assert server.requests == []


def test_batch_keeps_order(server: ScriptedOpenRouter):
    server.default = lambda request: completion(request.body["messages"][0]["content"].upper())
    answers = chat(server).batch(["a", "b", "c"], {"max_concurrency": 2})
    assert [answer.text for answer in answers] == ["A", "B", "C"]


async def test_concurrent_calls_get_their_own_answers(server: ScriptedOpenRouter):
    server.default = lambda request: completion(request.body["messages"][0]["content"].upper())
    model = chat(server)
    answers = await asyncio.gather(*(model.ainvoke(f"question {number}") for number in range(20)))
    assert [answer.text for answer in answers] == [f"QUESTION {number}" for number in range(20)]


def test_model_works_in_successive_event_loops(server: ScriptedOpenRouter):
    server.add(completion("One."), completion("Two."), completion("Three."))
    model = chat(server)
    assert [asyncio.run(model.ainvoke("Hi")).text for _ in range(3)] == ["One.", "Two.", "Three."]


@pytest.mark.parametrize("way", PLAIN)
def test_prompt_template_pipes_into_model(server: ScriptedOpenRouter, way: str):
    server.add(completion())
    prompt = ChatPromptTemplate([("system", "Be {manner}."), ("human", "{question}")])
    ask(prompt | chat(server), way, {"manner": "brief", "question": "Why?"})
    assert sent(server)["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]


def test_unfinished_sum_completes_partial_arguments(server: ScriptedOpenRouter):
    """While a call arrives, LangChain's parsers show its beginning."""
    server.add(stream([], tool_calls=[WEATHER]))
    *chunks, _ = chat(server).stream("Hi")
    assert summed(chunks[:3]).tool_calls[0]["args"] == {"city": "Par"}


@pytest.mark.filterwarnings("ignore:The function `load:langchain_core._api.LangChainBetaWarning")
def test_chunk_serializes_as_langchain_class(server: ScriptedOpenRouter):
    server.add(stream("Hello."))
    first, *_ = chat(server).stream("Hi")
    again = load(dumpd(first), allowed_objects="messages")
    assert type(again) is AIMessageChunk
    assert again.content == first.content
