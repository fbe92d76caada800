"""`lfm gateway`, with a stand-in for LiteLLM's Proxy. `tests/integration/proxy` starts it with the real one."""

from __future__ import annotations

import json
import signal
import socket
import sys
import time
from importlib import import_module
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lfm_adapter.apps.cli import app
from lfm_adapter.apps.gateway.client_setups import client_setups
from lfm_adapter.apps.gateway.local_config import local_config
from tests.support.running_gateway import MADE_UP_KEY, Gateway

LFM = (sys.executable, "-c", "from lfm_adapter.apps.cli import app; app()")
CLIENTS = Path(__file__).parents[4] / "docs" / "clients.md"
KEY = "sk-a-key-that-was-chosen-for-tests"

PROXY = '''
"""Lists what the configuration names, to who has the key; ends when it is asked to."""
import json, os, sys, yaml
from http.server import BaseHTTPRequestHandler, HTTPServer

arguments = dict(zip(sys.argv[1::2], sys.argv[2::2]))
config = yaml.safe_load(open(arguments["--config"]))
key = config["general_settings"]["master_key"]
if key == "os.environ/LITELLM_MASTER_KEY":
    key = os.environ["LITELLM_MASTER_KEY"]
print("It uses", key)

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/die":
            print("out of memory", flush=True)
            os._exit(7)
        known = self.headers.get("Authorization") == f"Bearer {key}"
        names = [entry["model_name"] for entry in config["model_list"]]
        body = json.dumps({"data": [{"id": name} for name in names]}).encode()
        self.send_response(200 if known else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

HTTPServer((arguments["--host"], int(arguments["--port"])), Handler).serve_forever()
'''


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which the Proxy is the stand-in."""
    packages = tmp_path / "packages"
    (packages / "litellm" / "proxy").mkdir(parents=True)
    (packages / "litellm" / "__init__.py").touch()
    (packages / "litellm" / "proxy" / "__init__.py").touch()
    (packages / "litellm" / "proxy" / "proxy_cli.py").write_text(PROXY)
    for name in ("fastapi", "uvicorn", "prometheus_client"):
        (packages / f"{name}.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(packages), prepend=":")
    return tmp_path


def gateway(home: Path, *options: str) -> Gateway:
    return Gateway.on("http://127.0.0.1:9/openrouter.ai/api/v1", LFM, home, *options)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def test_prints_client_settings_once_it_serves(home: Path):
    with gateway(home) as running:
        listed = json.loads(running.request("GET", "/v1/models")[1])
        assert f"Models    {', '.join(model['id'] for model in listed['data'])}\n" in running.printed
        assert {"lfm-3b", "lfm-3-1.7b"} <= {model["id"] for model in listed["data"]}
        for client, line in client_setups(running.base_url, "lfm-3-1.7b").items():
            assert f"  {client:<15}  {line}\n" in running.printed
        assert MADE_UP_KEY not in running.printed + running.noted


def test_clients_stay_set_up_when_it_starts_again(home: Path):
    with gateway(home) as first, gateway(home) as second:
        assert first.key == second.key
    (file,) = home.rglob("gateway-key")
    assert file.read_text().strip() == first.key
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_stopping_it_stops_the_proxy_and_leaves_nothing(home: Path, by: signal.Signals):
    port = free_port()
    with gateway(home, "--port", str(port)) as running:
        assert running.base_url == f"http://127.0.0.1:{port}/v1"
        assert running.end(by) == 0
        assert running.noted.endswith("Stopped.\n")
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", port))


@pytest.mark.parametrize("ignored", [signal.SIGINT, signal.SIGTERM])
def test_stops_also_where_its_parent_ignores_the_signal(home: Path, ignored: signal.Signals):
    """As in `lfm gateway &` in a script, and with nohup."""
    before = signal.signal(ignored, signal.SIG_IGN)
    try:
        with gateway(home) as running:
            assert running.end(ignored) == 0
    finally:
        signal.signal(ignored, before)


def test_killing_it_ends_the_proxy_too(home: Path):
    port = free_port()
    with gateway(home, "--port", str(port)) as running:
        running.end(signal.SIGKILL)
        deadline = time.monotonic() + 30
        while is_open(port) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not is_open(port)


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_error_of_a_dead_proxy_has_its_last_output_without_the_key(home: Path):
    key = "a key of another form"
    config = {"model_list": [{"model_name": "my-lfm"}], "general_settings": {"master_key": key}}
    (home / "mine.yaml").write_text(json.dumps(config))
    with gateway(home, "--config", "mine.yaml") as running:
        with pytest.raises(ConnectionError):
            running.request("GET", "/die", key=key)
        assert running.process.wait(30) == 1
        assert "The Proxy exited with status 7. Its last output:" in running.noted
        assert "It uses [redacted]" in running.noted
        assert "out of memory" in running.noted


def test_key_may_be_chosen(home: Path):
    with gateway(home, "--key", KEY) as running:
        assert running.key == KEY
        assert running.request("GET", "/v1/models")[0] == 200
    assert list(home.rglob("gateway-key")) == []


def test_config_file_is_used_with_its_key(home: Path):
    general = {"master_key": KEY}
    config = {"model_list": [{"model_name": "my-lfm"}], "general_settings": general}
    (home / "mine.yaml").write_text(json.dumps(config))
    with gateway(home, "--config", "mine.yaml", "--model", "my-lfm") as running:
        assert running.key == KEY
        assert "Models    my-lfm\n" in running.printed
        assert "aider --model openai/my-lfm\n" in running.printed


def test_docs_say_more_of_every_client():
    text = CLIENTS.read_text(encoding="utf-8")
    for clients in client_setups("http://127.0.0.1:4000/v1", "lfm-3-1.7b"):
        for client in clients.split(", "):
            assert f"| [{client}](#" in text


def test_model_on_this_machine_answers_to_every_name():
    config = json.loads(
        local_config("local/my-lfm", "http://127.0.0.1:9/v1", context_length=8192, tool_calling="prompted")
    )
    (entry,) = config["model_list"]
    assert entry["litellm_params"]["tool_calling"] == "prompted"
    aliases = config["router_settings"]["model_group_alias"]
    assert {"lfm-3b", "liquid/lfm-3b", "lfm-3-1.7b", "liquid/lfm-3-1.7b:free"} <= aliases.keys()
    assert {alias["model"] for alias in aliases.values()} == {"local/my-lfm"}


def test_model_of_the_lines_is_the_chosen_one(home: Path):
    with gateway(home, "--model", "liquid/lfm-2.5-2.6b:free") as running:
        assert "aider --model openai/lfm-2.5-2.6b:free\n" in running.printed


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--key", "sk-short"], "must start with `sk-`"),
        (["--key", "a key with spaces and no prefix"], "must start with `sk-`"),
        (["--host", "192.0.2.1"], "Cannot listen on 192.0.2.1"),
        (["--config", "broken.yaml"], "broken.yaml is not valid YAML"),
        (["--config", "elsewhere.yaml"], "reads the key from MY_KEY, which is not set"),
        (["--config", "broken.yaml", "--local"], "leave out `--local`, `--gguf` and `--key`"),
    ],
)
def test_invalid_options_fail_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], told: str
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "broken.yaml").write_text("a: [")
    (tmp_path / "elsewhere.yaml").write_text("general_settings: {master_key: os.environ/MY_KEY}")
    result = CliRunner().invoke(app, ["gateway", *arguments], env={"OPENROUTER_API_KEY": MADE_UP_KEY})
    assert result.exit_code != 0
    assert told in result.stderr


def test_uses_the_next_port_if_the_first_is_taken(monkeypatch: pytest.MonkeyPatch):
    command = import_module("lfm_adapter.apps.cli.gateway")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = listener.getsockname()[1]
        monkeypatch.setattr(command, "FIRST_PORT", taken)
        assert taken < command._free_port("127.0.0.1", None) <= taken + command.PORTS_TRIED


def test_port_in_use_is_an_error():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        result = CliRunner().invoke(app, ["gateway", "--port", port, "--key", KEY])
    assert result.exit_code == 1
    assert f"Cannot listen on 127.0.0.1:{port}: Address already in use" in result.stderr


def test_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "path", [path for path in sys.path if "site-packages" not in path])
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("OPENROUTER_API_KEY", MADE_UP_KEY)
    result = CliRunner().invoke(app, ["gateway"])
    assert result.exit_code == 1
    assert 'pip install "lfm-adapter[proxy]"' in result.stderr


def test_without_key_and_local_model_the_error_names_both_ways_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "path", [path for path in sys.path if "site-packages" not in path])
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delitem(sys.modules, "xllamacpp", raising=False)
    result = CliRunner().invoke(app, ["gateway"])
    assert result.exit_code == 1
    assert "set OPENROUTER_API_KEY" in result.stderr
    assert 'pip install "lfm-adapter[local]"' in result.stderr
