"""A gateway, and behind it a scripted OpenRouter that plays LFM-3B as if it were served still; a browser for apps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from lfm_adapter.testing import ScriptedOpenRouter
from tests.clients.chat_app import PAGE_TIMEOUT_S
from tests.support.client_programs import CHROMIUM, LFM
from tests.support.prompted_model import prompted_model
from tests.support.running_gateway import Gateway

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


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


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="`make test-clients` installs it")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, tmp_path: Path) -> Iterator[Page]:
    """A page of its own for each test. Its last view is `page.png` in the test's folder."""
    with browser.new_context(viewport={"width": 1280, "height": 800}) as context:
        context.set_default_timeout(PAGE_TIMEOUT_S * 1000)
        page = context.new_page()
        yield page
        if not page.is_closed():
            page.screenshot(path=tmp_path / "page.png")
