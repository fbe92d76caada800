"""A real model behind a real llama.cpp server in this process.

The model is too small for its answers to be judged: these tests look at the server's life, limits and protocol.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

import pytest
from pydantic import BaseModel
from typer.testing import CliRunner

from lfm_adapter import ChatLFM, LFMClient, errors, local
from lfm_adapter.apps.cli import app
from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.local_model

SMALL: dict[str, Any] = {"context_length": 512, "parallel": 1}

# A request that goes on until somebody stops it.
ENDLESS = {"max_tokens": 100_000, "ignore_eos": True}

# How long it takes a server to end that has to hang up on its clients first; llama.cpp looks once a second.
CLOSED_WITHIN_S = 30


@pytest.fixture(scope="module", autouse=True)
def _installed(local_model: str) -> None:
    """Skip where there is no demo model."""


@pytest.fixture(scope="module")
def small() -> Iterator[local.LocalServer]:
    server = local.serve(context_length=512, parallel=2)
    yield server
    server.close()


def ask(server: local.LocalServer, **arguments: Any) -> str:
    chat = ChatLFM(base_url=server.base_url, model=server.model, max_tokens=8, max_retries=0)
    return chat.invoke("Say hello.", **arguments).text


def get(url: str, body: dict[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(url, data, {"Content-Type": "application/json"})) as reply:  # noqa: S310 - loopback
        return json.load(reply)


def test_chat_lfm_needs_no_key(local_model: str):
    message = ChatLFM(base_url=local_model, model=local.DEMO_MODEL, max_tokens=8).invoke("Say hello.")
    assert message.text
    assert message.usage_metadata["output_tokens"] <= 8
    assert message.response_metadata["model_name"] == "local/smollm2-135m-instruct"


def test_object_of_a_schema_is_written_without_naming_the_model(local_model: str):
    class Person(BaseModel):
        name: str
        age: int

    llm = ChatLFM(base_url=local_model, temperature=0, max_tokens=60)
    person = llm.with_structured_output(Person).invoke("Describe a person named Bob, aged 42.")
    assert isinstance(person, Person)


def test_answer_is_streamed_piece_by_piece(local_model: str):
    chunks = list(ChatLFM(base_url=local_model, model=local.DEMO_MODEL, max_tokens=8).stream("Count to ten."))
    assert len([chunk for chunk in chunks if chunk.text]) > 2
    assert chunks[-1].usage_metadata["output_tokens"] == 8


def test_demo_model_never_passes_for_an_lfm(small: local.LocalServer):
    assert [model["id"] for model in LFMClient(base_url=small.base_url).list_models()] == [
        "local/smollm2-135m-instruct"
    ]


def test_each_request_gets_the_whole_context_length(small: local.LocalServer):
    slots = get(small.base_url.removesuffix("/v1") + "/slots")
    assert [slot["n_ctx"] for slot in slots] == [512, 512]


def test_prompt_longer_than_the_context_is_refused(small: local.LocalServer):
    with pytest.raises(errors.ContextWindowExceededError):
        ChatLFM(base_url=small.base_url, model=small.model).invoke("word " * 600)


def test_pages_in_a_browser_may_not_read_answers(small: local.LocalServer):
    request = Request(small.base_url + "/models", headers={"Origin": "http://example.com"})  # noqa: S310 - loopback
    with urlopen(request) as reply:  # noqa: S310 - loopback
        assert reply.headers["Access-Control-Allow-Origin"] not in {"*", "http://example.com"}


def test_gguf_file_is_served_under_its_name_on_the_given_port(tmp_path: Path):
    file = tmp_path / "LFM2-Mine.Q4_0.gguf"
    file.symlink_to(local.demo_model())
    port = free_port()
    server = local.serve(file, port=port, **SMALL)
    with server as base_url:
        assert base_url == f"http://127.0.0.1:{port}/v1"
        assert server.model == "local/lfm2-mine.q4_0"
        assert ask(server)


def test_key_is_asked_for_where_one_is_set():
    with local.serve(api_key="secret", **SMALL) as base_url:
        chat = ChatLFM(base_url=base_url, model=local.DEMO_MODEL, max_tokens=4)
        with pytest.raises(errors.AuthenticationError):
            chat.invoke("Hello")
        assert chat.model_copy(update={"api_key": lambda: "secret"}).invoke("Hello").text


def test_chat_template_replaces_the_models_own():
    with local.serve(chat_template="{% for m in messages %}[{{ m.content }}]{% endfor %}", **SMALL) as base_url:
        body = {"messages": [{"role": "user", "content": "one"}, {"role": "user", "content": "two"}]}
        assert "[one][two]" in get(base_url.removesuffix("/v1") + "/apply-template", body)["prompt"]


def test_servers_live_side_by_side_and_one_after_the_other(small: local.LocalServer):
    for _ in range(2):
        other = local.serve(**SMALL)
        assert other.base_url != small.base_url
        assert ask(other)
        other.close()
        assert ask(small)


def test_closed_server_is_gone_and_may_be_closed_again():
    server = local.serve(**SMALL)
    server.close()
    server.close()
    assert "closed" in repr(server)
    with pytest.raises(errors.APIConnectionError):
        ask(server)


@pytest.mark.parametrize("stream", [True, False])
def test_closing_hangs_up_on_a_client_in_the_same_process(stream: bool):
    server = local.serve(parallel=1)
    failures: list[Exception] = []

    def wait_for_an_answer() -> None:
        chat = ChatLFM(base_url=server.base_url, model=server.model, max_retries=0, streaming=stream)
        try:
            chat.invoke("Tell a story.", extra_body=ENDLESS)
        except errors.APIError as error:
            failures.append(error)

    client = threading.Thread(target=wait_for_an_answer)
    client.start()
    while not any(slot["is_processing"] for slot in get(server.base_url.removesuffix("/v1") + "/slots")):
        time.sleep(0.02)
    started_s = time.monotonic()
    server.close()
    client.join(CLOSED_WITHIN_S)
    assert not client.is_alive()
    assert time.monotonic() - started_s < CLOSED_WITHIN_S
    assert [isinstance(failure, errors.APIConnectionError) for failure in failures] == [True]


def test_damaged_file_says_how_to_find_out_more(tmp_path: Path):
    file = tmp_path / "damaged.gguf"
    file.write_bytes(local.demo_model().read_bytes()[:100_000])
    with pytest.raises(errors.ConfigurationError, match=r"damaged\.gguf.*verbose=True"):
        local.serve(file)


def test_program_that_never_closes_its_server_ends_and_is_quiet():
    program = "from lfm_adapter import local; server = local.serve(context_length=512, parallel=1)"
    ended = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=180, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux forks workers by default")
def test_forked_worker_ends_though_its_parent_serves():
    program = """
import multiprocessing
from lfm_adapter import local
server = local.serve(context_length=256, parallel=1)
worker = multiprocessing.get_context("fork").Process(target=print, args=("at work",))
worker.start()
worker.join(20)
print(worker.exitcode)
server.close()
"""
    command = [sys.executable, "-W", "ignore", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=True)  # noqa: S603 # our own program
    assert done.stdout.split() == ["at", "work", "0"]


def test_lfm_chat_answers_without_a_key():
    result = CliRunner().invoke(app, ["chat", "--max-tokens", "8", "Say hello."])
    assert result.exit_code == 0
    assert result.stdout.strip()
    assert "SmolLM2-135M-Instruct" in result.stderr
    assert "tokens/s" in result.stderr
