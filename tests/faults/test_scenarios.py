"""Every failure of the table, through `LFMClient` and `ChatLFM`: `tests/litellm_provider` has it for LiteLLM."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.asking import OURS
from tests.faults.outcomes import differences
from tests.faults.scenarios import SCENARIOS, rows
from tests.support.both_clients import record_waits

if TYPE_CHECKING:
    from tests.faults.scenario import Scenario


@pytest.mark.parametrize(("scenario", "way"), rows(OURS))
def test_user_sees_what_the_table_says(scenario: Scenario, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    waits = record_waits(monkeypatch)
    assert not differences(scenario, way)
    assert len(waits) == scenario.tries - 1
    if scenario.retried and scenario.wait_s:
        assert waits == [scenario.wait_s]


def test_no_scenario_stands_there_twice() -> None:
    names = [scenario.name for scenario in SCENARIOS]
    assert len(set(names)) == len(names) > 100
