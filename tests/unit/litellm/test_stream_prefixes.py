"""A stream that stops anywhere is the whole reply or an error with what arrived, in LiteLLM too."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from lfm_adapter.litellm import LFMProvider
from tests.support.played import AsyncPlayed, Played, stepped
from tests.support.recorded_streams import CASES, Case, check_prefixes


def through_provider(case: Case, played: dict[str, Any]) -> Any:
    return _told(lambda: [*LFMProvider(transport=Played(**played)).streaming(**_call(case))])


def through_async_provider(case: Case, played: dict[str, Any]) -> Any:
    async def read() -> list[Any]:
        return [chunk async for chunk in LFMProvider(async_transport=AsyncPlayed(**played)).astreaming(**_call(case))]

    return _told(lambda: stepped(read()))


def _call(case: Case) -> dict[str, Any]:
    messages = [{"role": "user", "content": "Hi"}]
    return {"model": case.model, "messages": messages, "api_key": "test-key", "optional_params": case.parameters}


def _told(ask: Any) -> list[Any]:
    """Return the content of a stream's chunks; raise our error behind LiteLLM's."""
    try:
        return [{name: value for name, value in chunk.items() if name != "original_chunk"} for chunk in ask()]
    except openai.OpenAIError as error:
        if error.__cause__ is None:
            raise
        raise error.__cause__ from None


@pytest.mark.parametrize("ask", [through_provider, through_async_provider])
@pytest.mark.parametrize("how", ["ends", "breaks"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_stream_cut_at_any_byte_is_complete_or_an_error_with_its_text(case, how, ask):
    check_prefixes(case, how, ask, every=13)
