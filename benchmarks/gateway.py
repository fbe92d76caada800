"""Measures `lfm gateway` beside other gateways on the same upstream, and writes `benchmarks/GATEWAY.md`.

python -m benchmarks.gateway            our gateway, and those of the others that are installed
python -m benchmarks.gateway --quick    a second for each figure

LiteLLM's Proxy (`pip install "lfm-adapter[proxy]"`) asks through our provider. Portkey's gateway is that of
`npm install --prefix .npm-bench @portkey-ai/gateway`. The upstream is `benchmarks.server`, and the load comes from this
process. All share the machine's cores, so that figures compare within one run.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib.util
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from benchmarks.server import EVENTS, TOKENS_PER_S, running_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

KEY = "sk-a-key-for-benchmarks-only"
CLIENTS = (1, 8, 32)
BURSTS = (1, 8)
LIVE_STREAMS = 500
CALLS_ON_PAGE = 100_000
START_TIMEOUT_S = 60
RESULTS = Path(__file__).with_name("GATEWAY.md")
PORTKEY = (
    Path(__file__).parents[1] / ".npm-bench" / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
)
TIMED = re.compile(rb'"content":\s?"(\d{19})"')

Figures = dict[str, Any]


@dataclass
class Target:
    """Something that answers chat requests.

    Attributes:
        host: Its host and port.
        path: The path of its chat completions.
        headers: What it needs beside the key.
        process: Its process, or None.
        start_s: Seconds from its start to its first answer.
    """

    host: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    start_s: float = 0.0

    def request(self, *, stream: bool) -> bytes:
        """Return the bytes of a request."""
        body = {
            "model": "lfm-2.5-2.6b:free",
            "messages": [{"role": "user", "content": "How is the weather in Paris?"}],
            "max_tokens": 1000,
        } | ({"stream": True} if stream else {})
        content = json.dumps(body).encode()
        lines = [
            f"POST {self.path} HTTP/1.1", f"Host: {self.host}", "Content-Type: application/json",
            f"Authorization: Bearer {KEY}", f"Content-Length: {len(content)}",
            *(f"{name}: {value}" for name, value in self.headers.items()),
        ]  # fmt: skip
        return "\r\n".join([*lines, "", ""]).encode() + content


@contextlib.contextmanager
def ours(upstream: str) -> Iterator[Target]:
    """Run `lfm gateway`."""
    with tempfile.TemporaryDirectory() as home:
        port = free_port()
        program = "from lfm_adapter.apps.cli import app; app()"
        command = [
            sys.executable, "-c", program, "gateway", "--key", KEY, "--port", str(port), "--budget-usd", "1000000",
        ]  # fmt: skip
        environment = {"HOME": home, "OPENROUTER_API_KEY": "sk-or-v1-for-benchmarks", "OPENROUTER_BASE_URL": upstream}
        with started(command, environment, Target(f"127.0.0.1:{port}", "/v1/chat/completions")) as target:
            yield target


@contextlib.contextmanager
def litellm_proxy(upstream: str) -> Iterator[Target]:
    """Run LiteLLM's Proxy with a model of our provider."""
    with tempfile.TemporaryDirectory() as home:
        port = free_port()
        config = {
            "model_list": [
                {
                    "model_name": "lfm-2.5-2.6b:free",
                    "litellm_params": {
                        "model": "lfm/liquid/lfm-2.5-2.6b:free",
                        "api_base": upstream,
                        "api_key": "none",
                    },
                }
            ],
            "litellm_settings": {
                "custom_provider_map": [{"provider": "lfm", "custom_handler": "lfm_adapter.litellm.handler"}]
            },
            "general_settings": {"master_key": KEY},
        }
        file = Path(home) / "config.yaml"
        file.write_text(json.dumps(config), encoding="utf-8")
        program = str(Path(sys.executable).with_name("litellm"))
        command = [program, "--config", str(file), "--host", "127.0.0.1", "--port", str(port)]
        environment = {"HOME": home, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
        with started(command, environment, Target(f"127.0.0.1:{port}", "/v1/chat/completions")) as target:
            yield target


@contextlib.contextmanager
def portkey(upstream: str) -> Iterator[Target]:
    """Run Portkey's gateway."""
    port = free_port()
    headers = {"x-portkey-provider": "openai", "x-portkey-custom-host": upstream}
    command = ["node", str(PORTKEY), f"--port={port}", "--headless"]
    with started(
        command, {"NODE_ENV": "production"}, Target(f"127.0.0.1:{port}", "/v1/chat/completions", headers)
    ) as target:
        yield target


@contextlib.contextmanager
def direct(upstream: str) -> Iterator[Target]:
    """Ask the upstream itself."""
    parts = urlsplit(upstream)
    yield Target(parts.netloc, f"{parts.path}/chat/completions")


SUBJECTS: dict[str, Callable[[str], contextlib.AbstractContextManager[Target]]] = {
    "direct": direct,
    "lfm gateway": ours,
    "LiteLLM's Proxy": litellm_proxy,
    "Portkey": portkey,
}


def is_installed(name: str) -> bool:
    """Return whether a gateway can be started."""
    if name == "Portkey":
        return PORTKEY.exists() and shutil.which("node") is not None
    return name != "LiteLLM's Proxy" or all(map(importlib.util.find_spec, ("litellm", "fastapi", "uvicorn")))


@contextlib.contextmanager
def started(command: list[str], environment: dict[str, str], target: Target) -> Iterator[Target]:
    """Start a gateway, wait until it answers a chat request, and stop it at the end."""
    names = {"PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    began = time.monotonic()
    with subprocess.Popen(
        command, env=names | environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            while not (answers(target, stream=False) or answers(target, stream=True)):
                assert process.poll() is None, f"{command[0]} ended with {process.returncode}"
                if time.monotonic() - began > START_TIMEOUT_S:
                    raise TimeoutError(f"{command[0]} does not answer")
                time.sleep(0.02)
            target.start_s = time.monotonic() - began
            target.process = process
            yield target
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def answers(target: Target, *, stream: bool) -> bool:
    """Return whether a chat request gets an answer. Portkey has none where a stream answers a plain request."""
    head, _, content = target.request(stream=stream).partition(b"\r\n\r\n")
    headers = dict(
        line.split(": ", 1) for line in head.decode().split("\r\n")[1:] if not line.startswith("Content-Length")
    )
    asked = urllib.request.Request(f"http://{target.host}{target.path}", content, headers)
    try:
        with urllib.request.urlopen(asked, timeout=30) as reply:  # noqa: S310
            return reply.status == 200
    except OSError:
        return False


class Connection:
    """One connection that is kept."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._whole, self._stream = target.request(stream=False), target.request(stream=True)

    async def open(self) -> None:
        """Connect."""
        host, _, port = self._target.host.partition(":")
        self._reader, self._writer = await asyncio.open_connection(host, int(port), limit=1 << 20)

    async def whole(self) -> float:
        """Ask once; return the seconds that it took."""
        began = time.perf_counter()
        self._writer.write(self._whole)
        head = await self._reader.readuntil(b"\r\n\r\n")
        assert b" 200 " in head[:20], head
        if length := re.search(rb"(?i)content-length: *(\d+)", head):
            await self._reader.readexactly(int(length[1]))
        else:
            await self._reader.readuntil(b"0\r\n\r\n")
        return time.perf_counter() - began

    async def stream(self) -> tuple[float, list[float]]:
        """Read a stream; return the seconds to its first event, and how many ms late each event was that says so."""
        began = time.perf_counter()
        self._writer.write(self._stream)
        head = await self._reader.readuntil(b"\r\n\r\n")
        assert b" 200 " in head[:20], head
        first, lags = 0.0, []
        while True:
            line = await self._reader.readline()
            if line.startswith(b"data:"):
                first = first or time.perf_counter() - began
                if found := TIMED.search(line):
                    lags.append((time.monotonic_ns() - int(found[1])) / 1e6)
            elif line.rstrip() == b"0":
                await self._reader.readline()
                return first, lags
            elif not line:
                raise ConnectionError("the stream broke off")

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


async def connections(target: Target, count: int) -> list[Connection]:
    """Return open connections."""
    made = [Connection(target) for _ in range(count)]
    for one in made:
        await one.open()
    return made


async def rate(target: Target, clients: int, seconds: float) -> tuple[float, float]:
    """Return requests a second, and the median of a request in ms."""
    made = await connections(target, clients)
    for one in made:
        await one.whole()
    took: list[float] = []
    end = time.perf_counter() + seconds

    async def ask(one: Connection) -> None:
        while time.perf_counter() < end:
            took.append(await one.whole())

    began = time.perf_counter()
    await asyncio.gather(*map(ask, made))
    lasted = time.perf_counter() - began
    for one in made:
        one.close()
    return len(took) / lasted, statistics.median(took) * 1e3


async def first_token(target: Target, clients: int, rounds: int) -> float:
    """Return the median ms to the first event, of clients that each read a stream of `EVENTS` in one burst."""
    made = await connections(target, clients)
    took: list[float] = []
    for _ in range(rounds):
        took += [first for first, _ in await asyncio.gather(*(one.stream() for one in made))]
    for one in made:
        one.close()
    return statistics.median(took) * 1e3


async def live(target: Target, streams: int) -> tuple[float, float]:
    """Return the median and the 99th percentile in ms of how late the events of streams at the model's pace are."""
    made = await connections(target, streams)

    async def read(one: Connection, delay_s: float) -> list[float]:
        await asyncio.sleep(delay_s)
        return (await one.stream())[1]

    found = await asyncio.gather(*(read(one, 2 * place / streams) for place, one in enumerate(made)))
    for one in made:
        one.close()
    lags = sorted(lag for lags in found for lag in lags)
    return statistics.median(lags), lags[int(len(lags) * 0.99)]


def page_s(calls: int) -> float:
    """Return the seconds that it takes to put together our gateway's page of so many calls."""
    from lfm_adapter._client.settings import Settings
    from lfm_adapter.apps.gateway.access import Access
    from lfm_adapter.apps.gateway.call import Gateway
    from lfm_adapter.apps.gateway.models import CatalogModels
    from lfm_adapter.apps.gateway.page_facts import page_facts
    from lfm_adapter.ledger import CallRecord, Ledger

    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder) / "ledger.db")
        now = time.time()
        facts: Any = {"source": "gateway", "model": "liquid/lfm-3-1.7b", "prompt_tokens": 900, "completion_tokens": 90}
        for number in range(calls):
            ago = 20.0 * (calls - number)
            ledger.record(
                CallRecord(time=now - ago, app=f"app {number % 30}", first_token_s=0.2, duration_s=2, **facts)
            )
            if number % 10_000 == 0:
                assert ledger.flush(60)
        assert ledger.flush(60)
        gateway = Gateway(
            settings=Settings.from_env(api_key=KEY), models=CatalogModels(), access=Access(KEY, ""), default_model="",
            ledger=ledger,
        )  # fmt: skip
        began = time.monotonic()
        page_facts(gateway, 30)
        return time.monotonic() - began


def rss_mib(process: subprocess.Popen[bytes] | None) -> float | None:
    """Return the MiB of memory of a process, where the system tells."""
    status = Path(f"/proc/{process.pid}/statm") if process else None
    if status is None or not status.exists():
        return None
    return int(status.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def measure(name: str, server: str, *, quick: bool) -> Figures:
    """Return the figures of one gateway, without those of streams where it does not answer any.

    Portkey's gateway 1.15.2 does not on Node.js 20.20, where the headers of a response are immutable.
    """
    figures: Figures = {}
    with SUBJECTS[name](f"{server}/whole/v1") as target:
        figures["start_s"], figures["idle_mib"] = target.start_s, rss_mib(target.process)
        for clients in CLIENTS:
            figures[f"rate_{clients}"], figures[f"p50_{clients}"] = asyncio.run(
                rate(target, clients, 1 if quick else 8)
            )
        figures["loaded_mib"] = rss_mib(target.process)
    if name == "lfm gateway" and importlib.util.find_spec("leather"):
        figures["page_s"] = page_s(CALLS_ON_PAGE)
    try:
        with SUBJECTS[name](f"{server}/stream/{EVENTS}/v1") as target:
            for clients in BURSTS:
                figures[f"first_{clients}"] = asyncio.run(first_token(target, clients, 5 if quick else 30))
        with SUBJECTS[name](f"{server}/paced/{3 if quick else 10}/v1") as target:
            figures["live_p50"], figures["live_p99"] = asyncio.run(live(target, LIVE_STREAMS))
    except TimeoutError as error:
        print(f"{name}: {error}", flush=True)
    return figures


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


ROWS = {
    "Start to the first answer, s": ("start_s", "{:.1f}"),
    "Memory, idle, MiB": ("idle_mib", "{:.0f}"),
    "Memory after the load, MiB": ("loaded_mib", "{:.0f}"),
    **{f"Requests a second, {count} clients": (f"rate_{count}", "{:,.0f}") for count in CLIENTS},
    **{f"A request, p50, {count} clients, ms": (f"p50_{count}", "{:.2f}") for count in CLIENTS},
    **{f"First token, {count} clients in bursts of {EVENTS}, ms": (f"first_{count}", "{:.1f}") for count in BURSTS},
    f"Lag of {LIVE_STREAMS} streams of {TOKENS_PER_S} tokens a second, p50, ms": ("live_p50", "{:.1f}"),
    "The same, p99, ms": ("live_p99", "{:.0f}"),
    f"Its page of {CALLS_ON_PAGE:,} calls, s": ("page_s", "{:.1f}"),
}


def written(results: Mapping[str, Figures], *, quick: bool) -> str:
    """Return the page of results."""
    names = list(results)
    command, day = (
        f"python -m benchmarks.gateway{' --quick' if quick else ''}",
        time.strftime("%Y-%m-%d", time.gmtime()),
    )
    said = f"Written by `{command}` on {day}: {os.cpu_count()} cores, which gateway, upstream and load share."
    lines = ["# `lfm gateway` beside others", "", said, ""]
    lines += [f"| | {' | '.join(names)} |", f"| --- |{' ---: |' * len(names)}"]
    for row, (key, form) in ROWS.items():
        values = (results[name].get(key) for name in names)
        lines.append(f"| {row} | {' | '.join('' if value is None else form.format(value) for value in values)} |")
    return "\n".join([*lines, ""])


def main() -> None:
    """Measure all that is installed, and write it down."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gateway", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a second for each figure")
    quick = parser.parse_args().quick
    results = {}
    with running_server() as server:
        for name in filter(is_installed, SUBJECTS):
            results[name] = measure(name, server, quick=quick)
            print(name, results[name], flush=True)
    RESULTS.write_text(written(results, quick=quick), encoding="utf-8")
    print(RESULTS.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
