"""`/v1/chat/completions` of the gateway: what reaches OpenRouter, what comes back, and when."""

from __future__ import annotations

import http.client
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from lfm_adapter.apps.gateway import sse
from lfm_adapter.testing import Break, completion, error, stream, tool_call
from lfm_adapter.testing._wire import midstream_error
from tests.support.gateway_thread import KEY, GatewayThread

if TYPE_CHECKING:
    from lfm_adapter.testing import ScriptedOpenRouter

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def test_reply_has_what_openrouter_sent(gateway: GatewayThread, openrouter: ScriptedOpenRouter):
    openrouter.add(completion("Wet.", reasoning="Hm.", model="liquid/lfm-3-1.7b", openrouter_metadata={"a": 1}))
    answer = gateway.chat()
    choice = answer.body["choices"][0]
    assert choice["message"]["content"] == "Wet."
    assert choice["message"]["reasoning"] == choice["message"]["reasoning_content"] == "Hm."
    assert choice["message"]["reasoning_details"][0]["text"] == "Hm."
    assert (choice["finish_reason"], choice["native_finish_reason"]) == ("stop", "stop")
    assert answer.body["provider"] == "Liquid"
    assert answer.body["usage"]["cost"] == 2.8e-07
    assert answer.body["openrouter_metadata"] == {"a": 1}
    assert answer.headers["X-LFM-Model"] == "liquid/lfm-3-1.7b"


def test_stream_has_the_same_answer_as_the_whole_reply(gateway: GatewayThread, openrouter: ScriptedOpenRouter):
    openrouter.add(stream(["We", "t."], reasoning=["H", "m."], model="liquid/lfm-3-1.7b"))
    answer = gateway.chat(stream=True)
    assert answer.headers["Content-Type"] == "text/event-stream"
    deltas = [event["choices"][0]["delta"] for event in answer.events]
    assert answer.streamed_text == "Wet."
    assert "".join(delta.get("reasoning", "") for delta in deltas) == "Hm."
    assert "".join(delta.get("reasoning_content", "") for delta in deltas) == "Hm."
    assert [delta["reasoning_details"][0]["text"] for delta in deltas if "reasoning_details" in delta] == ["H", "m."]
    last = answer.events[-1]
    assert last["choices"][0]["finish_reason"] == "stop"
    assert (last["provider"], last["usage"]["cost"]) == ("Liquid", 2.8e-07)
    assert all(event["choices"] and "error" not in event for event in answer.events)


def test_fields_go_to_openrouter_as_they_are(gateway: GatewayThread, openrouter: ScriptedOpenRouter):
    fields = {
        "top_k": 0, "dry_multiplier": 0.8, "transforms": [], "stop": [], "seed": None, "logit_bias": {},
        "provider": {"order": ["liquid"]}, "reasoning_effort": "low", "user": "u", "metadata": {"a": "b"},
        "something_new": {"x": None}, "tool_calling": "native",
    }  # fmt: skip
    messages = [
        {"role": "user", "name": "Ada", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]},
        {"role": "assistant", "content": "It is"},
    ]
    openrouter.add(completion())
    assert gateway.chat(messages=messages, **fields).status == 200
    sent = openrouter.requests[0].body
    assert sent == {"model": "liquid/lfm-3-1.7b", "messages": messages, **fields}


@pytest.mark.parametrize("path", ["/chat/completions", "/v1/chat/completions/", "/api/v1/chat/completions"])
def test_other_forms_of_the_address_work(gateway: GatewayThread, openrouter: ScriptedOpenRouter, path: str):
    openrouter.add(completion("Wet."))
    body = {"model": "lfm-3-1.7b", "messages": [{"role": "user", "content": "?"}]}
    assert gateway.request("POST", path, body).status == 200


