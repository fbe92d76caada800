"""`embed` of both clients: the texts in batches, each with its prefix, and their vectors in order."""

from __future__ import annotations

import asyncio
import threading
import time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from lfm_adapter import AsyncLFMClient
from lfm_adapter.errors import (
    APITimeoutError,
    ConfigurationError,
    ContextWindowExceededError,
    RateLimitError,
    ResponseError,
    ServerError,
)
from lfm_adapter.ledger import Budget, Ledger
from lfm_adapter.testing import Break, embeddings, error, failure
from lfm_adapter.types import EmbeddingReply

if TYPE_CHECKING:
    from pathlib import Path

    from lfm_adapter.testing import ScriptedOpenRouter

PATH = "/embeddings"
MODEL = "liquid/lfm-2.5-embedding-350m:free"
TEXTS = [f"text {number}" for number in range(10)]


def numbered(*numbers: int, **more: Any) -> Any:
    return embeddings(*([float(number)] for number in numbers), **more)


def test_texts_go_out_with_the_prefix_of_their_role(make, openrouter: ScriptedOpenRouter):
    openrouter.add(embeddings([0.5, 1], cost=0.25), embeddings([1.5, 2]), path=PATH)
    client = make(openrouter, app_title="My app")
    reply = client.embed(["Paris is a city."], role="document", provider={"order": ["liquid"]}, user=None)
    assert client.embed("Where is Paris?", role="query", extra_body={"seed": 1}).vectors == [[1.5, 2.0]]
    assert reply.vectors == [[0.5, 1.0]]
    assert (reply.model, reply.provider, reply.usage["prompt_tokens"]) == (MODEL, "Liquid", 9)
    assert (reply.cost.total, reply.cost.source) == (Decimal("0.25"), "openrouter")
    first, second = openrouter.requests
    assert first.body == {
        "model": MODEL, "input": ["document: Paris is a city."], "provider": {"order": ["liquid"]},
        "encoding_format": "float",
    }  # fmt: skip
    assert second.body == {"model": MODEL, "input": ["query: Where is Paris?"], "seed": 1, "encoding_format": "float"}
    assert (first.path, first.headers["x-title"]) == (PATH, "My app")
    assert first.headers["authorization"].startswith("Bearer ")


def test_texts_without_a_role_go_out_as_they_are(make, server: ScriptedOpenRouter):
    server.add(embeddings([0.5]), path=PATH)
    make(server).embed("passage: a", role=None, model="nomic-embed")
    assert server.requests[0].body == {"model": "nomic-embed", "input": ["passage: a"], "encoding_format": "float"}


def test_long_lists_go_out_in_batches_and_come_back_in_order(make, openrouter: ScriptedOpenRouter):
    openrouter.add(numbered(0, 1, 2), path=PATH)  # whichever batch comes first gets these
    reply = make(openrouter).embed(TEXTS[:3], role="query", batch_size=3)
    assert reply.vectors == [[0.0], [1.0], [2.0]]
    whole = make(openrouter).embed(TEXTS, role="query", batch_size=3, max_concurrency=2)
    assert sorted(len(request.body["input"]) for request in openrouter.requests[1:]) == [1, 3, 3, 3]
    assert whole.vectors == [make(openrouter).embed(text, role="query").vectors[0] for text in TEXTS]
    assert whole.usage == {"prompt_tokens": 30, "total_tokens": 30, "cost": 0}
    assert whole.cost.total == 0


def test_64_texts_are_a_batch(make, openrouter: ScriptedOpenRouter):
    make(openrouter).embed(["a"] * 130, role="query")
    assert sorted(len(request.body["input"]) for request in openrouter.requests) == [2, 64, 64]


@pytest.mark.parametrize("limit", [1, 3])
def test_no_more_requests_are_under_way_than_asked_for(make, openrouter: ScriptedOpenRouter, limit: int):
    all_came = threading.Event()
    openrouter.add(*(numbered(0).held(0, all_came) for _ in TEXTS), path=PATH)

    def answer() -> None:
        openrouter.wait_for_requests(limit)
        time.sleep(0.05)  # for one more, which must not come
        all_came.set()

    answering = threading.Thread(target=answer)
    answering.start()
    make(openrouter).embed(TEXTS, role="query", batch_size=1, max_concurrency=limit)
    answering.join()
    assert openrouter.connections == limit


