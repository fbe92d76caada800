"""`/v1/embeddings` of the gateway, as clients of OpenAI and OpenRouter ask it."""

from __future__ import annotations

import base64
import struct
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from lfm_adapter.apps.gateway.call import with_retry
from lfm_adapter.apps.gateway.limits import Limits
from lfm_adapter.errors import ServerError
from lfm_adapter.ledger import Budget, Ledger
from lfm_adapter.testing import embeddings, failure
from lfm_adapter.types import EmbeddingReply
from tests.support.gateway_thread import GatewayThread

if TYPE_CHECKING:
    from pathlib import Path

    from lfm_adapter.testing import ScriptedOpenRouter

PATH = "/embeddings"
MODEL = "lfm-2.5-embedding-350m:free"
ID = f"liquid/{MODEL}"


def ask(gateway: GatewayThread, texts: Any = "Hi", *, path: str = "/v1/embeddings", headers: Any = None, **body: Any):
    return gateway.request("POST", path, {"model": MODEL, "input": texts, **body}, headers=headers)


def test_vectors_come_in_openais_form(gateway: GatewayThread, openrouter: ScriptedOpenRouter):
    openrouter.add(embeddings([0, 1], [0.5, 2], prompt_tokens=7, cost=0.25), path=PATH)
    answer = ask(gateway, ["a", "b"], user="ada", headers={"X-Title": "My app", "HTTP-Referer": "https://my.app"})
    assert answer.status == 200
    assert answer.body == {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 0, "embedding": [0.0, 1.0]},
            {"object": "embedding", "index": 1, "embedding": [0.5, 2.0]},
        ],
        "id": answer.headers["X-Generation-Id"],
        "model": ID,
        "provider": "Liquid",
        "usage": {"prompt_tokens": 7, "total_tokens": 7, "cost": 0.25},
    }
    assert answer.headers["X-LFM-Model"] == ID
    (request,) = openrouter.requests
    assert request.body == {
        "model": ID, "input": ["document: a", "document: b"], "user": "ada", "encoding_format": "float",
    }  # fmt: skip
    assert (request.headers["x-title"], request.headers["http-referer"]) == ("My app", "https://my.app")


def test_base64_is_answered_in_base64_as_openais_sdk_asks(gateway: GatewayThread, openrouter: ScriptedOpenRouter):
    openrouter.add(embeddings([0.5, -2]), path=PATH)
    (item,) = ask(gateway, encoding_format="base64").body["data"]
    assert struct.unpack("<2f", base64.b64decode(item["embedding"])) == (0.5, -2.0)
    assert openrouter.requests[0].body["encoding_format"] == "float"


@pytest.mark.parametrize("path", ["/v1/embeddings", "/embeddings", "/api/v1/embeddings/"])
def test_each_base_url_works(gateway: GatewayThread, path: str):
    assert len(ask(gateway, path=path).body["data"][0]["embedding"]) == 1024


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        ({"input_type": "query"}, ["query: Hi"]),
        ({"input_type": "search_document"}, ["document: Hi"]),
        ({"texts": ["query: Hi"]}, ["query: Hi"]),
        ({"model": None}, ["document: Hi"]),
    ],
)
def test_input_type_is_the_role(
    gateway: GatewayThread, openrouter: ScriptedOpenRouter, body: dict[str, Any], sent: list[str]
):
    assert ask(gateway, **body).status == 200
    assert openrouter.requests[0].body["input"] == sent
    assert openrouter.requests[0].body["model"] == ID


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"texts": None}, 400, "`input` must be a string or a list of strings"),
        ({"texts": []}, 400, "`input` must be a string or a list of strings"),
        ({"texts": ["a", 1]}, 400, "`input` must be a string or a list of strings"),
        ({"texts": [101, 102]}, 400, "`input` must be text"),
        ({"texts": [[101], [102]]}, 400, "check_embedding_ctx_length=False"),
        ({"texts": ["a", ""]}, 400, "is empty"),
        ({"texts": "word " * 600}, 400, "at least 601 tokens"),
        ({"encoding_format": "int8"}, 400, "`encoding_format` must be 'float' or 'base64', got 'int8'"),
        ({"dimensions": 256}, 400, "`dimensions` is not supported"),
        ({"input_type": "passage"}, 400, "`input_type` must be one of"),
        (
            {"model": "lfm-3-1.7b"},
            400,
            "lfm-3-1.7b is a chat model, not an embedding model. Ask it at /v1/chat/completions.",
        ),
        ({"model": 1}, 400, "`model` must be a string"),
        ({"model": "text-embedding-3-small"}, 404, f"does not exist here. Known: {MODEL}"),
    ],
)
def test_what_cannot_be_embedded_is_refused_before_anything_is_sent(
    gateway: GatewayThread, openrouter: ScriptedOpenRouter, body: dict[str, Any], status: int, message: str
):
    answer = ask(gateway, **body)
    assert (answer.status, message in answer.error["message"]) == (status, True), answer.error
    assert not openrouter.requests