def test_tools_of_a_model_without_them_go_by_prompt(openrouter: ScriptedOpenRouter):
    openrouter.add(completion('<tool_call>{"name": "weather", "arguments": {"city": "Oslo"}}</tool_call>'))
    other_server = openrouter.base_url.replace("/openrouter.ai", "")
    openrouter._path = "/api/v1"
    with GatewayThread(other_server) as gateway:
        answer = gateway.chat("lfm-3b", tools=[WEATHER])
    choice = answer.body["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["tool_calls"][0]["function"] == {"name": "weather", "arguments": '{"city": "Oslo"}'}
    sent = openrouter.requests[0].body
    assert sent["model"] == "liquid/lfm-3b"
    assert "tools" not in sent
    assert "weather" in json.dumps(sent["messages"])


def test_streamed_calls_have_index_and_id(gateway: GatewayThread, openrouter: ScriptedOpenRouter):
    openrouter.add(stream([], tool_calls=[tool_call("weather", {"city": "Oslo"})]))
    answer = gateway.chat(stream=True, tools=[WEATHER])
    calls = [call for event in answer.events for call in event["choices"][0]["delta"].get("tool_calls", [])]
    assert {call["index"] for call in calls} == {0}
    assert [call["id"] for call in calls if "id" in call] == ["call_1"]
    assert "".join(call["function"]["arguments"] for call in calls) == '{"city":"Oslo"}'
    assert answer.events[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_successor_answers_for_a_retired_model_and_is_named(gateway: GatewayThread, openrouter: ScriptedOpenRouter):
    openrouter.add(completion(model="liquid/lfm-3-1.7b"))
    answer = gateway.chat("lfm-3b")
    assert openrouter.requests[0].body["model"] == "liquid/lfm-3-1.7b"
    assert answer.headers["X-LFM-Retired-Model"] == "liquid/lfm-3b"
    assert answer.body["model"] == "liquid/lfm-3-1.7b"


def test_suffixes_are_passed_on(gateway: GatewayThread, openrouter: ScriptedOpenRouter):
    openrouter.add(completion())
    assert gateway.chat("lfm-3-1.7b:nitro").status == 200
    assert openrouter.requests[0].body["model"] == "liquid/lfm-3-1.7b:nitro"


def test_other_models_need_any_model(gateway: GatewayThread, openrouter: ScriptedOpenRouter):
    refused = gateway.chat("qwen/qwen3")
    assert (refused.status, refused.error["code"]) == (404, "model_not_found")
    assert "--any-model" in refused.error["message"]
    openrouter.add(completion())
    with GatewayThread(openrouter.base_url, any_model=True) as open_gateway:
        assert open_gateway.chat("qwen/qwen3").status == 200
    assert openrouter.requests[0].body["model"] == "qwen/qwen3"


class TestFallbacks:
    def test_a_failing_model_is_replaced(self, gateway: GatewayThread, openrouter: ScriptedOpenRouter):
        openrouter.add(error(503, "Down"), error(503, "Down"), completion("Here.", model="liquid/lfm-3-1.7b:free"))
        answer = gateway.chat(stream=False)
        assert answer.body["choices"][0]["message"]["content"] == "Here."
        assert answer.headers["X-LFM-Model"] == "liquid/lfm-3-1.7b:free"
        assert [request.body["model"] for request in openrouter.requests] == [
            "liquid/lfm-3-1.7b", "liquid/lfm-3-1.7b", "liquid/lfm-3-1.7b:free",
        ]  # fmt: skip

    def test_a_free_model_is_replaced_by_free_ones(self, gateway: GatewayThread, openrouter: ScriptedOpenRouter):
        openrouter.default = lambda _: error(429, "Slow down", headers={"Retry-After": "7"})
        answer = gateway.chat("lfm-3-1.7b:free")
        assert (answer.status, answer.headers["Retry-After"]) == (429, "7")
        asked = [request.body["model"] for request in openrouter.requests]
        assert asked == ["liquid/lfm-3-1.7b:free", "liquid/lfm-2.5-2.6b:free"]

    def test_a_bad_request_is_not_sent_again(self, gateway: GatewayThread, openrouter: ScriptedOpenRouter):
        openrouter.add(error(400, "Expected temperature to be at most 2"))
        answer = gateway.chat(temperature=5)
        assert (answer.status, answer.error["type"]) == (400, "invalid_request_error")
        assert answer.error["message"] == "Expected temperature to be at most 2."

    def test_a_prompt_that_is_too_long_goes_to_a_larger_context(
        self, gateway: GatewayThread, openrouter: ScriptedOpenRouter
    ):
        openrouter.add(completion("Read."))
        answer = gateway.chat("lfm-2.5-2.6b:free", messages=[{"role": "user", "content": "word " * 70_000}])
        assert answer.headers["X-LFM-Model"] == "liquid/lfm-3-1.7b:free"

    def test_clients_may_ask_for_the_error(self, gateway: GatewayThread, openrouter: ScriptedOpenRouter):
        openrouter.add(error(404, "No endpoints found for liquid/lfm-3-1.7b."))
        assert gateway.chat(disable_fallbacks=True).status == 404
        assert "disable_fallbacks" not in openrouter.requests[0].body


class TestErrors:
    def test_errors_have_openais_form_and_no_python(self, gateway: GatewayThread, openrouter: ScriptedOpenRouter):
        openrouter.add(error(401, "User not found."))
        answer = gateway.chat()
        assert (answer.status, answer.error["type"]) == (401, "authentication_error")
        assert "OPENROUTER_API_KEY" in answer.error["message"]
        assert "api_key`" not in answer.text

    def test_errors_of_invalid_output_speak_to_no_program(self, gateway: GatewayThread, openrouter: ScriptedOpenRouter):
        openrouter.add(completion("Wet."), completion("Wet."))
        answer = gateway.chat(response_format={"type": "json_object"})
        assert (answer.status, answer.error["code"]) == (502, "invalid_output")
        assert "`" not in answer.error["message"]

    def test_a_prompt_that_fits_nowhere_is_400(self, gateway: GatewayThread):
        answer = gateway.chat(messages=[{"role": "user", "content": "word " * 270_000}])
        assert (answer.status, answer.error["code"]) == (400, "context_length_exceeded")
        assert "prompt is too long" in answer.error["message"]

    @pytest.mark.parametrize(
        ("body", "told"),
        [
            (b"{", "not valid JSON"),
            (b'{"seed": ' + b"9" * 5_000 + b"}", "not valid JSON: an integer has thousands of digits"),
            (b"[]", "must be a JSON object"),
            (b"{}", "`messages` must be a list"),
            (b'{"messages": ["hi"]}', "`messages` must be a list"),
            (b'{"messages": [{"role": "user", "content": "?"}], "model": 5}', "`model` must be a string"),
        ],
    )
    def test_malformed_requests_are_400(self, gateway: GatewayThread, body: bytes, told: str):
        answer = gateway.request("POST", "/v1/chat/completions", body)
        assert answer.status == 400
        assert told in answer.error["message"]

    def test_error_before_the_first_event_of_a_stream_has_its_status(
        self, gateway: GatewayThread, openrouter: ScriptedOpenRouter
    ):
        openrouter.add(error(402, "Insufficient credits"), *[error(402, "Insufficient credits")] * 2)
        assert gateway.chat(stream=True).status == 402

    def test_error_within_a_stream_is_an_event_and_ends_the_stream(
        self, gateway: GatewayThread, openrouter: ScriptedOpenRouter
    ):
        openrouter.add(midstream_error(["We"], 502, "Provider disconnected"))
        answer = gateway.chat(stream=True)
        assert answer.streamed_text == "We"
        assert answer.events[-1]["error"]["message"].startswith("Provider disconnected")
        assert answer.events[-1]["choices"][0]["finish_reason"] == "error"

    def test_no_answer_in_time_is_504(self, openrouter: ScriptedOpenRouter):
        openrouter.add(completion().held(0, threading.Event()), stream().held(0, threading.Event()))
        with GatewayThread(openrouter.base_url, wait_s=0.3) as gateway:
            assert gateway.chat().status == 504
            assert gateway.chat(stream=True).status == 504

    def test_a_client_may_wait_longer(self, openrouter: ScriptedOpenRouter):
        openrouter.add(completion("Late.").held(0, 0.6))
        with GatewayThread(openrouter.base_url, wait_s=0.2) as gateway:
            assert gateway.chat(headers={"X-Stainless-Read-Timeout": "600"}).status == 200


class TestPace:
    def test_headers_come_before_the_answer_and_comments_until_then(
        self, gateway: GatewayThread, openrouter: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(sse, "HEADERS_AFTER_S", 0.05)
        monkeypatch.setattr(sse, "KEEP_ALIVE_S", 0.05)
        released = threading.Event()
        openrouter.add(stream("Late.").held(0, released))
        connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
        body = {"model": "lfm-3-1.7b", "stream": True, "messages": [{"role": "user", "content": "?"}]}
        connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Authorization": f"Bearer {KEY}"})
        reply = connection.getresponse()
        assert reply.status == 200
        assert reply.readline() == b": keep-alive\n"
        released.set()
        assert b"Late." in reply.read()
        connection.close()

    def test_each_chunk_comes_when_it_is_there(self, gateway: GatewayThread, openrouter: ScriptedOpenRouter):
        released = threading.Event()
        openrouter.add(stream(["One", "Two"], comments=0).held(1, released))
        connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
        body = {"model": "lfm-3-1.7b", "stream": True, "messages": [{"role": "user", "content": "?"}]}
        connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Authorization": f"Bearer {KEY}"})
        reply = connection.getresponse()
        assert b"One" in reply.readline()
        released.set()
        assert b"Two" in reply.read()
        connection.close()


@pytest.mark.parametrize(("streams", "begun"), [(False, False), (True, False), (True, True)])
def test_hang_up_ends_the_request_upstream(
    gateway: GatewayThread, openrouter: ScriptedOpenRouter, streams: bool, begun: bool
):
    reply: Any = stream(["One", "Two"], comments=0) if streams else completion()
    openrouter.add(reply.broken(1 if begun else 0, Break.SILENCE))
    body = {"model": "lfm-3-1.7b", "stream": streams, "messages": [{"role": "user", "content": "?"}]}
    with gateway.begin("POST", "/v1/chat/completions", body) as connection:
        openrouter.wait_for_requests(1)
        if begun:
            assert connection.recv(1)
    assert openrouter.requests[0].abandoned.wait(30)


class TestAttribution:
    def test_a_clients_own_app_is_credited(self, gateway: GatewayThread, openrouter: ScriptedOpenRouter):
        openrouter.add(completion())
        gateway.chat(headers={"HTTP-Referer": "https://art-from-the-machine.github.io", "X-Title": "Mantella"})
        sent = openrouter.requests[0].headers
        assert (sent["http-referer"], sent["x-title"]) == ("https://art-from-the-machine.github.io", "Mantella")

    def test_the_gateways_where_a_client_has_none(
        self, openrouter: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setenv("OPENROUTER_APP_URL", "https://example.com")
        monkeypatch.setenv("OPENROUTER_APP_TITLE", "My gateway")
        openrouter.add(completion(), completion())
        with GatewayThread(openrouter.base_url) as gateway:
            gateway.chat(headers={"X-Title": "", "HTTP-Referer": " "})
            gateway.chat(headers={"X-OpenRouter-Title": "Other", "HTTP-Referer": "https://other.example"})
        first, second = (request.headers for request in openrouter.requests)
        assert (first["http-referer"], first["x-title"]) == ("https://example.com", "My gateway")
        assert (second["http-referer"], second["x-openrouter-title"]) == ("https://other.example", "Other")
        assert "x-title" not in second


def test_nothing_that_a_client_sends_moves_the_key(gateway: GatewayThread, openrouter: ScriptedOpenRouter):
    """LiteLLM's Proxy sent OpenRouter's key to `custom_llm_provider`."""
    openrouter.add(completion())
    elsewhere = {"api_base": "http://127.0.0.1:9", "base_url": "http://127.0.0.1:9", "custom_llm_provider": "ollama"}
    answer = gateway.chat(api_key="sk-mine-0123456789", **elsewhere, headers={"X-Provider-API-Keys": "{}"})
    assert answer.status == 200
    sent = openrouter.requests[0]
    assert sent.headers["authorization"] == "Bearer sk-or-v1-made-up-for-tests"
    assert "x-provider-api-keys" not in sent.headers