def test_cost_and_usage_are_summed_and_unknown_if_one_is(make, server: ScriptedOpenRouter):
    server.add(numbered(0, cost=0.1), numbered(1, cost=0.2), path=PATH)
    reply = make(server).embed(TEXTS[:2], role="query", batch_size=1)
    assert (reply.cost.total, reply.usage["prompt_tokens"]) == (Decimal("0.3"), 18)
    server.add(numbered(0, cost=0.1), numbered(1, usage=None), path=PATH)
    reply = make(server).embed(TEXTS[:2], role="query", batch_size=1)
    assert (reply.cost, reply.usage) == (None, None)


def test_free_model_costs_nothing_where_the_reply_does_not_say(make, openrouter: ScriptedOpenRouter):
    openrouter.add(numbered(0, cost=None), path=PATH)
    cost = make(openrouter).embed("a", role="query").cost
    assert (cost.total, cost.source) == (0, "catalog")


def test_nothing_is_asked_for_no_texts(make, openrouter: ScriptedOpenRouter):
    assert make(openrouter).embed([], role="document") == EmbeddingReply([])
    assert not openrouter.requests


@pytest.mark.parametrize(
    ("texts", "parameters", "message"),
    [
        (["a", ""], {}, r"`texts\[1\]` is empty"),
        (["  \n"], {}, r"`texts\[0\]` is empty"),
        ([[101, 102]], {}, r"`texts\[0\]` must be a string, got list"),
        ([1], {}, r"`texts\[0\]` must be a string, got int"),
        (b"a", {}, "`texts` must be a string or a list of strings, got bytes"),
        (None, {}, "`texts` must be a string or a list of strings, got NoneType"),
        ({"a": "b"}, {}, "`texts` must be a string or a list of strings, got dict"),
        ("a", {"extra_body": [1]}, r"`extra_body` must be a dict, got \[1\]"),
        (["\ud800"], {}, "unpaired surrogate"),
        ("a", {"role": "passage"}, "`role` must be 'query', 'document' or None; got 'passage'"),
        ("a", {"batch_size": 0}, "`batch_size` must be an integer >= 1, got 0"),
        ("a", {"max_concurrency": True}, "`max_concurrency` must be an integer >= 1, got True"),
        ("a", {"dimensions": 256}, "`dimensions` is not supported"),
        ("a", {"extra_body": {"dimensions": 256}}, "`dimensions` is not supported"),
        ("a", {"seed": 1}, "`embed` has no parameter `seed`. To send another field of the request, use `extra_body`"),
        ("a", {"model": "lfm-3-1.7b"}, r"is a chat model, not an embedding model. Use `client.chat"),
    ],
)
def test_invalid_arguments_are_refused_before_anything_is_sent(
    make, openrouter: ScriptedOpenRouter, texts: Any, parameters: dict[str, Any], message: str
):
    with pytest.raises(ConfigurationError, match=message):
        make(openrouter).embed(texts, **{"role": "query", **parameters})
    assert not openrouter.requests


def test_text_that_is_too_long_is_refused_with_its_tokens_before_anything_is_sent(make, openrouter: ScriptedOpenRouter):
    long = "word " * 511
    with pytest.raises(
        ContextWindowExceededError, match=r"`texts\[1\]` has at least 513 tokens.* at most 512"
    ) as caught:
        make(openrouter).embed(["a", long + "word"], role="document")
    assert (caught.value.estimated_tokens, caught.value.context_length) == (513, 512)
    assert not openrouter.requests
    make(openrouter).embed(long, role="document")  # 512, with the prefix
    counts = make(openrouter, token_counter=lambda messages: len(messages[0]["content"]))
    with pytest.raises(ContextWindowExceededError, match="has 607 tokens"):
        counts.embed("x" * 600, role="query")


def test_another_server_decides_what_the_default_model_can_take(make, server: ScriptedOpenRouter):
    make(server).embed("word " * 600, role="query")
    assert server.requests[0].body["model"] == MODEL


