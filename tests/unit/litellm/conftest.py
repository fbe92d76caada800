"""Resets LiteLLM's settings, which are module globals, and registers our provider for each test."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lfm_adapter.testing import ScriptedOpenRouter

HERE = Path(__file__).parent
# They need `pip install lfm-adapter[litellm]`, as `make test` installs it.
collect_ignore_glob = [] if importlib.util.find_spec("litellm") else ["test_*.py"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    marks = [pytest.mark.filterwarnings(warning) for warning in _warnings_of_litellm()]
    for item in items:
        if item.path.is_relative_to(HERE):
            for mark in marks:
                item.add_marker(mark)


def _warnings_of_litellm() -> list[str]:
    # Pydantic warns about LiteLLM's own types.
    always = ["ignore:Items? '.*' on TypedDict class:UserWarning"]
    # A synchronous Router does not await the coroutine that it creates when a deployment cools down.
    always += [
        "ignore:coroutine 'router_cooldown_event_callback' was never awaited:RuntimeWarning",
        "ignore:Exception ignored in. <coroutine object router_cooldown:pytest.PytestUnraisableExceptionWarning",
    ]
    if importlib.metadata.version("litellm").startswith("1.81."):
        # It logs each reply, of any provider, as another class than its types declare.
        always.append("ignore:Pydantic serializer warnings:UserWarning")
    return always


@pytest.fixture(scope="session")
def providers() -> list[Any]:
    """LiteLLM's `custom_provider_map` with our provider. To register 45 models for each test took half its time."""
    import litellm

    from lfm_adapter.litellm import register

    register()
    return litellm.custom_provider_map


@pytest.fixture(autouse=True)
def litellm_with_our_provider(
    providers: list[Any], clean_environment: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    import litellm

    from lfm_adapter._transport.aiohttp import aclose_pools
    from lfm_adapter.litellm import handler
    from tests.support.litellm_ways import run

    for name in ("OR_API_KEY", "OR_APP_NAME", "OR_SITE_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in (
        ("callbacks", []),
        ("custom_provider_map", [*providers]),
        ("drop_params", False),
        ("headers", None),
        ("openrouter_key", None),
        ("success_callback", []),
        ("suppress_debug_info", True),
        ("_async_success_callback", []),
        ("failure_callback", []),
        ("_async_failure_callback", []),
    ):
        monkeypatch.setattr(litellm, name, value)
    monkeypatch.setattr(handler, "attribution", None)
    yield
    run(aclose_pools())  # the loop outlives the test, but its connections must not


@pytest.fixture
def openrouter_server(server: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedOpenRouter]:
    """A scripted server in place of OpenRouter."""
    from lfm_adapter._transport.urllib3 import close_pools
    from tests.support.litellm_ways import answer_as_openrouter

    answer_as_openrouter(server, monkeypatch)
    yield server
    close_pools()
