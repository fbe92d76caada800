"""A record of calls, and budgets that programs share, in one SQLite file on this machine.

    from lfm_adapter import LFMClient
    from lfm_adapter.ledger import Budget, Ledger

    client = LFMClient(ledger=Ledger(), budget=Budget("0.50", per="day"))

It holds neither prompts, answers nor keys; `lfm usage` shows it. `lfm gateway`, `lfm chat`, `lfm decide` and `lfm mcp`
record their calls. Python programs record theirs with `ledger=`, or if the variable `LFM_LEDGER` is 1, for the user's
own ledger, or a path.
"""

from __future__ import annotations

from lfm_adapter.ledger._budget import Budget, Reservation
from lfm_adapter.ledger._ledger import Ledger, ledger_from_env
from lfm_adapter.ledger._record import CallRecord, ModelStats, UsageRow

__all__ = ["Budget", "CallRecord", "Ledger", "ModelStats", "Reservation", "UsageRow", "ledger_from_env"]
