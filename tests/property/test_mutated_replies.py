"""A reply that is spoiled in one place is an answer that keeps its text, or an error of ours, on every surface.

Mutants go through `LFMClient` and `AsyncLFMClient` in turn (all of them in `make test-thorough`), and a share of them
through `ChatLFM`; `tests/unit/litellm/test_mutated_replies.py` has LiteLLM's part.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from lfm_adapter import AsyncLFMClient, LFMClient
from tests.support.chat_ways import summed
from tests.support.mutants import Mutant, mutants, samples
from tests.support.played import PlayedChat, stepped

if TYPE_CHECKING:
    from lfm_adapter.types import Reply

MIN_MUTANTS = 20_000
STEP = 1 if settings.get_current_profile_name() == "thorough" else 4
SHARE = 20
MODEL = "liquid/lfm-2.5-2.6b:free"
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
CALL = {"model": MODEL, "api_key": "test-key", "max_retries": 0}


def through_client(mutant: Mutant) -> str:
    client = LFMClient(transport=mutant.played(), **CALL)
    if not mutant.sample.is_stream:
        return _checked(client.chat("Hi"))
    with client.stream("Hi", tools=[WEATHER]) as stream:
        text = "".join(delta.text for delta in stream)
    assert _checked(stream.reply) == text
    return text


def through_async_client(mutant: Mutant) -> str:
    client = AsyncLFMClient(transport=mutant.aplayed(), **CALL)

    async def ask() -> str:
        if not mutant.sample.is_stream:
            return _checked(await client.chat("Hi", tools=[WEATHER]))
        async with client.stream("Hi") as stream:
            text = "".join([delta.text async for delta in stream])
        assert _checked(stream.reply) == text
        return text

    return stepped(ask())


def through_langchain(mutant: Mutant) -> str:
    model = PlayedChat(played=mutant.played(), **CALL)
    message = summed(list(model.stream("Hi"))) if mutant.sample.is_stream else model.invoke("Hi")
    assert isinstance(message.content_blocks, list)
    return str(message.text)


def _checked(reply: Reply | None) -> str:
    assert reply is not None
    assert reply.choices
    return reply.text


def test_any_mutant_is_an_answer_with_its_text_or_an_error_of_ours():
    count = 0
    for count, mutant in enumerate(mutants(), start=1):
        if count % STEP == 0:
            mutant.check((through_client, through_async_client)[count // STEP % 2])
    assert count >= MIN_MUTANTS


def test_any_mutant_is_an_answer_with_its_text_or_an_error_of_ours_in_langchain():
    for mutant in islice(mutants(), 0, None, SHARE):
        mutant.check(through_langchain)


@pytest.mark.parametrize("surface", [through_client, through_async_client, through_langchain])
def test_the_replies_that_are_spoiled_are_read_right_before(surface):
    answers = 0
    for sample in samples():
        Mutant(sample, (0, "nowhere"), sample.body).check(surface)
        answers += bool(sample.text)
    assert answers >= 8
