"""Child processes: each gets its settings as a line of JSON on stdin, and reports once as a line of JSON on stdout."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from typing import Any


def start_process(
    module: str, *, stderr: int | None = None, env: dict[str, str] | None = None, start_new_session: bool = False
) -> subprocess.Popen[bytes]:
    """Start a module in a Python process of its own; the options are those of `subprocess.Popen`."""
    return subprocess.Popen(  # noqa: S603 - our own modules
        [sys.executable, "-P", "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        env=env,
        start_new_session=start_new_session,
    )


def report_of(process: subprocess.Popen[bytes], settings: dict[str, Any]) -> dict[str, Any] | None:
    """Send a process its settings, and return its report: `{"port": …}` or `{"error": …}`; None if it has ended."""
    assert process.stdin is not None  # noqa: S101 - for the type checkers
    assert process.stdout is not None  # noqa: S101
    try:
        process.stdin.write(json.dumps(settings).encode() + b"\n")
        process.stdin.flush()
        line = process.stdout.readline()
    except OSError:
        return None
    report: dict[str, Any] | None = json.loads(line) if line else None
    return report


def read_settings() -> dict[str, Any]:
    """Return the settings of this process."""
    settings: dict[str, Any] = json.loads(sys.stdin.buffer.readline())
    return settings


class EngineProcess:
    """An engine that runs or starts."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.key = secrets.token_urlsafe()
        self._settings = settings
        stderr = None if settings["verbose"] else subprocess.DEVNULL
        self._process = start_process("lfm_adapter.apps.local.engine", stderr=stderr)

    def wait_until_ready(self) -> dict[str, Any]:
        """Return `{"port": …}` of its server, or why it cannot run as `{"error": …}`."""
        report = report_of(self._process, {**self._settings, "key": self.key})
        if report is not None:
            return report
        return {
            "error": f"llama.cpp ended with status {self._process.wait()} while it loaded {self._settings['gguf']!r}. "
            "The file may be damaged or too large for the memory."
        }

    def wait(self) -> int:
        """Wait for its end and return its exit status."""
        return self._process.wait()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()
