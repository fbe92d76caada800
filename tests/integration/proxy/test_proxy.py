"""LiteLLM's Proxy as `lfm proxy-config` sets it up, alone on a machine: no database, no Redis, no internet."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from lfm_adapter.testing import ScriptedOpenRouter, completion, error, stream, token_usage
from tests.support.litellm_proxy import INSTALLED, MADE_UP_KEY, NOT_INSTALLED, Proxy
from tests.support.prompted_model import prompted_model
from tests.support.scripted_model import openrouter_like

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lfm_adapter.testing import RecordedRequest, ScriptedReply

pytestmark = pytest.mark.skipif(not INSTALLED, reason=NOT_INSTALLED)

ADD = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Add two numbers.",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
            "required": ["a", "b"],
        },
    },
}
HELLO = [{"role": "user", "content": "Hello"}]
QUESTION = [{"role": "user", "content": "Use add with 1 and 2."}]
MODELS = ["lfm-3-1.7b", "lfm-3b"]


def respond(request: RecordedRequest) -> ScriptedReply:
    """OpenRouter as it is today, but for LFM-3B, which is there for those who tell it of tools by prompt."""
    is_prompted = request.body["model"] == "liquid/lfm-3b" and "<tools>" in str(request.body["messages"])
    return prompted_model(request) if is_prompted else openrouter_like(request)


@pytest.fixture(scope="module")
def openrouter() -> Iterator[ScriptedOpenRouter]:
    with ScriptedOpenRouter(default=respond, path="/api/v1") as server:
        yield server


@pytest.fixture(scope="module")
def proxy(openrouter: ScriptedOpenRouter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with Proxy(openrouter.base_url, tmp_path_factory.mktemp("proxy")) as proxy:
        yield proxy


@pytest.fixture
def asked(openrouter: ScriptedOpenRouter) -> list:
    """The requests of one test."""
    openrouter.requests.clear()
    return openrouter.requests


def test_models_have_their_names_and_limits_and_ids_are_not_listed_twice(proxy: Proxy):
    listed = {model.id: model.model_dump() for model in proxy.client.models.list()}
    assert set(listed) == {
        "lfm-3b", "lfm-3-1.7b", "lfm-3-1.7b:free", "lfm-2.5-2.6b:free", "lfm-2.5-embedding-350m:free",
    }  # fmt: skip
    assert listed["lfm-3b"]["max_input_tokens"] == 32768
    assert listed["lfm-2.5-2.6b:free"]["max_output_tokens"] == 8192


def test_requests_without_the_key_are_refused(proxy: Proxy, asked: list):
    body = json.dumps({"model": "lfm-3-1.7b", "messages": HELLO}).encode()
    assert proxy.request("POST", "/v1/chat/completions", body, key="")[0] == 401
    assert proxy.request("GET", "/metrics/", key="")[0] == 401
    assert asked == []


def test_chat_has_openrouters_charge_and_id(proxy: Proxy, openrouter: ScriptedOpenRouter, asked: list):
    openrouter.add(completion("Hello!", model="liquid/lfm-3-1.7b", usage=token_usage(9, 5, cost=0.0123)))
    raw = proxy.client.chat.completions.with_raw_response.create(model="lfm-3-1.7b", messages=HELLO)
    reply = raw.parse()
    assert reply.choices[0].message.content == "Hello!"
    assert reply.id.startswith("gen-")
    assert asked[0].body["model"] == "liquid/lfm-3-1.7b"
    assert float(raw.headers["x-litellm-response-cost"]) == reply.usage.model_dump()["cost"] == 0.0123


def test_openrouters_ids_lead_to_the_same_models(proxy: Proxy, asked: list):
    proxy.client.chat.completions.create(model="liquid/lfm-3-1.7b", messages=HELLO)
    assert asked[0].body["model"] == "liquid/lfm-3-1.7b"


def test_stream_has_its_text_and_usage(proxy: Proxy):
    usage = {"include_usage": True}
    chunks = list(
        proxy.client.chat.completions.create(model="lfm-3-1.7b", messages=HELLO, stream=True, stream_options=usage)
    )
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert text == "Thank you for your message: Hello"
    assert [chunk.usage.total_tokens for chunk in chunks if chunk.usage] == [15]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", MODELS)
def test_tools_are_called_in_chat(proxy: Proxy, model: str, stream: bool):
    reply = proxy.client.chat.completions.create(model=model, messages=QUESTION, tools=[ADD], stream=stream)
    if stream:
        calls = [call.function for chunk in reply for call in chunk.choices[0].delta.tool_calls or []]
    else:
        calls = [call.function for call in reply.choices[0].message.tool_calls]
    assert calls[0].name == "add"
    assert json.loads("".join(call.arguments or "" for call in calls)) == {"a": 1, "b": 2}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", MODELS)
def test_tools_are_called_in_responses(proxy: Proxy, model: str, stream: bool):
    tool = {"type": "function", **ADD["function"]}
    reply = proxy.client.responses.create(model=model, input=QUESTION[0]["content"], tools=[tool], stream=stream)
    if stream:
        reply = [event for event in reply if event.type == "response.completed"][0].response  # noqa: RUF015
    (call,) = [item for item in reply.output if item.type == "function_call"]
    assert (call.name, json.loads(call.arguments)) == ("add", {"a": 1, "b": 2})
    assert reply.usage.output_tokens > 0


@pytest.mark.parametrize("model", MODELS)
def test_tools_are_called_in_messages(proxy: Proxy, model: str):
    tool = {"name": "add", "description": "Add two numbers.", "input_schema": ADD["function"]["parameters"]}
    body = {"model": model, "max_tokens": 100, "messages": QUESTION, "tools": [tool]}
    status, text = proxy.request("POST", "/v1/messages", json.dumps(body).encode())
    reply = json.loads(text)
    assert status == 200
    (call,) = [block for block in reply["content"] if block["type"] == "tool_use"]
    assert (call["name"], call["input"], reply["stop_reason"]) == ("add", {"a": 1, "b": 2}, "tool_use")


def test_messages_are_streamed(proxy: Proxy):
    body = {"model": "lfm-3-1.7b", "max_tokens": 100, "messages": HELLO, "stream": True}
    status, text = proxy.request("POST", "/v1/messages", json.dumps(body).encode())
    events = [json.loads(line.removeprefix("data:")) for line in text.splitlines() if line.startswith("data:")]
    pieces = [event["delta"].get("text", "") for event in events if event["type"] == "content_block_delta"]
    assert (status, "".join(pieces)) == (200, "Thank you for your message: Hello")
    assert events[-1]["type"] == "message_stop"


def test_embeddings_come_though_openais_sdk_asks_for_base64(proxy: Proxy, asked: list):
    texts = ["Oslo is in Norway.", "Lyon is in France."]
    response = proxy.client.embeddings.create(model="lfm-2.5-embedding-350m:free", input=texts)
    assert [len(item.embedding) for item in response.data] == [1024, 1024]
    assert response.usage.prompt_tokens == 10
    proxy.client.embeddings.create(
        model="liquid/lfm-2.5-embedding-350m:free", input="Where is Lyon?", extra_body={"input_type": "query"}
    )
    assert [request.body["input"] for request in asked] == [
        ["document: Oslo is in Norway.", "document: Lyon is in France."], ["query: Where is Lyon?"],
    ]  # fmt: skip


def test_retired_model_is_answered_by_its_successor(proxy: Proxy, asked: list):
    raw = proxy.client.chat.completions.with_raw_response.create(model="lfm-3b", messages=HELLO)
    assert raw.parse().choices[0].message.content == "Thank you for your message: Hello"
    assert raw.headers["x-litellm-model-id"] == "lfm-3-1.7b"
    assert asked[-1].body["model"] == "liquid/lfm-3-1.7b"


def test_prompt_that_is_too_long_goes_to_a_model_with_a_larger_context(proxy: Proxy, asked: list):
    long = [{"role": "user", "content": "word " * 80_000}]
    raw = proxy.client.chat.completions.with_raw_response.create(model="lfm-2.5-2.6b:free", messages=long)
    assert raw.headers["x-litellm-model-id"] == "lfm-3-1.7b:free"
    assert asked[-1].body["model"] == "liquid/lfm-3-1.7b:free"


def test_client_may_ask_for_the_error(proxy: Proxy, openrouter: ScriptedOpenRouter):
    from openai import APIStatusError

    openrouter.add(error(402, "Insufficient credits"))
    with pytest.raises(APIStatusError, match="Insufficient credits") as caught:
        proxy.client.chat.completions.create(model="lfm-3-1.7b", messages=HELLO, extra_body={"disable_fallbacks": True})
    assert caught.value.status_code == 402


def test_unsupported_parameters_are_dropped(proxy: Proxy, asked: list):
    proxy.client.chat.completions.create(model="lfm-3-1.7b", messages=HELLO, logit_bias={"1": 5}, temperature=0.5)
    assert asked[0].body["temperature"] == 0.5


def test_free_models_take_20_requests_a_minute(proxy: Proxy, asked: list):
    """LiteLLM counts by the minute of the clock, so that 21 may fit into two of them, and 42 do not."""
    body = json.dumps({"model": "lfm-3-1.7b:free", "messages": HELLO, "disable_fallbacks": True}).encode()
    replies = []
    while len(replies) < 42 and (not replies or replies[-1][0] == 200):
        replies.append(proxy.request("POST", "/v1/chat/completions", body))
    assert replies[-1][0] == 429
    assert "RPM limit=20" in replies[-1][1]
    assert 0 < len(asked) == len(replies) - 1


@pytest.mark.parametrize("streamed", [False, True])
def test_budget_counts_what_openrouter_charged(tmp_path: Path, streamed: bool):
    """Once it is spent a free model answers, or nobody where the client wants no other."""
    usage = token_usage(9, 5, cost=0.5)  # hundred thousand times the table's price
    charge = stream("Hello!", usage=usage) if streamed else completion("Hello!", usage=usage)
    with (
        ScriptedOpenRouter(default=lambda _: charge, path="/api/v1") as openrouter,
        Proxy(openrouter.base_url, tmp_path, ("--budget-usd", "1")) as proxy,
    ):
        answered_by = []
        # LiteLLM counts an answer a moment after it was given, so that some go beyond the budget.
        while answered_by[-1:] != ["lfm-3-1.7b:free"] and len(answered_by) < 20:
            _, _, headers = proxy.ask(model="lfm-3-1.7b", stream=streamed, disable_fallbacks=False)
            answered_by.append(headers["x-litellm-model-id"])
        assert answered_by[0] == "lfm-3-1.7b"
        assert answered_by[-1] == "lfm-3-1.7b:free"
        status, text, _ = proxy.ask(model="lfm-3-1.7b")
        assert status == 429
        assert "budget" in text


def test_limit_is_told_at_once_and_when_to_try_again(openrouter: ScriptedOpenRouter, tmp_path: Path):
    with Proxy(openrouter.base_url, tmp_path, ("--rpm", "2")) as proxy:
        replies = [proxy.ask(model="lfm-3-1.7b") for _ in range(5)]  # two minutes of the clock allow four
        status, text, headers = next(reply for reply in replies if reply[0] != 200)
        assert status == 429
        assert "RPM limit=2" in text
        assert 0 < int(headers["retry-after"]) <= 60
        openrouter.add(error(429, "Slow down", headers={"Retry-After": "7"}))
        asked_before = len(openrouter.requests)
        status, _, headers = proxy.ask(model="lfm-2.5-2.6b:free")
        assert (status, headers["retry-after"], len(openrouter.requests) - asked_before) == (429, "7", 1)


PATHS = {"/v1/chat/completions": {}, "/v1/messages": {"max_tokens": 100}, "/v1/responses": {}}


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("path", PATHS)
def test_prompt_that_is_too_long_is_a_400_and_cools_no_model_down(proxy: Proxy, asked: list, path: str, streamed: bool):
    long = "word " * 300_000
    content = {"input": long} if path == "/v1/responses" else {"messages": [{"role": "user", "content": long}]}
    for _ in range(7):  # more than `allowed_fails`
        status, text, _ = proxy.ask(path=path, model="lfm-3-1.7b", stream=streamed, **content, **PATHS[path])
        assert status == 400, text
    assert asked == []
    assert proxy.ask(model="lfm-3-1.7b")[0] == 200


@pytest.mark.parametrize("path", PATHS)
def test_reasoning_parameters_reach_a_model_that_reasons(proxy: Proxy, asked: list, path: str):
    asks: dict[str, Any] = {
        "/v1/chat/completions": {"reasoning_effort": "low"},
        "/v1/messages": {"thinking": {"type": "enabled", "budget_tokens": 2_000}, "max_tokens": 4_000},
        "/v1/responses": {"reasoning": {"effort": "low"}, "input": "Hello"},
    }[path]
    assert proxy.ask(path=path, model="lfm-3-1.7b", **asks)[0] == 200
    assert {"reasoning", "reasoning_effort"} & asked[0].body.keys()


@pytest.fixture(scope="module")
def trap() -> Iterator[ScriptedOpenRouter]:
    """Whom other providers' addresses lead to, and addresses that a client names."""
    with ScriptedOpenRouter(default=lambda _: completion("Caught."), path="/v1") as server:
        yield server


