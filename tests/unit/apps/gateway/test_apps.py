"""What apps send, byte by byte, and what each of them needs in the answer.

Their requests and readers as of Mantella c0c1ae6, CHIM 99dd11d and a165174, OpenCharacter ff1dd8c and Roo Code 3.52.1,
with words of our own.
"""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

import pytest

from lfm_adapter.apps.gateway.access import Access
from lfm_adapter.testing import completion, error, stream, tool_call
from lfm_adapter.testing._wire import midstream_error
from tests.support.gateway_thread import KEY, GatewayThread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lfm_adapter.testing import ScriptedOpenRouter, ScriptedReply


@pytest.fixture
def open_gateway(openrouter: ScriptedOpenRouter) -> Iterator[GatewayThread]:
    with GatewayThread(openrouter.base_url, access=Access(KEY, "it is in this test", is_open=True)) as gateway:
        yield gateway


def send(gateway: GatewayThread, head: str, body: dict[str, Any]) -> tuple[str, str]:
    """Send bytes as they are; return the head and the body of the answer, without the frames of its chunks."""
    content = json.dumps(body).encode()
    lines = head.strip().replace("PORT", str(gateway.port)).replace("KEY", KEY).replace("LENGTH", str(len(content)))
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=30) as connection:
        connection.sendall(lines.replace("\n", "\r\n").encode() + b"\r\n\r\n" + content)
        received = b""
        while piece := connection.recv(65_536):
            received += piece
    answer, _, rest = received.partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" in answer.lower():
        joined = b""
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            joined, rest = joined + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
        rest = joined
    return answer.decode(), rest.decode()


def data_lines(text: str) -> list[str]:
    return [line for line in text.split("\n") if line.strip()]


class TestMantella:
    """OpenAI's SDK for Python, with the key `abc123` for every address on this machine."""

    HEAD = """
POST /v1/chat/completions HTTP/1.1
Host: 127.0.0.1:PORT
Accept-Encoding: gzip, deflate
Connection: close
Accept: application/json
Content-Type: application/json
User-Agent: AsyncOpenAI/Python 1.91.0
X-Stainless-Lang: python
X-Stainless-Async: async:asyncio
Authorization: Bearer abc123
HTTP-Referer: https://art-from-the-machine.github.io/Mantella/
X-Title: Mantella
X-Stainless-Read-Timeout: 600
Content-Length: LENGTH
"""
    BODY = {  # noqa: RUF012
        "model": "liquid/lfm-3b",
        "messages": [
            {"role": "system", "content": "You are Lydia, a housecarl."},
            {"role": "user", "name": "Dragonborn", "content": "*The player walks up* Hello."},
        ],
        "stream": True,
        "max_tokens": 250,
        "temperature": 1.0,
        "stop": ["#"],
    }

    def test_gets_a_stream_and_is_credited(self, open_gateway: GatewayThread, openrouter: ScriptedOpenRouter):
        openrouter.add(stream(["I am sworn ", "to you."]))
        head, text = send(open_gateway, self.HEAD, self.BODY)
        assert head.startswith("HTTP/1.1 200 ")
        events = [json.loads(line.removeprefix("data: ")) for line in data_lines(text)[:-1]]
        assert "".join(event["choices"][0]["delta"].get("content") or "" for event in events) == "I am sworn to you."
        sent = openrouter.requests[0]
        assert (sent.headers["x-title"], sent.body["stop"]) == ("Mantella", ["#"])
        assert sent.body["messages"][1]["name"] == "Dragonborn"
        assert "abc123" not in json.dumps(sent.headers)

    def test_mantella_gets_the_reason_from_a_gateway_that_is_not_open(self, gateway: GatewayThread):
        head, text = send(gateway, self.HEAD, self.BODY)
        assert head.startswith("HTTP/1.1 401 ")
        assert json.loads(text)["error"]["type"] == "authentication_error"


