"""A chat app that runs beside the tests."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["PAGE_TIMEOUT_S", "QUESTION", "WRONG_KEY", "free_port", "running"]

START_TIMEOUT_S = 400  # Open WebUI imports for a minute, and this machine may be busy
PAGE_TIMEOUT_S = 240

QUESTION = "What is water?"
WRONG_KEY = "The API key is wrong. Enter the gateway's key in your app: `lfm gateway` prints it when it starts"


@contextmanager
def running(home: Path, settings: Mapping[str, str], *command: object, ports: tuple[int, ...]) -> Iterator[None]:
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
        _wait_until_served(home, process, ports)
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(60)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def free_port(port: int = 0) -> int:
    """Return a port that nobody uses: this one, or any.

    Raises:
        OSError: This one is in use.
    """
    with socket.create_server(("127.0.0.1", port)) as listener:
        return listener.getsockname()[1]


def _wait_until_served(home: Path, process: subprocess.Popen[bytes], ports: tuple[int, ...]) -> None:
    waited = threading.Event()
    for _ in range(START_TIMEOUT_S):
        if all(map(_answers, ports)):
            return
        assert process.poll() is None, (home / "app.log").read_text()[-3000:]
        waited.wait(1)
    raise AssertionError((home / "app.log").read_text()[-3000:])


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status < 500
    except OSError:
        return False
    finally:
        connection.close()
