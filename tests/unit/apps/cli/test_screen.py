"""How answers and their costs are shown."""

from __future__ import annotations

from decimal import Decimal

import pytest

from lfm_adapter.apps.cli.screen import summary
from lfm_adapter.types import Choice, Cost, Reply


def reply(cost: str | None = None, source: str = "openrouter", **more: object) -> Reply:
    total = None if cost is None else Cost(Decimal(cost), None, None, source)
    return Reply([Choice("Hello.")], cost=total, **more)


@pytest.mark.parametrize(
    ("answer", "free", "expected"),
    [
        (reply("4.5e-09"), False, "US$ 0.0000000045"),
        (reply("0"), False, "US$ 0"),
        (reply("12.3456", "catalog"), False, "US$ 12.3 (catalogue price)"),
        (reply(), False, "cost unknown"),
        (reply(), True, "no cost"),
    ],
)
def test_cost_is_printed_without_an_exponent(answer: Reply, free: bool, expected: str):
    assert summary(answer, 2.0, is_free=free) == f"2.0 s · {expected}"


def test_speed_is_output_tokens_per_total_time():
    answer = reply(usage={"prompt_tokens": 10, "completion_tokens": 50, "total_tokens": 60})
    assert summary(answer, 2.0, is_free=True) == "10 tokens in, 50 out · 2.0 s (25 tokens/s) · no cost"
