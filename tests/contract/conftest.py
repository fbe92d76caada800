"""Fixtures for LangChain's standard tests."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def vcr_config(vcr_config: dict[str, Any]) -> dict[str, Any]:
    """`test_stream_time` plays its one interaction over and over, to time it."""
    return {**vcr_config, "allow_playback_repeats": True}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.name == "test_stream_time":
            # pytest-benchmark is not asked to time it while it is recorded.
            item.add_marker(pytest.mark.filterwarnings("ignore:Benchmark fixture was not used"))
