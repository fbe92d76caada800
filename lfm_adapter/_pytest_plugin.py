"""The pytest plugin that brings the fixture `openrouter`.

Pytest imports it in every project that has `lfm-adapter` installed. `lfm_adapter.testing` is imported on use, so that
pytest starts 1 ms later instead of 11.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lfm_adapter.testing import ScriptedOpenRouter


@pytest.fixture
def openrouter(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedOpenRouter]:
    """A scripted OpenRouter (`lfm_adapter.testing`) that all clients of the test reach without settings.

    The test fails at its end if a request had no reply or a reply had no request.
    """
    from lfm_adapter.testing import ScriptedOpenRouter

    with ScriptedOpenRouter() as server:
        monkeypatch.setenv("OPENROUTER_BASE_URL", server.base_url)
        monkeypatch.setenv("OPENROUTER_API_KEY", "test-key")
        yield server
    server.check()
