"""Every failure of the table in `tests/faults`, through LiteLLM."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from faults.asking import THEIRS
from faults.outcomes import differences
from faults.scenarios import rows

if TYPE_CHECKING:
    from faults.scenario import Scenario


@pytest.mark.parametrize(("scenario", "way"), rows(THEIRS))
def test_user_sees_what_the_table_says(scenario: Scenario, way: str) -> None:
    assert not differences(scenario, way)
