"""`LFMEmbeddings`: its fields, what it sends, and what it raises."""

from __future__ import annotations

import asyncio
import copy
import pickle
from typing import TYPE_CHECKING, Any

import pytest
from langchain.embeddings import base as langchain_providers
from langchain.embeddings import init_embeddings
from langchain_core import exceptions as lc
from langchain_core.vectorstores import InMemoryVectorStore
from pydantic import SecretStr, ValidationError

from lfm_adapter import LFMEmbeddings, errors
from lfm_adapter._client.settings import ClientOptions, CommonOptions
from lfm_adapter.langchain import register
from lfm_adapter.ledger import Ledger
from lfm_adapter.testing import embeddings, failure
from tests.unit.langchain.test_docstring import documented

if TYPE_CHECKING:
    from pathlib import Path

    from lfm_adapter.testing import ScriptedOpenRouter

PATH = "/embeddings"
WAYS = ("embed_query", "embed_documents", "aembed_query", "aembed_documents")


def ask(model: LFMEmbeddings, way: str, *texts: str) -> Any:
    argument = texts[0] if way.endswith("query") else list(texts)
    result = getattr(model, way)(argument)
    return asyncio.run(result) if way.startswith("a") else result


@pytest.mark.parametrize("way", WAYS)
def test_each_way_sends_its_role_and_returns_floats(openrouter: ScriptedOpenRouter, way: str):
    openrouter.add(embeddings([0, 1.5]), path=PATH)
    vectors = ask(LFMEmbeddings(app_title="My app", user="ada", extra_body={"seed": 1}), way, "Hi")
    vector = vectors if way.endswith("query") else vectors[0]
    assert [(type(number), number) for number in vector] == [(float, 0.0), (float, 1.5)]
    role = "query" if way.endswith("query") else "document"
    assert openrouter.requests[0].body == {
        "model": "liquid/lfm-2.5-embedding-350m:free", "input": [f"{role}: Hi"], "user": "ada", "seed": 1,
        "encoding_format": "float",
    }  # fmt: skip
    assert openrouter.requests[0].headers["x-title"] == "My app"


@pytest.mark.parametrize("way", ["embed_documents", "aembed_documents"])
def test_no_documents_return_no_vectors(openrouter: ScriptedOpenRouter, way: str):
    assert ask(LFMEmbeddings(), way) == []
    assert not openrouter.requests


@pytest.mark.parametrize("way", ["embed_documents", "aembed_documents"])
def test_documents_go_out_in_batches(openrouter: ScriptedOpenRouter, way: str):
    vectors = ask(LFMEmbeddings(batch_size=2, max_concurrency=1), way, "a", "b", "c")
    assert [len(request.body["input"]) for request in openrouter.requests] == [2, 1]
    assert vectors == [LFMEmbeddings().embed_documents([text])[0] for text in "abc"]


@pytest.mark.parametrize("way", WAYS)
def test_errors_are_langchains_too(openrouter: ScriptedOpenRouter, way: str):
    openrouter.add(failure("rate limit per day"), path=PATH)
    with pytest.raises(errors.RateLimitError) as caught:
        ask(LFMEmbeddings(), way, "Hi")
    assert isinstance(caught.value, lc.ModelRateLimitError)
    with pytest.raises(errors.ContextWindowExceededError) as too_long:
        ask(LFMEmbeddings(), way, "word " * 600)
    assert isinstance(too_long.value, lc.ContextOverflowError)
    with pytest.raises(errors.ConfigurationError, match="is empty"):
        ask(LFMEmbeddings(), way, "")
    assert len(openrouter.requests) == 1


def test_key_is_a_secret_and_from_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-or-v1-0123456789abcdef")
    model = LFMEmbeddings(default_headers={"X-Token": "hidden"})
    assert isinstance(model.api_key, SecretStr)
    assert model.api_key.get_secret_value() == "sk-or-v1-0123456789abcdef"
    assert "sk-or-v1" not in repr(model) + str(model.model_dump()) + model.model_dump_json()
    assert "hidden" not in repr(model) + str(model.model_dump())


def test_key_of_the_environment_is_not_sent_to_other_servers(
    server: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-or-v1-0123456789abcdef")
    LFMEmbeddings(base_url=server.base_url).embed_query("Hi")
    assert "authorization" not in server.requests[0].headers


def test_names_of_other_integrations_are_accepted(server: ScriptedOpenRouter):
    model = LFMEmbeddings(
        model_name="my-model", openrouter_api_key="test-key", openrouter_api_base=server.base_url, request_timeout=5,
        openrouter_provider={"only": ["liquid"]}, extra_headers={"X-Mine": "1"},
    )  # fmt: skip
    model.embed_query("Hi")
    (request,) = server.requests
    assert (request.body["model"], request.body["provider"]) == ("my-model", {"only": ["liquid"]})
    assert (request.headers["x-mine"], request.headers["authorization"]) == ("1", "Bearer test-key")
    assert model.timeout == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "lfm-3b"}, "is a chat model, not an embedding model"),
        ({"timeout": -1}, "`timeout` must be a positive number of seconds"),
        ({"batchsize": 3}, "Did you mean `batch_size`"),
        ({"temperature": 1}, "`LFMEmbeddings` has no argument `temperature`"),
        ({"model_kwargs": {}}, "`LFMEmbeddings` has no argument `model_kwargs`"),
        ({"model": "a", "model_name": "b"}, "`model` is passed twice"),
    ],
)
def test_wrong_arguments_are_refused_at_once(arguments: dict[str, Any], message: str):
    with pytest.raises(ValidationError, match=message):
        LFMEmbeddings(**arguments)


def test_copies_and_pickles_send_the_same(openrouter: ScriptedOpenRouter, tmp_path: Path):
    model = LFMEmbeddings(batch_size=3, total_timeout=9, ledger=Ledger(tmp_path / "ledger.db"))
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), model.model_copy()):  # noqa: S301 # ours
        assert other.embed_query("Hi") == model.embed_query("Hi")
        assert (other.batch_size, other.total_timeout) == (3, 9)


def test_works_in_a_vector_store(openrouter: ScriptedOpenRouter):
    store = InMemoryVectorStore.from_texts(["Oslo is in Norway.", "Lyon is in France."], LFMEmbeddings())
    assert store.similarity_search("What is in France?", k=1)[0].page_content == "Lyon is in France."


def test_init_embeddings_knows_registered_models(openrouter: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(langchain_providers, "_BUILTIN_PROVIDERS", {**langchain_providers._BUILTIN_PROVIDERS})
    register()
    model = init_embeddings("lfm:lfm-2.5-embedding-350m:free", batch_size=7)
    assert isinstance(model, LFMEmbeddings)
    assert (model.model, model.batch_size) == ("lfm-2.5-embedding-350m:free", 7)


def test_settings_are_the_common_ones():
    shared = set(CommonOptions.__dataclass_fields__)
    assert shared < set(ClientOptions.__dataclass_fields__)
    own = set(LFMEmbeddings.model_fields) - shared
    assert own == set(documented(LFMEmbeddings)) - {"model", "default_headers"}
