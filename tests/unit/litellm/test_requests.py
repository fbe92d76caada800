"""The requests that LiteLLM's calls send."""

from __future__ import annotations

import logging
from typing import Any

import httpx
import litellm
import pytest
from pydantic import BaseModel

from lfm_adapter import Attribution
from lfm_adapter.litellm import handler
from lfm_adapter.testing import completion, stream, tool_call
from tests.support.litellm_ways import ALL_WAYS, STREAMED, answer_as_openrouter, ask, failure

LIVE = "lfm/lfm-2.5-2.6b:free"
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}]


def sent(server: Any, way: str = "completion", **call: Any) -> dict[str, Any]:
    """Ask, and return the body of the request."""
    server.add(stream() if way in STREAMED else completion())
    ask(way, **call)
    return server.requests[-1].body


def headers(server: Any, **call: Any) -> dict[str, str]:
    sent(server, **call)
    return server.requests[-1].headers


@pytest.mark.parametrize("way", ALL_WAYS)
def test_plain_question_sends_only_model_and_messages(openrouter_server, way):
    body = sent(openrouter_server, way)
    expected = {"model": "liquid/lfm-3b", "messages": [{"role": "user", "content": "Hi"}]}
    assert body == expected | ({"stream": True} if way in STREAMED else {})


@pytest.mark.parametrize("name", ["lfm/lfm-3-1.7b:free", "lfm/liquid/lfm-3-1.7b:free"])
def test_alias_and_id_send_the_same_model(openrouter_server, name):
    assert sent(openrouter_server, model=name)["model"] == "liquid/lfm-3-1.7b:free"


@pytest.mark.parametrize("way", ALL_WAYS)
def test_openai_and_openrouter_parameters_are_sent(openrouter_server, way):
    fields = {
        "temperature": 0.3, "top_p": 0.9, "seed": 7, "stop": ["\n"], "max_tokens": 50, "logprobs": True, "top_k": 40,
        "min_p": 0.1, "provider": {"order": ["Liquid"]}, "models": ["liquid/lfm-3-1.7b"],
        "plugins": [{"id": "web"}], "transforms": ["middle-out"], "reasoning": {"effort": "low"}, "session_id": "s",
    }  # fmt: skip
    body = sent(openrouter_server, way, model="lfm/unknown/model", **fields)
    assert {name: body[name] for name in fields} == fields


def test_extra_body_is_merged_and_takes_precedence(openrouter_server):
    body = sent(openrouter_server, top_k=1, extra_body={"top_k": 2, "metadata": {"a": "b"}, "user": "u"})
    assert (body["top_k"], body["metadata"], body["user"]) == (2, {"a": "b"}, "u")


def test_extra_body_is_sent_whatever_its_names_and_types(openrouter_server):
    body = sent(openrouter_server, extra_body={"temprature": 1, "user": 5})
    assert (body["temprature"], body["user"]) == (1, 5)


def test_parameter_of_another_type_is_a_bad_request(openrouter_server):
    error = failure("completion", temperature="hot")
    assert isinstance(error, litellm.BadRequestError)
    assert "`temperature` must be a number, got 'hot'" in str(error)
    assert not openrouter_server.requests


def test_extra_body_of_another_form_is_a_bad_request(openrouter_server):
    error = failure("completion", extra_body="top_k")
    assert isinstance(error, litellm.BadRequestError)
    assert "`extra_body` must be a dict" in str(error)
    assert not openrouter_server.requests


def test_user_is_sent_only_if_litellm_allows_it(openrouter_server):
    # `user` is not among its parameters for unknown providers: get_supported_openai_params.
    assert "user" not in sent(openrouter_server, user="u")
    assert sent(openrouter_server, user="u", allowed_openai_params=["user"])["user"] == "u"


@pytest.mark.parametrize("way", ALL_WAYS)
def test_litellm_parameters_are_not_sent(openrouter_server, way):
    more = {
        "max_retries": 3, "metadata": {"a": "b"}, "tags": ["a"], "model_info": {"id": "x"}, "cache": {"no-cache": True},
        "input_cost_per_token": 1e-6, "litellm_call_id": "abc", "num_retries": None, "request_timeout": 9,
    }  # fmt: skip
    assert sent(openrouter_server, way, **more).keys() <= {"model", "messages", "stream"}


