"""Which model is asked where none is named."""

from __future__ import annotations

import pytest

from lfm_adapter import AsyncLFMClient, ChatLFM, LFMClient

LOCAL = "http://127.0.0.1:8080/v1"
GATEWAY = "https://gateway.example.com/v1"


def model_of(kind: type, **arguments: str) -> str:
    asker = kind(**arguments)
    return asker.model if isinstance(asker, ChatLFM) else asker.settings.model


@pytest.mark.parametrize("kind", [ChatLFM, LFMClient, AsyncLFMClient])
class TestDefaultModel:
    def test_is_lfm_3b(self, kind):
        assert model_of(kind) == model_of(kind, base_url=GATEWAY) == "liquid/lfm-3b"

    def test_is_no_liquid_model_on_this_machine(self, kind):
        assert model_of(kind, base_url=LOCAL) == "local"

    def test_is_what_the_environment_says(self, kind, monkeypatch):
        monkeypatch.setenv("LFM_MODEL", "liquid/lfm-3-1.7b")
        assert model_of(kind) == model_of(kind, base_url=LOCAL) == "liquid/lfm-3-1.7b"

    def test_gives_way_to_the_one_named(self, kind):
        assert model_of(kind, model="lfm2-1.2b", base_url=LOCAL) == "lfm2-1.2b"


def test_a_server_on_this_machine_gets_no_limits_of_lfm_3b():
    assert not ChatLFM(base_url=LOCAL).profile
