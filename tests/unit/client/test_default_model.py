"""Which model is asked, and what is said about it, where none is named and where a retired one is."""

from __future__ import annotations

import asyncio
import warnings

import pytest

from lfm_adapter import AsyncLFMClient, ChatLFM, LFMClient
from lfm_adapter.errors import ModelRetiredError, RetiredModelWarning
from lfm_adapter.testing import completion, error
from tests.support.scripted_model import openrouter_like

GATEWAY = "https://gateway.example.com/v1"
SUCCESSOR = "liquid/lfm-3-1.7b"
WARNING = (
    "`liquid/lfm-3b` is retired ($0.02 in / $0.02 out per million tokens); asking its successor `liquid/lfm-3-1.7b` "
    '($0.08 / $0.20). Choose a model with `model=`, or pass `when_retired="raise"`.'
)
GONE = error(404, "No endpoints found for liquid/lfm-3b.")


def sent(server) -> list[str]:
    return [request.body["model"] for request in server.requests]


def openrouter(make, server, **settings):
    return make(server, as_openrouter=True, **{"model": None, **settings})


@pytest.mark.parametrize("kind", [ChatLFM, LFMClient, AsyncLFMClient])
class TestModelField:
    @pytest.mark.parametrize("base_url", [None, GATEWAY, "http://127.0.0.1:8080/v1"])
    def test_model_field_reads_lfm_3b_by_default(self, kind, base_url):
        assert kind(base_url=base_url).model == "liquid/lfm-3b"

    def test_model_field_reads_lfm_model_variable(self, kind, monkeypatch):
        monkeypatch.setenv("LFM_MODEL", SUCCESSOR)
        assert kind().model == SUCCESSOR

    def test_model_field_reads_named_model(self, kind, monkeypatch):
        monkeypatch.setenv("LFM_MODEL", SUCCESSOR)
        assert kind(model="lfm2-1.2b").model == "lfm2-1.2b"


class TestUnnamedModel:
    def test_default_model_asks_successor_and_warns_with_both_prices(self, make, server):
        server.default = openrouter_like
        with pytest.warns(RetiredModelWarning) as warned:
            reply = openrouter(make, server).chat("Hi")
        assert ([str(warning.message) for warning in warned], reply.model) == ([WARNING], SUCCESSOR)
        assert sent(server) == [SUCCESSOR]

    def test_default_model_warns_once_per_calling_line(self, make, server):
        server.default = openrouter_like
        client = openrouter(make, server)
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("default")
            for _ in range(3):
                client.chat("Hi")
        assert len(warned) == 1

    @pytest.mark.parametrize("method", ["chat", "stream"])
    def test_retired_model_warning_points_at_caller(self, make, server, method):
        server.default = openrouter_like
        with pytest.warns(RetiredModelWarning) as warned:
            getattr(openrouter(make, server), method)("Hi")
        assert "lfm_adapter" not in warned[0].filename
        assert warned[0].filename.endswith("both_clients.py")

    def test_when_retired_raise_asks_default_model_itself(self, make, server):
        server.add(GONE)
        with pytest.raises(ModelRetiredError):
            openrouter(make, server, when_retired="raise").chat("Hi")
        assert sent(server) == ["liquid/lfm-3b"]

    def test_when_retired_can_be_set_per_call(self, make, server):
        server.add(GONE)
        with pytest.raises(ModelRetiredError):
            openrouter(make, server).chat("Hi", when_retired="raise")

    def test_default_model_is_sent_to_other_server(self, make, server):
        server.add(completion())
        make(server, model=None).chat("Hi")
        assert sent(server) == ["liquid/lfm-3b"]


class TestNamedModel:
    @pytest.mark.parametrize("named", ["client", "call", "environment"])
    def test_named_retired_model_raises(self, make, server, monkeypatch, named):
        server.add(GONE)
        if named == "environment":
            monkeypatch.setenv("LFM_MODEL", "liquid/lfm-3b")
        client = openrouter(make, server, model="liquid/lfm-3b" if named == "client" else None)
        with pytest.raises(ModelRetiredError):
            client.chat("Hi", model="liquid/lfm-3b" if named == "call" else None)
        assert sent(server) == ["liquid/lfm-3b"]

    def test_when_retired_successor_replaces_named_model(self, make, server):
        server.default = openrouter_like
        with pytest.warns(RetiredModelWarning, match="liquid/lfm-3b"):
            openrouter(make, server, model="lfm-3b", when_retired="successor").chat("Hi")
        assert sent(server) == [SUCCESSOR]

    def test_warning_has_prices_of_other_retired_models(self, make, server):
        server.default = openrouter_like
        with pytest.warns(RetiredModelWarning, match=r"\(\$0\.0\d in / .* out per million tokens\)"):
            openrouter(make, server, model="liquid/lfm-7b", when_retired="successor").chat("Hi")

    @pytest.mark.parametrize("routing", [":nitro", "@preset/mine"])
    def test_successor_keeps_routing_suffix_and_preset(self, make, server, routing):
        server.add(completion())
        named = "lfm-3b" + routing
        with pytest.warns(RetiredModelWarning):
            openrouter(make, server, model=named, when_retired="successor").chat("Hi")
        assert sent(server) == [SUCCESSOR + routing]

    @pytest.mark.parametrize(
        ("alias", "model"),
        [
            ("lfm-3b", "liquid/lfm-3b"),
            ("lfm-3b@preset/mine", "liquid/lfm-3b@preset/mine"),
            ("lfm-3b:floor", "liquid/lfm-3b:floor"),
            ("liquid/lfm-3b@preset/mine", "liquid/lfm-3b@preset/mine"),
            ("@preset/mine", "@preset/mine"),
            ("qwen3", "qwen3"),
        ],
    )
    def test_alias_is_resolved_for_every_server(self, make, server, alias, model):
        server.add(completion(), completion())
        make(server, model=alias).chat("Hi")
        make(server).chat("Hi", model=alias)
        assert sent(server) == [model, model]


def test_retired_model_warning_points_at_async_caller(server):
    async def ask():
        client = AsyncLFMClient(when_retired="successor", model="lfm-3b", base_url=server.base_url)
        await client.chat("Hi")

    server.add(completion())
    with pytest.warns(RetiredModelWarning) as warned:
        asyncio.run(ask())
    assert warned[0].filename == __file__
