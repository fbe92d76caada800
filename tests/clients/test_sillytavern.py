"""SillyTavern on `lfm gateway`, in a headless Chromium."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from lfm_adapter.testing import stream
from tests.clients.chat_app import PAGE_TIMEOUT_S, QUESTION, WRONG_KEY, free_port, running
from tests.support.client_programs import CHROMIUM, NODE, needs
from tests.support.prompted_model import PROMPTED, assert_tools_went_by_prompt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Page

    from lfm_adapter.testing import ScriptedOpenRouter
    from tests.support.running_gateway import Gateway

pytestmark = needs(NODE, CHROMIUM)

# As an extension adds a tool.
REGISTER_TOOL = """() => SillyTavern.getContext().registerFunctionTool({
    name: "get_weather",
    displayName: "Weather",
    description: "Tell the weather in a city.",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
    action: async ({ city }) => `Rain in ${city}.`,
})"""


@pytest.fixture(scope="module")
def app(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the app, which has greeted its user."""
    port = free_port()
    address = f"http://127.0.0.1:{port}/"
    command = (NODE / "sillytavern", "--port", str(port), "--browserLaunchEnabled", "false")
    with running(tmp_path_factory.mktemp("sillytavern"), {}, *command, ports=(port,)):
        with browser.new_page() as page:
            page.set_default_timeout(PAGE_TIMEOUT_S * 1000)
            page.goto(address)
            with page.expect_response("**/api/settings/save"):
                page.locator("dialog[open] .popup-button-ok").click()
        yield address


@pytest.fixture
def connect(app: str, page: Page, gateway: Gateway) -> Callable[..., None]:
    """Connect the app to the gateway, with its key or another, and choose LFM-3B."""

    def connect(key: str = gateway.key) -> None:
        page.goto(app)
        page.locator("#API-status-top").click()
        page.locator("#main_api").select_option("openai")
        page.locator("#chat_completion_source").select_option("custom")
        page.locator("#custom_api_url_text").fill(gateway.base_url)
        page.locator("#api_key_custom").fill(key)
        with page.expect_response("**/chat-completions/status"):
            page.locator("#api_button_openai").click()
        page.locator("#custom_model_id").fill("lfm-3b")
        page.locator("#API-status-top").click()

    return connect


def configure(page: Page, checkbox: str, *, checked: bool) -> None:
    """Set a checkbox of the panel "AI Response Configuration", for this and later tests."""
    button = page.locator("#ai-config-button .drawer-toggle")
    button.click()
    page.locator(checkbox).set_checked(checked)
    button.click()


def send(page: Page, text: str) -> None:
    page.locator("#send_textarea").fill(text)
    page.locator("#send_but").click()


def wait_for_answer(page: Page, text: str) -> None:
    page.locator('.mes[is_user="false"] .mes_text').last.get_by_text(text, exact=True).wait_for()


def test_lists_the_models_and_chats(connect: Callable[..., None], page: Page, asked: list[Any]):
    connect()
    options = page.locator("#model_custom_select option")
    options.filter(has_text="lfm-3-1.7b:free").wait_for(state="attached")
    models = options.evaluate_all("options => options.map(option => option.value).filter(Boolean)")
    assert set(models) == {"lfm-3b", "lfm-2.5-2.6b:free", "lfm-3-1.7b", "lfm-3-1.7b:free"}
    send(page, QUESTION)
    wait_for_answer(page, f"Thank you for your message: {QUESTION}")
    assert {request.body["model"] for request in asked} == {PROMPTED}


def test_runs_a_tool_and_tells_its_result(connect: Callable[..., None], page: Page, asked: list[Any]):
    connect()
    page.evaluate(REGISTER_TOOL)
    configure(page, "#openai_function_calling", checked=True)
    send(page, "Use get_weather with 'Oslo'.")
    wait_for_answer(page, "The tool says: Rain in Oslo.")
    assert_tools_went_by_prompt(asked)


@pytest.mark.parametrize("streams", [True, False])
def test_tells_of_a_wrong_key_and_of_the_place_of_the_right_one(
    connect: Callable[..., None], page: Page, asked: list[Any], *, streams: bool
):
    connect("a-wrong-key")
    configure(page, "#stream_toggle", checked=streams)
    send(page, QUESTION)
    page.locator("#toast-container").get_by_text(WRONG_KEY).wait_for()
    assert asked == []


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize("shown", ["", "Water is"])
@pytest.mark.parametrize("by", ["stop", "closing the page"])
def test_hang_up_ends_the_request_upstream(
    connect: Callable[..., None], page: Page, openrouter: ScriptedOpenRouter, shown: str, by: str
):
    never = threading.Event()
    answer = stream(["Water", " is", " wet."], comments=0)
    # It draws no text that comes within 33 ms of the first.
    openrouter.add(answer.held(2, never).held(1, 0.5) if shown else answer.held(0, never))
    connect()
    configure(page, "#stream_toggle", checked=True)
    send(page, QUESTION)
    openrouter.wait_for_requests(1, PAGE_TIMEOUT_S)
    if shown:
        wait_for_answer(page, shown)
    if by == "stop":
        page.locator("#mes_stop").click()
    else:
        page.close()
    assert openrouter.requests[0].abandoned.wait(PAGE_TIMEOUT_S)
    never.set()