def test_vectors_of_requests_before_a_failure_are_kept(make, openrouter: ScriptedOpenRouter):
    openrouter.add(numbered(0, 1), numbered(2, 3), failure("rate limit per day"), path=PATH)
    with pytest.raises(RateLimitError) as caught:
        make(openrouter).embed(TEXTS, role="query", batch_size=2, max_concurrency=1)
    assert caught.value.embeddings.vectors == [[0.0], [1.0], [2.0], [3.0]]
    assert len(openrouter.requests) == 3
    openrouter.add(failure("rate limit per day"), path=PATH)
    with pytest.raises(RateLimitError) as caught:
        make(openrouter).embed("a", role="query")
    assert caught.value.embeddings is None


def test_failure_of_one_request_ends_the_others(make, openrouter: ScriptedOpenRouter):
    openrouter.add(failure("wrong key"), path=PATH)
    with pytest.raises(Exception, match="User not found"):
        make(openrouter).embed(["a"] * 50, role="query", batch_size=1, max_concurrency=2)
    assert len(openrouter.requests) < 50


def test_vectors_of_two_requests_that_differ_in_length_are_an_error(make, openrouter: ScriptedOpenRouter):
    openrouter.add(embeddings([1]), embeddings([1, 2]), path=PATH)
    with pytest.raises(ResponseError, match="two responses differ in length: 1 and 2"):
        make(openrouter).embed(["a", "b"], role="query", batch_size=1)


def test_failed_request_is_retried_as_chats_are(make, openrouter: ScriptedOpenRouter, waits):
    openrouter.add(failure("rate limit with Retry-After"), failure("bad gateway page"), embeddings([0.5]), path=PATH)
    assert make(openrouter).embed("a", role="query").vectors == [[0.5]]
    assert waits[0] == 7
    assert len(waits) == 2


def test_response_that_breaks_off_is_not_asked_for_again(make, openrouter: ScriptedOpenRouter, waits):
    openrouter.add(numbered(0).in_pieces(20).broken(2, Break.CUT), path=PATH)
    with pytest.raises(Exception, match="closed the connection"):
        make(openrouter).embed("a", role="query")
    assert not waits


def test_total_timeout_is_for_all_requests_together(make, openrouter: ScriptedOpenRouter):
    openrouter.add(*(numbered(0).held(0, 0.3) for _ in range(2)), path=PATH)
    with pytest.raises(APITimeoutError, match=r"longer than 0\.5 s"):
        make(openrouter, total_timeout=0.5).embed(["a"] * 3, role="query", batch_size=1, max_concurrency=1)


def test_each_request_is_a_row_of_the_ledger(make, openrouter: ScriptedOpenRouter, tmp_path: Path):
    ledger = Ledger(tmp_path / "ledger.db")
    openrouter.add(numbered(0, cost=0.5), error(500, "It broke"), path=PATH)
    with pytest.raises(ServerError):
        make(openrouter, ledger=ledger, max_retries=0).embed(["a", "b"], role="query", batch_size=1, max_concurrency=1)
    failed, answered = sorted(ledger.calls(), key=lambda call: call.status == "ok")
    assert (answered.model, answered.cost, answered.prompt_tokens) == (MODEL, Decimal("0.5"), 9)
    assert (failed.status, failed.http_status) == ("server", 500)


def test_budget_refuses_requests_beyond_it(make, openrouter: ScriptedOpenRouter, tmp_path: Path):
    limited = {"budget": Budget(rpm=2), "ledger": Ledger(tmp_path / "ledger.db")}
    with pytest.raises(RateLimitError) as caught:
        make(openrouter, max_retries=0, **limited).embed(TEXTS, role="query", batch_size=4, max_concurrency=1)
    assert len(openrouter.requests) == 2
    assert len(caught.value.embeddings.vectors) == 8


async def test_cancelled_call_ends_its_requests(openrouter: ScriptedOpenRouter):
    openrouter.add(*(numbered(0).broken(0, Break.SILENCE) for _ in range(2)), path=PATH)
    client = AsyncLFMClient(base_url=openrouter.base_url, api_key="test-key")
    call = asyncio.create_task(client.embed(["a", "b", "c"], role="query", batch_size=1, max_concurrency=2))
    await asyncio.to_thread(openrouter.wait_for_requests, 2)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await asyncio.to_thread(openrouter.requests[0].abandoned.wait, 5)
    assert len(openrouter.requests) == 2