def test_router_settings_are_not_sent(openrouter_server):
    settings = {
        "model": "lfm/lfm-3b", "rpm": 3, "tpm": 400_000, "weight": 1, "max_parallel_requests": 4, "stream_timeout": 3,
        "timeout": 4, "region_name": "eu", "order": 1, "tags": ["x"], "max_retries": 0, "top_k": 5,
        "model_info": {"id": "one"},
    }  # fmt: skip
    openrouter_server.add(completion())
    router = litellm.Router([{"model_name": "small", "litellm_params": settings}])
    router.completion("small", [{"role": "user", "content": "Hi"}])
    assert openrouter_server.requests[-1].body.keys() == {"model", "messages", "top_k"}


def test_tools_and_schemas_are_sent(openrouter_server):
    class Person(BaseModel):
        name: str

    asked = {"tools": TOOLS, "tool_choice": "auto", "parallel_tool_calls": False, "max_completion_tokens": 9}
    body = sent(openrouter_server, model=LIVE, **asked)
    assert (body["tools"], body["tool_choice"], body["parallel_tool_calls"]) == (TOOLS, "auto", False)
    assert body["max_tokens"] == 9
    body = sent(openrouter_server, model=LIVE, response_format=Person, on_invalid_output="return", max_output_retries=0)
    assert body["response_format"]["json_schema"]["schema"]["required"] == ["name"]


def test_tools_are_supported_by_each_model(openrouter_server):
    call = tool_call("weather", {})
    openrouter_server.add(completion(None, tool_calls=[call]))
    assert ask("completion", model="lfm/lfm-3b", tools=TOOLS).choices[0].message.tool_calls


@pytest.mark.filterwarnings("ignore:`liquid/lfm-3b` is retired:UserWarning")  # logged once in a process
@pytest.mark.parametrize("way", ALL_WAYS)
def test_when_retired_successor_replaces_retired_model(openrouter_server, way):
    body = sent(openrouter_server, way, when_retired="successor")
    assert body["model"] == "liquid/lfm-3-1.7b"
    assert "when_retired" not in body


@pytest.mark.parametrize("way", ALL_WAYS)
def test_unsupported_parameter_raises(openrouter_server, way):
    error = failure(way, logprobs=True)
    assert isinstance(error, litellm.UnsupportedParamsError)
    assert "`liquid/lfm-3b` does not support `logprobs`" in str(error)
    assert "drop_params" in str(error)
    assert not openrouter_server.requests


# Each case drops a parameter of its own: a dropped one is logged once in a process.
@pytest.mark.parametrize(
    ("how", "dropped"),
    [("per call", {"logprobs": True}), ("everywhere", {"logit_bias": {"1": 1}}), ("by name", {"logit_bias": {"1": 1}})],
)
def test_drop_params_drops_and_logs_unsupported_parameters_once(openrouter_server, how, dropped, monkeypatch, caplog):
    call: dict[str, Any] = {**dropped, "top_k": 3}
    if how == "everywhere":
        monkeypatch.setattr(litellm, "drop_params", True)
    elif how == "per call":
        call["drop_params"] = True
    else:
        call["additional_drop_params"] = [*dropped]
    with caplog.at_level(logging.WARNING, "lfm_adapter"):
        for _ in range(2):
            assert sent(openrouter_server, **call).keys() == {"model", "messages", "top_k"}
    logged = [record.getMessage() for record in caplog.records if record.name == "lfm_adapter"]
    assert len(logged) == (0 if how == "by name" else 1)


def test_parameter_set_to_false_is_not_unsupported(openrouter_server):
    assert sent(openrouter_server, logprobs=False)["logprobs"] is False


def test_model_with_unknown_parameters_gets_all(openrouter_server):
    assert sent(openrouter_server, model="lfm/lfm-3-1.7b", logprobs=True)["logprobs"] is True


