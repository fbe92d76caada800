"""`lfm gateway`, as a user starts and stops it."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner

from lfm_adapter.apps.cli import app
from lfm_adapter.apps.gateway import server
from lfm_adapter.apps.gateway.client_setups import client_setups
from lfm_adapter.testing import completion, stream
from tests.support.ports import free_port
from tests.support.running_gateway import MADE_UP_KEY, Gateway

if TYPE_CHECKING:
    from lfm_adapter.testing import ScriptedOpenRouter

LFM = (sys.executable, "-c", "from lfm_adapter.apps.cli import app; app()")
CLIENTS = Path(__file__).parents[4] / "docs" / "clients.md"
KEY = "my-own-key"
NOWHERE = "http://127.0.0.1:9/openrouter.ai/api/v1"


def gateway(home: Path, *options: str, upstream: str = NOWHERE) -> Gateway:
    return Gateway.on(upstream, LFM, home, *options)


def test_prints_client_settings_once_it_serves(tmp_path: Path):
    with gateway(tmp_path) as running:
        listed = json.loads(running.request("GET", "/v1/models")[1])
        assert f"Models    {', '.join(model['id'] for model in listed['data'])}\n" in running.printed
        for client, line in client_setups(running.base_url, "lfm-3-1.7b").items():
            assert f"  {client:<15}  {line}\n" in running.printed
        assert MADE_UP_KEY not in running.printed + running.noted


def test_answers_openais_sdk(tmp_path: Path, openrouter: ScriptedOpenRouter):
    pytest.importorskip("openai", reason="comes with litellm")
    openrouter.add(completion("Wet."))
    with gateway(tmp_path, upstream=openrouter.base_url) as running:
        reply = running.client.chat.completions.create(model="lfm-3b", messages=[{"role": "user", "content": "?"}])
    assert reply.choices[0].message.content == "Wet."


def test_clients_stay_set_up_when_it_starts_again(tmp_path: Path):
    with gateway(tmp_path) as first, gateway(tmp_path) as second:
        assert first.key == second.key
    (file,) = tmp_path.rglob("gateway-key")
    assert file.read_text().strip() == first.key


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_stopping_it_leaves_nothing(tmp_path: Path, by: signal.Signals):
    port = free_port()
    with gateway(tmp_path, "--port", str(port)) as running:
        assert running.base_url == f"http://127.0.0.1:{port}/v1"
        assert running.end(by) == 0
        assert running.noted.endswith("Stopped.\n")
        assert not is_open(port)


@pytest.mark.parametrize("ignored", [signal.SIGINT, signal.SIGTERM])
def test_stops_also_where_its_parent_ignores_the_signal(tmp_path: Path, ignored: signal.Signals):
    """As in `lfm gateway &` in a script, and with nohup."""
    before = signal.signal(ignored, signal.SIG_IGN)
    try:
        with gateway(tmp_path) as running:
            assert running.end(ignored) == 0
    finally:
        signal.signal(ignored, before)


@pytest.mark.parametrize("streams", [False, True])
def test_stopping_it_ends_requests_that_wait_with_an_error(
    tmp_path: Path, openrouter: ScriptedOpenRouter, streams: bool
):
    reply = stream(["Wet.", "And?"], comments=0) if streams else completion()
    openrouter.add(reply.held(1 if streams else 0, threading.Event()))
    body = {"model": "lfm-3-1.7b", "messages": [{"role": "user", "content": "?"}], "stream": streams}
    with gateway(tmp_path, upstream=openrouter.base_url) as running:
        connection = http.client.HTTPConnection(urlsplit(running.base_url).netloc, timeout=60)
        headers = {"Authorization": f"Bearer {running.key}"}
        connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        openrouter.wait_for_requests(1)
        begun = connection.getresponse() if streams else None
        assert running.end(signal.SIGTERM) == 0
        answer = begun or connection.getresponse()
        text = answer.read().decode()
    connection.close()
    assert "The gateway was stopped before the answer was complete." in text
    assert answer.status == (200 if streams else 503)
    assert text.endswith("data: [DONE]\n\n") == streams
    assert openrouter.requests[0].abandoned.wait(5)


def test_killing_it_leaves_nothing(tmp_path: Path):
    port = free_port()
    with gateway(tmp_path, "--port", str(port)) as running:
        running.end(signal.SIGKILL)
        deadline = time.monotonic() + 30
        while is_open(port) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not is_open(port)


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_key_may_be_chosen(tmp_path: Path):
    with gateway(tmp_path, "--key", KEY) as running:
        assert running.key == KEY
        assert running.request("GET", "/v1/models")[0] == 200
        assert running.request("GET", "/v1/models", key="another-key")[0] == 401
    assert list(tmp_path.rglob("gateway-key")) == []


def test_open_gateway_takes_any_key(tmp_path: Path):
    with gateway(tmp_path, "--open") as running:
        assert running.request("GET", "/v1/models", key="abc123")[0] == 200
        assert "programs on this machine need no key" in running.noted


def test_docs_cover_every_client():
    text = CLIENTS.read_text(encoding="utf-8")
    for clients in client_setups("http://127.0.0.1:4000/v1", "lfm-3-1.7b"):
        for client in clients.split(", "):
            assert f"| [{client}](#" in text


def test_printed_settings_name_the_chosen_model(tmp_path: Path):
    with gateway(tmp_path, "--model", "liquid/lfm-2.5-2.6b:free") as running:
        assert "aider --model openai/lfm-2.5-2.6b:free\n" in running.printed


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--key", "abc123"], "must have at least 8 characters"),
        (["--host", "192.0.2.1"], "Cannot listen on 192.0.2.1"),
        (["--open", "--host", "192.0.2.1"], "`--host` must be this machine"),
        (["--host", "a..b"], "`--host` must be a name or an address of this machine"),
        (["--allow-origin", "example.com"], "`--allow-origin` must be like https://app.example.com"),
        (["--model", "no-such-model"], "The model 'no-such-model' does not exist here"),
        (["--model", "liquid/d1.2"], "liquid/d1.2 is a decision model"),
        (["--budget-usd", "no-such-model=1"], "The model 'no-such-model' does not exist here"),
    ],
)
def test_invalid_options_fail_before_anything_starts(tmp_path: Path, arguments: list[str], told: str):
    environment = {"OPENROUTER_API_KEY": MADE_UP_KEY, "HOME": str(tmp_path), "COLUMNS": "200"}
    result = CliRunner().invoke(app, ["gateway", *arguments], env=environment)
    assert result.exit_code == 1
    assert told in result.stderr


def test_uses_the_next_port_if_the_first_is_taken(monkeypatch: pytest.MonkeyPatch):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = listener.getsockname()[1]
        monkeypatch.setattr(server, "FIRST_PORT", taken)
        with server.listen("127.0.0.1", None) as second:
            assert taken < second.getsockname()[1] <= taken + server.PORTS_TRIED


def test_port_in_use_is_an_error():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        environment = {"OPENROUTER_API_KEY": MADE_UP_KEY}
        result = CliRunner().invoke(app, ["gateway", "--port", port, "--key", KEY], env=environment)
    assert result.exit_code == 1
    assert f"Cannot listen on 127.0.0.1:{port}: Address already in use. Choose another address" in result.stderr


def test_without_key_and_local_model_the_error_names_both_ways_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "path", [path for path in sys.path if "site-packages" not in path])
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delitem(sys.modules, "xllamacpp", raising=False)
    result = CliRunner().invoke(app, ["gateway"])
    assert result.exit_code == 1
    assert "set OPENROUTER_API_KEY" in result.stderr
    assert 'pip install "lfm-adapter[local]"' in result.stderr
