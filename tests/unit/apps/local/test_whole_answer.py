"""A streamed answer of llama.cpp, put together again."""

from __future__ import annotations

from lfm_adapter.apps.local.whole_answer import WholeAnswer


def whole(*events: dict) -> dict:
    answer = WholeAnswer()
    for event in events:
        answer.add(event)
    return answer.body()


def chunk(index: int = 0, finish_reason: str | None = None, logprobs: dict | None = None, **delta: object) -> dict:
    choice = {"index": index, "finish_reason": finish_reason, "delta": delta}
    if logprobs:
        choice["logprobs"] = logprobs
    return {"object": "chat.completion.chunk", "id": "chatcmpl-1", "model": "m", "choices": [choice]}


def test_text_reasoning_and_usage_are_those_of_a_whole_answer():
    answer = whole(
        chunk(role="assistant", content=None),
        chunk(reasoning_content="2 + "),
        chunk(reasoning_content="2."),
        chunk(content="fo", logprobs={"content": [{"token": "fo"}]}),
        chunk(content="ur", logprobs={"content": [{"token": "ur"}]}),
        chunk(finish_reason="stop"),
        {"object": "chat.completion.chunk", "choices": [], "usage": {"total_tokens": 9}, "timings": {"cache_n": 0}},
    )
    message = {"role": "assistant", "content": "four", "reasoning_content": "2 + 2."}
    logprobs = {"content": [{"token": "fo"}, {"token": "ur"}]}
    assert answer == {
        "object": "chat.completion",
        "id": "chatcmpl-1",
        "model": "m",
        "usage": {"total_tokens": 9},
        "timings": {"cache_n": 0},
        "choices": [{"index": 0, "finish_reason": "stop", "message": message, "logprobs": logprobs}],
    }


def test_choices_are_kept_apart():
    answer = whole(chunk(1, content="b"), chunk(0, content="a"), chunk(1, content="B"), chunk(0, "length"))
    assert [choice["message"]["content"] for choice in answer["choices"]] == ["a", "bB"]
    assert answer["choices"][0]["finish_reason"] == "length"


def test_calls_are_joined_by_their_index():
    first = {"index": 0, "id": "x", "type": "function", "function": {"name": "f", "arguments": ""}}
    answer = whole(
        chunk(tool_calls=[first]),
        chunk(tool_calls=[{"index": 0, "function": {"arguments": '{"a":'}}]),
        chunk(tool_calls=[{"index": 1, "id": "y", "function": {"name": "g", "arguments": "{}"}}]),
        chunk(tool_calls=[{"index": 0, "function": {"arguments": "1}"}}]),
    )
    calls = answer["choices"][0]["message"]["tool_calls"]
    assert calls == [
        {"id": "x", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
        {"id": "y", "type": "function", "function": {"name": "g", "arguments": "{}"}},
    ]


def test_text_completion_keeps_its_form():
    event = {"object": "text_completion", "choices": [{"index": 0, "text": "wa", "finish_reason": None}]}
    last = {"object": "text_completion", "choices": [{"index": 0, "text": "ter", "finish_reason": "stop"}]}
    answer = whole(event, last)
    assert answer["object"] == "text_completion"
    assert answer["choices"] == [{"index": 0, "text": "water", "finish_reason": "stop"}]
