"""Every failure of the table, through the clients and LangChain: `tests/unit/litellm/test_scenarios.py` has LiteLLM."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lfm_adapter.testing import failure_names
from tests.faults.asking import DECIDING, EMBEDDING, OURS
from tests.faults.outcomes import differences
from tests.faults.table import SCENARIOS, rows
from tests.support.both_clients import record_waits

if TYPE_CHECKING:
    from tests.faults.scenario import Scenario


@pytest.mark.parametrize(("scenario", "way"), rows((*OURS, *EMBEDDING, *DECIDING)))
def test_user_sees_what_the_table_says(scenario: Scenario, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    waits = record_waits(monkeypatch)
    assert not differences(scenario, way)
    assert len(waits) == scenario.tries - 1
    if scenario.retried and scenario.retry_after:
        assert waits == [scenario.retry_after]


def test_table_names_each_failure_once_and_has_all_that_can_be_scripted() -> None:
    names = [scenario.name for scenario in SCENARIOS]
    assert len(set(names)) == len(names) > 100
    assert set(failure_names()) <= set(names)
