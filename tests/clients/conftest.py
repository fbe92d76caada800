"""A gateway, and behind it a scripted OpenRouter that plays LFM-3B as if it were served still."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from lfm_adapter.testing import ScriptedOpenRouter
from tests.support.client_programs import LFM
from tests.support.prompted_model import prompted_model
from tests.support.running_gateway import Gateway

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def openrouter() -> Iterator[ScriptedOpenRouter]:
    """Its model finds tools in the prompt alone, and calls what the user's words name."""
    with ScriptedOpenRouter(default=prompted_model, path="/api/v1") as server:
        yield server


@pytest.fixture(scope="module")
def gateway(openrouter: ScriptedOpenRouter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with Gateway.on(openrouter.base_url, (str(LFM),), tmp_path_factory.mktemp("gateway")) as gateway:
        yield gateway


@pytest.fixture
def asked(openrouter: ScriptedOpenRouter) -> list[Any]:
    """What one test asks OpenRouter."""
    openrouter.requests.clear()
    return openrouter.requests