class TestCHIM:
    """PHP's `fopen` on the whole address, whose protocol may be HTTP/1.0."""

    HEAD = """
POST /v1/chat/completions HTTP/{version}
Host: 127.0.0.1:PORT
Connection: close
Content-Type: application/json
Authorization: Bearer KEY
HTTP-Referer: https://www.nexusmods.com/skyrimspecialedition/mods/126330
X-Title: CHIM
Content-Length: LENGTH
"""
    MESSAGES = [  # noqa: RUF012
        {"role": "system", "content": "Answer in JSON."},
        {"role": "user", "content": "Who goes there?"},
        {"role": "assistant", "content": '{"character":'},
    ]
    OPENROUTERJSON = {  # noqa: RUF012
        "model": "lfm-3-1.7b", "messages": MESSAGES, "stream": True, "max_tokens": 200, "temperature": 0.9, "top_k": 0,
        "top_p": 1, "min_p": 0.1, "top_a": 0, "repetition_penalty": 1.1, "stop": ["USER"], "transforms": [],
        "provider": {}, "models": [], "plugins": [], "usage": {"include": True},
    }  # fmt: skip
    OPENAIJSON = {  # noqa: RUF012
        "model": "lfm-3-1.7b", "messages": MESSAGES, "stream": True, "max_completion_tokens": 200,
        "presence_penalty": 0, "frequency_penalty": 0.2, "response_format": {"type": "json_object"},
        "reasoning_effort": "low", "chat_format": "chatml", "reasoning_format": "none",
    }  # fmt: skip

    @pytest.mark.parametrize("version", ["1.0", "1.1"])
    @pytest.mark.parametrize("body", [OPENROUTERJSON, OPENAIJSON], ids=["openrouterjson", "openaijson"])
    def test_reads_every_line(
        self, gateway: GatewayThread, openrouter: ScriptedOpenRouter, version: str, body: dict[str, Any]
    ):
        openrouter.add(stream(['{"character":', '"Lydia"}'], reasoning=["Hm."]))
        head, text = send(gateway, self.HEAD.format(version=version), body)
        assert " 200 " in head.splitlines()[0]
        assert "{" in text[:64]
        said = ""
        for line in data_lines(text):
            assert line.startswith("data: ")
            assert '"error"' not in line
            if line != "data: [DONE]":
                said += json.loads(line[6:])["choices"][0]["delta"].get("content") or ""
        assert json.loads(said) == {"character": "Lydia"}
        sent = openrouter.requests[0].body
        assert sent["messages"][-1] == body["messages"][-1]

    def test_fields_reach_openrouter_as_they_are(self, gateway: GatewayThread, openrouter: ScriptedOpenRouter):
        openrouter.add(stream())
        send(gateway, self.HEAD.format(version="1.1"), self.OPENROUTERJSON)
        assert openrouter.requests[0].body == self.OPENROUTERJSON | {"model": "liquid/lfm-3-1.7b"}

    def test_quick_start_is_not_streamed(self, gateway: GatewayThread, openrouter: ScriptedOpenRouter):
        openrouter.add(completion("Ready."))
        body = {"model": "lfm-3-1.7b", "messages": [{"role": "user", "content": "Say ready."}], "max_tokens": 20}
        head, text = send(gateway, self.HEAD.format(version="1.0"), body)
        assert "content-length" in head.lower()
        assert json.loads(text)["choices"][0]["message"]["content"] == "Ready."


class TestOpenCharacter:
    """`fetch` on its server, on the whole address that the user gave."""

    HEAD = """
POST /v1/chat/completions HTTP/1.1
host: 127.0.0.1:PORT
connection: close
Content-Type: application/json
Authorization: Bearer KEY
accept: */*
accept-language: *
sec-fetch-mode: cors
user-agent: node
accept-encoding: gzip, deflate
content-length: LENGTH
"""

    @pytest.mark.parametrize(
        ("reply", "said"),
        [
            (stream(["Well ", "met."]), "Well met."),
            (midstream_error(["Well "], 502, "Provider disconnected"), "Well "),
        ],
    )
    def test_skips_what_it_cannot_use(
        self, gateway: GatewayThread, openrouter: ScriptedOpenRouter, reply: ScriptedReply, said: str
    ):
        openrouter.add(reply)
        body = {
            "model": "liquid/lfm-3-1.7b", "messages": [{"role": "user", "content": "Hello."}], "stream": True,
            "temperature": 0.7, "top_p": 1, "top_k": 0,
        }  # fmt: skip
        _, text = send(gateway, self.HEAD, body)
        lines = data_lines(text)
        events = [json.loads(line[6:]) for line in lines[:-1]]
        assert lines[-1] == "data: [DONE]"
        assert "".join(event["choices"][0]["delta"].get("content") or "" for event in events) == said
        assert openrouter.requests[0].body["top_k"] == 0

    def test_address_without_its_end_is_explained(self, gateway: GatewayThread):
        head, text = send(gateway, self.HEAD.replace("/v1/chat/completions", "/v1"), {})
        assert " 404 " in head.splitlines()[0]
        assert "/v1/chat/completions" in json.loads(text)["error"]["message"]


