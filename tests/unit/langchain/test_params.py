"""Arguments of `ChatLFM` and of its calls: which go into the request, and which to the client."""

from __future__ import annotations

import dataclasses
import inspect
import threading
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.exceptions import ContextOverflowError
from langchain_core.runnables import ConfigurableField
from pydantic import SecretStr, ValidationError

from lfm_adapter import ChatLFM, LFMEmbeddings
from lfm_adapter._client.settings import ClientOptions, Settings
from lfm_adapter.errors import APITimeoutError, ConfigurationError
from lfm_adapter.testing import completion, stream
from tests.support.chat_ways import MODEL, ask, chat, sent

if TYPE_CHECKING:
    from lfm_adapter.testing import ScriptedOpenRouter

IN_THE_BODY: dict[str, Any] = {
    "temperature": 0.3,
    "max_tokens": 50,
    "top_p": 0.9,
    "top_k": 40,
    "min_p": 0.15,
    "top_a": 0.1,
    "frequency_penalty": 0.5,
    "presence_penalty": -0.5,
    "repetition_penalty": 1.05,
    "seed": 7,
    "stop": ["END"],
    "n": 2,
    "logprobs": True,
    "top_logprobs": 5,
    "logit_bias": {"50": -100.0},
    "reasoning": {"effort": "low"},
    "reasoning_effort": "low",
    "provider": {"data_collection": "deny"},
    "plugins": [{"id": "response-healing"}],
    "transforms": ["middle-out"],
    "route": "fallback",
    "user": "user-of-mine",
    "session_id": "s-1",
    "trace": {"trace_id": "t-1"},
    "service_tier": "flex",
    "prediction": {"type": "content", "content": "Hello."},
    "verbosity": "low",
    "prompt_cache_key": "k-1",
    "cache_control": {"type": "ephemeral"},
}


def body_of(server: ScriptedOpenRouter, model: Any, /, **call: Any) -> dict[str, Any]:
    server.add(completion())
    model.invoke("Hi", **call)
    return sent(server)


@pytest.mark.parametrize(("name", "value"), IN_THE_BODY.items())
def test_field_goes_into_the_request(server: ScriptedOpenRouter, name: str, value: Any):
    assert body_of(server, chat(server, **{name: value}))[name] == value
    assert body_of(server, chat(server), **{name: value})[name] == value


def test_request_has_only_model_and_messages_by_default(server: ScriptedOpenRouter):
    assert body_of(server, chat(server)) == {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}]}


def test_n_of_1_is_not_sent(server: ScriptedOpenRouter):
    assert "n" not in body_of(server, chat(server, n=1))
    assert "n" not in body_of(server, chat(server, n=2), n=1)


def test_token_ids_of_logit_bias_may_be_numbers(server: ScriptedOpenRouter):
    assert body_of(server, chat(server, logit_bias={50: -100}))["logit_bias"] == {"50": -100.0}


@pytest.mark.parametrize("name", ["fallback_models", "models"])
def test_fallback_models_are_sent_as_models(server: ScriptedOpenRouter, name: str):
    models = ["liquid/lfm-3-1.7b", "liquid/lfm-2.5-2.6b:free"]
    assert body_of(server, chat(server, **{name: models}))["models"] == models
    assert body_of(server, chat(server), **{name: models})["models"] == models


@pytest.mark.parametrize("stop", [None, []])
def test_empty_stop_is_never_sent(server: ScriptedOpenRouter, stop: Any):
    assert "stop" not in body_of(server, chat(server, stop=stop))
    assert "stop" not in body_of(server, chat(server), stop=stop)


def test_arguments_of_a_call_override_fields(server: ScriptedOpenRouter):
    model = chat(server, temperature=0.1, max_tokens=100, stop=["A"], provider={"zdr": True})
    body = body_of(server, model, temperature=0.9, max_completion_tokens=5, stop=["B"], openrouter_provider={})
    assert (body["temperature"], body["max_tokens"], body["stop"]) == (0.9, 5, ["B"])
    assert "provider" not in body