def test_chat_with_the_embedding_model_names_the_right_address(gateway: GatewayThread):
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}]}
    answer = gateway.request("POST", "/v1/chat/completions", body)
    assert answer.error["message"] == f"{MODEL} is an embedding model, not a chat model. Ask it at /v1/embeddings."


def test_failure_has_openrouters_status_and_is_retried_once(gateway: GatewayThread, openrouter: ScriptedOpenRouter):
    openrouter.add(failure("server error"), embeddings([0.5]), failure("rate limit per day"), path=PATH)
    assert ask(gateway).status == 200
    answer = ask(gateway)
    assert (answer.status, answer.error["type"]) == (429, "rate_limit_error")
    openrouter.add(failure("context length"), path=PATH)
    assert ask(gateway).error["code"] == "context_length_exceeded"


async def test_request_is_not_repeated_once_a_part_of_its_vectors_has_come():
    failures = iter([ServerError("It broke", embeddings=EmbeddingReply([[0.5]]))])

    async def ask() -> Any:
        raise next(failures)

    with pytest.raises(ServerError):
        await with_retry(ask)


def test_key_is_asked_for(gateway: GatewayThread):
    assert gateway.request("POST", "/v1/embeddings", {"input": "Hi"}, key="wrong").status == 401


def test_calls_are_recorded_and_limited_by_budgets(openrouter: ScriptedOpenRouter, tmp_path: Path):
    ledger = Ledger(tmp_path / "ledger.db")
    limits = Limits(models={ID: Budget(rpm=1)}, ledger=ledger)
    openrouter.add(embeddings([0.5], cost=0.25), path=PATH)
    with GatewayThread(openrouter.base_url, ledger=ledger, limits=limits) as gateway:
        assert ask(gateway, headers={"X-Title": "My app"}).status == 200
        assert ask(gateway).status == 429
        metrics = gateway.request("GET", "/metrics").text
    answered = next(call for call in ledger.calls() if call.status == "ok")
    assert (answered.app, answered.source, answered.model) == ("My app", "gateway", ID)
    assert (answered.cost, answered.prompt_tokens) == (Decimal("0.25"), 9)
    assert 'gen_ai_operation_name="embeddings"' in metrics or "prometheus" in metrics


def test_models_are_listed_apart_from_those_for_chats(gateway: GatewayThread):
    (row,) = gateway.request("GET", "/v1/embeddings/models").body["data"]
    assert (row["id"], row["context_length"], row["architecture"]["output_modalities"]) == (MODEL, 512, ["embeddings"])
    assert gateway.request("GET", f"/v1/models/{ID}").body["id"] == ID
    assert MODEL not in [row["id"] for row in gateway.request("GET", "/v1/models").body["data"]]


def test_openais_sdk_reads_the_vectors(gateway: GatewayThread, openrouter: ScriptedOpenRouter):
    openai = pytest.importorskip("openai", reason="comes with litellm")
    openrouter.add(embeddings([0.5, -2]), path=PATH)
    with openai.OpenAI(base_url=gateway.base_url, api_key="a-key-made-up-for-tests", max_retries=0) as client:
        response = client.embeddings.create(model=MODEL, input=["Hi"], extra_body={"input_type": "query"})
    assert response.data[0].embedding == [0.5, -2.0]
    assert (response.usage.prompt_tokens, response.model) == (9, ID)
    assert openrouter.requests[0].body["input"] == ["query: Hi"]
