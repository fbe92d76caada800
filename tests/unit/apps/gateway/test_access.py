"""Who may use the gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lfm_adapter.apps.gateway.access import Access
from lfm_adapter.errors import ConfigurationError
from lfm_adapter.testing import completion
from tests.support.gateway_thread import KEY, GatewayThread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lfm_adapter.testing import ScriptedOpenRouter

CHAT = {"model": "lfm-3-1.7b", "messages": [{"role": "user", "content": "?"}]}


@pytest.fixture
def open_gateway(openrouter: ScriptedOpenRouter) -> Iterator[GatewayThread]:
    access = Access(KEY, "it is in this test", is_open=True, allowed_origins=frozenset({"https://app.example.com"}))
    with GatewayThread(openrouter.base_url, access=access) as gateway:
        yield gateway


@pytest.mark.parametrize("key", ["", "abc123", "sk-or-v1-made-up-for-tests"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/models", "/v1/model/info"])
def test_wrong_key_is_401_and_says_where_the_key_is(gateway: GatewayThread, key: str, path: str):
    method, body = ("POST", CHAT) if path.endswith("completions") else ("GET", None)
    answer = gateway.request(method, path, body, key=key)
    assert (answer.status, answer.error["type"]) == (401, "authentication_error")
    assert "it is in this test" in answer.error["message"]
    assert answer.reason == answer.error["message"]  # all that SillyTavern shows, unless it streams
    assert KEY not in answer.text
    assert answer.headers["X-Should-Retry"] == "false"


@pytest.mark.parametrize(
    "headers",
    [{"x-api-key": KEY}, {"api-key": KEY}, {"Authorization": f"bearer {KEY}"}, {"Authorization": f"Bearer  {KEY} "}],
)
def test_key_is_taken_in_any_of_the_usual_headers(gateway: GatewayThread, headers: dict[str, str]):
    assert gateway.request("GET", "/v1/models", headers=headers, key="").status == 200


def test_health_needs_no_key(gateway: GatewayThread):
    assert gateway.request("GET", "/health", key="").body["status"] == "ok"


class TestOpen:
    @pytest.mark.parametrize("authorization", [{}, {"Authorization": "Bearer abc123"}, {"Authorization": "Bearer "}])
    def test_open_gateway_accepts_any_key_or_none(
        self, open_gateway: GatewayThread, openrouter: ScriptedOpenRouter, authorization: dict[str, str]
    ):
        openrouter.add(completion())
        assert open_gateway.request("POST", "/v1/chat/completions", CHAT, key="", headers=authorization).status == 200

    def test_refuses_names_that_a_web_page_pointed_here(self, open_gateway: GatewayThread):
        answer = open_gateway.request("GET", "/v1/models", key="", headers={"Host": "rebind.example.com:4000"})
        assert answer.status == 403

    @pytest.mark.parametrize("host", ["LocalHost.:4000", "127.0.0.1", "[::1]:4000", "lfm.localhost"])
    def test_open_gateway_accepts_host_names_of_this_machine(self, open_gateway: GatewayThread, host: str):
        assert open_gateway.request("GET", "/v1/models", key="", headers={"Host": host}).status == 200

    @pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://app.example.com.evil.example"])
    def test_refuses_web_pages_of_other_origins(self, open_gateway: GatewayThread, origin: str):
        answer = open_gateway.request("POST", "/v1/chat/completions", CHAT, key="", headers={"Origin": origin})
        assert answer.status == 403
        assert "Access-Control-Allow-Origin" not in answer.headers

    def test_accepts_web_pages_of_allowed_origins(self, open_gateway: GatewayThread, openrouter: ScriptedOpenRouter):
        openrouter.add(completion())
        origin = {"Origin": "https://app.example.com"}
        answer = open_gateway.request("POST", "/v1/chat/completions", CHAT, key="", headers=origin)
        assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (200, "https://app.example.com")

    @pytest.mark.parametrize("origin", ["app://obsidian.md", "chrome-extension://abcdefgh"])
    def test_apps_with_an_origin_of_their_own_can_be_allowed(self, openrouter: ScriptedOpenRouter, origin: str):
        for allowed in (frozenset[str](), frozenset({origin})):
            access = Access(KEY, "", is_open=True, allowed_origins=allowed)
            with GatewayThread(openrouter.base_url, access=access) as gateway:
                answer = gateway.request("GET", "/v1/models", key="", headers={"Origin": origin})
            if allowed:
                assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (200, origin)
            else:
                assert f"--allow-origin {origin}`" in answer.error["message"]

    @pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
    def test_refuses_what_a_page_may_send_without_a_preflight(self, open_gateway: GatewayThread, kind: str):
        headers = {"Content-Type": kind}
        assert open_gateway.request("POST", "/v1/chat/completions", CHAT, key="", headers=headers).status == 415

    def test_cannot_be_open_to_all_pages(self):
        with pytest.raises(ConfigurationError, match="must name the origins"):
            Access(KEY, "", is_open=True, allowed_origins=frozenset({"*"}))


class TestCORS:
    def test_preflight_needs_no_key_and_allows_what_it_asks_for(self, gateway: GatewayThread):
        asked = {
            "Origin": "http://localhost:3000",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,x-title",
            "Access-Control-Request-Private-Network": "true",
        }
        answer = gateway.request("OPTIONS", "/v1/chat/completions", key="", headers=asked)
        assert answer.status == 200
        assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"
        assert answer.headers["Access-Control-Allow-Headers"] == "authorization,x-title"
        assert answer.headers["Access-Control-Allow-Private-Network"] == "true"

    def test_errors_can_be_read_too(self, gateway: GatewayThread):
        answer = gateway.request("GET", "/v1/models", key="no", headers={"Origin": "http://127.0.0.1:8000"})
        assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (401, "http://127.0.0.1:8000")

    def test_pages_elsewhere_cannot_read_answers(self, gateway: GatewayThread):
        answer = gateway.request("GET", "/v1/models", headers={"Origin": "https://evil.example"})
        assert "Access-Control-Allow-Origin" not in answer.headers

    @pytest.mark.parametrize(
        "origin", ["app.example.com", "https://app.example.com/", "null", "https://app.example.com:443"]
    )
    def test_malformed_origin_is_an_error(self, origin: str):
        with pytest.raises(ConfigurationError, match="allow-origin"):
            Access(KEY, "", allowed_origins=frozenset({origin}))


@pytest.mark.parametrize(
    "malformed",
    [
        {"Host": "["},
        {"Host": "evil.example@127.0.0.1"},
        {"Host": "127.0.0.1#evil.example"},
        {"Host": "127.0.0.1:4000:80"},
        {"Host": "localhost, evil.example"},
        {"Origin": "http://["},
        {"Origin": "http://[::1"},
        {"Origin": "http://evil.example@localhost"},
        {"Origin": "http://localhost:3000, https://evil.example"},
        {"Origin": "http://localhost/"},
    ],
)
def test_malformed_host_or_origin_is_refused_like_a_foreign_one(open_gateway: GatewayThread, malformed: dict[str, str]):
    for method, path, body in (("POST", "/v1/chat/completions", CHAT), ("GET", "/", None)):
        answer = open_gateway.request(method, path, body, key="", headers=malformed)
        assert answer.status == 403
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_malformed_origin_does_not_matter_to_a_client_with_the_key(gateway: GatewayThread):
    assert gateway.request("GET", "/v1/models", headers={"Origin": "http://["}).status == 200


@pytest.mark.parametrize("origin", ["https://[/", "https://a@b.example", "https://a.example/", "a.example", "https://"])
def test_allowed_origin_that_no_browser_sends_is_refused(origin: str):
    with pytest.raises(ConfigurationError, match="--allow-origin"):
        Access(KEY, "it is in this test", allowed_origins=frozenset({origin}))
