"""Where `make test-clients` installs the programs that tests/clients runs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

__all__ = ["AGENTS", "AIDER", "CHROMIUM", "LFM", "NODE", "OPEN_WEBUI", "PROGRAMS", "ROOT", "needs"]

ROOT = Path(__file__).parents[1]
PROGRAMS = ROOT / "tests" / "clients" / "programs"
LFM = ROOT / ".venv-proxy" / "bin" / "lfm"
AIDER = ROOT / ".venv-aider" / "bin"
AGENTS = ROOT / ".venv-agents" / "bin"
NODE = ROOT / ".npm-clients" / "node_modules" / ".bin"
OPEN_WEBUI = ROOT / ".venv-open-webui" / "bin" / "open-webui"
CHROMIUM = Path(next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "chromium"))


def needs(*programs: Path) -> pytest.MarkDecorator:
    """Return the mark of a test that runs these, beside the gateway."""
    missing = [program.name for program in (LFM, *programs) if not program.exists()]
    return pytest.mark.skipif(bool(missing), reason=f"no {', '.join(missing)}: see `make test-clients`")
