"""`lfm gateway` in a process of its own, as a user starts it."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import threading
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from openai import OpenAI

__all__ = ["MADE_UP_KEY", "Gateway"]

MADE_UP_KEY = "sk-or-v1-made-up-for-tests"
START_TIMEOUT_S = 60  # this machine may be busy
END_TIMEOUT_S = 120

# The first line that is printed only once the gateway serves, or has failed.
READY = re.compile(r"^(Ctrl-C stops it\.|Error: .*)$", re.MULTILINE)


@dataclass
class Gateway:
    """A gateway that runs from `__enter__` to `__exit__`.

    Attributes:
        command: How to start `lfm`.
        home: Where its files go.
        options: Arguments of `lfm gateway`. Without `--port` it gets a free one, far from those of other test runs.
        environment: Variables, beside the few that every program has.
    """

    command: tuple[str, ...]
    home: Path
    options: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def on(cls, upstream_url: str, command: tuple[str, ...], home: Path, *options: str) -> Gateway:
        """Return one that asks a scripted OpenRouter."""
        environment = {"OPENROUTER_API_KEY": MADE_UP_KEY, "OPENROUTER_BASE_URL": upstream_url}
        return cls(command, home, options, environment)

    def __enter__(self) -> Self:
        self._log = self.home / f"gateway-{id(self)}.out"
        self._errors = self.home / f"gateway-{id(self)}.err"
        with self._log.open("w") as log, self._errors.open("w") as errors:
            self.process = subprocess.Popen(  # noqa: S603
                [*self.command, "gateway", *self._port(), *self.options],
                cwd=self.home,
                env={
                    "PATH": os.environ["PATH"],
                    "HOME": str(self.home),
                    "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
                    "PYTHONUNBUFFERED": "1",
                    **self.environment,
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=errors,
            )
        try:
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if "client" in vars(self):
            self.client.close()
        if self.process.poll() is None:
            self.end(signal.SIGTERM)

    def end(self, by: signal.Signals) -> int:
        """Stop it as a user or a service manager does; return its exit code."""
        self.process.send_signal(by)
        try:
            return self.process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    @property
    def printed(self) -> str:
        return self._log.read_text(encoding="utf-8")

    @property
    def noted(self) -> str:
        return self._errors.read_text(encoding="utf-8")

    @property
    def base_url(self) -> str:
        return self._told("Base URL")

    @property
    def key(self) -> str:
        return self._told("Key")

    @cached_property
    def client(self) -> OpenAI:
        """OpenAI's own client, which tries nothing twice here."""
        from openai import OpenAI

        return OpenAI(base_url=self.base_url, api_key=self.key, max_retries=0)

    def request(self, method: str, path: str, body: bytes | None = None, *, key: str | None = None) -> tuple[int, str]:
        """Return status and text of a reply. `key=""` shows none."""
        shown = self.key if key is None else key
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {shown}"} if shown else {})
        connection = http.client.HTTPConnection("127.0.0.1", int(self.base_url.split(":")[2].split("/")[0]), timeout=60)
        try:
            connection.request(method, path, body, headers)
            reply = connection.getresponse()
            return reply.status, reply.read().decode()
        finally:
            connection.close()

    def _port(self) -> tuple[str, ...]:
        if "--port" in self.options:
            return ()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            return ("--port", str(listener.getsockname()[1]))

    def _told(self, what: str) -> str:
        found = re.search(rf"^{what} +(\S+)$", self.printed, re.MULTILINE)
        assert found, self.printed
        return found[1]

    def _wait(self) -> None:
        waited = threading.Event()
        for _ in range(START_TIMEOUT_S * 10):
            if READY.search(self.noted) or self.process.poll() is not None:
                return
            waited.wait(0.1)
        raise AssertionError(f"the gateway did not start in {START_TIMEOUT_S} s:\n{self.noted}")
