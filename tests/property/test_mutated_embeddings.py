"""A response with vectors that is spoiled in one place gives a vector for each text, or an error, on every surface."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from lfm_adapter import AsyncLFMClient, LFMClient, LFMEmbeddings, errors
from lfm_adapter.testing import embeddings, error
from tests.support.mutants import METADATA, Mutant, mutants, sample_of
from tests.support.played import stepped

if TYPE_CHECKING:
    from collections.abc import Callable

MIN_MUTANTS = 2_000
TEXTS = ["a", "b"]
CALL: dict[str, Any] = {"api_key": "test-key", "max_retries": 0}
REPLIES = (
    embeddings([0.5, 1], [0.25, 2]),
    embeddings("AAAAPwAAgD8=", "AACAPgAAAEA="),
    embeddings([0.5, 1], [0.25, 2], usage={"prompt_tokens": 2, "prompt_tokens_details": {"cached_tokens": 1}}, data=[
        {"embedding": [0.25, 2], "index": 1}, {"embedding": [0.5, 1], "index": 0},
    ]),
    error(200, "Slow down", code=429, metadata=METADATA),
    error(429, "Slow down", metadata=METADATA, user_id="user_0123456789abcdef"),
)  # fmt: skip
SAMPLES = [sample_of(number, reply) for number, reply in enumerate(REPLIES)]
VECTORS = [[0.5, 1.0], [0.25, 2.0]]


class PlayedEmbeddings(LFMEmbeddings):
    played: Any

    def _client(self, **_: Any) -> LFMClient:
        return LFMClient.from_settings(self._settings(), self.played)


def through_client(mutant: Mutant) -> Any:
    reply = LFMClient(transport=mutant.played(), **CALL).embed(TEXTS, role="query")
    assert reply.cost is None or reply.cost.total >= 0
    return reply.vectors


def through_async_client(mutant: Mutant) -> Any:
    return stepped(AsyncLFMClient(transport=mutant.aplayed(), **CALL).embed(TEXTS, role="query")).vectors


def through_langchain(mutant: Mutant) -> Any:
    return PlayedEmbeddings(played=mutant.played(), **CALL).embed_documents(TEXTS)


def through_litellm(mutant: Mutant) -> Any:
    pytest.importorskip("litellm", reason="needs `pip install 'lfm-adapter[litellm]'`")
    import openai

    from lfm_adapter.litellm import LFMProvider

    call = {"model": "liquid/lfm-2.5-embedding-350m:free", "input": TEXTS, "api_key": "test-key"}
    try:
        return [item["embedding"] for item in LFMProvider(transport=mutant.played()).embedding(**call).data]
    except openai.OpenAIError as failure:
        if isinstance(failure.__cause__, errors.APIError):
            raise failure.__cause__ from None
        raise


def check(mutant: Mutant, ask: Callable[[Mutant], Any]) -> None:
    try:
        vectors = ask(mutant)
    except errors.APIError:
        pass
    else:
        assert mutant.sample.status == 200, "an error became an answer"
        assert [len(vector) for vector in vectors] == [len(vectors[0])] * 2
        assert all(type(number) is float and math.isfinite(number) for vector in vectors for number in vector)
        assert "data" in mutant.path or mutant.path == (0,) or vectors == VECTORS


@pytest.mark.filterwarnings("ignore:Items? '.*' on TypedDict class:UserWarning")  # pydantic's word on LiteLLM's types
def test_any_mutant_is_a_vector_for_each_text_or_an_error_of_ours():
    ways = (through_client, through_async_client, through_langchain, through_litellm)
    count = 0
    for count, mutant in enumerate(mutants(SAMPLES), start=1):
        for ask in ways if count % 10 == 0 else (ways[count % 2],):
            try:
                check(mutant, ask)
            except BaseException as failure:
                failure.add_note(f"{mutant.sample}, spoiled at {mutant.path}: {mutant.body[:2_000]!r}")
                raise
    assert count >= MIN_MUTANTS


@pytest.mark.parametrize("ask", [through_client, through_async_client, through_langchain])
def test_the_responses_that_are_spoiled_are_read_right_before(ask: Callable[[Mutant], Any]):
    for sample in SAMPLES[:3]:
        assert ask(Mutant(sample, (0, "nowhere"), sample.body)) == VECTORS
