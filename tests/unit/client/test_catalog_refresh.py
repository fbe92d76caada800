from __future__ import annotations

import copy
import pickle
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lfm_adapter import AsyncLFMClient, LFMClient, catalog
from lfm_adapter.catalog._listing import liquid_models, refreshed_cards
from lfm_adapter.errors import APITimeoutError, NotFoundError, ResponseError
from lfm_adapter.types import Capabilities, Endpoint, ModelCard, Pricing

CARDS = catalog.models()
TODAY = date(2026, 12, 1)


def listed(model_id: str = "liquid/lfm-2.5-2.6b:free", **fields: Any) -> dict[str, Any]:
    """An object of `GET /models`."""
    return {
        "id": model_id,
        "canonical_slug": "liquid/lfm-2.5-2.6b-20260811",
        "name": "LiquidAI: LFM2.5-2.6B (free)",
        "created": 1786470519,
        "context_length": 128_000,
        "architecture": {"input_modalities": ["text"], "output_modalities": ["text"]},
        "pricing": {"prompt": "0", "completion": "0"},
        "top_provider": {"context_length": 128_000, "max_completion_tokens": 16_384},
        "supported_parameters": ["max_tokens", "temperature", "top_p", "tools", "reasoning"],
        "default_parameters": {"temperature": 0.1, "top_p": None},
        "expiration_date": None,
        "reasoning": {"mandatory": True},
    } | fields


def offered(**fields: Any) -> dict[str, Any]:
    """An endpoint of `GET /models/{id}/endpoints`."""
    return {
        "provider_name": "Liquid",
        "tag": "liquid/fp8",
        "quantization": "fp8",
        "context_length": 65_536,
        "max_completion_tokens": 8_192,
        "max_prompt_tokens": None,
        "pricing": {"prompt": "0", "completion": "0", "discount": 0},
        "supported_parameters": ["max_tokens", "tools", "tool_choice", "reasoning"],
        "supports_tool_choice": {"none": False, "auto": True, "required": True, "function": True},
        "status": 0,
        "uptime_last_30m": 99.8753738783649,
        "uptime_last_5m": 100,
        "uptime_last_1d": 99.9,
        "latency_last_30m": None,
        "throughput_last_30m": {"p50": 84.5},
    } | fields


