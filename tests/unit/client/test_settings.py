"""What a client takes from its arguments, what from the environment, and what it refuses."""

from __future__ import annotations

import copy
import dataclasses
import math
import pickle
from typing import get_type_hints

import pytest

from lfm_adapter import AsyncLFMClient, LFMClient
from lfm_adapter._client.settings import PER_CALL, Settings
from lfm_adapter._openrouter.request import Attribution
from lfm_adapter._transport.urllib3 import Urllib3Transport
from lfm_adapter.errors import ConfigurationError
from lfm_adapter.types import ChatParameters
from lfm_adapter.types._request import RequestFields
from tests.support.both_clients import KEY

OPENROUTER = "https://openrouter.ai/api/v1"
LOCAL = "http://127.0.0.1:8080/v1"


@pytest.fixture
def environment_key(monkeypatch):
    monkeypatch.setenv("OPENROUTER_API_KEY", KEY)


class TestAddress:
    def test_base_url_is_openrouters_by_default(self):
        assert Settings.from_env().base_url == OPENROUTER

    @pytest.mark.parametrize("variable", ["OPENROUTER_BASE_URL", "OPENROUTER_API_BASE"])
    def test_base_url_comes_from_the_environment(self, monkeypatch, variable):
        monkeypatch.setenv(variable, "https://eu.openrouter.ai/api/v1/")
        assert Settings.from_env().base_url == "https://eu.openrouter.ai/api/v1"

    def test_base_url_argument_wins(self, monkeypatch):
        monkeypatch.setenv("OPENROUTER_BASE_URL", "https://eu.openrouter.ai/api/v1")
        assert Settings.from_env(base_url="https://gateway.example/v1").base_url == "https://gateway.example/v1"

    @pytest.mark.parametrize(
        ("base_url", "is_openrouter", "is_local"),
        [
            (OPENROUTER, True, False),
            ("https://eu.openrouter.ai/api/v1", True, False),
            ("https://openrouter.ai.example/v1", False, False),
            ("https://notopenrouter.ai/v1", False, False),
            (LOCAL, False, True),
            ("http://localhost:11434/v1", False, True),
            ("http://[::1]:8080/v1", False, True),
        ],
    )
    def test_base_url_decides_is_openrouter_and_is_local(self, base_url, is_openrouter, is_local):
        settings = Settings.from_env(base_url=base_url)
        assert (settings.is_openrouter, settings.is_local) == (is_openrouter, is_local)


class TestModel:
    def test_model_is_lfm_3b_by_default(self):
        assert Settings.from_env().model == "liquid/lfm-3b"

    def test_model_comes_from_the_environment(self, monkeypatch):
        monkeypatch.setenv("LFM_MODEL", "liquid/lfm-3-1.7b")
        assert Settings.from_env().model == "liquid/lfm-3-1.7b"

    def test_model_argument_wins(self, monkeypatch):
        monkeypatch.setenv("LFM_MODEL", "liquid/lfm-3-1.7b")
        assert Settings.from_env(model="lfm-7b").model == "lfm-7b"