@pytest.mark.parametrize("way", ALL_WAYS)
@pytest.mark.parametrize(
    ("asked", "sent_as"),
    [
        ({"reasoning_effort": "low"}, {"reasoning_effort": "low"}),
        ({"reasoning_effort": "max"}, {"reasoning_effort": "xhigh"}),
        ({"thinking": {"type": "enabled", "budget_tokens": 2_000}}, {"reasoning": {"max_tokens": 2_000}}),
        ({"thinking": {"type": "adaptive"}}, {"reasoning": {"enabled": True}}),
        ({"thinking": {"type": "disabled"}}, {"reasoning": {"enabled": False}}),
    ],
)
def test_reasoning_parameters_reach_a_model_that_reasons(openrouter_server, way, asked, sent_as):
    body = sent(openrouter_server, way, model="lfm/lfm-3-1.7b", **asked)
    assert {name: value for name, value in body.items() if name not in {"model", "messages", "stream"}} == sent_as


def test_reasoning_parameters_reach_a_model_that_the_user_says_reasons(openrouter_server, monkeypatch):
    monkeypatch.setitem(litellm.model_cost, "lfm/acme/reasoner", {"supports_reasoning": True})
    assert sent(openrouter_server, model="lfm/acme/reasoner", reasoning_effort="high")["reasoning_effort"] == "high"


def test_effort_is_refused_by_a_model_that_does_not_reason(openrouter_server):
    with pytest.raises(litellm.UnsupportedParamsError, match="reasoning_effort"):
        litellm.completion("lfm/lfm-3b", [{"role": "user", "content": "Hi"}], reasoning_effort="low")
    assert not openrouter_server.requests


def test_reasoning_that_cannot_be_turned_off_is_an_error_or_dropped(openrouter_server):
    off: dict[str, Any] = {"model": LIVE, "reasoning_effort": "none"}
    assert "`reasoning_effort='none'`" in str(failure("completion", **off))
    assert not openrouter_server.requests
    assert "reasoning_effort" not in sent(openrouter_server, drop_params=True, **off)


@pytest.mark.parametrize(
    ("options", "sent_as"),
    [
        ({"search_context_size": None, "user_location": None}, None),
        ({"search_context_size": "low", "user_location": None}, {"search_context_size": "low"}),
    ],
)
def test_nulls_of_web_search_options_are_not_sent(openrouter_server, options, sent_as):
    body = sent(openrouter_server, model="lfm/lfm-3-1.7b", web_search_options=options)
    assert body.get("web_search_options") == sent_as


def test_reasoning_details_are_sent_back_unchanged(openrouter_server):
    details = [{"type": "reasoning.text", "text": "Hm.", "signature": "s", "format": "unknown", "index": 0}]
    openrouter_server.add(completion("Yes.", reasoning="Hm.", message={"reasoning_details": details}))
    first = ask("completion", model=LIVE).choices[0].message
    assert first.reasoning_content == "Hm."
    assert first.thinking_blocks[0] == {"type": "thinking", "thinking": "Hm.", "signature": "s"}
    for again in (first, first.model_dump()):
        body = sent(openrouter_server, model=LIVE, messages=[{"role": "user", "content": "Hi"}, again])
        assert body["messages"][1] == {"role": "assistant", "content": "Yes.", "reasoning_details": details}


def test_reasoning_of_other_provider_is_sent_back_as_text(openrouter_server):
    said = {"role": "assistant", "content": "Yes.", "reasoning_content": "Hm.", "function_call": None}
    body = sent(openrouter_server, messages=[{"role": "user", "content": "Hi"}, said])
    assert body["messages"][1] == {"role": "assistant", "content": "Yes.", "reasoning": "Hm."}


def test_tool_call_and_result_are_sent_back(openrouter_server):
    openrouter_server.add(completion(None, tool_calls=[tool_call("weather", {"city": "Oslo"})]))
    said = ask("completion", model=LIVE, tools=TOOLS).choices[0].message
    result = {"role": "tool", "tool_call_id": "call_1", "content": "Rain."}
    body = sent(openrouter_server, model=LIVE, messages=[{"role": "user", "content": "Hi"}, said, result])
    assistant = body["messages"][1]
    assert assistant["content"] is None
    [call] = assistant["tool_calls"]
    assert (call["id"], call["function"]) == ("call_1", {"name": "weather", "arguments": '{"city":"Oslo"}'})
    assert body["messages"][2] == result


