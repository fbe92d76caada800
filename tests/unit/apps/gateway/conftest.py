"""A gateway in front of a scripted OpenRouter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.gateway_thread import GatewayThread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lfm_adapter.testing import ScriptedOpenRouter


@pytest.fixture
def gateway(openrouter: ScriptedOpenRouter) -> Iterator[GatewayThread]:
    with GatewayThread(openrouter.base_url) as gateway:
        yield gateway