class TestFromListing:
    def test_a_card_can_be_hashed_copied_and_pickled(self):
        card = catalog.from_listing(listed(), {"endpoints": [offered()]}, checked=TODAY)
        assert len({card, copy.deepcopy(card), pickle.loads(pickle.dumps(card))}) == 1  # noqa: S301 # our own bytes

    def test_listing_replaces_facts_and_keeps_those_of_the_catalogue_alone(self):
        card = catalog.from_listing(listed(created=1786500000, expiration_date="2027-01-31"), checked=TODAY)
        assert card.status == "live"
        assert card.context_length == 128_000
        assert card.max_output_tokens == 16_384
        assert card.pricing == Pricing(prompt=Decimal(0), completion=Decimal(0))
        assert card.supported_parameters == {"max_tokens", "temperature", "top_p", "tools", "reasoning"}
        assert card.default_parameters == {"temperature": 0.1}
        assert card.created == date(2026, 8, 12)
        assert card.expires == date(2027, 1, 31)
        assert card.checked == TODAY
        known = catalog.get("lfm-2.5-2.6b:free")
        assert (card.tool_dialect, card.license, card.aliases, card.sources) == (
            known.tool_dialect, known.license, known.aliases, known.sources,
        )  # fmt: skip

    def test_a_price_of_zero_does_not_make_a_model_free(self):
        assert not catalog.from_listing(listed("liquid/lfm-4"), checked=None).is_free
        assert catalog.from_listing(listed("liquid/lfm-4:free"), checked=None).is_free

    def test_capabilities_follow_from_supported_parameters(self):
        card = catalog.from_listing(listed(), checked=None)
        assert card.capabilities == Capabilities(
            tools=True,
            tool_choice=False,
            response_format=False,
            structured_outputs=False,
            logprobs=False,
            reasoning=True,
            reasoning_mandatory=True,
        )
        plain = catalog.from_listing(listed(supported_parameters=["max_tokens"]), checked=None)
        assert plain.capabilities.reasoning is plain.capabilities.reasoning_mandatory is False
        unsaid = catalog.from_listing(listed(reasoning=None), checked=None)
        assert unsaid.capabilities.reasoning_mandatory is None

    def test_the_endpoints_decide_over_the_model(self):
        card = catalog.from_listing(listed(), {"endpoints": [offered()]}, checked=None)
        assert card.endpoints == (
            Endpoint(
                provider="Liquid",
                tag="liquid/fp8",
                quantization="fp8",
                context_length=65_536,
                max_output_tokens=8_192,
                pricing=Pricing(prompt=Decimal(0), completion=Decimal(0)),
                supported_parameters=frozenset({"max_tokens", "tools", "tool_choice", "reasoning"}),
                supports_tool_choice={"none": False, "auto": True, "required": True, "function": True},
                status=0,
                uptime_5m_percent=100,
                uptime_30m_percent=99.8753738783649,
                uptime_1d_percent=99.9,
                throughput_30m={"p50": 84.5},
            ),
        )
        assert card.context_length == 65_536
        assert card.max_output_tokens == 8_192
        assert "top_p" not in card.supported_parameters
        assert card.capabilities.tool_choice
        assert (card.provider, card.quantization) == ("Liquid", "fp8")

    def test_most_capable_of_several_endpoints_counts(self):
        others = [
            offered(),
            offered(provider_name="Together", context_length=131_072, supported_parameters=["logprobs"]),
            offered(context_length=None, max_completion_tokens=4_096, supported_parameters=None),
        ]
        card = catalog.from_listing(listed(), {"endpoints": others}, checked=None)
        assert card.context_length == 131_072
        assert card.max_output_tokens == 8_192
        assert card.capabilities.logprobs
        assert card.capabilities.tools
        assert card.provider is None
        assert card.quantization == "fp8"

    def test_an_endpoint_without_a_bound_lifts_the_bound_of_the_others(self):
        unbounded = [offered(), offered(max_completion_tokens=None)]
        card = catalog.from_listing(listed("liquid/lfm-4"), {"endpoints": unbounded}, checked=None)
        assert card.max_output_tokens is None

    def test_a_model_without_endpoints_is_retired(self):
        assert catalog.from_listing(listed(), {"endpoints": []}, checked=None).status == "retired"
        assert catalog.from_listing(listed(), {"endpoints": None}, checked=None).status == "live"
        gone = catalog.from_listing(listed("liquid/lfm-3b"), {"endpoints": []}, checked=None)
        assert gone.successors == catalog.get("lfm-3b").successors

    def test_a_model_that_came_back_is_live(self):
        card = catalog.from_listing(listed("liquid/lfm-3b"), checked=None)
        assert (card.status, card.retired_between, card.successors) == ("live", None, ())

    def test_a_new_model_gets_a_card(self):
        card = catalog.from_listing(listed("liquid/lfm-4", name="LFM4"), checked=None)
        assert (card.id, card.name, card.status, card.tool_dialect) == ("liquid/lfm-4", "LFM4", "live", None)

    @pytest.mark.parametrize(
        ("outputs", "kind"),
        [(["text"], "chat"), (["text", "image"], "chat"), (["embeddings"], "embeddings"), (["decisions"], "decisions")],
    )
    def test_output_modality_decides_the_kind_of_a_model(self, outputs, kind):
        model = listed("liquid/new", architecture={"output_modalities": outputs})
        assert catalog.from_listing(model, checked=None).kind == kind

    @pytest.mark.parametrize(
        ("price", "known"),
        [
            ("0.00000008", Decimal("0.00000008")),
            (8e-8, Decimal("8E-8")),
            (0, Decimal(0)),
            ("-1", None),
            ("NaN", None),
            ("Infinity", None),
            ("free", None),
            (True, None),
            (None, None),
        ],
    )
    def test_a_price_is_an_amount_or_unknown(self, price, known):
        card = catalog.from_listing(listed("liquid/lfm-3-1.7b", pricing={"prompt": price}), checked=None)
        assert card.pricing == Pricing(prompt=known)

    def test_facts_missing_from_the_listing_stay(self):
        assert (
            catalog.from_listing({"id": "liquid/lfm-3-1.7b"}, checked=None).pricing == catalog.get("lfm-3-1.7b").pricing
        )
        known = catalog.get("lfm-2.5-2.6b:free")
        card = catalog.from_listing(
            {"id": known.id, "supported_parameters": None, "name": 7}, None, checked=known.checked
        )
        assert card == known

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
            max_leaves=6,
        ),
        st.sampled_from(sorted(listed())),
        st.sampled_from(sorted(offered())),
    )
    def test_listing_may_have_any_value_in_any_field(self, value, field, offer_field):
        data = {"endpoints": [offered(**{offer_field: value}), value]}
        card = catalog.from_listing(listed() | {field: value}, data, checked=None)
        assert card.status == "live"
        assert catalog.from_listing({"id": "liquid/lfm-3b", field: value}, {"endpoints": value}, checked=None)

    def test_listing_may_have_numbers_of_any_size(self):
        card = catalog.from_listing(
            listed(created=10**400, context_length=float("inf"), top_provider={"max_completion_tokens": 10**400}),
            checked=None,
        )
        assert card.created == catalog.get(card.id).created
        assert card.context_length == catalog.get(card.id).context_length


