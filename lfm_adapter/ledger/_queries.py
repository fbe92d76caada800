"""The statements that write calls and read what the ledger holds."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import fields
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from lfm_adapter.errors import ConfigurationError
from lfm_adapter.ledger._record import PICO, CallRecord, ModelStats, UsageRow, to_pico

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Sequence

_COLUMNS = [column.name for column in fields(CallRecord)]
_INSERT = f"INSERT INTO calls ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608

GROUPS = {
    "day": "CAST(time / 86400 AS INTEGER)",
    "hour": "CAST(time / 3600 AS INTEGER)",
    "model": "coalesce(served_model, model)",
    "app": "app",
    "source": "source",
    "status": "status",
    "provider": "coalesce(provider, '')",
}
"""Keys of `Ledger.usage`, as SQL."""

# SQLite groups numbers three times as fast as its dates.
_SHOWN: dict[str, Callable[[Any], str]] = {
    "day": lambda day: datetime.fromtimestamp(day * 86_400, tz=UTC).strftime("%Y-%m-%d"),
    "hour": lambda hour: datetime.fromtimestamp(hour * 3_600, tz=UTC).strftime("%Y-%m-%d %H:00"),
}


def insert(connection: sqlite3.Connection, records: Iterable[CallRecord]) -> None:
    """Insert calls."""
    connection.executemany(_INSERT, map(_row, records))


def _row(record: CallRecord) -> list[object]:
    row = [getattr(record, column) for column in _COLUMNS]  # `astuple` would copy each value
    row[_COLUMNS.index("cost")] = None if record.cost is None else to_pico(record.cost)
    return row


def _record(row: sqlite3.Row) -> CallRecord:
    facts = dict(zip(_COLUMNS, row, strict=True))
    facts["is_stream"] = bool(facts["is_stream"])
    if facts["cost"] is not None:
        facts["cost"] = Decimal(facts["cost"]) / PICO
    return CallRecord(**facts)


# `+time` keeps SQLite from reading most of a table through the index, which takes twice as long.


def usage(connection: sqlite3.Connection, by: Sequence[str], since: float) -> list[UsageRow]:
    """See `Ledger.usage`."""
    unknown = [name for name in by if name not in GROUPS]
    if unknown:
        raise ConfigurationError(f"`by` must contain only {', '.join(map(repr, GROUPS))}; got {unknown[0]!r}.")
    keys = [GROUPS[name] for name in by]
    grouped = f"GROUP BY {', '.join(keys)} ORDER BY {', '.join(keys)}" if keys else ""
    rows = connection.execute(
        f"SELECT {''.join(f'{key}, ' for key in keys)}count(*), "  # noqa: S608 # of the constants above
        "sum(status NOT IN ('ok', 'cancelled')), sum(prompt_tokens), sum(completion_tokens), sum(cost), "
        f"sum(status = 'ok' AND cost IS NULL) FROM calls WHERE +time >= ? {grouped}",
        (since,),
    )
    count = len(keys)
    shown = [_SHOWN.get(name, str) for name in by]
    return [
        UsageRow(
            tuple(show(value) for show, value in zip(shown, row, strict=False)),
            calls=row[count],
            errors=row[count + 1] or 0,
            prompt_tokens=row[count + 2] or 0,
            completion_tokens=row[count + 3] or 0,
            cost=Decimal(row[count + 4] or 0) / PICO,
            unknown_costs=row[count + 5] or 0,
        )
        for row in rows
        if row[count]
    ]


def calls(connection: sqlite3.Connection, limit: int, since: float) -> list[CallRecord]:
    """See `Ledger.calls`."""
    select = f"SELECT {', '.join(_COLUMNS)} FROM calls WHERE time >= ? ORDER BY time DESC LIMIT ?"  # noqa: S608
    return [_record(row) for row in connection.execute(select, (since, limit))]


def model_stats(connection: sqlite3.Connection, since: float) -> list[ModelStats]:
    """See `Ledger.model_stats`."""
    models: dict[str, ModelStats] = {}
    sums = connection.execute(
        "SELECT model, status, count(*), sum(prompt_tokens), sum(completion_tokens), sum(cost) FROM calls "
        "WHERE +time >= ? GROUP BY model, status",
        (since,),
    )
    for model, status, count, prompt, completion, cost in sums:
        stats = models.setdefault(model, ModelStats(model))
        stats.calls += count
        stats.prompt_tokens += prompt or 0
        stats.completion_tokens += completion or 0
        stats.cost += Decimal(cost or 0) / PICO
        if status == "ok":
            stats.answered = count
        else:
            stats.errors[status] = count
    firsts: defaultdict[str, list[float]] = defaultdict(list)
    rates: defaultdict[str, list[float]] = defaultdict(list)
    answered = connection.execute(
        "SELECT model, first_token_s, completion_tokens / (duration_s - coalesce(first_token_s, 0)) FROM calls "
        "WHERE +time >= ? AND status = 'ok'",
        (since,),
    )
    for model, first, rate in answered:
        if first is not None:
            firsts[model].append(first)
        if rate is not None and rate > 0:
            rates[model].append(rate)
    for model, stats in models.items():
        stats.first_token_s = _percentiles(firsts[model], 0.5, 0.95)
        stats.tokens_per_second = _percentiles(rates[model], 0.5, 0.05)
    return sorted(models.values(), key=lambda stats: -(stats.prompt_tokens + stats.completion_tokens))


def _percentiles(values: list[float], one: float, other: float) -> tuple[float, float] | None:
    """Return two quantiles, by the nearest rank."""
    values.sort()
    last = len(values) - 1
    return (values[round(one * last)], values[round(other * last)]) if values else None


def spent(connection: sqlite3.Connection, place: tuple[str, str]) -> int:
    """Return what is spent of a budget in a period, in 10^-12 US$."""
    found = connection.execute("SELECT amount FROM spent WHERE name = ? AND period = ?", place).fetchone()
    return int(found[0]) if found else 0


def committed(connection: sqlite3.Connection, place: tuple[str, str]) -> int:
    """Return what is spent and reserved of a budget in a period."""
    found = connection.execute(
        "SELECT (SELECT coalesce(sum(amount), 0) FROM spent WHERE name = ? AND period = ?) + "
        "(SELECT coalesce(sum(amount), 0) FROM reserved WHERE name = ? AND period = ?)",
        (*place, *place),
    ).fetchone()
    return int(found[0])