def test_none_in_a_call_unsets_a_field(server: ScriptedOpenRouter):
    model = chat(server, temperature=0.1, max_tokens=100, stop=["A"], fallback_models=["liquid/lfm-3-1.7b"])
    body = body_of(server, model, temperature=None, max_tokens=None, stop=[], fallback_models=None)
    assert body.keys() == {"model", "messages"}


@pytest.mark.parametrize("name", ["model", "model_name"])
def test_call_may_name_another_model(server: ScriptedOpenRouter, name: str):
    assert body_of(server, chat(server), **{name: "liquid/lfm-3-1.7b"})["model"] == "liquid/lfm-3-1.7b"
    assert body_of(server, chat(server), **{name: None})["model"] == MODEL


def test_bound_arguments_override_fields(server: ScriptedOpenRouter):
    bound = chat(server, temperature=0.1).bind(temperature=0.9, stop=["B"], response_format={"type": "text"})
    body = body_of(server, bound)
    assert (body["temperature"], body["stop"]) == (0.9, ["B"])
    assert body["response_format"] == {"type": "text"}


def test_unknown_arguments_of_a_call_pass_through(server: ScriptedOpenRouter):
    assert body_of(server, chat(server), brand_new={"x": 1})["brand_new"] == {"x": 1}


def test_extra_body_overrides_everything(server: ScriptedOpenRouter):
    model = chat(
        server,
        temperature=0.1,
        max_tokens=100,
        fallback_models=["liquid/lfm-3-1.7b"],
        model_kwargs={"seed": 1, "brand_new": 1},
        extra_body={"seed": 3, "top_k": 3, "max_completion_tokens": 3, "models": ["liquid/lfm-40b"]},
    )
    body = body_of(server, model, seed=2, top_k=2, max_tokens=2, extra_body={"top_k": 4})
    assert body == {
        "model": MODEL,
        "messages": [{"role": "user", "content": "Hi"}],
        "temperature": 0.1,
        "brand_new": 1,
        "seed": 3,
        "top_k": 4,
        "max_tokens": 3,
        "models": ["liquid/lfm-40b"],
    }


def test_model_kwargs_override_fields_and_calls_override_model_kwargs(server: ScriptedOpenRouter):
    model = chat(server, temperature=0.1, model_kwargs={"temperature": 0.2, "seed": 1, "web_search_options": {"a": 1}})
    body = body_of(server, model, seed=2)
    assert (body["temperature"], body["seed"], body["web_search_options"]) == (0.2, 2, {"a": 1})


def test_client_settings_may_be_given_for_a_call(server: ScriptedOpenRouter):
    model = chat(server, default_headers={"X-One": "1"}, app_title="Mine")
    body = body_of(server, model, api_key="other-key", timeout=5, extra_headers={"X-Two": "2"}, app_title="Yours")
    assert body.keys() == {"model", "messages"}
    headers = server.requests[-1].headers
    assert headers["authorization"] == "Bearer other-key"
    assert (headers["x-one"], headers["x-two"], headers["x-openrouter-title"]) == ("1", "2", "Yours")
    body_of(server, model)
    assert server.requests[-1].headers["authorization"] == "Bearer test-key"
    assert "x-two" not in server.requests[-1].headers


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        ({"timeout": 0}, ConfigurationError, "`timeout`"),
        ({"request_timeout": 0}, ConfigurationError, "`timeout`"),
        ({"stream_chunk_timeout": 0}, ConfigurationError, "`stream_chunk_timeout`"),
        ({"total_timeout": 0}, ConfigurationError, "`total_timeout`"),
        ({"max_retries": -1}, ConfigurationError, "`max_retries`"),
        ({"app_url": "a\nb"}, ConfigurationError, "app_url"),
        ({"app_categories": ["a", "b", "c"]}, ConfigurationError, "at most 2"),
        ({"when_retired": "ignore"}, ConfigurationError, "`when_retired`"),
        ({"token_counter": lambda messages: 40_000}, ContextOverflowError, "32,768"),
        ({"base_url": "http://openrouter.example.com/v1"}, ConfigurationError, "unencrypted"),
    ],
)
def test_client_settings_of_a_call_are_checked(
    server: ScriptedOpenRouter, call: dict[str, Any], error: type[Exception], said: str
):
    with pytest.raises(error, match=said):
        chat(server).invoke("Hi", **call)
    assert server.requests == []