@pytest.mark.parametrize(
    ("environment", "registered", "extra", "url", "title"),
    [
        ({}, None, {}, None, None),
        ({"OR_SITE_URL": "https://or.example", "OR_APP_NAME": "Or"}, None, {}, "https://or.example", "Or"),
        (
            {"OR_SITE_URL": "https://or.example", "OR_APP_NAME": "Or", "OPENROUTER_APP_URL": "https://env.example"},
            None,
            {},
            "https://env.example",
            None,
        ),
        (
            {"OPENROUTER_APP_URL": "https://env.example", "OPENROUTER_APP_TITLE": "Env"},
            Attribution("https://app.example", "App", ("cli-agent",)),
            {},
            "https://app.example",
            "App",
        ),
        (
            {},
            Attribution("https://app.example", "App"),
            {"http-referer": "https://call.example"},
            "https://call.example",
            "App",
        ),
    ],
    ids=["none", "litellms environment", "our environment", "registered", "of the call"],
)
def test_attribution_precedence(openrouter_server, monkeypatch, environment, registered, extra, url, title):  # noqa: PLR0917 # a table
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(handler, "attribution", registered)
    received = headers(openrouter_server, extra_headers=extra)
    assert received.get("http-referer") == url
    assert received.get("x-openrouter-title") == received.get("x-title") == title
    assert received.get("x-openrouter-categories") == (",".join(registered.categories) or None if registered else None)
    assert received["user-agent"].startswith("lfm-adapter/")


def test_extra_headers_are_sent(openrouter_server):
    assert headers(openrouter_server, extra_headers={"X-Trace": "1"})["x-trace"] == "1"


def test_key_comes_from_call_then_our_then_litellms_settings(openrouter_server, monkeypatch):
    assert headers(openrouter_server, api_key="call")["authorization"] == "Bearer call"
    assert headers(openrouter_server)["authorization"] == "Bearer test-key"
    monkeypatch.delenv("OPENROUTER_API_KEY")
    monkeypatch.setenv("OR_API_KEY", "or-key")
    assert headers(openrouter_server)["authorization"] == "Bearer or-key"
    monkeypatch.setattr(litellm, "openrouter_key", "module-key")
    assert headers(openrouter_server)["authorization"] == "Bearer module-key"


def test_environment_key_is_not_sent_to_local_server(server, monkeypatch):
    monkeypatch.setenv("OPENROUTER_API_KEY", "test-key")
    monkeypatch.setenv("OR_API_KEY", "or-key")
    assert "authorization" not in headers(server, api_base=server.base_url)


@pytest.mark.parametrize("variable", ["OPENROUTER_BASE_URL", "OPENROUTER_API_BASE"])
def test_base_url_comes_from_environment(server, monkeypatch, variable):
    monkeypatch.setenv(variable, server.base_url)
    monkeypatch.setenv("OR_API_KEY", "or-key")
    assert headers(server, model="lfm/liquid/lfm-3b")["authorization"] == "Bearer or-key"


@pytest.mark.parametrize("way", ALL_WAYS)
def test_missing_key_raises_authentication_error_with_litellm_names(monkeypatch, server, way):
    answer_as_openrouter(server, monkeypatch)
    monkeypatch.delenv("OPENROUTER_API_KEY")
    error = failure(way)
    assert isinstance(error, litellm.AuthenticationError)
    assert error.status_code == 401
    assert all(name in str(error) for name in ("`OPENROUTER_API_KEY`", "`api_key=`", "`api_base=`"))
    assert "base_url" not in str(error)
    assert server.requests == []


def test_other_server_needs_no_key(server):
    server.add(completion())
    assert "authorization" not in headers(server, api_base=server.base_url)


@pytest.mark.parametrize("way", ALL_WAYS)
@pytest.mark.parametrize("timeout", [0.2, httpx.Timeout(30, read=0.2)], ids=["number", "httpx"])
def test_timeout_applies(openrouter_server, way, timeout):
    reply = stream() if way in STREAMED else completion()
    openrouter_server.add(reply.held(1 if way in STREAMED else 0, 60.0))
    assert isinstance(failure(way, timeout=timeout), litellm.Timeout)
    assert len(openrouter_server.requests) == 1


@pytest.mark.parametrize("way", STREAMED)
def test_stream_of_several_answers_is_refused(openrouter_server, way):
    error = failure(way, n=2, model="lfm/unknown/model")
    assert isinstance(error, litellm.BadRequestError)
    assert "one answer" in str(error)
