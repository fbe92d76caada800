"""What of a call of LiteLLM's goes over the wire."""

from __future__ import annotations

import logging
from typing import Any

import httpx
import litellm
import pytest
from pydantic import BaseModel

from lfm_adapter import Attribution
from lfm_adapter.litellm import _parameters as parameters
from lfm_adapter.litellm import handler
from tests.support.litellm_ways import ALL_WAYS, STREAMED, answer_as_openrouter, ask, failure
from tests.support.openrouter_replies import completion, stream, tool_call

LIVE = "lfm/lfm-2.5-2.6b:free"
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}]


def sent(server: Any, way: str = "completion", **call: Any) -> dict[str, Any]:
    """Ask, and return the body of the request."""
    server.add(stream() if way in STREAMED else completion())
    ask(way, **call)
    return server.requests[-1].json


def headers(server: Any, **call: Any) -> dict[str, str]:
    sent(server, **call)
    return server.requests[-1].headers


@pytest.mark.parametrize("way", ALL_WAYS)
def test_a_plain_question_is_all_that_is_sent(openrouter_server, way):
    body = sent(openrouter_server, way)
    expected = {"model": "liquid/lfm-3b", "messages": [{"role": "user", "content": "Hi"}]}
    assert body == expected | ({"stream": True} if way in STREAMED else {})


@pytest.mark.parametrize("name", ["lfm/lfm-3-1.7b:free", "lfm/liquid/lfm-3-1.7b:free"])
def test_an_alias_and_an_id_name_the_same_model(openrouter_server, name):
    assert sent(openrouter_server, model=name)["model"] == "liquid/lfm-3-1.7b:free"


@pytest.mark.parametrize("way", ALL_WAYS)
def test_parameters_of_openai_and_openrouter_arrive(openrouter_server, way):
    fields = {
        "temperature": 0.3, "top_p": 0.9, "seed": 7, "stop": ["\n"], "max_tokens": 50, "logprobs": True, "top_k": 40,
        "min_p": 0.1, "provider": {"order": ["Liquid"]}, "models": ["liquid/lfm-3-1.7b"],
        "plugins": [{"id": "web"}], "transforms": ["middle-out"], "reasoning": {"effort": "low"}, "session_id": "s",
    }  # fmt: skip
    body = sent(openrouter_server, way, model="lfm/unknown/model", **fields)
    assert {name: body[name] for name in fields} == fields


def test_extra_body_is_merged_and_wins(openrouter_server):
    body = sent(openrouter_server, top_k=1, extra_body={"top_k": 2, "metadata": {"a": "b"}, "user": "u"})
    assert (body["top_k"], body["metadata"], body["user"]) == (2, {"a": "b"}, "u")


def test_litellm_keeps_user_to_itself_unless_it_is_allowed(openrouter_server):
    # Its supported parameters of a provider that it does not know have no `user`: get_supported_openai_params.
    assert "user" not in sent(openrouter_server, user="u")
    assert sent(openrouter_server, user="u", allowed_openai_params=["user"])["user"] == "u"


@pytest.mark.parametrize("way", ALL_WAYS)
def test_keys_that_are_litellms_own_do_not_go_out(openrouter_server, way):
    more = {
        "max_retries": 3, "metadata": {"a": "b"}, "tags": ["a"], "model_info": {"id": "x"}, "cache": {"no-cache": True},
        "input_cost_per_token": 1e-6, "litellm_call_id": "abc", "num_retries": None, "request_timeout": 9,
    }  # fmt: skip
    assert sent(openrouter_server, way, **more).keys() <= {"model", "messages", "stream"}


def test_a_routers_settings_do_not_go_out(openrouter_server):
    settings = {
        "model": "lfm/lfm-3b", "rpm": 3, "tpm": 400_000, "weight": 1, "max_parallel_requests": 4, "stream_timeout": 3,
        "timeout": 4, "region_name": "eu", "order": 1, "tags": ["x"], "max_retries": 0, "top_k": 5,
        "model_info": {"id": "one"},
    }  # fmt: skip
    openrouter_server.add(completion())
    router = litellm.Router([{"model_name": "small", "litellm_params": settings}])
    router.completion("small", [{"role": "user", "content": "Hi"}])
    assert openrouter_server.requests[-1].json.keys() == {"model", "messages", "top_k"}


