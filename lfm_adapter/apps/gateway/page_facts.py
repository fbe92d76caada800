"""The facts on the dashboard: prices and limits from the catalogue, and this user's calls from the ledger."""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from lfm_adapter import catalog

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lfm_adapter.apps.gateway.call import Gateway
    from lfm_adapter.ledger import CallRecord, Ledger, ModelStats, UsageRow
    from lfm_adapter.types import JSONDict, ModelCard

PERIODS = (1, 7, 30)
"""Days that the page can show."""

LAST_CALLS = 100
APPS_SHOWN = 10
CHART_SIZE = (900, 220)
NONE = "\N{EN DASH}"

# Failures that a model is not responsible for. They do not count against its uptime.
_NO_FAULT = frozenset({"bad_request", "budget_exceeded", "cancelled", "configuration", "context_window_exceeded"})


def page_facts(gateway: Gateway, days: int) -> JSONDict:
    """Return the facts for the last days."""
    now = datetime.now(tz=UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    since = (midnight - timedelta(days=days - 1)).timestamp()
    ledger = gateway.ledger
    stats = {one.model: one for one in ledger.model_stats(since=since)} if ledger else {}
    rows = ledger.usage(("day", "app", "model"), since=since) if ledger else []
    daily, apps = _tokens_by_day(rows), _apps(rows)
    today = ledger.usage((), since=midnight.timestamp()) if ledger else []
    cards = list(gateway.models.cards)
    cards += [catalog.get(model) for model in stats if model not in {card.id for card in cards}]
    cards.sort(key=lambda card: -(stats[card.id].calls if card.id in stats else 0))
    dates = [(midnight - timedelta(days=days - 1 - number)).date().isoformat() for number in range(days)]
    budget = gateway.limits.overall
    limit = budget.usd if budget else None
    spent = gateway.limits.ledger.spent(budget) if budget else 0
    return {
        "days": days,
        "periods": PERIODS,
        "last": LAST_CALLS,
        "today": {
            "cost": _usd(today[0].cost if today else 0),
            "calls": today[0].calls if today else 0,
            "tokens": today[0].prompt_tokens + today[0].completion_tokens if today else 0,
        },
        "budget": None if limit is None else f"{limit:f}",
        "spent": _usd(spent),
        "spent_percent": round(min(100, 100 * float(spent) / float(limit))) if limit else 100,
        "models": [
            _model(card, stats.get(card.id), daily.get(card.id, {}), apps.get(card.id, []), dates) for card in cards
        ],
        "calls": last_calls(ledger),
    }


def _tokens_by_day(rows: Sequence[UsageRow]) -> dict[str, Counter[str]]:
    """Return the tokens of each model, by day."""
    found: dict[str, Counter[str]] = {}
    for row in rows:
        day, _, model = row.key
        found.setdefault(catalog.get(model).id, Counter())[day] += row.prompt_tokens + row.completion_tokens
    return found


def _apps(rows: Sequence[UsageRow]) -> dict[str, list[JSONDict]]:
    """Return the apps that used each model, by tokens in descending order."""
    found: dict[str, dict[str, JSONDict]] = {}
    for row in rows:
        _, name, model = row.key
        apps = found.setdefault(catalog.get(model).id, {})
        app = apps.setdefault(name, {"name": name, "calls": 0, "tokens": 0, "cost": Decimal(0)})
        app["calls"] += row.calls
        app["tokens"] += row.prompt_tokens + row.completion_tokens
        app["cost"] += row.cost
    return {model: sorted(apps.values(), key=lambda app: -app["tokens"]) for model, apps in found.items()}


def _model(
    card: ModelCard,
    stats: ModelStats | None,
    daily: Mapping[str, int],
    apps: Sequence[JSONDict],
    dates: Sequence[str],
) -> JSONDict:
    def million(price: Decimal | None) -> str:
        return "unknown" if price is None else f"US$ {price * 1_000_000:.2f}"

    status = card.status
    if card.status == "retired" and card.successors:
        status = f"retired; {card.successors[0]} answers"  # type: ignore[assignment]
    facts: JSONDict = {
        "id": card.id,
        "name": card.name,
        "status": status,
        "context": _count(card.context_length),
        "max_output": _count(card.max_output_tokens),
        "input_price": million(card.pricing.prompt),
        "output_price": million(card.pricing.completion),
        "stats": stats,
    }
    if stats is None:
        return facts
    faults = sum(count for kind, count in stats.errors.items() if kind not in _NO_FAULT)
    tried = stats.answered + faults
    return facts | {
        "cost": _usd(stats.cost),
        "uptime": NONE if not tried else f"{100 * stats.answered / tried:.1f} %",
        "errors": sorted(stats.errors.items(), key=lambda item: -item[1]),
        "latency": _pair(stats.first_token_s, "{:.2f} s"),
        "throughput": _pair(stats.tokens_per_second, "{:.0f}"),
        "chart": _chart(daily, dates, card.name),
        "apps": [app | {"cost": _usd(app["cost"])} for app in apps[:APPS_SHOWN]],
    }


def _chart(tokens: Mapping[str, int], dates: Sequence[str], name: str) -> Any:
    """Return a chart as SVG. The style sheet sets its colours."""
    import leather
    from markupsafe import Markup, escape

    width, height = CHART_SIZE
    chart = leather.Chart()
    chart.add_y_axis(tick_formatter=lambda value, *_: _short(int(value)))
    chart.add_columns([(date[8:], tokens.get(date, 0)) for date in dates])
    svg: Any = chart.to_svg(width=width, height=height)  # a string, because no file is given
    label = escape(f"Tokens of {name} a day, {dates[0]} to {dates[-1]}: {sum(tokens.values()):,} in all")
    head = f'<svg class="chart" role="img" aria-label="{label}" viewBox="20 25 {width - 30} {height - 45}"'
    return Markup(svg.replace(f'<svg width="{width}" height="{height}"', head, 1))  # noqa: S704 # made of numbers and dates


def _short(number: int) -> str:
    """Return 2,500,000 as "2.5M"."""
    for size, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if number >= size:
            return f"{number / size:g}{unit}"
    return str(number)


def last_calls(ledger: Ledger | None) -> list[JSONDict]:
    """Return the last calls, newest first."""
    return [_call(call) for call in ledger.calls(LAST_CALLS)] if ledger else []


def _call(call: CallRecord) -> JSONDict:
    began = datetime.fromtimestamp(call.time, tz=UTC)
    is_today = time.time() - call.time < 86_400
    return {
        "iso": began.isoformat(timespec="seconds"),
        "time": began.strftime("%H:%M:%S" if is_today else "%Y-%m-%d %H:%M"),
        "app": call.app,
        "model": call.model,
        "status": call.status,
        "prompt": _count(call.prompt_tokens),
        "completion": _count(call.completion_tokens),
        "cost": NONE if call.cost is None else _usd(call.cost),
        "first": NONE if call.first_token_s is None else f"{call.first_token_s:.2f} s",
        "duration": f"{call.duration_s:.2f}",
        "rate": NONE if call.tokens_per_second is None else f"{call.tokens_per_second:.0f}",
    }


def _count(number: int | None) -> str:
    return NONE if number is None else f"{number:,}"


def _usd(amount: Decimal | float) -> str:
    return "0" if not amount else f"{float(amount):.6f}".rstrip("0").rstrip(".") or "0"


def _pair(pair: tuple[float, float] | None, form: str) -> str:
    return NONE if pair is None else " / ".join(form.format(value) for value in pair)
