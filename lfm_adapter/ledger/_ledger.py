"""The ledger: it records calls in the background, and enforces budgets across processes."""

from __future__ import annotations

import os
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lfm_adapter.ledger import _queries
from lfm_adapter.ledger._record import PICO, to_pico

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfm_adapter.ledger._budget import Budget, Reservation
    from lfm_adapter.ledger._file import LedgerFile
    from lfm_adapter.ledger._record import CallRecord, ModelStats, UsageRow

FLUSH_TIMEOUT_S = 5.0


class Ledger:
    """A SQLite file with one row for each call, and the state of budgets. Threads and processes may share it.

    It never makes a call fail: if the file is locked or damaged, or the disk is full, it logs a warning, and rows wait
    in memory. One thread writes for all ledgers of a path. A process that is killed loses only rows in flight.

    Args:
        path: The file. Default: `LFM_LEDGER` if that is a path, else the user's own.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.path = Path(path).expanduser() if path is not None else _path_from_env() or _default_path()
        self._file: LedgerFile | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.path,)

    def __repr__(self) -> str:
        return f"Ledger({str(self.path)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ledger) and self.path == other.path

    def __hash__(self) -> int:
        return hash(self.path)

    def record(self, call: CallRecord) -> None:
        """Record a call. Returns at once; a thread writes the row."""
        self._open().add(call)

    def reserve(self, budgets: Sequence[Budget], usd: Decimal | None, *, model: str) -> Reservation:
        """Reserve the maximum cost of a request in every budget or in none, and count the request.

        Args:
            budgets: The budgets that it must fit into.
            usd: Its maximum cost; None if the price is unknown.
            model: The model, for errors.

        Returns:
            The reservation, to `settle` once the cost is known.

        Raises:
            BudgetExceededError: It could cost more than is left, or its price is unknown.
            RateLimitError: There were too many requests in the last minute.
        """
        return self._open().reservations.reserve(budgets, usd, model)

    def try_reserve(self, budgets: Sequence[Budget], usd: Decimal | None, *, model: str) -> Reservation | None:
        """Reserve without waiting, for event loops: return None if other threads or processes are writing."""
        return self._open().reservations.try_reserve(budgets, usd, model)

    def settle(self, reservation: Reservation, usd: Decimal | None) -> None:
        """Replace a reservation by the actual cost; None counts the reserved maximum.

        Returns at once; a thread writes it.
        """
        self._open().settle(reservation, reservation.amount if usd is None else to_pico(usd))

    def spent(self, budget: Budget) -> Decimal:
        """Return what has been spent of a budget in the current period, in US$, without reservations."""
        return Decimal(self._open().reservations.spent((budget.name, budget.period(time.time())))) / PICO

    def usage(self, by: Sequence[str] = ("day", "model", "app"), *, since: float = 0.0) -> list[UsageRow]:
        """Return sums of calls.

        Args:
            by: What to sum by: any of "day", "hour", "model", "app", "source", "status", "provider".
            since: Only calls from this time on, in Unix seconds.
        """
        with self._open().reading() as connection:
            return _queries.usage(connection, by, since)

    def model_stats(self, *, since: float = 0.0) -> list[ModelStats]:
        """Return statistics of each model, the most used first.

        Args:
            since: Only calls from this time on, in Unix seconds.
        """
        with self._open().reading() as connection:
            return _queries.model_stats(connection, since)

    def calls(self, limit: int = 100, *, since: float = 0.0) -> list[CallRecord]:
        """Return the last calls, the newest first.

        Args:
            limit: The number of calls.
            since: Only calls from this time on, in Unix seconds.
        """
        with self._open().reading() as connection:
            return _queries.calls(connection, limit, since)

    def flush(self, timeout: float = FLUSH_TIMEOUT_S) -> bool:
        """Wait until the calls recorded so far are written, for `timeout` seconds at most; return whether they are."""
        return self._open().flush(timeout)

    def _open(self) -> LedgerFile:
        if (
            self._file is None or self._file.process_id != os.getpid()
        ):  # a forked process does not have its parent's threads
            from lfm_adapter.ledger._file import ledger_file  # on use: it loads SQLite

            self._file = ledger_file(self.path, os.getpid())
        return self._file


def ledger_from_env(*, default: bool = False) -> Ledger | None:
    """Return the ledger that `LFM_LEDGER` names: 0 for none, 1 for the user's own, or a path.

    Args:
        default: Whether to use the user's own where the variable is not set, as the commands of `lfm` do.
    """
    value = os.environ.get("LFM_LEDGER", "").strip()
    if value.lower() in {"0", "false", "no", "off"} or (not value and not default):
        return None
    return Ledger()


def _path_from_env() -> Path | None:
    value = os.environ.get("LFM_LEDGER", "").strip()
    return (
        None if value.lower() in {"", "0", "1", "true", "false", "yes", "no", "on", "off"} else Path(value).expanduser()
    )


def _default_path() -> Path:
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        base = "~/Library/Application Support"
    else:
        base = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(base).expanduser() / "lfm-adapter" / "ledger.db"
