"""A model of one kind is refused in the call of another, before anything is sent."""

from __future__ import annotations

import pytest

from lfm_adapter import ChatLFM
from lfm_adapter._client.request import model_for
from lfm_adapter._client.settings import Settings
from lfm_adapter.errors import ConfigurationError
from tests.support.chat_ways import ALL_WAYS, ask

EMBEDDING = "liquid/lfm-2.5-embedding-350m:free"
DECISIONS = r"`liquid/d1\.2` is a decision model, not a chat model\. Use `client\.decide\(\.\.\.\)`, or `LFMDecisions`"


@pytest.mark.parametrize("name", ["liquid/d1.2", "d1.2"])
def test_a_chat_with_a_decision_model_names_the_right_method(make, server, way, name):
    client = make(server, model=name)
    with pytest.raises(ConfigurationError, match=DECISIONS):
        client.chat("Hello") if way == "plain" else list(client.stream("Hello"))
    assert server.requests == []


@pytest.mark.parametrize("way", ALL_WAYS)
def test_chatlfm_names_the_class_for_a_decision_model(server, way):
    with pytest.raises(ConfigurationError, match=DECISIONS):
        ask(ChatLFM(model="liquid/d1.2", base_url=server.base_url), way)
    assert server.requests == []


def test_a_chat_with_an_embedding_model_names_the_right_method(make, server):
    with pytest.raises(ConfigurationError, match=r"is an embedding model, not a chat model\. Use `client\.embed"):
        make(server).chat("Hello", model=EMBEDDING)


@pytest.mark.parametrize(
    ("kind", "named", "own", "asked"),
    [
        ("decisions", None, None, "liquid/d1.2"),
        ("decisions", None, "liquid/lfm-3-1.7b", "liquid/d1.2"),  # the client's model is for its chats
        ("decisions", None, "liquid/d1-ultra", "liquid/d1-ultra"),
        ("decisions", "d1", "liquid/d1-ultra", "liquid/d1"),
        ("decisions", None, "my-model", "my-model"),  # only its server knows what it is
        ("embeddings", None, "liquid/d1.2", EMBEDDING),
        ("embeddings", "my-model", None, "my-model"),
    ],
)
def test_each_task_asks_the_clients_model_if_it_is_for_that(kind, named, own, asked):
    assert model_for(kind, named, Settings.from_env(model=own, api_key="test-key")) == asked


@pytest.mark.parametrize(
    ("kind", "named", "way"),
    [
        ("decisions", "liquid/lfm-3-1.7b", "`client.chat"),
        ("decisions", EMBEDDING, "`client.embed"),
        ("embeddings", "liquid/d1", "`client.decide"),
    ],
)
def test_a_task_refuses_the_named_model_of_another_kind(kind, named, way):
    with pytest.raises(ConfigurationError) as caught:
        model_for(kind, named, Settings.from_env(api_key="test-key"))
    assert f"Use {way}" in caught.value.message
