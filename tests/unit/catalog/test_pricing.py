from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lfm_adapter import catalog
from lfm_adapter.catalog import compute_cost
from lfm_adapter.types import Cost, ModelCard, Pricing

PAID = catalog.get("liquid/lfm-3-1.7b")  # 0.08, 0.20 and 0.02 US$ per million: prompt, answer, cached prompt
FREE = catalog.get("liquid/lfm-2.5-2.6b:free")
UNKNOWN = catalog.get("liquid/lfm-9b")

NO_AMOUNTS = [None, "0.5", True, -0.5, float("nan"), float("inf"), Decimal("NaN"), [], {}, int("9" * 401), 1e300]


def usage(prompt: Any = 1_000, completion: Any = 500, **fields: Any) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": completion} | fields


@pytest.mark.parametrize("card", [PAID, FREE, UNKNOWN], ids=["paid", "free", "unknown"])
def test_reported_cost_takes_precedence(card):
    assert compute_cost(usage(cost=0.00123), card) == Cost(
        Decimal("0.00123"), prompt=None, completion=None, source="openrouter"
    )


@pytest.mark.parametrize(
    ("reported", "total"), [(0, "0"), (0.0, "0"), (3, "3"), (0.1, "0.1"), (8e-08, "8E-8"), (Decimal("0.3"), "0.3")]
)
def test_reported_cost_is_exact(reported, total):
    found = compute_cost(usage(cost=reported), PAID)
    assert found.total == Decimal(total)
    assert found.source == "openrouter"


@pytest.mark.parametrize("reported", NO_AMOUNTS, ids=repr)
def test_invalid_reported_cost_is_ignored(reported):
    assert compute_cost(usage(cost=reported), PAID).source == "catalog"


def test_cost_is_tokens_times_catalogue_prices():
    assert compute_cost(usage(), PAID) == Cost(
        total=Decimal("0.00018"), prompt=Decimal("0.00008"), completion=Decimal("0.0001"), source="catalog"
    )


def test_million_tokens_of_lfm_3b_cost_two_cents_each_way():
    found = compute_cost(usage(1_000_000, 1_000_000), catalog.get("lfm-3b"))
    assert (found.prompt, found.completion, found.total) == (Decimal("0.02"), Decimal("0.02"), Decimal("0.04"))


def test_cached_tokens_have_their_own_price():
    found = compute_cost(usage(prompt_tokens_details={"cached_tokens": 400}), PAID)
    assert found.prompt == 600 * Decimal("0.00000008") + 400 * Decimal("0.00000002")


def test_cached_tokens_without_own_price_cost_the_prompt_price():
    found = compute_cost(usage(prompt_tokens_details={"cached_tokens": 400}), catalog.get("lfm-3b"))
    assert found.prompt == 1_000 * Decimal("0.00000002")


@pytest.mark.parametrize("cached", [1_000, 1_001, 10**9])
def test_cached_tokens_are_limited_to_prompt_tokens(cached):
    found = compute_cost(usage(prompt_tokens_details={"cached_tokens": cached}), PAID)
    assert found.prompt == 1_000 * Decimal("0.00000002")


@pytest.mark.parametrize("details", [None, [], "none", {}, {"cached_tokens": None}, {"cached_tokens": -1}], ids=repr)
def test_malformed_token_details_are_ignored(details):
    assert compute_cost(usage(prompt_tokens_details=details), PAID).prompt == 1_000 * Decimal("0.00000008")


def test_cache_writes_and_request_fee_are_charged_if_known():
    card = ModelCard(
        id="x/y",
        name="y",
        pricing=Pricing(
            prompt=Decimal(2), completion=Decimal(5), input_cache_read=Decimal(1), input_cache_write=Decimal(3),
            request=Decimal(100),
        ),
    )  # fmt: skip
    details = {"cached_tokens": 4, "cache_write_tokens": 2}
    found = compute_cost(usage(10, 1, prompt_tokens_details=details), card)
    assert found == Cost(total=Decimal(123), prompt=Decimal(18), completion=Decimal(5), source="catalog")


@pytest.mark.parametrize("counts", [{}, {"prompt_tokens": None}, usage()], ids=repr)
def test_free_model_costs_nothing(counts):
    assert compute_cost(counts, FREE) == Cost(Decimal(0), prompt=Decimal(0), completion=Decimal(0), source="catalog")


@pytest.mark.parametrize(
    ("counts", "card"),
    [
        (usage(), UNKNOWN),
        (usage(), catalog.get("lfm-3-1.7b:nitro")),
        (usage(), ModelCard(id="x/y", name="y", pricing=Pricing(prompt=Decimal(1)))),
        ({}, PAID),
        (usage(prompt=None), PAID),
        (usage(completion="500"), PAID),
        (usage(prompt=True), PAID),
        (usage(completion=-1), PAID),
    ],
)
def test_unknown_price_or_count_gives_no_cost(counts, card):
    assert compute_cost(counts, card) is None


JSON = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.lists(st.integers(), max_size=2)
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "cost": JSON,
            "prompt_tokens": JSON | st.integers(0, 10**6),
            "completion_tokens": JSON | st.integers(0, 10**6),
            "prompt_tokens_details": JSON
            | st.fixed_dictionaries({}, optional={"cached_tokens": JSON, "cache_write_tokens": JSON}),
        },
    ),
    st.sampled_from([PAID, FREE, UNKNOWN]),
)
def test_cost_is_never_negative_and_equals_its_parts(counts, card):
    found = compute_cost(counts, card)
    if found is not None:
        assert found.total >= 0
        assert found.total.is_finite()
        if found.source == "catalog":
            assert found.prompt >= 0
            assert found.completion >= 0
            assert found.total == found.prompt + found.completion
