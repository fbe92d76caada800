"""The table of failures: all scenarios, by the headings of `docs/failures.md`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.asking import is_streamed
from tests.faults.refusals import REFUSALS
from tests.faults.streams import STREAMS
from tests.faults.wholes import WHOLES
from tests.faults.wires import WIRES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.faults.scenario import Scenario

__all__ = ["SCENARIOS", "THEMES", "rows"]

THEMES: dict[str, tuple[Scenario, ...]] = {
    "Refusals": REFUSALS,
    "Replies with the status of a success": WHOLES,
    "Streams": STREAMS,
    "Connections": WIRES,
}
SCENARIOS = tuple(scenario for theme in THEMES.values() for scenario in theme)


def rows(ways: Iterable[str], scenarios: Iterable[Scenario] = SCENARIOS) -> list[object]:
    """Return each scenario with each way that it applies to, as parameters of a test."""
    return [
        pytest.param(scenario, way, id=f"{scenario.name} - {way}")
        for scenario in scenarios
        for way in ways
        if ("streamed" if is_streamed(way) else "plain") in scenario.answers
    ]
