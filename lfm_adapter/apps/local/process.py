"""Child processes: each gets its settings as a line of JSON on stdin, and reports once as a line of JSON on stdout."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

__all__ = ["read_settings", "report_of", "start_process"]


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
