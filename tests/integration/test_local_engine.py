"""The processes behind `local.serve`: what a crash, a hang-up and the end of the program do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from lfm_adapter import LFMClient, errors, local

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.local_model,
    pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc"),
]

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
ENDLESS: dict[str, Any] = {"max_tokens": 100_000, "extra_body": {"ignore_eos": True}}
HANGS_UP_S = 15.0  # sooner than an endless answer fills its context, which takes half a minute or more
PATIENCE_S = 60.0  # after which a test that hangs fails


@pytest.fixture(scope="module", autouse=True)
def _installed(local_model: str) -> None:
    """Skip where there is no demo model."""


@pytest.fixture(scope="module")
def server() -> Iterator[local.LocalServer]:
    server = local.serve(context_length=4096, parallel=2)
    yield server
    server.close()


def children(process_id: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split()]


def engine_of(server: local.LocalServer) -> int:
    (engine,) = children(server._process.pid)
    return engine


def client(server: local.LocalServer, **settings: Any) -> LFMClient:
    return LFMClient(server.model, base_url=server.base_url, **{"max_retries": 0, **settings})


def busy_slots(server: local.LocalServer) -> int:
    with urlopen(server.base_url.removesuffix("/v1") + "/slots") as reply:  # noqa: S310 - loopback
        return sum(slot["is_processing"] for slot in json.load(reply))


def wait_until(condition, seconds: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def is_alive(process_id: int) -> bool:
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    ("stream", "expected"), [(True, errors.StreamInterruptedError), (False, errors.APIConnectionError)]
)
def test_crash_of_the_engine_is_a_connection_error_and_the_next_request_is_answered(
    server: local.LocalServer, stream: bool, expected: type[Exception], capfd: pytest.CaptureFixture[str]
):
    failures: list[Exception] = []

    def ask() -> None:
        try:
            if stream:
                list(client(server).stream("Tell a story.", **ENDLESS))
            else:
                client(server).chat("Tell a story.", **ENDLESS)
        except errors.APIError as error:
            failures.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    wait_until(lambda: busy_slots(server))
    os.kill(engine_of(server), signal.SIGSEGV)
    asking.join(PATIENCE_S)
    assert [type(failure) for failure in failures] == [expected]
    assert client(server).chat("Say hello.", max_tokens=4).text
    assert capfd.readouterr().err == ""


def test_engine_that_cannot_start_again_says_why_and_is_tried_again(tmp_path: Path):
    file = tmp_path / "model.gguf"
    model = local.demo_model()
    assert model is not None
    file.symlink_to(model)
    server = local.serve(file, context_length=256, parallel=1)
    with server:
        file.unlink()
        engine = engine_of(server)
        os.kill(engine, signal.SIGKILL)
        wait_until(lambda: engine not in children(server._process.pid))
        with pytest.raises(errors.APIError, match=r"llama\.cpp cannot serve"):
            client(server).chat("Hello", max_tokens=4)
        file.symlink_to(model)
        wait_until(lambda: answers(client(server)))


def answers(server: LFMClient) -> bool:
    try:
        return bool(server.chat("Hello", max_tokens=4).text)
    except errors.APIError:
        time.sleep(0.2)
        return False


@pytest.mark.parametrize(
    "fields",
    [
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": "nested"}}},
        {"extra_body": {"grammar": "root ::= " + "(" * 100_000 + '"a"' + ")" * 100_000}},
        {"extra_body": {"json_schema": {"type": "string", "minLength": 5, "maxLength": 1}}},
        {"extra_body": {"json_schema": {"type": "string", "pattern": "unanchored"}}},
        {"extra_body": {"json_schema": {"type": "string", "pattern": "^a(b$"}}},
        {"extra_body": {"tools": [{"type": "function", "function": {}}]}},
        {"extra_body": {"tools": "none"}},
        {"messages": [{"role": "user", "content": [IMAGE]}]},
        {"extra_body": {"json_schema": {"type": "object"}, "grammar": 'root ::= "a"'}},
        {"extra_body": {"reasoning_format": "unheard-of"}},
    ],
    ids=[
        "deep schema",
        "grammar",
        "bounds",
        "unanchored",
        "bad pattern",
        "nameless tool",
        "tools",
        "image",
        "schema and grammar",
        "reasoning format",
    ],
)
def test_request_that_cannot_be_answered_is_refused_once_and_reaches_no_other(
    server: local.LocalServer, fields: dict[str, Any]
):
    engine = engine_of(server)
    body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4, **fields, **fields.get("extra_body", {})}
    text = json.dumps(body).replace('"nested"', '{"items":' * 20_000 + "true" + "}" * 20_000).encode()
    request = Request(server.base_url + "/chat/completions", text, {"Content-Type": "application/json"})  # noqa: S310
    with pytest.raises(HTTPError) as raised:
        urlopen(request)  # noqa: S310 - loopback
    with raised.value as reply:
        error = json.load(reply)["error"]
    assert (raised.value.code, error["type"]) == (400, "invalid_request_error")
    assert len(error["message"]) > 20
    assert engine_of(server) == engine


def test_hang_up_ends_a_whole_answer_though_others_are_written(server: local.LocalServer):
    with client(server).stream("Count.", **ENDLESS) as other:
        next(other)
        with pytest.raises(errors.APITimeoutError):
            client(server, total_timeout=1.0).chat("Tell a story.", **ENDLESS)
        wait_until(lambda: busy_slots(server) == 1, HANGS_UP_S)
        assert next(other).text
    wait_until(lambda: busy_slots(server) == 0, HANGS_UP_S)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("when", ["while it loads", "while it serves"])
def test_processes_end_with_the_program_however_it_ends(how: signal.Signals, when: str):
    program = """