@pytest.fixture(scope="module")
def trapped(openrouter: ScriptedOpenRouter, trap: ScriptedOpenRouter, tmp_path_factory: pytest.TempPathFactory):
    providers = ("OLLAMA", "OPENAI", "HOSTED_VLLM", "LM_STUDIO", "ANTHROPIC", "XINFERENCE", "LLAMAFILE", "DEEPSEEK")
    variables = {
        f"{name}_{what}": trap.base_url for name in providers for what in ("API_BASE", "BASE_URL", "API_BASE_URL")
    }
    with Proxy(openrouter.base_url, tmp_path_factory.mktemp("trapped"), environment=variables) as proxy:
        yield proxy


PROVIDERS = (
    "ollama", "ollama_chat", "openai", "custom_openai", "text-completion-openai", "hosted_vllm", "lm_studio",
    "anthropic", "xinference", "llamafile", "deepseek", "openrouter",
)  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_no_parameter_of_a_client_takes_the_key_elsewhere(
    trapped: Proxy, trap: ScriptedOpenRouter, openrouter: ScriptedOpenRouter, path: str
):
    url = trap.base_url
    elsewhere: list[dict[str, Any]] = [{"custom_llm_provider": name} for name in PROVIDERS]
    elsewhere += [{"custom_llm_provider": "openai", "api_base": url}, {"custom_llm_provider": "lfm", "api_base": url}]
    elsewhere += [{name: url} for name in ("api_base", "base_url", "azure_endpoint")]
    elsewhere += [{"extra_body": fields} for fields in ({"api_base": url}, {"base_url": url})]
    elsewhere += [{"api_key": "sk-other"}, {"extra_headers": {"Host": "example.com"}}, {"headers": {"Host": "a"}}]
    elsewhere += [{"litellm_params": {"api_base": url}}, {"litellm_credential_name": "x"}]
    elsewhere += [{"user_config": {"model_list": [_deployment(f"{name}/x", url)]}} for name in ("openai", "lfm")]
    elsewhere += [{"model_list": [_deployment("lfm/x", url)]}]
    elsewhere += [
        {
            "fallbacks": [{"model": f"{name}/x", "api_base": url}],
            "disable_fallbacks": False,
            "mock_testing_fallbacks": True,
        }
        for name in ("openai", "ollama", "lfm")
    ]
    for fields in elsewhere:
        content: dict[str, Any] = {"input": "Hello"} if path == "/v1/responses" else {}
        trapped.ask(path=path, model="lfm-3-1.7b", **PATHS[path], **content, **fields)
    assert [request for request in trap.requests if MADE_UP_KEY in str(request.headers)] == []
    assert trapped.ask(model="lfm-3-1.7b")[0] == 200  # and no model rests for it
    assert trap.requests == []