def test_call_may_allow_http(server: ScriptedOpenRouter):
    call = {"base_url": "http://openrouter.example.com/v1", "allow_http": True}
    assert chat(server)._settings(**call).key() == "test-key"


def test_call_may_change_base_url(server: ScriptedOpenRouter):
    body_of(server, ChatLFM(base_url="http://127.0.0.1:9/v1"), base_url=server.base_url)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("options", "call", "asked"),
    [
        ({}, {}, {"include_usage": True}),
        ({"stream_usage": False}, {}, None),
        ({}, {"stream_usage": False}, None),
        ({"model_kwargs": {"stream_options": {"x": 1}}}, {}, {"x": 1}),
    ],
)
def test_stream_usage_is_requested_from_other_servers(
    server: ScriptedOpenRouter, options: dict[str, Any], call: dict[str, Any], asked: Any
):
    server.add(stream())
    ask(chat(server, **options), "stream", **call)
    assert sent(server).get("stream_options") == asked
    assert "stream_usage" not in sent(server)


OF_CHAT_OPENROUTER: dict[str, Any] = {
    "model_name": "liquid/lfm-3-1.7b",
    "openrouter_api_key": "their-key",
    "request_timeout": 30,
    "max_retries": 0,
    "app_url": "https://example.com",
    "app_title": "Example",
    "app_categories": ["cli-agent"],
    "default_headers": {"X-Mine": "1"},
    "temperature": 0.2,
    "max_completion_tokens": 10,
    "top_p": 0.9,
    "frequency_penalty": 0.1,
    "presence_penalty": 0.1,
    "seed": 1,
    "stop_sequences": ["END"],
    "n": 1,
    "streaming": False,
    "stream_usage": True,
    "model_kwargs": {"top_k": 3},
    "reasoning": {"effort": "low"},
    "openrouter_provider": {"zdr": True},
    "route": "fallback",
    "plugins": [{"id": "web"}],
    "session_id": "s",
    "trace": {"trace_id": "t"},
}


def test_arguments_of_chat_openrouter_work(server: ScriptedOpenRouter):
    """As langchain-openrouter 0.2.9 names them (https://pypi.org/project/langchain-openrouter/)."""
    model = ChatLFM(openrouter_api_base=server.base_url, **OF_CHAT_OPENROUTER)
    body = body_of(server, model)
    body.pop("messages")
    assert body == {
        "model": "liquid/lfm-3-1.7b",
        "temperature": 0.2,
        "max_tokens": 10,
        "top_p": 0.9,
        "frequency_penalty": 0.1,
        "presence_penalty": 0.1,
        "seed": 1,
        "stop": ["END"],
        "top_k": 3,
        "reasoning": {"effort": "low"},
        "provider": {"zdr": True},
        "route": "fallback",
        "plugins": [{"id": "web"}],
        "session_id": "s",
        "trace": {"trace_id": "t"},
    }
    headers = server.requests[-1].headers
    assert headers["authorization"] == "Bearer their-key"
    assert headers["http-referer"] == "https://example.com"
    assert headers["x-openrouter-title"] == "Example"
    assert headers["x-openrouter-categories"] == "cli-agent"
    assert headers["x-mine"] == "1"
    assert (model.model_name, model.timeout) == ("liquid/lfm-3-1.7b", 30)


@pytest.mark.parametrize(
    ("typo", "meant"),
    [
        ("temprature", "temperature"),
        ("max_token", "max_tokens"),
        ("modelname", "model_name"),
        ("basse_url", "base_url"),
        ("stop_sequence", "stop_sequences"),
        ("openai_api_key", "openrouter_api_key"),
    ],
)
def test_misspelt_argument_is_refused_with_a_suggestion(typo: str, meant: str):
    with pytest.raises(ValidationError, match=f"no argument `{typo}`. Did you mean `{meant}`"):
        ChatLFM(**{typo: "sk-or-v1-0123456789abcdef"})


def test_error_for_misspelt_argument_hides_its_value():
    with pytest.raises(ValidationError) as caught:
        ChatLFM(openai_key="sk-or-v1-0123456789abcdef")
    assert "0123456789" not in str(caught.value)


