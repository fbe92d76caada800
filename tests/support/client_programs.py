"""Where `make test-clients` installs the programs that tests/clients runs."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

__all__ = [
    "AGENTS",
    "AIDER",
    "CHROMIUM",
    "LFM",
    "NODE",
    "OPEN_WEBUI",
    "PROGRAMS",
    "PYDANTIC_AI",
    "ROOT",
    "needs",
    "output_of",
]

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / "tests" / "clients" / "programs"
LFM = ROOT / ".venv-proxy" / "bin" / "lfm"
AIDER = ROOT / ".venv-aider" / "bin"
AGENTS = ROOT / ".venv-agents" / "bin"
PYDANTIC_AI = ROOT / ".venv-pydantic-ai" / "bin"
NODE = ROOT / ".npm-clients" / "node_modules" / ".bin"
OPEN_WEBUI = ROOT / ".venv-open-webui" / "bin" / "open-webui"
CHROMIUM = Path(next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "chromium"))


def needs(*programs: Path) -> pytest.MarkDecorator:
    """Return the mark of a test that runs these, beside the gateway."""
    missing = [program.name for program in (LFM, *programs) if not program.exists()]
    return pytest.mark.skipif(bool(missing), reason=f"no {', '.join(missing)}: see `make test-clients`")


def output_of(*command: object, cwd: Path, env: dict[str, str], timeout_s: float) -> str:
    """Return what a program prints, once it has ended well."""
    ended = subprocess.run(  # noqa: S603 - what a test names
        [str(word) for word in command],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert ended.returncode == 0, f"{ended.stdout[-2000:]}\n{ended.stderr[-2000:]}"
    return ended.stdout
