"""A stream that stops anywhere is the whole reply, or an error with all that had come."""

from __future__ import annotations

import json
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lfm_adapter import AsyncLFMClient, LFMClient
from lfm_adapter.errors import StreamInterruptedError
from tests.support.chat_ways import summed
from tests.support.played import AsyncPlayed, Played, PlayedChat, stepped
from tests.support.recorded_streams import CASES, Case, check_prefixes
from tests.support.reply_strategies import ENDINGS, Said, replies
from tests.support.stream_reading import joined, read_stream


@given(replies(), st.sampled_from(ENDINGS), st.integers(0, 1_000_000))
def test_a_stream_cut_anywhere_keeps_all_that_came(said, ending, place):
    check(said, ending, place)


@given(replies())
def test_a_stream_cut_at_the_end_of_any_event_keeps_all_that_came(said):
    events = said.events("C")
    for place in accumulate(map(len, events)):
        check(said, "C", place)
        check(said, "C", place - 2)  # before the blank line


def test_a_stream_cut_at_any_of_its_bytes_keeps_all_that_came():
    def chunk(content, finish_reason=None, **more):
        choice = {"index": 0, "delta": {"content": content}, "finish_reason": finish_reason}
        return {"id": "gen-1", "model": "liquid/lfm-3-1.7b", "choices": [choice], **more}

    usage = {"total_tokens": 3}
    said = Said({}, [chunk("Gr"), chunk("üße")], {"C": [chunk("", "stop"), chunk("", "stop", usage=usage)]})
    for place in range(len(b"".join(said.events("C"))) + 1):
        check(said, "C", place)


def check(said: Said, ending: str, place: int) -> None:
    events = said.events(ending)
    stream = b"".join(events)
    stream = stream[: place % (len(stream) + 1)]
    # An event has come when its line has, with or without what ends it.
    arrived = [event for event, end in zip(events, accumulate(map(len, events)), strict=True) if end - 2 <= len(stream)]
    reading = read_stream([stream])
    if reading.error is None:
        assert reading.whole == read_stream(events).whole
        assert len(arrived) >= len(events) - 1, "only [DONE] may be missing"
        return
    assert type(reading.error) is StreamInterruptedError
    assert reading.reply is None
    sent = [json.loads(event.removeprefix(b"data: ")) for event in arrived]
    begun = sorted({choice["index"] for chunk in sent for choice in chunk["choices"]})
    partial = reading.error.partial
    if partial is None:
        assert not reading.deltas
        begun = []
    for place_of_choice, index in enumerate(begun):
        deltas = [choice["delta"] for chunk in sent for choice in chunk["choices"] if choice["index"] == index]
        choice = partial.choices[place_of_choice]
        text = "".join(delta.get("content") or "" for delta in deltas)
        assert choice.text == text
        assert (choice.refusal or "") == "".join(delta.get("refusal") or "" for delta in deltas)
        assert choice.annotations == [one for delta in deltas for one in delta.get("annotations", [])]
        so_far = joined(reading.deltas, index)
        # A stream holds back what may be the beginning of `<think>`; the error has it.
        assert so_far.text == text or "<think>".startswith(text.removeprefix(so_far.text).lstrip())
        assert (choice.reasoning, choice.refusal) == (so_far.reasoning, so_far.refusal)
        assert (choice.tool_calls, choice.logprobs) == (so_far.tool_calls, so_far.logprobs)


def through_client(case: Case, played: dict[str, Any]) -> Any:
    stream = LFMClient(transport=Played(**played), **case.settings).stream("Hi", **case.parameters)
    return [*stream], stream.reply


def through_async_client(case: Case, played: dict[str, Any]) -> Any:
    stream = AsyncLFMClient(transport=AsyncPlayed(**played), **case.settings).stream("Hi", **case.parameters)

    async def read() -> Any:
        return [delta async for delta in stream], stream.reply

    return stepped(read())


def through_langchain(case: Case, played: dict[str, Any]) -> Any:
    model = PlayedChat(played=Played(**played), **case.settings)
    return summed(list(model.stream("Hi", **case.parameters))).model_dump(exclude={"id"})


@pytest.mark.parametrize(("ask", "every"), [(through_client, 7), (through_async_client, 11), (through_langchain, 29)])
@pytest.mark.parametrize("how", ["ends", "breaks"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_stream_cut_at_any_of_its_bytes_is_whole_or_an_error_with_all_text_that_came(case, how, ask, every):
    check_prefixes(case, how, ask, every=every)
