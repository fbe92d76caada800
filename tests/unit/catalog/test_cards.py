from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from importlib.resources import files
from typing import Any

import jsonschema
import pytest

from lfm_adapter import catalog
from lfm_adapter.types import Capabilities, Pricing

CARDS = catalog.models()


def read_json(name: str) -> Any:
    return json.loads(files("lfm_adapter.catalog").joinpath(name).read_text(encoding="utf-8"))


class TestFile:
    def test_models_file_matches_its_schema(self):
        schema = read_json("models.schema.json")
        jsonschema.Draft202012Validator.check_schema(schema)
        jsonschema.validate(read_json("models.json"), schema)

    def test_models_file_names_each_model_once(self):
        names = [name for card in CARDS for name in (card.id, *card.aliases)]
        assert len(names) == len(set(names))
        slugs = [(card.canonical_slug, card.is_free) for card in CARDS if card.canonical_slug]
        assert len(slugs) == len(set(slugs))

    def test_models_file_is_in_order_of_listing(self):
        created = [card.created or date.max for card in CARDS]
        assert created == sorted(created)

    @pytest.mark.parametrize("card", CARDS, ids=lambda card: card.id)
    def test_each_id_without_author_is_an_alias(self, card):
        assert catalog.get(card.id.removeprefix("liquid/")) is card

    @pytest.mark.parametrize("card", CARDS, ids=lambda card: card.id)
    def test_successors_are_live_chat_models(self, card):
        successors = [catalog.get(name) for name in card.successors]
        assert all(other.status == "live" and other.kind == "chat" for other in successors)
        if successors:
            assert successors[0].is_free == card.is_free

    @pytest.mark.parametrize("card", CARDS, ids=lambda card: card.id)
    def test_dates_of_a_card_are_in_order(self, card):
        assert card.created is None or card.created <= card.checked
        if card.retired_between:
            last_seen, first_missing = map(date.fromisoformat, card.retired_between)
            assert card.created < last_seen < first_missing <= card.checked

    @pytest.mark.parametrize("card", CARDS, ids=lambda card: card.id)
    def test_prices_are_decimals_per_token_and_zero_if_free(self, card):
        known = [card.pricing.prompt, card.pricing.completion, card.pricing.input_cache_read]
        assert all(
            isinstance(price, Decimal) and 0 <= price < Decimal("0.000001") for price in known if price is not None
        )
        assert (card.pricing.prompt == card.pricing.completion == 0) == card.is_free

    @pytest.mark.parametrize("card", [card for card in CARDS if card.supported_parameters], ids=lambda card: card.id)
    def test_capabilities_agree_with_supported_parameters(self, card):
        for name in ("tools", "tool_choice", "response_format", "structured_outputs", "logprobs", "reasoning"):
            assert getattr(card.capabilities, name) in {name in card.supported_parameters, None}

    def test_unknown_facts_of_lfm_3_are_none(self):
        card = catalog.get("lfm-3-1.7b")
        assert card.supported_parameters is None
        assert card.capabilities == Capabilities(reasoning=True)
        assert card.max_output_tokens is None

    def test_sources_are_public(self):
        for card in CARDS:
            assert all(source.url.startswith("https://") and source.read <= card.checked for source in card.sources)


def test_card_of_lfm_3b_is_complete():
    card = catalog.get("lfm-3b")
    assert card.id == "liquid/lfm-3b"
    assert card.name == "Liquid: LFM 3B"
    assert card.kind == "chat"
    assert card.status == "retired"
    assert card.retired_between == ("2025-10-18", "2025-10-22")
    assert card.successors == ("liquid/lfm-3-1.7b", "liquid/lfm-3-1.7b:free", "liquid/lfm-2.5-2.6b:free")
    assert card.created == date(2025, 1, 25)
    assert card.context_length == 32_768
    assert card.max_output_tokens == 32_768
    assert card.pricing == Pricing(prompt=Decimal("0.00000002"), completion=Decimal("0.00000002"))
    assert card.supported_parameters == {
        "max_tokens", "temperature", "top_p", "stop", "frequency_penalty", "presence_penalty", "seed", "top_k", "min_p",
        "repetition_penalty",
    }  # fmt: skip
    assert card.capabilities == Capabilities(
        tools=False,
        tool_choice=False,
        response_format=False,
        structured_outputs=False,
        logprobs=False,
        reasoning=False,
        reasoning_mandatory=False,
    )
    assert card.tool_dialect == "none"
    assert card.provider == "Liquid"
    assert not card.is_free


