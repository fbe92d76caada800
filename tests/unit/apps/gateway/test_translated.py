"""`/v1/messages` and `/v1/responses`, which LiteLLM's SDK translates in the gateway's process."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from lfm_adapter.testing import Break, completion, error, stream, token_usage, tool_call
from lfm_adapter.testing._wire import midstream_error

if TYPE_CHECKING:
    from lfm_adapter.testing import ScriptedOpenRouter
    from tests.support.gateway_thread import Answer, GatewayThread

needs_litellm = pytest.mark.usefixtures("litellm")
pytestmark = [
    pytest.mark.filterwarnings("ignore:Items? '.*' on TypedDict class:UserWarning"),
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning"),
]

MODEL = "lfm-3-1.7b"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = {"name": "weather", "description": "Tell the weather."}
HELLO = {"model": MODEL, "max_tokens": 100, "messages": [{"role": "user", "content": "Hello"}]}
ASKED = {"model": MODEL, "input": "Hello"}


@pytest.fixture
def litellm() -> None:
    pytest.importorskip("litellm", reason="needs the extra `litellm`")


def events(answer: Answer) -> list[Any]:
    assert answer.status == 200, answer.text
    return [json.loads(line[5:]) for line in answer.text.splitlines() if line.startswith("data:")]


@needs_litellm
class TestMessages:
    def test_answer_and_usage(self, gateway: GatewayThread, openrouter: ScriptedOpenRouter):
        openrouter.add(completion("Hi.", reasoning="Hm.", usage=token_usage(18, 12)))
        answer = gateway.request("POST", "/v1/messages", HELLO | {"system": "Be brief."})
        assert answer.status == 200, answer.text
        assert [block["type"] for block in answer.body["content"]] == ["thinking", "text"]
        assert answer.body["content"][1]["text"] == "Hi."
        assert (answer.body["usage"]["input_tokens"], answer.body["usage"]["output_tokens"]) == (18, 12)
        assert answer.headers["X-LFM-Model"] == "liquid/lfm-3-1.7b"
        assert openrouter.requests[0].body["messages"][0] == {"role": "system", "content": "Be brief."}

    def test_stream_with_a_call(self, gateway: GatewayThread, openrouter: ScriptedOpenRouter):
        openrouter.add(stream(["Let me."], reasoning=["Rain?"], tool_calls=[tool_call("weather", {"city": "Oslo"})]))
        body = HELLO | {"stream": True, "tools": [WEATHER | {"input_schema": SCHEMA}]}
        told = events(gateway.request("POST", "/v1/messages?beta=true", body))
        blocks = [event["content_block"]["type"] for event in told if event["type"] == "content_block_start"]
        assert blocks == ["thinking", "text", "tool_use"]
        assert told[-1]["type"] == "message_stop"

    def test_errors_have_anthropics_form_and_the_status_of_openrouter(
        self, gateway: GatewayThread, openrouter: ScriptedOpenRouter
    ):
        openrouter.add(error(400, "Bad temperature"), error(400, "Bad temperature"))
        for streams in (False, True):
            answer = gateway.request("POST", "/v1/messages", HELLO | {"stream": streams})
            assert answer.status == 400
            assert answer.body["type"] == "error"
            assert answer.error == {"type": "invalid_request_error", "message": "Bad temperature."}

    def test_wrong_key_has_anthropics_form(self, gateway: GatewayThread):
        answer = gateway.request("POST", "/v1/messages", HELLO, key="wrong")
        assert (answer.status, answer.error["type"]) == (401, "authentication_error")

    def test_error_in_the_middle_is_an_event(self, gateway: GatewayThread, openrouter: ScriptedOpenRouter):
        openrouter.add(midstream_error(["Hel"], 502, "Provider disconnected"))
        told = events(gateway.request("POST", "/v1/messages", HELLO | {"stream": True}))
        assert told[-1]["type"] == "error"
        assert told[-1]["error"]["message"].startswith("Provider disconnected")

    def test_prompt_that_is_too_long_is_400_in_words_that_claude_code_knows(self, gateway: GatewayThread):
        messages = [{"role": "user", "content": "word " * 270_000}]
        answer = gateway.request("POST", "/v1/messages", HELLO | {"messages": messages})
        assert answer.status == 400
        assert "prompt is too long" in answer.error["message"]

    def test_tokens_are_counted(self, gateway: GatewayThread):
        answer = gateway.request("POST", "/v1/messages/count_tokens", HELLO)
        assert 1 <= answer.body["input_tokens"] < 50

    def test_nothing_in_a_request_names_another_provider(self, gateway: GatewayThread, openrouter: ScriptedOpenRouter):
        openrouter.add(completion())
        elsewhere = {
            "custom_llm_provider": "ollama",
            "api_base": "http://127.0.0.1:9",
            "base_url": "http://127.0.0.1:9",
        }
        assert gateway.request("POST", "/v1/messages", HELLO | elsewhere).status == 200
        assert openrouter.requests[0].headers["authorization"] == "Bearer sk-or-v1-made-up-for-tests"

    def test_fallbacks_and_attribution_are_those_of_chat(self, gateway: GatewayThread, openrouter: ScriptedOpenRouter):
        openrouter.add(error(404, "No endpoints found."), completion("Hi."))
        answer = gateway.request("POST", "/v1/messages", HELLO, headers={"X-Title": "Claude"})
        assert answer.headers["X-LFM-Model"] == "liquid/lfm-3-1.7b:free"
        assert openrouter.requests[1].headers["x-title"] == "Claude"


@needs_litellm
class TestResponses:
    def test_answer(self, gateway: GatewayThread, openrouter: ScriptedOpenRouter):
        openrouter.add(completion("Hi.", usage=token_usage(18, 12)))
        answer = gateway.request("POST", "/v1/responses", ASKED)
        assert answer.body["output"][-1]["content"][0]["text"] == "Hi."
        assert answer.body["usage"]["output_tokens"] == 12

    def test_stream_with_a_call(self, gateway: GatewayThread, openrouter: ScriptedOpenRouter):
        openrouter.add(stream([], tool_calls=[tool_call("weather", {"city": "Oslo"})]))
        tool = {"type": "function", **WEATHER, "parameters": SCHEMA}
        told = events(gateway.request("POST", "/v1/responses", ASKED | {"stream": True, "tools": [tool]}))
        assert told[0]["type"] == "response.created"
        assert told[-1]["type"] == "response.completed"
        (call,) = [item for item in told[-1]["response"]["output"] if item["type"] == "function_call"]
        assert (call["name"], json.loads(call["arguments"])) == ("weather", {"city": "Oslo"})

    def test_errors_have_the_status_of_openrouter(self, gateway: GatewayThread, openrouter: ScriptedOpenRouter):
        openrouter.add(error(400, "Bad temperature"))
        answer = gateway.request("POST", "/v1/responses", ASKED)
        assert (answer.status, answer.error["message"]) == (400, "Bad temperature.")

    def test_error_in_the_middle_ends_as_failed(self, gateway: GatewayThread, openrouter: ScriptedOpenRouter):
        openrouter.add(midstream_error(["Hel"], 502, "Provider disconnected"))
        told = events(gateway.request("POST", "/v1/responses", ASKED | {"stream": True}))
        assert [event["type"] for event in told[-2:]] == ["error", "response.failed"]

    @pytest.mark.parametrize(
        "more",
        [
            {"previous_response_id": "resp_1"},
            {"conversation": "conv_1"},
            {"prompt": {"id": "pmpt_1"}},
            {"background": True},
            {"tools": [{"type": "mcp"}]},
        ],
    )
    def test_what_needs_a_server_with_a_memory_is_refused(self, gateway: GatewayThread, more: dict[str, Any]):
        assert gateway.request("POST", "/v1/responses", ASKED | more).status == 400


@needs_litellm
@pytest.mark.parametrize(("path", "body"), [("/v1/messages", HELLO), ("/v1/responses", ASKED)])
@pytest.mark.parametrize("streams", [False, True])
def test_hang_up_ends_the_request_upstream(
    gateway: GatewayThread, openrouter: ScriptedOpenRouter, path: str, body: dict[str, Any], streams: bool
):
    openrouter.add(stream(["One", "Two"]).broken(0, Break.SILENCE))
    with gateway.begin("POST", path, body | {"stream": streams}):
        openrouter.wait_for_requests(1)
    assert openrouter.requests[0].abandoned.wait(30)


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/responses"])
def test_without_litellm_it_is_501_with_the_command(gateway: GatewayThread, monkeypatch: pytest.MonkeyPatch, path: str):
    monkeypatch.setitem(sys.modules, "litellm", None)
    answer = gateway.request("POST", path, HELLO | ASKED)
    assert answer.status == 501
    assert 'pip install "lfm-adapter[litellm]"' in answer.error["message"]


@needs_litellm
@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize(("path", "body"), [("/v1/messages", HELLO), ("/v1/responses", ASKED)])
def test_reply_names_the_model_that_answered(
    gateway: GatewayThread, openrouter: ScriptedOpenRouter, path: str, body: dict[str, Any], streams: bool
):
    openrouter.add(stream(["Hi."]) if streams else completion("Hi."))
    answer = gateway.request("POST", path, body | {"model": "lfm-3b", "stream": streams})
    told = events(answer) if streams else [answer.body]
    names = {event[key]["model"] for event in told for key in ("message", "response") if key in event}
    assert (names or {answer.body["model"]}) == {"liquid/lfm-3-1.7b"}
    assert answer.headers["X-LFM-Retired-Model"] == "liquid/lfm-3b"


@needs_litellm
@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/v1/messages", {"messages": None}),
        ("/v1/messages", {"messages": 1}),
        ("/v1/messages", {"messages": ["a"]}),
        ("/v1/messages", {"tools": True}),
        ("/v1/messages", {"tool_choice": 1}),
        ("/v1/messages", {"thinking": "on"}),
        ("/v1/messages", {"metadata": 1}),
        ("/v1/messages", {"model": 1}),
        ("/v1/responses", {"input": None}),
        ("/v1/responses", {"input": [1]}),
        ("/v1/responses", {"tools": 1}),
        ("/v1/responses", {"tools": ["a"]}),
        ("/v1/responses", {"text": True}),
        ("/v1/responses", {"reasoning": "high"}),
        ("/v1/responses", {"metadata": []}),
        ("/v1/responses", {"instructions": 1.5}),
        ("/v1/responses", {"model": ["a"]}),
        ("/v1/messages", {"system": 5}),
        ("/v1/messages", {"stop_sequences": "END"}),
        ("/v1/messages", {"temperature": "hot"}),
        ("/v1/messages", {"top_k": [40]}),
        ("/v1/responses", {"temperature": "hot"}),
        ("/v1/responses", {"top_p": True}),
        ("/v1/responses", {"user": 5}),
        ("/v1/responses", {"truncation": {}}),
        ("/v1/responses", {"service_tier": 5}),
    ],
)
def test_field_of_a_wrong_type_is_400_and_nothing_is_sent(
    gateway: GatewayThread, openrouter: ScriptedOpenRouter, path: str, fields: dict[str, Any], streams: bool
):
    body = (HELLO if path == "/v1/messages" else ASKED) | fields | {"stream": streams}
    answer = gateway.request("POST", path, body)
    assert (answer.status, answer.error["type"]) == (400, "invalid_request_error"), answer.text
    assert openrouter.requests == []