def test_tools_and_schemas_are_handed_on(openrouter_server):
    class Person(BaseModel):
        name: str

    asked = {"tools": TOOLS, "tool_choice": "auto", "parallel_tool_calls": False, "max_completion_tokens": 9}
    body = sent(openrouter_server, model=LIVE, **asked)
    assert (body["tools"], body["tool_choice"], body["parallel_tool_calls"]) == (TOOLS, "auto", False)
    assert body["max_tokens"] == 9
    body = sent(openrouter_server, model=LIVE, response_format=Person)
    assert body["response_format"]["json_schema"]["schema"]["required"] == ["name"]


def test_tools_are_never_unsupported(openrouter_server):
    call = tool_call("weather", {})
    openrouter_server.add(completion(None, tool_calls=[call]))
    assert ask("completion", model="lfm/lfm-3b", tools=TOOLS).choices[0].message.tool_calls


@pytest.mark.filterwarnings("ignore:`liquid/lfm-3b` is retired:UserWarning")  # told once in a process
@pytest.mark.parametrize("way", ALL_WAYS)
def test_a_model_can_be_exchanged_for_its_successor(openrouter_server, way):
    body = sent(openrouter_server, way, when_retired="successor")
    assert body["model"] == "liquid/lfm-3-1.7b"
    assert "when_retired" not in body


@pytest.mark.parametrize("way", ALL_WAYS)
def test_what_a_model_does_not_have_is_an_error(openrouter_server, way):
    error = failure(way, logprobs=True)
    assert isinstance(error, litellm.UnsupportedParamsError)
    assert "`liquid/lfm-3b` does not support `logprobs`" in str(error)
    assert "drop_params" in str(error)
    assert not openrouter_server.requests


@pytest.mark.parametrize("how", ["per call", "everywhere", "by name"])
def test_drop_params_leaves_it_out(openrouter_server, how, monkeypatch, caplog):
    monkeypatch.setattr(parameters, "_dropped", set())
    call: dict[str, Any] = {"logit_bias": {"1": 1}, "top_k": 3}
    if how == "everywhere":
        monkeypatch.setattr(litellm, "drop_params", True)
    elif how == "per call":
        call["drop_params"] = True
    else:
        call["additional_drop_params"] = ["logit_bias"]
    with caplog.at_level(logging.WARNING, "lfm_adapter"):
        for _ in range(2):
            assert sent(openrouter_server, **call).keys() == {"model", "messages", "top_k"}
    told = [record.getMessage() for record in caplog.records if record.name == "lfm_adapter"]
    assert len(told) == (0 if how == "by name" else 1)


def test_what_is_switched_off_is_no_demand(openrouter_server):
    assert sent(openrouter_server, logprobs=False)["logprobs"] is False


def test_a_model_of_unknown_parameters_gets_them_all(openrouter_server):
    assert sent(openrouter_server, model="lfm/lfm-3-1.7b", logprobs=True)["logprobs"] is True


def test_reasoning_goes_back_as_it_came(openrouter_server):
    details = [{"type": "reasoning.text", "text": "Hm.", "signature": "s", "format": "unknown", "index": 0}]
    openrouter_server.add(completion("Yes.", reasoning="Hm.", message={"reasoning_details": details}))
    first = ask("completion", model=LIVE).choices[0].message
    assert first.reasoning_content == "Hm."
    assert first.thinking_blocks[0] == {"type": "thinking", "thinking": "Hm.", "signature": "s"}
    for again in (first, first.model_dump()):
        body = sent(openrouter_server, model=LIVE, messages=[{"role": "user", "content": "Hi"}, again])
        assert body["messages"][1] == {"role": "assistant", "content": "Yes.", "reasoning_details": details}


