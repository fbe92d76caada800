"""`ChatLFM()` and `ChatLFM(model="liquid/lfm-3b")`. `tests/unit/litellm/test_litellm.py` has LiteLLM's names.

OpenRouter has not served it since October 2025, so the scripted server plays it as it was: $0.02 per million tokens in
and out. `ChatLFM()` asks its successor.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import pytest

from lfm_adapter import ChatLFM
from lfm_adapter.testing import completion, stream, token_usage

if TYPE_CHECKING:
    from vcr.cassette import Cassette

    from tests.support.recording import Service

LFM_3B, SUCCESSOR = "liquid/lfm-3b", "liquid/lfm-3-1.7b"
QUESTION = "What is the capital of France? Answer with one word."
ATTRIBUTION = {
    "app_url": "https://example.com/atlas",
    "app_title": "Atlas",
    "app_categories": ["cli-agent"],
}
HEADERS = {"http-referer": "https://example.com/atlas", "x-title": "Atlas", "x-openrouter-categories": "cli-agent"}
COST = {LFM_3B: 20 * 2e-8 + 2 * 2e-8, SUCCESSOR: 20 * 8e-8 + 2 * 2e-7}  # US$ for 20 tokens in and 2 out
WAYS = ("invoke", "stream", "ainvoke", "astream")


def reply(model: str, *, streamed: bool) -> Any:
    usage = token_usage(20, 2, cost=COST[model])
    return (
        stream(["Par", "is"], model=model, usage=usage) if streamed else completion("Paris", model=model, usage=usage)
    )


def recorded(asked: str, way: str, served: str) -> Any:
    answer = reply(served, streamed="stream" in way)
    name = f"{asked}-{way}".replace("/", "_")
    return pytest.param(asked, way, id=name, marks=[pytest.mark.vcr, pytest.mark.scripted(answer, always=True)])


async def asked(model: ChatLFM, way: str) -> Any:
    if way == "invoke":
        return model.invoke(QUESTION)
    if way == "ainvoke":
        return await model.ainvoke(QUESTION)
    chunks = [*model.stream(QUESTION)] if way == "stream" else [chunk async for chunk in model.astream(QUESTION)]
    return sum(chunks[1:], start=chunks[0])


@pytest.mark.parametrize(
    ("named", "way"),
    [recorded("default", way, SUCCESSOR) for way in WAYS] + [recorded(LFM_3B, way, LFM_3B) for way in WAYS],
)
async def test_chat_lfm(service: Service, vcr: Cassette, named: str, way: str):
    chosen = {} if named == "default" else {"model": named}
    model = ChatLFM(**chosen, base_url=service.base_url, api_key=service.api_key, **ATTRIBUTION)
    served = SUCCESSOR if named == "default" else LFM_3B
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        message = await asked(model, way)
    assert message.text == "Paris"
    assert message.response_metadata["model_name"] == served
    assert message.response_metadata["cost"] == pytest.approx(COST[served])
    assert message.usage_metadata["total_tokens"] == 22
    assert model.model == LFM_3B
    assert [SUCCESSOR in str(warning.message) for warning in warned] == [True] * (named == "default")
    [request] = vcr.requests
    assert {name: request.headers[name] for name in HEADERS} == HEADERS