class TestKey:
    def test_key_comes_from_the_environment(self, environment_key):
        assert Settings.from_env().key() == KEY

    def test_key_argument_wins(self, environment_key):
        assert Settings.from_env(api_key="sk-or-v1-another").key() == "sk-or-v1-another"

    def test_key_function_is_called_each_time(self):
        keys = iter(["first", "second"])
        settings = Settings.from_env(api_key=lambda: next(keys))
        assert (settings.key(), settings.key()) == ("first", "second")

    @pytest.mark.parametrize("api_key", [None, "", " \n", lambda: ""])
    def test_missing_key_error_says_what_to_do(self, api_key):
        with pytest.raises(ConfigurationError, match="OPENROUTER_API_KEY"):
            Settings.from_env(api_key=api_key).key()

    def test_key_is_not_needed_on_this_machine(self):
        assert Settings.from_env(base_url=LOCAL).key() is None

    def test_key_is_not_needed_for_public_endpoints(self):
        assert Settings.from_env().key(needed=False) is None

    @pytest.mark.parametrize("base_url", [LOCAL, "https://localhost:8443/v1", "http://192.168.1.5/v1"])
    def test_key_of_the_environment_does_not_go_to_private_servers(self, environment_key, base_url):
        assert Settings.from_env(base_url=base_url).key() is None

    def test_key_of_the_environment_goes_to_other_hosts_over_tls(self, environment_key):
        assert Settings.from_env(base_url="https://gateway.example/v1").key() == KEY

    @pytest.mark.parametrize("variable", ["OPENROUTER_BASE_URL", "OPENROUTER_API_BASE"])
    def test_key_of_the_environment_goes_to_its_address(self, monkeypatch, environment_key, variable):
        monkeypatch.setenv(variable, LOCAL)
        assert Settings.from_env().key() == KEY

    @pytest.mark.parametrize(
        "host",
        [
            "api.example.com", "api.example.com.", "openrouter.ai", "ai.", "8.8.8.8", "8.8.8.8.", "134744072",
            "0x08.2056", "010.8.8.8", "[2606:4700:4700::1111]", "[2606:4700::1111%25eth0]", "[::ffff:8.8.8.8]",
            "[::ffff:808:808]", "[64:ff9b::808:808]", "[64:ff9b:1::a00:1]", "[2002:808:808::]", "[2001:0:4136::1]",
            "[::8.8.8.8]", "192.0.2.1",
        ],
    )  # fmt: skip
    def test_key_does_not_go_unencrypted_to_a_public_host(self, host):
        settings = Settings.from_env(base_url=f"http://{host}/v1", api_key=KEY)
        with pytest.raises(ConfigurationError, match=r"unencrypted to .*allow_http") as caught:
            settings.key()
        assert KEY not in str(caught.value)

    @pytest.mark.parametrize(
        "host",
        [
            "127.0.0.1:1", "[::1]", "10.0.0.7", "gpu-box", "gpu_box", "gpu.internal", "gpu.local", "0", "0x7f.1",
            "[::ffff:10.0.0.7]", "[64:ff9b::a00:7]", "[fd00::7]", "[fe80::1%25eth0]", "100.100.1.2", "localhost.",
        ],
    )  # fmt: skip
    def test_key_may_go_unencrypted_to_a_private_host(self, host):
        assert Settings.from_env(base_url=f"http://{host}/v1", api_key=KEY).key() == KEY

    def test_key_may_go_unencrypted_with_allow_http(self):
        assert Settings.from_env(base_url="http://api.example.com/v1", api_key=KEY, allow_http=True).key() == KEY

    def test_key_of_another_type_is_refused(self):
        with pytest.raises(ConfigurationError, match=r"`api_key` must be a string or a function .*, got `int`"):
            Settings.from_env(api_key=12345)

    def test_key_function_that_returns_another_type_is_refused(self):
        with pytest.raises(ConfigurationError, match="`api_key` must return a string, got `bytes`"):
            Settings.from_env(api_key=KEY.encode).key()


class TestRanges:
    @pytest.mark.parametrize("name", ["timeout", "stream_chunk_timeout", "total_timeout"])
    @pytest.mark.parametrize("seconds", [0, -1, math.nan, True, "10"])
    def test_timeouts_must_be_positive(self, name, seconds):
        with pytest.raises(ConfigurationError, match=f"`{name}` must be a positive number of seconds, got"):
            LFMClient(**{name: seconds})

    @pytest.mark.parametrize("name", ["stream_chunk_timeout", "total_timeout"])
    def test_timeouts_may_be_none(self, name):
        assert getattr(LFMClient(**{name: None})._settings, name) is None

    def test_timeout_has_a_bound_even_if_none_is_given(self):
        assert LFMClient(timeout=None)._settings.timeout == LFMClient()._settings.timeout == 120

    @pytest.mark.parametrize("size", [0, -1, True, 1e6, None])
    def test_largest_reply_must_be_positive(self, size):
        with pytest.raises(ConfigurationError, match="`max_reply_bytes` must be an integer >= 1"):
            LFMClient(max_reply_bytes=size)

    @pytest.mark.parametrize("retries", [-1, True, 1.5, None])
    def test_retries_must_not_be_negative(self, retries):
        with pytest.raises(ConfigurationError, match="`max_retries` must be an integer >= 0"):
            LFMClient(max_retries=retries)

    def test_when_retired_must_be_known(self):
        with pytest.raises(ConfigurationError, match="one of 'raise', 'successor'; got 'warn'"):
            LFMClient(when_retired="warn")

    @pytest.mark.parametrize(
        ("name", "value", "says"),
        [
            ("model", 5, "`model` must be a string, got 5."),
            ("model", 0, "`model` must be a string, got 0."),
            ("timeout", 10**400, "`timeout` must be a positive number of seconds, got 1000"),
            ("allow_http", "no", "`allow_http` must be True or False, got 'no'."),
            ("recover_tool_calls", "false", "`recover_tool_calls` must be True or False, got 'false'."),
            ("coerce_output", 1, "`coerce_output` must be True or False, got 1."),
            ("token_counter", "tiktoken", "`token_counter` must be a function, got 'tiktoken'."),
            ("ledger", "calls.db", "`ledger` must be a `Ledger`, got 'calls.db'."),
            ("budget", 5, "`budget` must be a `Budget`, got 5."),
            ("default_headers", ["X-Trace"], "`default_headers` must be a dict, got `list`."),
            ("default_headers", {5: "1"}, "Invalid header name: 5."),
            ("app_url", 5, "The header 'app_url' must be a string"),
            ("app_categories", "roleplay", "App categories must be a list of strings, got 'roleplay'."),
            ("app_categories", ["a", 5], "App categories must be a list of strings, got ['a', 5]."),
            ("app_categories", 5, "App categories must be a list of strings, got 5."),
        ],
    )
    def test_setting_of_another_type_is_refused(self, name, value, says):
        with pytest.raises(ConfigurationError) as raised:
            LFMClient(
                **{"api_key": KEY, "model": "lfm-3-1.7b", name: value},
            ).chat("Hi")
        assert str(raised.value).startswith(says)