def test_reasoning_of_another_provider_goes_back_as_text(openrouter_server):
    said = {"role": "assistant", "content": "Yes.", "reasoning_content": "Hm.", "function_call": None}
    body = sent(openrouter_server, messages=[{"role": "user", "content": "Hi"}, said])
    assert body["messages"][1] == {"role": "assistant", "content": "Yes.", "reasoning": "Hm."}


def test_a_tool_call_and_its_result_go_back(openrouter_server):
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
def test_attribution(openrouter_server, monkeypatch, environment, registered, extra, url, title):  # noqa: PLR0917 # a table
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(handler, "attribution", registered)
    received = headers(openrouter_server, extra_headers=extra)
    assert received.get("http-referer") == url
    assert received.get("x-openrouter-title") == received.get("x-title") == title
    assert received.get("x-openrouter-categories") == (",".join(registered.categories) or None if registered else None)
    assert received["user-agent"].startswith("lfm-adapter/")


def test_headers_of_a_call_are_sent(openrouter_server):
    assert headers(openrouter_server, extra_headers={"X-Trace": "1"})["x-trace"] == "1"


def test_the_key_of_a_call_wins_then_ours_then_litellms(openrouter_server, monkeypatch):
    assert headers(openrouter_server, api_key="call")["authorization"] == "Bearer call"
    assert headers(openrouter_server)["authorization"] == "Bearer test-key"
    monkeypatch.delenv("OPENROUTER_API_KEY")
    monkeypatch.setenv("OR_API_KEY", "or-key")
    assert headers(openrouter_server)["authorization"] == "Bearer or-key"
    monkeypatch.setattr(litellm, "openrouter_key", "module-key")
    assert headers(openrouter_server)["authorization"] == "Bearer module-key"


def test_no_key_of_the_environment_goes_to_a_server_on_this_machine(server, monkeypatch):
    monkeypatch.setenv("OPENROUTER_API_KEY", "test-key")
    monkeypatch.setenv("OR_API_KEY", "or-key")
    assert "authorization" not in headers(server, api_base=server.base_url)


@pytest.mark.parametrize("variable", ["OPENROUTER_BASE_URL", "OPENROUTER_API_BASE"])
def test_the_environment_names_the_server(server, monkeypatch, variable):
    monkeypatch.setenv(variable, server.base_url)
    monkeypatch.setenv("OR_API_KEY", "or-key")
    assert headers(server, model="lfm/liquid/lfm-3b")["authorization"] == "Bearer or-key"


@pytest.mark.parametrize("way", ALL_WAYS)
def test_without_a_key_it_says_where_to_get_one_in_litellms_words(monkeypatch, server, way):
    answer_as_openrouter(server, monkeypatch)
    monkeypatch.delenv("OPENROUTER_API_KEY")
    error = failure(way)
    assert isinstance(error, litellm.AuthenticationError)
    assert error.status_code == 401
    assert all(name in str(error) for name in ("`OPENROUTER_API_KEY`", "`api_key=`", "`api_base=`"))
    assert "base_url" not in str(error)
    assert server.requests == []


def test_another_server_may_need_no_key(server):
    server.add(completion())
    assert "authorization" not in headers(server, api_base=server.base_url)


@pytest.mark.parametrize("way", ALL_WAYS)
@pytest.mark.parametrize("timeout", [0.2, httpx.Timeout(30, read=0.2)], ids=["number", "httpx"])
def test_the_timeout_holds(openrouter_server, way, timeout):
    reply = stream() if way in STREAMED else completion()
    openrouter_server.add(reply.held(1 if way in STREAMED else 0, 60.0))
    assert isinstance(failure(way, timeout=timeout), litellm.Timeout)
    assert len(openrouter_server.requests) == 1


@pytest.mark.parametrize("way", STREAMED)
def test_a_stream_of_several_answers_is_refused(openrouter_server, way):
    error = failure(way, n=2, model="lfm/unknown/model")
    assert isinstance(error, litellm.BadRequestError)
    assert "one answer" in str(error)
