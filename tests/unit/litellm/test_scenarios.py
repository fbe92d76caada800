"""The failures of the table in `tests/faults`, through LiteLLM."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.asking import EMBEDDING_THEIRS, THEIRS, asking, is_streamed, playing
from tests.faults.outcomes import differences
from tests.faults.repeats import repeated_finish
from tests.faults.table import rows

if TYPE_CHECKING:
    from tests.faults.scenario import Scenario


@pytest.mark.parametrize(("scenario", "way"), rows((*THEIRS, *EMBEDDING_THEIRS)))
def test_user_sees_what_the_table_says(scenario: Scenario, way: str) -> None:
    assert not differences(scenario, way)


@pytest.mark.parametrize("way", [way for way in THEIRS if is_streamed(way)])
@pytest.mark.parametrize("arguments", ['{"city":"Oslo"}', "{}"])
@pytest.mark.parametrize("streamed", [True, False])
def test_a_call_that_is_said_again_at_the_end_is_made_once(way: str, arguments: str, *, streamed: bool) -> None:
    reply = repeated_finish(arguments, streamed=streamed)
    with playing(reply) as server, asking(way, server.base_url) as ask:
        seen = ask()
    assert seen.error is None
    assert seen.calls == [arguments]
