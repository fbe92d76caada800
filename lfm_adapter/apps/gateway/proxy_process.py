"""LiteLLM's Proxy as a process of its own, from its start to its end."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from importlib.util import find_spec
from typing import IO, TYPE_CHECKING, Self

from lfm_adapter._extras import how_to_install
from lfm_adapter.errors import ConfigurationError, LFMError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["ProxyProcess"]

NEEDED = ("litellm", "fastapi", "uvicorn", "prometheus_client")

START_TIMEOUT_S = 180.0  # it imports for 5 to 20 s, and longer where no bytecode is cached
CLOSE_TIMEOUT_S = 5.0
KEPT_LINES = 25
KEPT_CHARS = 800  # an error's message has room for 1,000


class ProxyProcess:
    """A Proxy that runs until `close`, or until it dies.

    Attributes:
        host: Where it listens.
        port: Its port.

    Args:
        config: The file for `litellm --config`.
        host: Where to listen.
        port: A port that is free.
        key: What clients have to show. It goes to the Proxy by its environment, where other users cannot read it.
        verbose: Show the Proxy's log on stderr.

    Raises:
        ConfigurationError: The extra `proxy` is not installed.
    """

    def __init__(self, config: Path, *, host: str, port: int, key: str, verbose: bool = False) -> None:
        if missing := [name for name in NEEDED if find_spec(name) is None]:
            raise ConfigurationError(
                f"The gateway is LiteLLM's Proxy, and {missing[0]} is not installed. Run `{how_to_install('proxy')}`."
            )
        self.host = host
        self.port = port
        self._key = key
        self._verbose = verbose
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "litellm.proxy.proxy_cli",
             "--config", str(config), "--host", host, "--port", str(port)],
            env=os.environ | {
                "LITELLM_MASTER_KEY": key,
                "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else it fetches a price list that has none of these models
                "PYTHONUNBUFFERED": "1",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, args=[self._process.stdout], daemon=True)
        self._reader.start()

    def models(self) -> list[str]:
        """Wait until it serves, and return the names that it lists.

        Raises:
            LFMError: It died, or did not start in `START_TIMEOUT_S`.
        """
        end = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < end:
            if self._process.poll() is not None:
                raise self._death()
            with suppress(OSError, http.client.HTTPException, ValueError):
                return self._listed()
            time.sleep(0.2)
        raise self._failure(f"The Proxy does not answer after {START_TIMEOUT_S:.0f} s.")

    def wait(self) -> None:
        """Return never.

        Raises:
            LFMError: It died.
        """
        self._process.wait()
        raise self._death()

    def close(self) -> None:
        """Stop it; requests that are being answered have a few seconds."""
        self._process.terminate()
        try:
            self._process.wait(CLOSE_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(CLOSE_TIMEOUT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _listed(self) -> list[str]:
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104
        connection = http.client.HTTPConnection(host, self.port, timeout=10)
        try:
            connection.request("GET", "/v1/models", headers={"Authorization": f"Bearer {self._key}"})
            reply = connection.getresponse()
            body = json.loads(reply.read())
        finally:
            connection.close()
        if reply.status != 200:
            raise ValueError(reply.status)
        return [model["id"] for model in body["data"]]

    def _read(self, output: IO[str]) -> None:
        for line in output:
            self._lines.append(line.rstrip())
            if self._verbose:
                sys.stderr.write(line)

    def _death(self) -> LFMError:
        self._reader.join(CLOSE_TIMEOUT_S)
        return self._failure(f"The Proxy ended with code {self._process.returncode}.")

    def _failure(self, what: str) -> LFMError:
        text = _tail(self._lines)
        error = LFMError(f"{what} Its last lines:\n{text}" if text else f"{what} It printed nothing.")
        error.mask_secret(self._key)
        return error


def _tail(lines: deque[str]) -> str:
    """Return the last of the lines, as many as an error has room for."""
    text = "\n".join(lines).strip()
    return text if len(text) <= KEPT_CHARS else f"…{text[-KEPT_CHARS:]}"