def test_card_of_a_decision_model_has_its_inputs_and_questions():
    card = catalog.get("d1.2")
    assert (card.id, card.kind, card.status) == ("liquid/d1.2", "decisions", "live")
    assert card.context_length == 65_536
    assert card.pricing == Pricing(prompt=Decimal("0.00000002"), completion=Decimal(0))
    assert card.input_modalities == {"text", "image", "audio"}
    assert card.question_types == {"noul", "choice", "score", "box"}
    assert catalog.get("liquid/d1-20260930") is catalog.get("d1")
    assert "box" not in catalog.get("d1.1").question_types


class TestGet:
    @pytest.mark.parametrize(
        ("name", "model_id"),
        [
            ("liquid/lfm-3b", "liquid/lfm-3b"),
            ("lfm-3b", "liquid/lfm-3b"),
            ("lfm-2.5-2.6b:free", "liquid/lfm-2.5-2.6b:free"),
            ("liquid/lfm-2.5-2.6b-20260811:free", "liquid/lfm-2.5-2.6b:free"),
            ("liquid/lfm-2.5-1.2b-instruct-20260120:free", "liquid/lfm-2.5-1.2b-instruct:free"),
            ("liquid/lfm-2-24b-a2b-20260224", "liquid/lfm-2-24b-a2b"),
            ("liquid/lfm-3-1.7b-20261106", "liquid/lfm-3-1.7b"),  # its date is not in the file
            ("liquid/lfm-3-1.7b-20261106:free", "liquid/lfm-3-1.7b:free"),
        ],
    )
    def test_get_finds_model_by_id_alias_and_dated_slug(self, name, model_id):
        assert catalog.get(name).id == model_id

    @pytest.mark.parametrize(
        "name",
        [
            "liquid/lfm-9b",
            "lfm-9b",
            "openai/gpt-5",
            "liquid/lfm-2.5-2.6b",  # only its free variant is known
            "liquid/lfm-2.5-2.6b-20270101:free",  # another date than the recorded one
            "liquid/lfm-3b:free",
            "liquid/lfm-3b:extended",
            "liquid/lfm-9b:nitro",
            "openrouter/auto",
            "~liquid/lfm-latest",
            "LIQUID/LFM-3B",
            ":nitro",
            "",
        ],
    )
    def test_get_returns_card_without_facts_for_unknown_model(self, name):
        card = catalog.get(name)
        assert (card.id, card.name, card.status) == (name, name, "unknown")
        assert card.context_length is card.max_output_tokens is card.supported_parameters is card.tool_dialect is None
        assert card.pricing == Pricing()
        assert card.capabilities == Capabilities()
        assert card.successors == card.endpoints == ()

    @pytest.mark.parametrize("suffix", ["nitro", "floor", "exacto", "online"])
    def test_get_drops_price_for_routing_suffix(self, suffix):
        card = catalog.get(f"lfm-3-1.7b:{suffix}")
        assert card.id == f"liquid/lfm-3-1.7b:{suffix}"
        assert (card.status, card.context_length, card.tool_dialect) == ("live", 262_144, "lfm3")
        assert card.pricing == Pricing()

    def test_get_returns_same_card_for_same_name(self):
        assert catalog.get("lfm-9b") is catalog.get("lfm-9b")
        assert catalog.get("lfm-3b") is catalog.get("liquid/lfm-3b")


def test_exports_are_sorted_and_complete():
    assert catalog.__all__ == sorted(catalog.__all__)
    assert all(hasattr(catalog, name) for name in catalog.__all__)


ROUTED = [":nitro", ":floor", ":exacto", ":online", "@preset/mine", ":nitro@preset/mine", "@preset/mine:online"]


@pytest.mark.parametrize("routing", ROUTED)
@pytest.mark.parametrize("name", ["lfm-3b", "liquid/lfm-3b", "liquid/lfm-2.5-2.6b:free", "liquid/lfm-3-1.7b-20261106"])
def test_routing_suffixes_and_presets_keep_the_card_of_their_model(name, routing):
    card, base = catalog.get(name + routing), catalog.get(name)
    assert card.id == base.id + routing
    assert (card.capabilities, card.context_length, card.successors) == (
        base.capabilities, base.context_length, base.successors,
    )  # fmt: skip
    assert card.pricing == Pricing()


@pytest.mark.parametrize("name", ["@preset/mine", "acme/model:nitro", "lfm-3b@other/x", "liquid/lfm-3b:turbo"])
def test_other_suffixes_are_part_of_an_unknown_name(name):
    card = catalog.get(name)
    assert (card.id, card.status) == (name, "unknown")