def _deployment(model: str, url: str) -> dict[str, Any]:
    return {"model_name": "lfm-3-1.7b", "litellm_params": {"model": model, "api_base": url}}


@pytest.mark.parametrize(
    "fields",
    [
        {"custom_llm_provider": "ollama"},
        {"fallbacks": [{"model": "ollama/x"}]},
        {"context_window_fallbacks": [{"lfm-3-1.7b": ["ollama/x"]}]},
        {"router_settings_override": {"fallbacks": [{"lfm-3-1.7b": ["ollama/x"]}]}},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_other_ways_than_those_of_the_configuration_are_refused_by_name(proxy: Proxy, asked: list, fields: Any):
    status, text, _ = proxy.ask(model="lfm-3-1.7b", **fields)
    assert status == 400
    assert next(iter(fields)) in text
    assert asked == []


def test_metrics_count_tokens_and_cost_of_each_model(proxy: Proxy):
    proxy.client.chat.completions.create(model="lfm-3-1.7b", messages=HELLO)
    status, text = proxy.request("GET", "/metrics/")
    assert status == 200
    spent = [line for line in text.splitlines() if line.startswith("litellm_spend_metric_total{")]
    assert any("lfm-3-1.7b" in line and float(line.split()[-1]) > 0 for line in spent)


def test_no_key_is_logged(proxy: Proxy):
    assert proxy.key not in proxy.log()
    assert "sk-or-v1-made-up-for-tests" not in proxy.log()


def test_config_can_be_read_by_its_owner_alone(proxy: Proxy):
    config: Path | None = proxy.config
    assert config is not None
    assert config.stat().st_mode & 0o077 == 0