import sys, time
from lfm_adapter import local
print("loading", flush=True)
server = local.serve(context_length=256, parallel=1)
print("serving", flush=True)
time.sleep(60)
"""
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:  # noqa: S603
        assert process.stdout is not None
        process.stdout.readline()
        if when == "while it serves":
            process.stdout.readline()
        wait_until(lambda: children(process.pid) and children(children(process.pid)[0]))
        (supervisor,) = children(process.pid)
        (engine,) = children(supervisor)
        process.send_signal(how)
        process.wait(PATIENCE_S)
    wait_until(lambda: not is_alive(supervisor) and not is_alive(engine))


def test_processes_end_with_the_program_though_a_process_forked_from_it_lives_on():
    program = """
import os, time
from lfm_adapter import local
server = local.serve(context_length=256, parallel=1)
fork = os.fork()
if fork:
    print(server._process.pid, fork, flush=True)
time.sleep(60)
"""
    command = [sys.executable, "-W", "ignore", "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own program
        assert process.stdout is not None
        supervisor, fork = map(int, process.stdout.readline().split())
        (engine,) = children(supervisor)
        process.kill()
        process.wait(PATIENCE_S)
        wait_until(lambda: not is_alive(supervisor) and not is_alive(engine))
        os.kill(fork, signal.SIGKILL)


def test_engine_ends_with_its_supervisor():
    server = local.serve(context_length=256, parallel=1)
    engine = engine_of(server)
    os.kill(server._process.pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(engine))
    server.close()


def test_serves_from_a_worker_that_was_spawned(tmp_path: Path):
    program = tmp_path / "program.py"
    program.write_text("""
import multiprocessing

def ask():
    from lfm_adapter import LFMClient, local
    with local.serve(context_length=256, parallel=1) as base_url:
        print(bool(LFMClient(base_url=base_url).chat("Hello", max_tokens=4).text), flush=True)

if __name__ == "__main__":
    worker = multiprocessing.get_context("spawn").Process(target=ask)
    worker.start()
    worker.join(60)
    print(worker.exitcode)
""")
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, timeout=90, check=True)  # noqa: S603
    assert done.stdout.split() == ["True", "0"]


def test_embeddings_are_served_where_they_are_asked_for(local_embeddings: str):
    client = LFMClient(base_url=local_embeddings, max_retries=0)
    reply = client.embed(["Water is wet.", "The sun is hot."], role="document")
    assert [len(vector) for vector in reply.vectors] == [576, 576]
    assert sum(number * number for number in reply.vectors[0]) == pytest.approx(1, abs=1e-5)
    assert reply.vectors[0] == pytest.approx(client.embed("Water is wet.", role="document").vectors[0], abs=0.01)
    assert reply.model == local.DEMO_MODEL
    assert reply.usage["prompt_tokens"] > 4


def test_text_that_the_engine_cannot_embed_is_an_error_of_the_request(local_embeddings: str):
    client = LFMClient(base_url=local_embeddings, max_retries=0)
    with pytest.raises(errors.ContextWindowExceededError) as caught:
        client.embed("word " * 700, role=None)
    assert (caught.value.status_code, caught.value.context_length) == (400, 512)
    assert caught.value.prompt_tokens >= 700


def test_server_without_embeddings_says_so(local_model: str):
    with pytest.raises(errors.APIError, match="--embeddings"):
        LFMClient(base_url=local_model, max_retries=0).embed("Hi", role="query")