def test_other_request_fields_become_model_kwargs(server: ScriptedOpenRouter):
    model = chat(server, parallel_tool_calls=False, modalities=["text"], model_kwargs={"modalities": ["audio"]})
    assert model.model_kwargs == {"parallel_tool_calls": False, "modalities": ["audio"]}
    assert body_of(server, model)["parallel_tool_calls"] is False


@pytest.mark.parametrize("name", ["stream", "messages"])
def test_messages_and_stream_are_refused_as_arguments(name: str):
    with pytest.raises(ValidationError, match=f"no argument `{name}`"):
        ChatLFM(**{name: True})


def test_unknown_argument_of_none_is_ignored():
    """Code that fills in the arguments of any integration passes on what it was not given."""
    assert ChatLFM(organization=None).model_kwargs == {}


def test_argument_given_under_two_names_is_refused():
    with pytest.raises(ValidationError, match="`model` is passed twice, once as `model_name`"):
        ChatLFM(model="liquid/lfm-3b", model_name="liquid/lfm-40b")
    assert ChatLFM(max_tokens=5, max_completion_tokens=None).max_tokens == 5


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"timeout": 0}, "`timeout` must be a positive number of seconds"),
        ({"max_retries": -1}, "`max_retries` must be an integer >= 0"),
        ({"base_url": "openrouter.ai"}, "`base_url` must be an http or https URL"),
        ({"app_categories": ["a", "b", "c"]}, "at most 2"),
        ({"default_headers": {"X": "a\nb"}}, None),
        ({"temperature": "warm"}, "temperature"),
        ({"when_retired": "ignore"}, "when_retired"),
    ],
)
def test_invalid_value_is_refused(options: dict[str, Any], said: str | None):
    if said is None:
        with pytest.raises(ConfigurationError, match="header"):
            ChatLFM(model=MODEL, api_key="k", **options).invoke("Hi")
    else:
        with pytest.raises(ValidationError, match=said):
            ChatLFM(**options)


def test_validation_error_hides_the_key():
    with pytest.raises(ValidationError) as caught:
        ChatLFM(api_key="sk-or-v1-0123456789abcdef", temperature="sk-or-v1-0123456789abcdef")
    assert "0123456789" not in str(caught.value)


