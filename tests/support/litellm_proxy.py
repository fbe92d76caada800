"""LiteLLM's Proxy in a process of its own, started with what `lfm proxy-config` writes."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import yaml

from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Mapping

    from openai import OpenAI

__all__ = ["INSTALLED", "MADE_UP_KEY", "NOT_INSTALLED", "Proxy"]

INSTALLED = all(map(find_spec, ("litellm", "fastapi", "prometheus_client")))
NOT_INSTALLED = "needs the extra `proxy`, which `make test-proxy` installs"

MADE_UP_KEY = "sk-or-v1-made-up-for-tests"
BIN = Path(sys.executable).parent
START_TIMEOUT_S = 120  # it imports for 10 s, and this machine may be busy


@dataclass
class Proxy:
    """A Proxy that runs from `__enter__` to `__exit__`.

    Attributes:
        upstream_url: What stands in for OpenRouter.
        folder: Where its files go.
        options: More arguments of `lfm proxy-config`.
        config: A file that another Proxy has written, for a second machine with the same one.
        environment: More variables of the Proxy.
    """

    upstream_url: str
    folder: Path
    options: tuple[str, ...] = ()
    config: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int = 0
    key: str = field(default="", repr=False)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.port = free_port()
        if self.config is None:
            self.config = self.folder / "config.yaml"
            # On a fast machine, the tests of one Proxy send more than the 60 requests a minute of its default.
            self._run("lfm", "proxy-config", "--output", str(self.config), "--rpm", "10000", *self.options).wait()
        self.key = yaml.safe_load(self.config.read_text(encoding="utf-8"))["general_settings"]["master_key"]
        address = ("--host", "127.0.0.1", "--port", str(self.port))
        self._process = self._run("litellm", "--config", str(self.config), *address)
        try:
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if "client" in vars(self):
            self.client.close()
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @cached_property
    def client(self) -> OpenAI:
        """OpenAI's own client, which tries nothing twice here."""
        from openai import OpenAI

        return OpenAI(base_url=f"{self.base_url}/v1", api_key=self.key, max_retries=0)

    def request(self, method: str, path: str, body: bytes | None = None, *, key: str | None = None) -> tuple[int, str]:
        """Return status and text of a reply. `key=""` shows none."""
        status, text, _ = self.answer(method, path, body, key=key)
        return status, text

    def ask(self, key: str | None = None, path: str = "/v1/chat/completions", **fields: Any) -> tuple[int, str, Any]:
        """Ask a question as JSON; return status, text and headers."""
        body = {"messages": [{"role": "user", "content": "Hello"}], "disable_fallbacks": True} | fields
        return self.answer("POST", path, json.dumps(body).encode(), key=key)

    def answer(
        self, method: str, path: str, body: bytes | None = None, *, key: str | None = None
    ) -> tuple[int, str, Any]:
        """Return status, text and headers of a reply."""
        shown = self.key if key is None else key
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {shown}"} if shown else {})
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers)
            reply = connection.getresponse()
            return reply.status, reply.read().decode(), reply.headers
        finally:
            connection.close()

    def log(self) -> str:
        """Return what the processes have printed."""
        return self._log.read_text(encoding="utf-8")

    @property
    def _log(self) -> Path:
        return self.folder / f"proxy-{self.port}.log"

    def _run(self, program: str, *arguments: str) -> subprocess.Popen[Any]:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "OPENROUTER_API_KEY": MADE_UP_KEY,
            "OPENROUTER_BASE_URL": self.upstream_url,
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            **self.environment,
        }
        with self._log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603
                [str(BIN / program), *arguments], cwd=self.folder, env=environment, stdout=log, stderr=log
            )

    def _wait(self) -> None:
        end = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < end:
            assert self._process.poll() is None, f"the Proxy ended at its start:\n{self.log()}"
            with suppress(OSError):
                if self.request("GET", "/health/liveliness")[0] == 200:
                    return
            time.sleep(0.2)
        raise AssertionError(f"the Proxy did not start in {START_TIMEOUT_S} s:\n{self.log()}")
