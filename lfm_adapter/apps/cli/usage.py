"""`lfm usage`: the calls in the ledger, as a table with bars."""

from __future__ import annotations

import csv
import json
import re
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Annotated

import typer

from lfm_adapter.apps.cli.console import UsageError, note
from lfm_adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfm_adapter.ledger import UsageRow

BAR_WIDTH = 20
PIPE_WIDTH = 500  # of a table that does not go to a terminal
COLUMNS = ("calls", "errors", "prompt_tokens", "completion_tokens", "cost_usd")
_AGO = re.compile(r"(\d+)([dhw])")
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


def usage(
    *,
    by: Annotated[
        str,
        typer.Option(
            metavar="COLUMNS",
            help="Group by day, hour, model, app, source, status or provider; separate several by commas.",
        ),
    ] = "day,model,app",
    since: Annotated[
        str, typer.Option(metavar="WHEN", help="First day in UTC (2026-11-01), or how long ago: 12h, 7d, 4w, all.")
    ] = "30d",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """Show the tokens and costs of past calls.

        lfm usage --by app --since 7d

    Covers `lfm gateway`, `lfm chat`, `lfm decide`, `lfm mcp`, and Python programs that use a ledger.
    """
    from lfm_adapter.ledger import Ledger

    if as_json and as_csv:
        raise UsageError("Choose one of `--json` and `--csv`.")
    names = [name.strip() for name in by.split(",") if name.strip()]
    ledger = Ledger()
    rows = ledger.usage(names, since=_start(since, datetime.now(tz=UTC))) if ledger.path.exists() else []
    if as_json:
        typer.echo(json.dumps([_object(names, row) for row in rows], indent=2))
    elif as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow([*names, *COLUMNS])
        writer.writerows([*row.key, *_numbers(row)] for row in rows)
    elif rows:
        _print_table(names, rows)
    else:
        note(f"No calls since then in {ledger.path}.")


def _start(since: str, now: datetime) -> float:
    if since == "all":
        return 0.0
    if found := _AGO.fullmatch(since):
        return (now - timedelta(**{_UNITS[found[2]]: int(found[1])})).timestamp()
    try:
        return datetime.fromisoformat(since).replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise ConfigurationError(
            f"`--since` must be a day such as 2026-11-01, or 12h, 7d, 4w, all; got {since!r}."
        ) from None


def _numbers(row: UsageRow) -> list[str | int]:
    return [row.calls, row.errors, row.prompt_tokens, row.completion_tokens, f"{row.cost.normalize():f}"]


def _object(names: Sequence[str], row: UsageRow) -> dict[str, str | int]:
    return dict(zip([*names, *COLUMNS], [*row.key, *_numbers(row)], strict=True)) | {"unknown_costs": row.unknown_costs}


def _print_table(names: Sequence[str], rows: Sequence[UsageRow]) -> None:
    from rich.bar import Bar
    from rich.console import Console
    from rich.table import Table

    tokens = [row.prompt_tokens + row.completion_tokens for row in rows]
    columns = [*names, "calls", "errors", "in", "out", "US$"]
    cells = [_cells(row) for row in rows]
    console = Console(highlight=False, width=get_terminal_size((PIPE_WIDTH, 0)).columns)
    taken = sum(max(map(len, column)) + 2 for column in zip(columns, *cells, strict=True))
    bar_width = min(BAR_WIDTH, console.width - taken)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in names:
        table.add_column(name, overflow="fold", no_wrap=name in ("day", "hour"))
    for name in columns[len(names) :]:
        table.add_column(name, justify="right", no_wrap=True)
    has_bars = bar_width >= len("tokens")
    if has_bars:
        table.add_column("tokens", width=bar_width)
    for row, count in zip(cells, tokens, strict=True):
        table.add_row(*row, *([Bar(max(tokens), 0, count)] if has_bars else []))
    console.print(table)
    total = sum((row.cost for row in rows), start=Decimal(0))
    calls = sum(row.calls for row in rows)
    note(f"{calls:,} {'call' if calls == 1 else 'calls'}, {sum(tokens):,} tokens, US$ {total.normalize():f}.")


def _cells(row: UsageRow) -> list[str]:
    *counts, _ = _numbers(row)
    cost = f"{_rounded(row.cost):f}{'+?' if row.unknown_costs else ''}"
    return [*row.key, *(f"{count:,}" for count in counts), cost]


def _rounded(cost: Decimal) -> Decimal:
    """Return a cost to the cent, or with four significant digits if that is more."""
    return round(cost, max(2, 3 - cost.adjusted())).normalize()
