"""The gateway's budgets and rate limits: overall, by model, and by app."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from lfm_adapter.errors import ConfigurationError
from lfm_adapter.ledger import Budget, Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_APP = "app:"
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+")


@dataclass(frozen=True, slots=True)
class Limits:
    """The budgets of a gateway. All gateways of one user share them.

    Attributes:
        overall: The budget of all calls, or None.
        models: Budgets by model id.
        apps: Budgets by the app's name in lower case.
        ledger: Stores what is reserved and spent of them.
    """

    overall: Budget | None = None
    models: Mapping[str, Budget] = field(default_factory=dict)
    apps: Mapping[str, Budget] = field(default_factory=dict)
    ledger: Ledger = field(default_factory=Ledger)

    def budgets(self, app: str, models: Iterable[str]) -> tuple[Budget, ...]:
        """Return the budgets for a call of an app that any of `models` may answer."""
        found = [self.overall, self.apps.get(app.lower())]
        found += [self.models.get(model) for model in dict.fromkeys(map(without_routing, models))]
        return tuple(budget for budget in found if budget is not None)


def parse_limits(
    usd: Iterable[str],
    rpm: Iterable[str],
    *,
    model_id: Callable[[str], str],
    ledger: Ledger,
    allow_unknown_price: bool = False,
) -> Limits:
    """Return the limits that the options `--budget-usd` and `--rpm` set.

    Args:
        usd: US$ per day: "1", "lfm-3-1.7b=0.50", "app:Mantella=0.20".
        rpm: Requests per minute, in the same form.
        model_id: Returns the id of a model, or raises `LFMError`.
        ledger: The ledger that stores them.
        allow_unknown_price: See `Budget`.

    Raises:
        ConfigurationError: An option is malformed.
    """
    amounts, counts = _numbers(usd, "--budget-usd", model_id), _numbers(rpm, "--rpm", model_id)
    budgets: dict[str, Budget] = {}
    for target in {**amounts, **counts}:
        count = counts.get(target)
        if count is not None and (count < 1 or count % 1):
            raise ConfigurationError(f"`--rpm` must be a whole number of requests a minute, got {count}.")
        budgets[target] = Budget(
            amounts.get(target),
            per="day",
            rpm=None if count is None else int(count),
            name=f"gateway {target}".strip(),
            allow_unknown_price=allow_unknown_price,
        )
    return Limits(
        budgets.get(""),
        {target: budget for target, budget in budgets.items() if target and not target.startswith(_APP)},
        {target.removeprefix(_APP): budget for target, budget in budgets.items() if target.startswith(_APP)},
        ledger,
    )


def _numbers(texts: Iterable[str], option: str, model_id: Callable[[str], str]) -> dict[str, Decimal]:
    """Return the number of each limit, by its target: "" for all, a model's id, or "app:" and a name."""
    numbers: dict[str, Decimal] = {}
    for text in texts:
        given, _, digits = text.rpartition("=")
        number = Decimal(digits) if _NUMBER.fullmatch(digits) else None
        if number is None or given == _APP:
            raise ConfigurationError(f"`{option}` must be a number, or MODEL=NUMBER, or app:NAME=NUMBER; got {text!r}.")
        is_model = given and not given.startswith(_APP)
        target = without_routing(model_id(given)) if is_model else given.lower()
        if target in numbers:
            raise ConfigurationError(f"`{option}` sets the limit of {target or 'all calls'} twice; leave one out.")
        numbers[target] = number
    return numbers


def without_routing(model: str) -> str:
    """Return a model's id without suffixes that only choose among its endpoints, such as ":nitro"."""
    base, *suffixes = model.split(":")
    return f"{base}:free" if "free" in suffixes else base
