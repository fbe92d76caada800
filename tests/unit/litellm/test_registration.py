"""LiteLLM's facts about Liquid's models after `register`."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from typing import Any

import litellm
import pytest

from lfm_adapter import Attribution, catalog
from lfm_adapter.litellm import LFMProvider, handler, register
from lfm_adapter.litellm._model_cost import model_cost_entries
from lfm_adapter.testing import completion
from tests.support.litellm_ways import MESSAGES

CHAT_MODELS = [card for card in catalog.models() if card.kind == "chat"]
NAMES = [name for card in CHAT_MODELS for name in (f"lfm/{card.aliases[0]}", f"lfm/{card.id}", f"openrouter/{card.id}")]


def ours() -> list[Any]:
    return [entry["custom_handler"] for entry in litellm.custom_provider_map if entry["provider"] == "lfm"]


def test_register_is_idempotent():
    register()
    register()
    assert ours() == [handler]


def test_register_keeps_other_providers(openrouter_server):
    other = {"provider": "other", "custom_handler": LFMProvider()}
    litellm.custom_provider_map = [other]
    register()
    assert litellm.custom_provider_map[0] is other
    litellm.custom_provider_map = [*litellm.custom_provider_map, {**other, "provider": "later"}]
    openrouter_server.add(completion("Still here."))
    assert litellm.completion("lfm/lfm-3b", MESSAGES).choices[0].message.content == "Still here."


def test_register_again_restores_provider_after_map_was_replaced(openrouter_server):
    litellm.custom_provider_map = []
    register()
    openrouter_server.add(completion("Back."))
    assert litellm.completion("lfm/lfm-3b", MESSAGES).choices[0].message.content == "Back."


def test_register_logs_and_prints_nothing(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]):
    logger = logging.getLogger("LiteLLM")
    logger.addHandler(caplog.handler)
    try:
        register()
    finally:
        logger.removeHandler(caplog.handler)
    assert not caplog.records
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("name", NAMES)
def test_each_chat_model_has_prices_and_limits_by_each_name(name: str):
    card = catalog.get(name.split("/", 1)[1])
    info = litellm.get_model_info(name)
    assert info["max_input_tokens"] == card.context_length
    assert info["max_output_tokens"] == card.max_output_tokens
    assert info["input_cost_per_token"] == float(card.pricing.prompt or 0)
    assert info["output_cost_per_token"] == float(card.pricing.completion or 0)
    assert info["litellm_provider"] == name.partition("/")[0]
    assert info["mode"] == "chat"


def test_unknown_facts_are_left_out_of_model_cost():
    unknown = model_cost_entries()["openrouter/liquid/lfm-40b:free"]
    assert not {"max_input_tokens", "max_tokens", "supports_function_calling", "supports_reasoning"} & unknown.keys()


def test_retired_model_has_deprecation_date():
    assert litellm.model_cost["lfm/lfm-3b"]["deprecation_date"] == "2025-10-22"
    assert "deprecation_date" not in litellm.model_cost["lfm/lfm-3-1.7b"]


@pytest.mark.parametrize("name", NAMES)
def test_lfm_models_support_tools_and_schemas(name: str):
    native = catalog.get(name.split("/", 1)[1]).capabilities
    by_prompt = name.startswith("lfm/")
    assert litellm.supports_function_calling(name) is (by_prompt or bool(native.tools))
    assert litellm.supports_response_schema(name) is (by_prompt or bool(native.structured_outputs))


def test_litellm_helpers_know_the_models():
    assert litellm.get_max_tokens("lfm/lfm-3b") == 32_768
    assert litellm.get_llm_provider("lfm/liquid/lfm-3-1.7b:free")[:2] == ("liquid/lfm-3-1.7b:free", "lfm")
    assert litellm.cost_per_token("lfm/lfm-3b", prompt_tokens=1_000_000, completion_tokens=500_000) == (
        pytest.approx(0.02),
        pytest.approx(0.01),
    )
    assert litellm.token_counter("lfm/lfm-3b", text="Hello there") > 0
    assert "tools" in litellm.get_supported_openai_params("lfm-3b", "lfm")


def test_attribution_reaches_litellms_own_provider_unless_set_in_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OR_SITE_URL", "https://theirs.example")
    monkeypatch.setenv("OR_APP_NAME", "x")
    monkeypatch.delenv("OR_APP_NAME")
    register(attribution=Attribution("https://ours.example", "Ours"))
    assert (os.environ["OR_SITE_URL"], os.environ["OR_APP_NAME"]) == ("https://theirs.example", "Ours")
    register(attribution=Attribution("https://ours.example", "Newer"))
    assert os.environ["OR_APP_NAME"] == "Newer"
    register()
    assert handler.attribution == Attribution("https://ours.example", "Newer")


def test_importing_lfm_adapter_does_not_load_litellm():
    program = "import sys, lfm_adapter; lfm_adapter.LFMClient; assert 'litellm' not in sys.modules"
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)  # noqa: S603 # our own program