class TestRooCode:
    """OpenAI's SDK for JavaScript: as "OpenAI Compatible" with /v1, as "LiteLLM" without."""

    HEAD = """
POST {path}/chat/completions HTTP/1.1
Host: 127.0.0.1:PORT
Connection: close
Accept: application/json
Content-Type: application/json
User-Agent: RooCode/3.52.1
HTTP-Referer: https://github.com/RooVetGit/Roo-Cline
X-Title: Roo Code
X-Stainless-Retry-Count: 0
X-Stainless-Timeout: 600
Authorization: Bearer KEY
Content-Length: LENGTH
"""
    TOOL = {  # noqa: RUF012
        "type": "function",
        "function": {
            "name": "read_file",
            "description": "Read a file.",
            "strict": True,
            "parameters": {
                "type": "object",
                "properties": {"path": {"type": "string"}},
                "required": ["path"],
                "additionalProperties": False,
            },
        },
    }
    BODY = {  # noqa: RUF012
        "model": "lfm-3-1.7b", "temperature": 0, "stream": True, "stream_options": {"include_usage": True},
        "messages": [{"role": "system", "content": "You are Roo."}, {"role": "user", "content": "Read a.txt."}],
        "tools": [TOOL], "tool_choice": "auto", "parallel_tool_calls": True,
    }  # fmt: skip

    @pytest.mark.parametrize("path", ["/v1", ""])
    def test_gets_reasoning_calls_and_usage(self, gateway: GatewayThread, openrouter: ScriptedOpenRouter, path: str):
        openrouter.add(
            stream([], reasoning=["Let me ", "look."], tool_calls=[tool_call("read_file", {"path": "a.txt"})])
        )
        _, text = send(gateway, self.HEAD.format(path=path), self.BODY)
        events = [json.loads(line[6:]) for line in data_lines(text)[:-1]]
        deltas = [event["choices"][0]["delta"] for event in events]
        assert "".join(delta.get("reasoning_content", "") for delta in deltas) == "Let me look."
        calls = [call for delta in deltas for call in delta.get("tool_calls", [])]
        assert calls[0]["id"]
        assert "".join(call["function"]["arguments"] for call in calls) == '{"path":"a.txt"}'
        assert events[-1]["choices"][0]["finish_reason"] == "tool_calls"
        assert events[-1]["usage"]["completion_tokens"] == 5
        assert openrouter.requests[0].headers["x-title"] == "Roo Code"

    def test_asks_for_what_model_info_names(self, gateway: GatewayThread, openrouter: ScriptedOpenRouter):
        rows = gateway.request("GET", "/v1/model/info").body["data"]
        row = next(row for row in rows if row["model_name"] == "lfm-3-1.7b")
        openrouter.add(stream())
        send(gateway, self.HEAD.format(path=""), self.BODY | {"max_tokens": row["model_info"]["max_output_tokens"]})
        assert openrouter.requests[0].body["max_tokens"] == 65_536

    def test_rate_limit_has_retry_after(self, gateway: GatewayThread, openrouter: ScriptedOpenRouter):
        openrouter.default = lambda _: error(429, "Slow down", headers={"Retry-After": "9"})
        head, text = send(gateway, self.HEAD.format(path="/v1"), self.BODY)
        assert head.startswith("HTTP/1.1 429 ")
        assert "Retry-After: 9" in head
        assert json.loads(text)["error"]["message"] == "Slow down."

    @pytest.mark.parametrize("key", ["not-provided", "dummy-key"])
    def test_placeholder_for_a_missing_key_is_refused(self, gateway: GatewayThread, key: str):
        head, _ = send(gateway, self.HEAD.format(path="/v1").replace("KEY", key), self.BODY)
        assert head.startswith("HTTP/1.1 401 ")
