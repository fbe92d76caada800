"""Amounts in 10^-12 US$, as integers, which add up exactly."""

from __future__ import annotations

from decimal import Decimal

__all__ = ["PICO", "to_pico"]

PICO = Decimal(10) ** 12


def to_pico(usd: Decimal) -> int:
    """Return an amount in 10^-12 US$, rounded up."""
    return int((usd * PICO).to_integral_value(rounding="ROUND_CEILING"))
