"""LiteLLM's response for a reply: the same streamed or not, synchronous or not."""

from __future__ import annotations

import importlib.metadata
from typing import Any

import litellm
import pytest
from litellm.types.utils import ModelResponse

from lfm_adapter.testing import chunk, completion, events, stream, token_usage, tool_call
from lfm_adapter.testing._wire import GENERATION_ID
from tests.support.litellm_ways import ALL_WAYS, MESSAGES, PLAIN, STREAMED, ask, built, chunks

LIVE = "liquid/lfm-2.5-2.6b:free"
USAGE = token_usage(18, 12, reasoning_tokens=9, cached_tokens=4, cost=3e-7)
CALLS = [tool_call("weather", {"city": "Oslo"}), tool_call("time", {}, call_id="call_2")]
IS_1_81 = importlib.metadata.version("litellm").startswith("1.81.")
ENDINGS = ["A", "B", "C", "usage_in_finish"]


def answer(way: str, text: str = "Hello.", reasoning: str = "", **reply: Any) -> Any:
    if way in PLAIN:
        return completion(text, reasoning=reasoning or None, **reply)
    return stream([text[:3], text[3:]] if text else [], reasoning=[reasoning] if reasoning else [], **reply)


@pytest.mark.parametrize("way", ALL_WAYS)
def test_response_has_text_reasoning_usage_and_id(openrouter_server, way):
    openrouter_server.add(answer(way, reasoning="They greet.", model=LIVE, usage=USAGE))
    response = ask(way, model="lfm/lfm-2.5-2.6b:free")
    message = response.choices[0].message
    assert isinstance(response, ModelResponse)
    assert (message.role, message.content, message.reasoning_content) == ("assistant", "Hello.", "They greet.")
    assert response.choices[0].finish_reason == "stop"
    assert response.id == GENERATION_ID
    usage = response.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (18, 12, 30)
    if not (IS_1_81 and way in STREAMED):  # its stream_chunk_builder drops usage details
        assert usage.completion_tokens_details.reasoning_tokens == 9
        assert usage.prompt_tokens_details.cached_tokens == 4


@pytest.mark.parametrize("way", ALL_WAYS)
def test_other_fields_are_in_provider_specific_fields(openrouter_server, way):
    facts = {"model": LIVE, "usage": USAGE, "native_finish_reason": "eos", "citations": ["u"]}
    openrouter_server.add(answer(way, reasoning="Hm.", **facts))
    kept = ask(way, model="lfm/lfm-2.5-2.6b:free").choices[0].message.provider_specific_fields
    expected = {
        "model": LIVE, "provider": "Liquid", "native_finish_reason": "eos", "cost": 3e-7, "cost_source": "openrouter",
        "is_byok": False,
    }  # fmt: skip
    assert {name: kept[name] for name in expected} == expected
    assert kept["citations"] == ["u"]
    assert kept["reasoning_details"] == [{"type": "reasoning.text", "text": "Hm.", "format": "unknown", "index": 0}]


@pytest.mark.parametrize("way", ALL_WAYS)
def test_response_has_tool_calls(openrouter_server, way):
    openrouter_server.add(answer(way, "", model=LIVE, tool_calls=CALLS))
    choice = ask(way, model="lfm/lfm-2.5-2.6b:free").choices[0]
    calls = [(call.id, call.type, call.function.name, call.function.arguments) for call in choice.message.tool_calls]
    assert calls == [("call_1", "function", "weather", '{"city":"Oslo"}'), ("call_2", "function", "time", "{}")]
    if way in STREAMED and IS_1_81:
        pytest.skip("1.81's stream_chunk_builder makes every finish reason a 'stop'; its chunks are right")
    assert choice.finish_reason == "tool_calls"


@pytest.mark.parametrize("way", PLAIN)
def test_response_has_refusal_and_citations(openrouter_server, way):
    source = {"type": "url_citation", "url_citation": {"url": "https://a.example", "title": "A"}}
    other = {"type": "file", "file": {"hash": "x"}}
    openrouter_server.add(completion("", refusal="I will not.", message={"annotations": [source, other]}))
    message = ask(way).choices[0].message
    assert message.annotations == [source]
    assert message.provider_specific_fields["annotations"] == [source, other]
    assert message.provider_specific_fields["refusal"] == "I will not."


@pytest.mark.parametrize("way", STREAMED)
def test_refusal_is_streamed(openrouter_server, way):
    openrouter_server.add(stream([], refusal=["I will", " not."]))
    fields = [c.choices[0].delta.provider_specific_fields or {} for c in chunks(way)]
    assert "".join(field.get("refusal", "") for field in fields) == "I will not."


