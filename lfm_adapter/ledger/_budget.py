"""Limits on the cost and the rate of calls."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, TypeAlias

from lfm_adapter._masking import shown
from lfm_adapter.errors import ConfigurationError
from lfm_adapter.ledger._record import to_pico

Period: TypeAlias = Literal["day", "month", "total"]


_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit on cost or requests. All programs that use its name and the same ledger share it.

    Before a request is sent, its maximum cost is reserved; afterwards the actual cost replaces the reservation. So
    programs that race for the rest of a budget cannot exceed it. A request of unknown outcome (a lost connection, a
    cancelled call) counts as its maximum.

    Attributes:
        usd: US$ that may be spent in each period; None for no limit.
        per: "day" and "month" begin at midnight UTC; "total" never ends.
        rpm: Requests in any 60 seconds; None for no limit.
        name: Budgets with the same name share one limit. Default: a unique name, so that the limit is for this object.
        allow_unknown_price: Allow requests of unknown price until `usd` is spent. Their cost counts once it is known,
            so that the last ones may exceed `usd`.

    Raises:
        ConfigurationError: A number is malformed or negative.

    >>> Budget("0.50", per="day", name="agents").usd
    Decimal('0.50')
    """

    usd: Decimal | str | float | None = None
    per: Period = "total"
    rpm: int | None = None
    name: str = field(default_factory=lambda: f"budget-{os.urandom(16).hex()}")
    allow_unknown_price: bool = False

    def __post_init__(self) -> None:
        if self.usd is not None:
            object.__setattr__(self, "usd", _amount(self.usd))
        if self.per not in ("day", "month", "total"):
            raise ConfigurationError(f"`per` must be one of 'day', 'month', 'total'; got {shown(self.per)}.")
        rpm: Any = self.rpm
        if rpm is not None and (isinstance(rpm, bool) or not isinstance(rpm, int) or rpm < 1):
            raise ConfigurationError(f"`rpm` must be an integer >= 1, got {shown(rpm)}.")
        name: Any = self.name
        if not isinstance(name, str) or _SURROGATE.search(name):  # which a database cannot hold
            raise ConfigurationError(f"`name` must be a string, got {shown(name)}.")
        allow: Any = self.allow_unknown_price
        if not isinstance(allow, bool):
            raise ConfigurationError(f"`allow_unknown_price` must be True or False, got {shown(allow)}.")

    @property
    def limit(self) -> int | None:
        """`usd` in 10^-12 US$."""
        return None if self.usd is None else to_pico(Decimal(self.usd))

    @property
    def needs_price(self) -> bool:
        """Whether it refuses requests of unknown price."""
        return self.usd is not None and not self.allow_unknown_price

    def period(self, now: float) -> str:
        """Return the name of the period that holds `now`, in Unix seconds."""
        if self.per == "total":
            return "total"
        return datetime.fromtimestamp(now, tz=UTC).strftime("%Y-%m-%d" if self.per == "day" else "%Y-%m")

    def ends(self, now: float) -> datetime | None:
        """Return when the period that holds `now` ends; None if never."""
        day = datetime.fromtimestamp(now, tz=UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        match self.per:
            case "day":
                return day + timedelta(days=1)
            case "month":
                return (day.replace(day=1) + timedelta(days=32)).replace(day=1)
            case _:
                return None


@dataclass(slots=True)
class Reservation:
    """The amount reserved for one request.

    Attributes:
        amount: 10^-12 US$.
        places: The name and the period of each budget.
        ids: The rows of the database; empty if it could not be written.
    """

    amount: int
    places: tuple[tuple[str, str], ...] = ()
    ids: tuple[int, ...] = ()


def _amount(usd: Decimal | str | float) -> Decimal:
    try:
        amount = Decimal(str(usd))
    except (InvalidOperation, RecursionError, ValueError):  # no number, nested too deep, thousands of digits
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0:
        raise ConfigurationError(f"`usd` must be an amount in US$ such as '0.50', got {shown(usd)}.")
    return amount
