from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lfm_adapter._openrouter.tool_calls import as_object
from tests.support.reply_strategies import ENDINGS, replies
from tests.support.stream_reading import ASKED, cut_at, joined, read_reply, read_stream

COMMENT = b": OPENROUTER PROCESSING\n\n"
PADDING = b"\n         \n"


def meant(arguments: str, finish_reason: str) -> str:
    """What arguments stand for: those that are none or encoded twice for an object, unless they are cut off."""
    return arguments if finish_reason in ("length", "content_filter") else as_object(arguments)


@given(replies(), st.sampled_from(ENDINGS), st.lists(st.integers(0, 100_000), max_size=20), st.integers(0, 3))
def test_a_reply_is_the_same_streamed_and_whole(said, ending, places, idle):
    whole = read_reply(200, {}, said.plain(PADDING * idle), ASKED)
    body = b"".join(COMMENT * idle + event for event in said.events(ending))
    reading = read_stream(cut_at(body, places))
    assert reading.whole == whole
    for index, choice in enumerate(whole.choices):
        told = joined(reading.deltas, index)
        assert told.text == choice.text
        assert told.reasoning == choice.reasoning
        assert told.tool_calls == choice.tool_calls
        assert told.refusal == choice.refusal
        assert told.logprobs == choice.logprobs


@given(replies(), st.sampled_from(ENDINGS))
def test_a_reply_says_all_that_was_sent(said, ending):
    sent = said.body["choices"]
    for reply in (read_reply(200, {}, said.plain(), ASKED), read_stream(said.events(ending)).whole):
        assert len(reply.choices) == len(sent)
        assert reply.usage == said.body["usage"]
        assert (reply.id, reply.model) == (said.body["id"], said.body["model"])
        for name in ("provider", "system_fingerprint", "service_tier"):
            assert getattr(reply, name) == said.body.get(name)
        assert reply.extra.get("citations") == said.body.get("citations")
        for choice, one in zip(reply.choices, sent, strict=True):
            message = one["message"]
            assert choice.text == (message["content"] or "")
            assert choice.reasoning_details == message.get("reasoning_details", [])
            assert choice.refusal == message.get("refusal")
            assert choice.annotations == message.get("annotations", [])
            assert choice.finish_reason == one["finish_reason"]
            assert choice.native_finish_reason == (one["native_finish_reason"] or None)
            calls = [(call["id"], call["function"]) for call in message.get("tool_calls", [])]
            assert [(call.id, call.name, call.arguments) for call in choice.tool_calls] == [
                (call_id, function["name"], meant(function["arguments"], one["finish_reason"]))
                for call_id, function in calls
            ]


@given(replies(), st.sampled_from(ENDINGS))
def test_no_delta_is_handed_on_that_adds_nothing(said, ending):
    for delta in read_stream(said.events(ending)).deltas:
        added = (delta.text, delta.reasoning, delta.reasoning_details, delta.refusal, delta.tool_calls, delta.logprobs)
        assert any(added)