@pytest.mark.parametrize("kind", [LFMClient, AsyncLFMClient])
class TestClient:
    def test_client_takes_settings_as_arguments(self, kind):
        def count(messages):
            return len(messages)

        client = kind(
            "liquid/lfm-3-1.7b",
            api_key=KEY,
            base_url="https://gateway.example/v1",
            timeout=1,
            stream_chunk_timeout=2,
            total_timeout=3,
            max_retries=4,
            app_url="https://app.example",
            app_title="An app",
            app_categories=["cli-agent"],
            default_headers={"X-Trace": "1"},
            when_retired="successor",
            token_counter=count,
            allow_http=True,
            max_reply_bytes=1_000,
        )
        assert client._settings == Settings(
            model="liquid/lfm-3-1.7b",
            api_key=KEY,
            base_url="https://gateway.example/v1",
            timeout=1,
            stream_chunk_timeout=2,
            total_timeout=3,
            max_retries=4,
            app_url="https://app.example",
            app_title="An app",
            app_categories=["cli-agent"],
            attribution=Attribution("https://app.example", "An app", ("cli-agent",)),
            default_headers={"X-Trace": "1"},
            when_retired="successor",
            token_counter=count,
            allow_http=True,
            max_reply_bytes=1_000,
        )

    def test_repr_of_client_has_neither_key_nor_headers(self, kind):
        client = kind(api_key=KEY, default_headers={"X-Secret": "hush-hush"})
        shown = f"{client!r} {client} {client._settings!r}"
        assert "liquid/lfm-3b" in shown
        assert KEY not in shown
        assert "hush-hush" not in shown

    def test_client_can_be_pickled_and_copied(self, kind):
        client = kind(api_key=KEY, max_retries=7, default_headers={"X-Trace": "1"})
        for twin in (pickle.loads(pickle.dumps(client)), copy.deepcopy(client), copy.copy(client)):  # noqa: S301 # own
            assert type(twin) is kind
            assert twin._settings == client._settings

    def test_client_does_not_change_with_the_headers_it_was_given(self, kind):
        headers = {"X-Trace": "1"}
        client = kind(default_headers=headers)
        headers["X-Trace"] = "2"
        assert client._settings.default_headers == {"X-Trace": "1"}

    @pytest.mark.parametrize("name", ["timeout", "model", "default_headers", "_settings", "unknown"])
    def test_setting_client_attribute_raises(self, kind, name):
        client = kind(api_key=KEY)
        with pytest.raises(AttributeError, match=rf"is immutable.*replace\(client, {name}="):
            setattr(client, name, None)
        assert client._settings.timeout == 120


class TestReplace:
    """`dataclasses.replace` is how a client is changed."""

    def test_replace_keeps_other_settings(self):
        client = LFMClient("lfm-7b", api_key=KEY, max_retries=7, default_headers={"X-Trace": "1"})
        changed = dataclasses.replace(client, timeout=5)
        assert changed._settings == dataclasses.replace(client._settings, timeout=5)
        assert client._settings.timeout == 120

    def test_replace_keeps_transport(self):
        transport = Urllib3Transport()
        assert dataclasses.replace(LFMClient(transport=transport), timeout=5)._transport is transport

    @pytest.mark.parametrize("given", [{}, {"when_retired": "raise"}])
    def test_replace_keeps_default_model_default(self, given):
        client = dataclasses.replace(LFMClient(**given), timeout=5)
        assert (client.model, client._settings.is_default_model) == ("liquid/lfm-3b", True)
        assert client.when_retired == given.get("when_retired")

    def test_replace_base_url_sends_default_model_unchanged(self):
        client = dataclasses.replace(LFMClient(), base_url=LOCAL)
        assert client._settings.resolve_model() == "liquid/lfm-3b"

    def test_replace_model_counts_as_named(self):
        settings = dataclasses.replace(LFMClient(), model="lfm-7b")._settings
        assert (settings.model, settings.is_default_model) == ("lfm-7b", False)


def test_settings_of_a_call_are_parameters_of_chat():
    known = set(get_type_hints(ChatParameters)) - set(get_type_hints(RequestFields))
    assert known == PER_CALL | {"extra_body"}


@pytest.mark.parametrize("client", [LFMClient, AsyncLFMClient])
def test_base_url_of_another_type_is_refused(client):
    for address in (5, ["https://openrouter.ai/api/v1"], b"https://openrouter.ai/api/v1"):
        with pytest.raises(ConfigurationError, match="`base_url` must be a string, got"):
            client(base_url=address)