class Listings:
    """What OpenRouter lists."""

    def __init__(self, *listing: dict[str, Any], missing: tuple[str, ...] = ()) -> None:
        self.listing = list(listing)
        self.missing = missing
        self.asked: list[str] = []

    def list_models(self) -> list[dict[str, Any]]:
        return self.listing

    def list_endpoints(self, model_id: str) -> dict[str, Any]:
        self.asked.append(model_id)
        if model_id in self.missing:
            raise NotFoundError("Not Found", status_code=404)
        return {"id": model_id, "endpoints": [offered()]}


@pytest.fixture(params=["sync", "async"])
def refresh(request, monkeypatch):
    """`refresh_catalog` of a client that is answered from memory, as a coroutine function."""

    async def run(listings: Listings) -> dict[str, ModelCard]:
        if request.param == "sync":
            monkeypatch.setattr(LFMClient, "list_models", lambda client: listings.list_models())
            monkeypatch.setattr(LFMClient, "list_endpoints", lambda client, model: listings.list_endpoints(model))
            cards = LFMClient().refresh_catalog()
        else:

            async def list_models(client):
                return listings.list_models()

            async def list_endpoints(client, model):
                return listings.list_endpoints(model)

            monkeypatch.setattr(AsyncLFMClient, "list_models", list_models)
            monkeypatch.setattr(AsyncLFMClient, "list_endpoints", list_endpoints)
            cards = await AsyncLFMClient().refresh_catalog()
        assert len({card.id for card in cards}) == len(cards)
        return {card.id: card for card in cards}

    return run


class TestRefresh:
    async def test_refresh_requests_endpoints_of_liquid_models_only(self, refresh):
        client = Listings(listed(), listed("openai/gpt-5"), {"id": None}, {})
        cards = await refresh(client)
        assert client.asked == ["liquid/lfm-2.5-2.6b:free"]
        assert cards["liquid/lfm-2.5-2.6b:free"].endpoints[0].provider == "Liquid"
        assert cards["liquid/lfm-2.5-2.6b:free"].checked == datetime.now(tz=UTC).date()
        assert "openai/gpt-5" not in cards

    async def test_refresh_keeps_order_of_catalogue_and_appends_new_models(self, refresh):
        cards = await refresh(Listings(listed("liquid/lfm-4"), listed()))
        assert list(cards) == [*(card.id for card in CARDS), "liquid/lfm-4"]

    def test_a_chat_model_absent_from_the_listing_is_retired(self):
        listing = liquid_models([listed()])
        gone = {card.id: card for card in refreshed_cards(listing, {}, TODAY)}["liquid/lfm-3-1.7b"]
        assert gone.status == "retired"
        assert gone.retired_between == ("2026-11-23", "2026-12-01")
        assert gone.context_length == 262_144
        undated = {card.id: card for card in refreshed_cards(listing, {}, None)}["liquid/lfm-3-1.7b"]
        assert undated.retired_between is None

    async def test_other_models_absent_from_the_listing_stay_as_they_are(self, refresh):
        cards = await refresh(Listings(listed()))
        for name in ("liquid/lfm-3b", "liquid/d1", "liquid/lfm-2.5-embedding-350m:free"):
            assert cards[name] is catalog.get(name)

    async def test_a_model_whose_endpoints_are_not_found_keeps_the_listings_facts(self, refresh):
        cards = await refresh(Listings(listed(), missing=("liquid/lfm-2.5-2.6b:free",)))
        card = cards["liquid/lfm-2.5-2.6b:free"]
        assert (card.status, card.context_length, card.endpoints) == ("live", 128_000, ())

    async def test_a_listing_without_liquid_models_is_an_error_and_no_mass_retirement(self, refresh):
        for listing in ((), ({"id": "local/smollm2-135m-instruct"},)):
            with pytest.raises(ResponseError, match="base_url"):
                await refresh(Listings(*listing))

    async def test_refresh_raises_other_failures(self, refresh):
        client = Listings(listed())
        client.list_endpoints = lambda model_id: (_ for _ in ()).throw(APITimeoutError("slow"))
        with pytest.raises(APITimeoutError):
            await refresh(client)

    async def test_refresh_does_not_change_catalog_get(self, refresh):
        before = catalog.get("lfm-3-1.7b")
        await refresh(Listings(listed()))
        assert catalog.get("lfm-3-1.7b") is before
