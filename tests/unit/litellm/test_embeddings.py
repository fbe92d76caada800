"""`litellm.embedding` and `aembedding` with `lfm/...`: what is sent, and what LiteLLM makes of the vectors."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import litellm
import pytest

from lfm_adapter import errors
from lfm_adapter.ledger import Ledger
from lfm_adapter.litellm import register
from lfm_adapter.litellm._model_cost import model_cost_entries
from lfm_adapter.testing import embeddings, failure
from tests.support.litellm_ways import run

if TYPE_CHECKING:
    from pathlib import Path

    from lfm_adapter.testing import ScriptedOpenRouter

PATH = "/embeddings"
MODEL = "lfm/lfm-2.5-embedding-350m:free"
WAYS = ("embedding", "aembedding")


def ask(way: str, texts: Any = "Hi", **call: Any) -> Any:
    call = {"model": MODEL, "input": texts, **call}
    return litellm.embedding(**call) if way == "embedding" else run(litellm.aembedding(**call))


@pytest.mark.parametrize("way", WAYS)
def test_vectors_usage_model_and_cost_are_litellms(openrouter_server: ScriptedOpenRouter, way: str):
    openrouter_server.add(embeddings([0, 1], [0.5, 2], prompt_tokens=7, cost=0.25), path=PATH)
    response = ask(way, ["a", "b"])
    assert [(item["index"], item["embedding"]) for item in response.data] == [(0, [0.0, 1.0]), (1, [0.5, 2.0])]
    assert response.model == MODEL
    assert (response.usage.prompt_tokens, response.usage.completion_tokens, response.usage.total_tokens) == (7, 0, 7)
    assert response._hidden_params["response_cost"] == 0.25
    assert openrouter_server.requests[0].body == {
        "model": "liquid/lfm-2.5-embedding-350m:free", "input": ["document: a", "document: b"],
        "encoding_format": "float",
    }  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_free_model_costs_nothing(openrouter_server: ScriptedOpenRouter, way: str):
    openrouter_server.add(embeddings([1], cost=None), path=PATH)
    assert litellm.completion_cost(ask(way)) == 0


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("call", "sent"),
    [
        ({"input_type": "query"}, ["query: Hi"]),
        ({"input_type": "search_document"}, ["document: Hi"]),
        ({"texts": ["query: Hi", "document: Ho"]}, ["query: Hi", "document: Ho"]),
        ({"extra_body": {"input_type": "query"}}, ["query: Hi"]),
    ],
)
def test_input_type_is_the_role(openrouter_server: ScriptedOpenRouter, way: str, call: dict[str, Any], sent: list[str]):
    ask(way, **call)
    assert openrouter_server.requests[0].body["input"] == sent
    assert "input_type" not in openrouter_server.requests[0].body


@pytest.mark.parametrize("way", WAYS)
def test_other_fields_go_out(openrouter_server: ScriptedOpenRouter, way: str):
    ask(way, provider={"only": ["liquid"]}, extra_body={"seed": 1}, max_reply_bytes=10**6, metadata={"mine": 1})
    body = openrouter_server.requests[0].body
    assert (body["provider"], body["seed"]) == ({"only": ["liquid"]}, 1)
    assert set(body) == {"model", "input", "provider", "seed", "encoding_format"}


def test_formats_are_dropped_where_litellm_may_drop_them(openrouter_server: ScriptedOpenRouter):
    with pytest.raises(litellm.UnsupportedParamsError):
        ask("embedding", encoding_format="base64")
    ask("embedding", encoding_format="base64", dimensions=256, drop_params=True)
    assert openrouter_server.requests[0].body["encoding_format"] == "float"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        ({"texts": ""}, "BadRequestError", "is empty"),
        ({"texts": [[101, 102]]}, "BadRequestError", "must be a string, got list"),
        ({"texts": ["word " * 600]}, "ContextWindowExceededError", "at least 601 tokens"),
        ({"input_type": "passage"}, "BadRequestError", "`input_type` must be one of"),
        ({"model": "lfm/lfm-3-1.7b"}, "BadRequestError", "is a chat model, not an embedding model"),
    ],
)
def test_what_cannot_be_embedded_is_refused_before_anything_is_sent(
    openrouter_server: ScriptedOpenRouter, way: str, call: dict[str, Any], error: str, message: str
):
    with pytest.raises(getattr(litellm, error), match=message):
        ask(way, **call)
    assert not openrouter_server.requests


@pytest.mark.parametrize("way", WAYS)
def test_missing_key_is_named(way: str):
    with pytest.raises(litellm.AuthenticationError, match="No API key"):
        ask(way)


@pytest.mark.parametrize("way", WAYS)
def test_failure_is_litellms_with_what_came_before_it(openrouter_server: ScriptedOpenRouter, way: str):
    openrouter_server.add(failure("rate limit with Retry-After"), path=PATH)
    with pytest.raises(litellm.RateLimitError) as caught:
        ask(way)
    assert isinstance(caught.value.__cause__, errors.RateLimitError)
    assert caught.value.response.headers["retry-after"] == "7"
    assert (caught.value.partial, caught.value.embeddings) == (None, None)
    assert len(openrouter_server.requests) == 1


def test_calls_are_recorded_in_the_ledger(openrouter_server: ScriptedOpenRouter, tmp_path: Path, monkeypatch):
    from lfm_adapter.litellm import handler

    monkeypatch.setattr(handler, "ledger", None)
    ledger = Ledger(tmp_path / "ledger.db")
    register(ledger=ledger)
    openrouter_server.add(embeddings([1], cost=0.25), path=PATH)
    ask("embedding")
    (call,) = ledger.calls()
    assert (call.model, call.cost, call.status) == ("liquid/lfm-2.5-embedding-350m:free", Decimal("0.25"), "ok")


def test_model_has_an_entry_in_the_table_of_prices():
    for name in (MODEL, "lfm/liquid/lfm-2.5-embedding-350m:free", "openrouter/liquid/lfm-2.5-embedding-350m:free"):
        entry = litellm.model_cost[name]
        assert (entry["mode"], entry["max_input_tokens"], entry["input_cost_per_token"]) == ("embedding", 512, 0)
        assert not any(fact.startswith("supports_") for fact in model_cost_entries()[name])
