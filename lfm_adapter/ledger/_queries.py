"""What the ledger is asked."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from lfm_adapter.errors import ConfigurationError
from lfm_adapter.ledger._budget import PICO
from lfm_adapter.ledger._database import to_record
from lfm_adapter.ledger._record import UsageRow

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from lfm_adapter.ledger._record import CallRecord

__all__ = ["GROUPS", "calls", "committed", "spent", "usage"]

GROUPS = {
    "day": "date(time, 'unixepoch')",
    "hour": "strftime('%Y-%m-%d %H:00', time, 'unixepoch')",
    "model": "coalesce(served_model, model)",
    "app": "app",
    "source": "source",
    "status": "status",
    "provider": "coalesce(provider, '')",
}
"""What calls can be summed by, as SQL."""


def usage(connection: sqlite3.Connection, by: Sequence[str], since: float) -> list[UsageRow]:
    """See `Ledger.usage`."""
    unknown = [name for name in by if name not in GROUPS]
    if unknown:
        raise ConfigurationError(f"`by` must be of {', '.join(map(repr, GROUPS))}; got {unknown[0]!r}.")
    keys = [GROUPS[name] for name in by]
    grouped = f"GROUP BY {', '.join(keys)} ORDER BY {', '.join(keys)}" if keys else ""
    rows = connection.execute(
        f"SELECT {''.join(f'{key}, ' for key in keys)}count(*), "  # noqa: S608 # of the constants above
        "sum(status NOT IN ('ok', 'cancelled')), sum(prompt_tokens), sum(completion_tokens), sum(cost), "
        f"sum(status = 'ok' AND cost IS NULL) FROM calls WHERE time >= ? {grouped}",
        (since,),
    )
    count = len(keys)
    return [
        UsageRow(
            row[:count], row[count], row[count + 1] or 0, row[count + 2] or 0, row[count + 3] or 0,
            Decimal(row[count + 4] or 0) / PICO, row[count + 5] or 0,
        )
        for row in rows
        if row[count]
    ]  # fmt: skip


def calls(connection: sqlite3.Connection, limit: int, since: float) -> list[CallRecord]:
    """See `Ledger.calls`."""
    rows = connection.execute("SELECT * FROM calls WHERE time >= ? ORDER BY time DESC LIMIT ?", (since, limit))
    return [to_record(row) for row in rows]


def spent(connection: sqlite3.Connection, place: tuple[str, str]) -> int:
    """Return what is spent of a budget in a period, in 10^-12 US$."""
    found = connection.execute("SELECT amount FROM spent WHERE name = ? AND period = ?", place).fetchone()
    return int(found[0]) if found else 0


def committed(connection: sqlite3.Connection, place: tuple[str, str]) -> int:
    """Return what is spent and reserved of a budget in a period."""
    found = connection.execute(
        "SELECT (SELECT coalesce(sum(amount), 0) FROM spent WHERE name = ?1 AND period = ?2) + "
        "(SELECT coalesce(sum(amount), 0) FROM reserved WHERE name = ?1 AND period = ?2)",
        place,
    ).fetchone()
    return int(found[0])