def test_defaults_come_from_the_environment(server: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENROUTER_API_KEY", "key-of-the-environment")
    monkeypatch.setenv("OPENROUTER_BASE_URL", server.base_url)
    monkeypatch.setenv("OPENROUTER_APP_URL", "https://example.com")
    monkeypatch.setenv("OPENROUTER_APP_TITLE", "Example")
    monkeypatch.setenv("OPENROUTER_APP_CATEGORIES", "cli-agent, roleplay")
    monkeypatch.setenv("LFM_MODEL", "liquid/lfm-3-1.7b")
    assert body_of(server, ChatLFM())["model"] == "liquid/lfm-3-1.7b"
    headers = server.requests[-1].headers
    assert headers["authorization"] == "Bearer key-of-the-environment"
    assert headers["http-referer"] == "https://example.com"
    assert headers["x-openrouter-categories"] == "cli-agent,roleplay"


def test_openrouter_api_base_sets_base_url(server: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENROUTER_API_BASE", server.base_url)
    body_of(server, ChatLFM(api_key="k"))
    assert len(server.requests) == 1


def test_none_means_the_default_from_the_environment(server: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENROUTER_API_KEY", "key-of-the-environment")
    monkeypatch.setenv("OPENROUTER_BASE_URL", server.base_url)
    monkeypatch.setenv("OPENROUTER_APP_URL", "https://app.example")
    model = ChatLFM(openrouter_api_key=None, base_url=None, app_url=None, app_title=None, app_categories=None)
    for call in ({}, {"api_key": None, "openrouter_api_base": None, "app_url": None}):
        body_of(server, model, **call)
        headers = server.requests[-1].headers
        assert headers["authorization"] == "Bearer key-of-the-environment"
        assert headers["http-referer"] == "https://app.example"


def test_environment_is_read_once(server: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENROUTER_API_KEY", "first")
    monkeypatch.setenv("OPENROUTER_BASE_URL", server.base_url)
    model = ChatLFM()
    monkeypatch.setenv("OPENROUTER_API_KEY", "second")
    monkeypatch.setenv("OPENROUTER_BASE_URL", "https://elsewhere.example")
    monkeypatch.setenv("OPENROUTER_APP_URL", "https://app.example")
    body_of(server, model)
    headers = server.requests[-1].headers
    assert headers["authorization"] == "Bearer first"
    assert "http-referer" not in headers


def test_call_without_key_raises():
    with pytest.raises(ConfigurationError, match="OPENROUTER_API_KEY"):
        ChatLFM(model=MODEL).invoke("Hi")


def test_default_settings_equal_those_of_the_client():
    assert ChatLFM()._settings() == Settings.from_env()


def test_env_key_is_not_sent_to_local_base_url(server: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENROUTER_API_KEY", "key-of-the-environment")
    body_of(server, ChatLFM(base_url=server.base_url))
    assert "authorization" not in server.requests[-1].headers
    body_of(server, ChatLFM(base_url=server.base_url, api_key="given"))
    assert server.requests[-1].headers["authorization"] == "Bearer given"


def test_env_key_is_not_sent_by_a_copy_that_is_given_every_field(
    server: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OPENROUTER_API_KEY", "key-of-the-environment")
    model = ChatLFM(base_url=server.base_url).configurable_fields(temperature=ConfigurableField(id="warmth"))
    body_of(server, model, config={"configurable": {"warmth": 0.5}})
    assert "authorization" not in server.requests[-1].headers


def test_api_key_function_is_called_for_each_request(server: ScriptedOpenRouter):
    keys = iter(["first", "second"])
    model = chat(server, api_key=lambda: next(keys))
    body_of(server, model)
    body_of(server, model)
    assert [request.headers["authorization"] for request in server.requests] == ["Bearer first", "Bearer second"]


def test_changed_attributes_apply_to_next_call(server: ScriptedOpenRouter):
    model = ChatLFM(api_key="old", base_url="http://127.0.0.1:9/v1", temperature=0.1)
    model.temperature = 0.9
    model.model = "liquid/lfm-3-1.7b"
    model.base_url = server.base_url
    model.api_key = SecretStr("new")
    model.default_headers = {"X-Mine": "1"}
    body = body_of(server, model)
    assert (body["temperature"], body["model"]) == (0.9, "liquid/lfm-3-1.7b")
    assert server.requests[-1].headers["authorization"] == "Bearer new"
    assert server.requests[-1].headers["x-mine"] == "1"


def test_timeout_is_in_seconds(server: ScriptedOpenRouter):
    server.add(completion().held(0, threading.Event()))
    with pytest.raises(APITimeoutError, match=r"0\.05 s"):
        chat(server, timeout=0.05).invoke("Hi")
    server.add(completion().held(0, 0.1))
    assert chat(server, timeout=60).invoke("Hi").text == "Hello."


def test_signature_shows_the_fields():
    parameters = inspect.signature(ChatLFM).parameters
    assert ChatLFM.model_fields.keys() <= parameters.keys()
    assert (parameters["timeout"].default, parameters["temperature"].default) == (120.0, None)


def test_fields_include_every_client_option_with_the_same_default():
    for option in dataclasses.fields(ClientOptions):
        field = ChatLFM.model_fields[option.name]
        assert field.default_factory or field.default == option.default, option.name


@pytest.mark.parametrize("cls", [ChatLFM, LFMEmbeddings])
def test_subclass_keeps_the_fields_and_their_defaults(cls, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENROUTER_API_KEY", "key-from-the-environment")
    monkeypatch.setenv("OPENROUTER_APP_TITLE", "My app")

    class Mine(cls):
        mine: int = 3

    class Deeper(Mine):
        timeout: float | None = 7

    for kind, timeout in ((Mine, 120), (Deeper, 7)):
        model = kind(default_headers={"X-Token": "hidden"})
        assert (model.model, model.app_title, model.timeout, model.mine) == (cls().model, "My app", timeout, 3)
        assert model.api_key.get_secret_value() == "key-from-the-environment"
        assert "hidden" not in repr(model) + str(model.model_dump())