@pytest.mark.parametrize("way", STREAMED)
def test_stream_yields_pieces_as_they_arrive(openrouter_server, way):
    openrouter_server.add(stream(["Hel", "lo."], reasoning=["Th", "ey."], model=LIVE, usage=USAGE))
    received = chunks(way, model="lfm/lfm-2.5-2.6b:free")
    assert [c.choices[0].delta.content for c in received if c.choices[0].delta.content] == ["Hel", "lo."]
    reasoning = [getattr(c.choices[0].delta, "reasoning_content", None) for c in received]
    assert [text for text in reasoning if text] == ["Th", "ey."]
    assert {c.id for c in received} == {GENERATION_ID}
    assert received[0].choices[0].delta.role == "assistant"
    assert [c.choices[0].finish_reason for c in received if c.choices[0].finish_reason] == ["stop"]
    assert not [c for c in received if getattr(c, "usage", None)]


@pytest.mark.parametrize("way", STREAMED)
def test_stream_has_log_probabilities(openrouter_server, way):
    token = {"token": "Hi", "logprob": -0.1, "bytes": [72, 105], "top_logprobs": []}
    first = chunk({"content": "Hi"})
    first["choices"][0]["logprobs"] = {"content": [token]}
    openrouter_server.add(events(first, chunk({"content": ""}, finish_reason="stop", usage=USAGE)))
    received = chunks(way, model="lfm/unknown/model", logprobs=True)
    [logprobs] = [c.choices[0].logprobs for c in received if getattr(c.choices[0], "logprobs", None)]
    assert logprobs["content"][0]["logprob"] == -0.1


@pytest.mark.parametrize("way", STREAMED)
def test_streamed_tool_call_ends_with_tool_calls_finish_reason(openrouter_server, way):
    openrouter_server.add(stream([], tool_calls=CALLS))
    received = chunks(way)
    assert received[-1].choices[0].finish_reason == "tool_calls"
    pieces = [call for c in received for call in c.choices[0].delta.tool_calls or ()]
    assert {call.index for call in pieces} == {0, 1}
    assert "".join(call.function.arguments for call in pieces if call.index == 0) == '{"city":"Oslo"}'


@pytest.mark.parametrize("way", STREAMED)
@pytest.mark.parametrize("ending", ENDINGS)
def test_stream_shows_usage_if_asked(openrouter_server, way, ending):
    openrouter_server.add(stream(usage=USAGE, ending=ending))
    received = chunks(way, stream_options={"include_usage": True})
    [usage] = [c.usage for c in received if getattr(c, "usage", None)]
    assert (usage.prompt_tokens, usage.completion_tokens) == (18, 12)


@pytest.mark.parametrize("way", STREAMED)
@pytest.mark.parametrize("ending", ENDINGS)
def test_stream_usage_is_reported_and_not_estimated(openrouter_server, way, ending):
    openrouter_server.add(stream(usage=USAGE, ending=ending))
    received = chunks(way)
    assert received[-1]._hidden_params["usage"].total_tokens == 30
    assert built(received).usage.total_tokens == 30


def test_stream_may_be_left_early(openrouter_server):
    openrouter_server.add(stream(["Hel", "lo."]).held(3, 60.0))
    response = litellm.completion("lfm/lfm-3b", MESSAGES, stream=True)
    assert next(response).choices[0].delta.content == "Hel"
    response.completion_stream.close()
    assert openrouter_server.requests[0].abandoned.wait(60)


@pytest.mark.parametrize("way", ALL_WAYS)
def test_response_accepts_missing_fields(openrouter_server, way):
    usage = {"prompt_tokens": 5, "completion_tokens": None, "cost": "?"}
    usage["prompt_tokens_details"] = {"cached_tokens": "many"}
    if way in PLAIN:
        openrouter_server.add(completion("Hello.", usage=usage, provider=None, id=None, created=None))
    else:
        openrouter_server.add(stream("Hello.", usage=usage, provider=None, id=None, created=None))
    response = ask(way)
    assert response.choices[0].message.content == "Hello."
    assert response.usage.prompt_tokens == 5
    if not (IS_1_81 and way in STREAMED):  # its stream_chunk_builder estimates counts of 0
        assert response.usage.completion_tokens == 0


@pytest.mark.parametrize("way", PLAIN)
def test_response_has_several_answers(openrouter_server, way):
    answers = [
        {"index": index, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        for index, text in enumerate(["One.", "Two."])
    ]
    openrouter_server.add(completion(choices=answers))
    response = ask(way, model="lfm/unknown/model", n=2)
    assert [choice.message.content for choice in response.choices] == ["One.", "Two."]


def test_text_completion_works(openrouter_server):
    openrouter_server.add(completion("upon a time"))
    assert litellm.text_completion(model="lfm/lfm-3b", prompt="Once").choices[0].text == "upon a time"


@pytest.mark.parametrize("way", ["completion", "acompletion"])
def test_reply_with_a_finish_reason_that_litellm_does_not_know_keeps_its_text(way, openrouter_server):
    openrouter_server.add(completion("Hi.", finish_reason="brand_new"))
    assert ask(way).choices[0].message.content == "Hi."
