"""Fixtures that the tests of the clients share."""

from __future__ import annotations

import pytest

from tests.support.both_clients import KINDS, clients, record_waits


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest):
    """Makes clients of one kind, synchronous or not."""
    with clients(request.param) as make:
        yield make


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch):
    """The seconds that the clients would have slept."""
    return record_waits(monkeypatch)


@pytest.fixture(params=["plain", "streamed"])
def way(request: pytest.FixtureRequest) -> str:
    """How the reply is read."""
    return request.param
