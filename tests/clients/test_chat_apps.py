"""Chat apps on `lfm gateway`, in a headless Chromium: each lists our models, and shows what LFM-3B answers."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from lfm_adapter.catalog import get
from tests.support.client_programs import CHROMIUM, LFM, NODE, OPEN_WEBUI, PROGRAMS, ROOT, needs
from tests.support.prompted_model import PROMPTED
from tests.support.running_gateway import MADE_UP_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lfm_adapter.testing import ScriptedOpenRouter
    from tests.support.running_gateway import Gateway

START_TIMEOUT_S = 400  # Open WebUI imports for a minute, and this machine may be busy
CHAT_TIMEOUT_S = 300
MODELS = {"lfm-3b", "lfm-2.5-2.6b:free", "lfm-3-1.7b", "lfm-3-1.7b:free"}
QUESTION = "What is water?"


@needs(OPEN_WEBUI, NODE, CHROMIUM)
def test_open_webui_lists_the_models_and_chats(openrouter: ScriptedOpenRouter, asked: list[Any], tmp_path: Path):
    """As `examples/open_webui.sh` starts it, without a login and without what it fetches from the internet."""
    port, gateway_port = free_port(), free_port()
    settings = {
        "LFM": str(LFM),
        "OPEN_WEBUI": str(OPEN_WEBUI),
        "PORT": str(port),
        "GATEWAY_PORT": str(gateway_port),
        "OPENROUTER_API_KEY": MADE_UP_KEY,
        "OPENROUTER_BASE_URL": openrouter.base_url,
        "DATA_DIR": str(tmp_path),
        "WEBUI_AUTH": "false",
        "WEBUI_SECRET_KEY": "made-up-for-tests",
        "OFFLINE_MODE": "true",
        "HF_HUB_OFFLINE": "1",
        "RAG_EMBEDDING_ENGINE": "openai",
    }
    with running(tmp_path, settings, ROOT / "examples" / "open_webui.sh", port=port, also=gateway_port):
        told = chat(tmp_path, "chat_open_webui.mjs", f"http://127.0.0.1:{port}/", get("lfm-3b").name, QUESTION)
    assert set(told["models"]) == {get(model).name for model in MODELS}  # it shows the names that OpenRouter shows
    assert told["answer"] == f"Thank you for your message: {QUESTION}"
    assert {request.body["model"] for request in asked} == {PROMPTED}
    # Ctrl-C has ended the gateway too.
    assert free_port(gateway_port) == gateway_port


@needs(NODE, CHROMIUM)
def test_sillytavern_lists_the_models_and_chats(gateway: Gateway, asked: list[Any], tmp_path: Path):
    port = free_port()
    command = (NODE / "sillytavern", "--port", str(port), "--browserLaunchEnabled", "false")
    with running(tmp_path, {}, *command, port=port):
        told = chat(
            tmp_path, "chat_sillytavern.mjs", f"http://127.0.0.1:{port}/", gateway.base_url, "lfm-3b", QUESTION,
            KEY=gateway.key,
        )  # fmt: skip
    assert set(told["models"]) == MODELS
    assert told["answer"] == f"Thank you for your message: {QUESTION}"
    assert {request.body["model"] for request in asked} == {PROMPTED}


@contextmanager
def running(
    home: Path, settings: dict[str, str], *command: object, port: int, also: int | None = None
) -> Iterator[None]:
    """Run an app until the end of the block, then stop it with Ctrl-C; it has begun when its ports answer."""
    with (home / "app.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603
            [str(word) for word in command],
            cwd=home,
            env={"PATH": os.environ["PATH"], "HOME": str(home), **settings},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        wait_until_served(home, process, *filter(None, (port, also)))
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(60)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def wait_until_served(home: Path, process: subprocess.Popen[bytes], *ports: int) -> None:
    waited = threading.Event()
    for _ in range(START_TIMEOUT_S):
        if all(map(answers, ports)):
            return
        assert process.poll() is None, (home / "app.log").read_text()[-3000:]
        waited.wait(1)
    raise AssertionError((home / "app.log").read_text()[-3000:])


def answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status < 500
    except OSError:
        return False
    finally:
        connection.close()


def chat(home: Path, program: str, *arguments: str, **environment: str) -> Any:
    """Return what a program of `programs/` saw in the browser. Its last view is `screenshot.png` in `home`."""
    names = {"NODE_CLIENTS": str(NODE.parents[1]), "CHROMIUM": str(CHROMIUM), **environment}
    ended = subprocess.run(  # noqa: S603
        ["node", str(PROGRAMS / program), *arguments, str(home / "screenshot.png")],  # noqa: S607
        env={"PATH": os.environ["PATH"], "HOME": str(home), **names},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=CHAT_TIMEOUT_S,
        check=False,
    )
    assert ended.returncode == 0, f"{ended.stderr}\n{(home / 'app.log').read_text()[-3000:]}"
    return json.loads(ended.stdout)


def free_port(port: int = 0) -> int:
    with socket.create_server(("127.0.0.1", port)) as listener:
        return listener.getsockname()[1]
