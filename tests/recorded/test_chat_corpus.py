"""A corpus of replies that others recorded from OpenRouter: ChatLFM loses nothing of any of them, asked in any way."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from lfm_adapter import ChatLFM
from lfm_adapter.testing import ScriptedOpenRouter, ScriptedReply
from tests.support.corpus import WHY_NOT, Expected, Recording, expected, load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langchain_core.messages import AIMessage

CORPUS = [recording for recording in load() if recording.status == 200]

pytestmark = pytest.mark.skipif(not CORPUS, reason=WHY_NOT)


@pytest.fixture(scope="module")
def corpus_server() -> Iterator[ScriptedOpenRouter]:
    with ScriptedOpenRouter(path="/api/v1") as server:
        yield server


def played(recording: Recording, server: ScriptedOpenRouter, piece_bytes: int) -> ChatLFM:
    reply: ScriptedReply = ScriptedReply(200, {"Content-Type": recording.content_type}, (recording.body,))
    server.add(reply.in_pieces(piece_bytes))
    return ChatLFM(model="liquid/lfm-2.5-2.6b:free", base_url=server.base_url, api_key="test-key", max_retries=0)


@pytest.mark.parametrize("recording", CORPUS, ids=[recording.id for recording in CORPUS])
async def test_nothing_is_lost(recording: Recording, corpus_server: ScriptedOpenRouter):
    facts = expected(recording)
    if recording.is_stream:
        chunks = list(played(recording, corpus_server, 1_000).stream("Hello"))
        check(sum(chunks[1:], start=chunks[0]), facts)
        chunks = [chunk async for chunk in played(recording, corpus_server, 777).astream("Hello")]
        check(sum(chunks[1:], start=chunks[0]), facts)
    else:
        check(played(recording, corpus_server, 1_000).invoke("Hello"), facts)
        check(await played(recording, corpus_server, 100_000).ainvoke("Hello"), facts)


def check(message: AIMessage, facts: Expected) -> None:
    more, metadata = message.additional_kwargs, message.response_metadata
    assert message.text == facts.text
    assert more.get("reasoning_content", "") == facts.reasoning
    assert more.get("reasoning_details", []) == facts.reasoning_details
    assert more.get("refusal") == facts.refusal
    assert more.get("annotations", []) == facts.annotations
    calls = [(call["id"], call["name"], call["args"]) for call in message.tool_calls]
    assert calls == [(id_, name, json.loads(arguments or "{}")) for id_, name, arguments in facts.tool_calls]
    assert not message.invalid_tool_calls
    told = {
        "id": facts.generation_id,
        "model_name": facts.model,
        "model_provider": "openrouter",
        "finish_reason": facts.finish_reason,
        "native_finish_reason": facts.native_finish_reason,
        "provider": facts.provider,
        "logprobs": facts.logprobs,
        "citations": facts.citations,
        "system_fingerprint": facts.system_fingerprint,
        "service_tier": facts.service_tier,
    }
    assert {name: metadata.get(name) for name in told} == told
    check_usage(message, facts.usage or {})
    if facts.cost is not None:
        assert (metadata["cost"], metadata["cost_source"]) == (facts.cost, "openrouter")


def check_usage(message: AIMessage, usage: dict[str, Any]) -> None:
    if not usage:
        assert message.usage_metadata is None
        return
    counted = message.usage_metadata
    assert counted is not None
    assert counted["input_tokens"] == usage["prompt_tokens"]
    assert counted["output_tokens"] == usage["completion_tokens"]
    assert counted["total_tokens"] == usage["total_tokens"]
    prompt, completion = usage.get("prompt_tokens_details") or {}, usage.get("completion_tokens_details") or {}
    assert counted.get("input_token_details", {}).get("cache_read") == prompt.get("cached_tokens")
    assert counted.get("output_token_details", {}).get("reasoning") == completion.get("reasoning_tokens")
    for name in ("cost_details", "is_byok"):
        assert message.response_metadata.get(name) == usage.get(name)
