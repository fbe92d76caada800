"""Child processes: each gets its settings as a line of JSON on stdin, and reports once as a line of JSON on stdout."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

__all__ = ["read_settings", "report_of", "start_process"]


def start_process(module: str, **options: Any) -> subprocess.Popen[bytes]:
    """Start a module in a Python process of its own.

    Args:
        module: The module.
        **options: Arguments of `subprocess.Popen`.
    """
    command = [sys.executable, "-P", "-m", module]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options)  # noqa: S603 - our own modules


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
