"""Open WebUI on `lfm gateway`, in a headless Chromium."""

from __future__ import annotations

import os
import subprocess
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from lfm_adapter.catalog import get
from lfm_adapter.testing import stream
from tests.clients.chat_app import PAGE_TIMEOUT_S, QUESTION, WRONG_KEY, free_port, running
from tests.support.client_programs import CHROMIUM, LFM, OPEN_WEBUI, ROOT, needs
from tests.support.prompted_model import PROMPTED, assert_tools_went_by_prompt
from tests.support.running_gateway import MADE_UP_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from lfm_adapter.testing import ScriptedOpenRouter

pytestmark = needs(OPEN_WEBUI, CHROMIUM)

EXAMPLE = ROOT / "examples" / "open_webui.sh"
MODELS = ("lfm-3b", "lfm-2.5-2.6b:free", "lfm-3-1.7b", "lfm-3-1.7b:free")
TOOL = '''
class Tools:
    def get_weather(self, city: str) -> str:
        """Tell the weather in a city."""
        return f"Rain in {city}."
'''


@pytest.fixture(scope="module")
def app(openrouter: ScriptedOpenRouter, browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the app, which has greeted its user.

    `examples/open_webui.sh` starts it, without a login and without what it fetches from the internet. It makes up no
    titles and the like, so that all requests are the user's.
    """
    home = tmp_path_factory.mktemp("open-webui")
    port, gateway_port = free_port(), free_port()
    address = f"http://127.0.0.1:{port}/"
    settings = {
        "LFM": str(LFM),
        "OPEN_WEBUI": str(OPEN_WEBUI),
        "PORT": str(port),
        "GATEWAY_PORT": str(gateway_port),
        "OPENROUTER_API_KEY": MADE_UP_KEY,
        "OPENROUTER_BASE_URL": openrouter.base_url,
        "DATA_DIR": str(home),
        "WEBUI_AUTH": "false",
        "WEBUI_SECRET_KEY": "made-up-for-tests",
        "OFFLINE_MODE": "true",
        "HF_HUB_OFFLINE": "1",
        "RAG_EMBEDDING_ENGINE": "openai",
        "ENABLE_TITLE_GENERATION": "false",
        "ENABLE_TAGS_GENERATION": "false",
        "ENABLE_FOLLOW_UP_GENERATION": "false",
    }
    with running(home, settings, EXAMPLE, ports=(port, gateway_port)):
        with browser.new_page() as page:
            page.set_default_timeout(PAGE_TIMEOUT_S * 1000)
            page.goto(address)
            with page.expect_response("**/user/settings/update"):
                page.get_by_role("button", name="Okay, Let's Go!").click()
        yield address
    assert free_port(gateway_port) == gateway_port, "Ctrl-C has not ended the gateway"


@pytest.fixture
def chat(app: str, page: Page) -> Page:
    """The page of a new chat with LFM-3B."""
    page.goto(app)
    choose_model(page, get("lfm-3b").name)
    return page


def choose_model(page: Page, name: str) -> None:
    page.get_by_role("button", name="Selected model").click()
    page.get_by_role("option", name=f"Select {name} model", exact=True).click()


def send(page: Page, text: str) -> None:
    page.locator("#chat-input").click()
    page.keyboard.type(text)
    page.keyboard.press("Enter")


def wait_for_answer(page: Page, text: str) -> None:
    page.locator(".chat-assistant").last.get_by_text(text).wait_for()


def api(page: Page, app: str, path: str, body: Any = None) -> Any:
    """Ask the app's own API as the user of a page; `body` is sent."""
    headers = {"Authorization": f"Bearer {page.evaluate('localStorage.token')}"}
    method = "GET" if body is None else "POST"
    response = page.request.fetch(app + path, method=method, headers=headers, data=body)
    assert response.ok, response.text()
    return response.json()


@contextmanager
def other_connections(page: Page, app: str, **settings: Any) -> Iterator[None]:
    """Change the app's connections until the end of the block."""
    before = api(page, app, "openai/config")
    api(page, app, "openai/config/update", before | settings)
    try:
        yield
    finally:
        api(page, app, "openai/config/update", before)


def test_lists_the_models_and_chats(app: str, page: Page, asked: list[Any]):
    page.goto(app)
    page.get_by_role("button", name="Selected model").click()
    options = page.get_by_role("option")
    options.first.wait_for()
    assert set(options.all_inner_texts()) == {get(model).name for model in MODELS}  # the names that OpenRouter shows
    page.keyboard.press("Escape")
    choose_model(page, get("lfm-3b").name)
    send(page, QUESTION)
    wait_for_answer(page, f"Thank you for your message: {QUESTION}")
    assert {request.body["model"] for request in asked} == {PROMPTED}


def test_runs_a_tool_and_tells_its_result(app: str, chat: Page, asked: list[Any]):
    tool = {"id": "weather", "name": "Weather", "content": TOOL, "meta": {"description": "Tells the weather."}}
    api(chat, app, "api/v1/tools/create", tool)
    chat.reload()
    chat.get_by_role("button", name="Integrations").click()
    chat.get_by_role("menuitem", name="Tools").click()
    chat.get_by_role("menuitemcheckbox", name="Weather").click()
    chat.keyboard.press("Escape")
    send(chat, "Use get_weather with 'Oslo'.")
    wait_for_answer(chat, "The tool says: Rain in Oslo.")
    assert_tools_went_by_prompt(asked)


def test_example_starts_again_with_the_key_that_open_webui_remembers(tmp_path: Path):
    shown = tmp_path / "keys"
    for name, line in {"lfm": "exec sleep 60", "open-webui": 'echo "$OPENAI_API_KEY" >> "$HOME/keys"'}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    for _ in range(2):
        subprocess.run([EXAMPLE], env=environment, check=True)  # noqa: S603
    first, second = shown.read_text().split()
    assert first == second
    assert len(first) > 60
    assert (tmp_path / ".open-webui-gateway-key").stat().st_mode & 0o777 == 0o600


def test_connection_with_a_wrong_key_tells_of_it_and_of_the_place_of_the_right_one(app: str, page: Page):
    page.goto(f"{app}admin/settings/connections")
    page.get_by_role("button", name="Configure").first.click()
    page.get_by_placeholder("API Key").fill("a-wrong-key")
    page.get_by_role("button", name="Verify Connection").click()
    page.get_by_text(f"OpenAI: {WRONG_KEY}").wait_for()


def test_chat_with_a_wrong_key_tells_of_it_and_of_the_place_of_the_right_one(app: str, chat: Page, asked: list[Any]):
    listed = {"0": {"model_ids": ["lfm-3b"]}}  # else it has no models to choose from
    with other_connections(chat, app, OPENAI_API_KEYS=["a-wrong-key"], OPENAI_API_CONFIGS=listed):
        chat.goto(app)
        choose_model(chat, "lfm-3b")
        send(chat, QUESTION)
        wait_for_answer(chat, WRONG_KEY)
    assert asked == []


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize("shown", ["", "Water is"])
def test_stop_ends_the_request_upstream(chat: Page, openrouter: ScriptedOpenRouter, shown: str):
    never = threading.Event()
    openrouter.add(stream(["Water is"], comments=0).held(1 if shown else 0, never))
    send(chat, QUESTION)
    openrouter.wait_for_requests(1, PAGE_TIMEOUT_S)
    if shown:
        wait_for_answer(chat, shown)
    chat.get_by_role("button", name="Stop").click()
    assert openrouter.requests[0].abandoned.wait(PAGE_TIMEOUT_S)
    never.set()
