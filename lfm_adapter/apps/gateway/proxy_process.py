"""LiteLLM's Proxy in a child process."""

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

REQUIRED = ("litellm", "fastapi", "uvicorn", "prometheus_client")

START_TIMEOUT_S = 180.0  # its imports take 5 to 20 s, and longer without cached bytecode
CLOSE_TIMEOUT_S = 5.0
KEPT_LINES = 25
KEPT_CHARS = 800  # an error's message has room for 1,000

# Its stdin is a pipe from this process. The pipe closes when this process ends, even if it was killed.
_PROGRAM = """
import os, runpy, threading
threading.Thread(target=lambda: (os.read(0, 1), os._exit(1)), daemon=True).start()
runpy.run_module("litellm.proxy.proxy_cli", run_name="__main__", alter_sys=True)
"""


class ProxyProcess:
    """A Proxy that runs until `close`, until it dies, or until this process ends.

    Args:
        config: The file for `litellm --config`.
        host: The address to listen on.
        port: A free port.
        key: What clients must send. The Proxy reads it from its environment, which other users cannot see.
        verbose: Copy the Proxy's log to stderr.

    Raises:
        ConfigurationError: The extra `proxy` is not installed.
    """

    def __init__(self, config: Path, *, host: str, port: int, key: str, verbose: bool = False) -> None:
        if missing := [name for name in REQUIRED if find_spec(name) is None]:
            raise ConfigurationError(
                f"The gateway is LiteLLM's Proxy, but {missing[0]} is not installed. Run `{how_to_install('proxy')}`."
            )
        self._address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port  # noqa: S104
        self._key = key
        self._verbose = verbose
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-c", _PROGRAM, "--config", str(config), "--host", host, "--port", str(port)],
            env=os.environ | {
                "LITELLM_MASTER_KEY": key,
                "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # without it, LiteLLM downloads a list without these models
                "PYTHONUNBUFFERED": "1",
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, args=[self._process.stdout], daemon=True)
        self._reader.start()

    def list_models(self) -> list[str]:
        """Wait until the Proxy serves, and return the names of its models.

        Raises:
            LFMError: It died, or did not start within `START_TIMEOUT_S`.
        """
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise self._death()
            with suppress(OSError, http.client.HTTPException, ValueError):
                return self._listed()
            time.sleep(0.2)
        raise self._failure(f"The Proxy did not respond within {START_TIMEOUT_S:.0f} s.")

    def wait(self) -> None:
        """Block until the Proxy dies.

        Raises:
            LFMError: It died.
        """
        self._process.wait()
        raise self._death()

    def close(self) -> None:
        """Stop the Proxy. Requests in progress get a few seconds to finish."""
        self._process.terminate()
        try:
            self._process.wait(CLOSE_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(CLOSE_TIMEOUT_S)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _listed(self) -> list[str]:
        connection = http.client.HTTPConnection(*self._address, timeout=10)
        try:
            connection.request("GET", "/v1/models", headers={"Authorization": f"Bearer {self._key}"})
            response = connection.getresponse()
            body = json.loads(response.read())
        finally:
            connection.close()
        if response.status != 200:
            raise ValueError(response.status)
        return [model["id"] for model in body["data"]]

    def _read(self, output: IO[str]) -> None:
        for line in output:
            self._lines.append(line.rstrip())
            if self._verbose:
                sys.stderr.write(line)

    def _death(self) -> LFMError:
        self._reader.join(CLOSE_TIMEOUT_S)
        return self._failure(f"The Proxy exited with status {self._process.returncode}.")

    def _failure(self, problem: str) -> LFMError:
        text = "\n".join(self._lines).strip()
        if len(text) > KEPT_CHARS:
            text = f"…{text[-KEPT_CHARS:]}"
        error = LFMError(f"{problem} Its last output:\n{text}" if text else f"{problem} It printed nothing.")
        error.mask_secret(self._key)
        return error
