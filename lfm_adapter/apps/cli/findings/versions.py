"""What is installed: versions, and what a compromised release of LiteLLM left behind.

Nothing is imported to find out, least of all a release that steals.
"""

from __future__ import annotations

import platform
import re
import site
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from lfm_adapter._extras import how_to_install
from lfm_adapter._version import __version__
from lfm_adapter.apps.cli.findings.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["installation"]

# https://github.com/BerriAI/litellm/issues/24518 (March 2026), OSV MAL-2026-2144
_STEALING = frozenset({"1.82.7", "1.82.8"})
_STARTUP_FILE = "litellm_init.pth"

_OLDEST_LITELLM = (1, 81, 10)

_STOLEN = (
    "It reads keys and passwords and sends them away: https://github.com/BerriAI/litellm/issues/24518. Delete this "
    "environment, and replace every secret that this machine has held."
)


def installation() -> Iterator[Finding]:
    """Yield a finding for each of the versions, and for the file that runs at each start of Python."""
    packages = [f"{name} {found}" for name in ("langchain-core", "mcp", "xllamacpp") if (found := _installed(name))]
    yield Finding("ok", ", ".join([f"lfm-adapter {__version__}", f"Python {platform.python_version()}", *packages]))
    yield from _litellm()
    yield _startup_file()


def _litellm() -> Iterator[Finding]:
    found = _installed("litellm")
    if found is None:
        yield Finding("skip", f"LiteLLM is not installed. Only `lfm/...` in it needs it: {how_to_install('litellm')}")
        return
    release = _release(found)
    if found in _STEALING:
        yield Finding("fail", f"litellm {found} is a compromised release. {_STOLEN}")
    elif release[:2] == (1, 107):
        yield Finding("fail", f"litellm {found} was withdrawn from PyPI. Install another: pip install -U litellm")
    elif release < _OLDEST_LITELLM:
        yield Finding("warn", f"litellm {found} is older than any that lfm-adapter is tested with: from 1.81.10 on.")
    else:
        yield Finding("ok", f"litellm {found}")
    if (1, 106) <= release[:2] <= (1, 108) and _installed("mcp") is None:
        yield Finding(
            "warn", 'mcp is not installed, and without it LiteLLM 1.106 to 1.108 refuse tools: pip install "mcp>=2,<3"'
        )
    if _installed("tenacity") is None:
        yield Finding("warn", "tenacity is not installed; LiteLLM's `num_retries` needs it: pip install tenacity")


def _startup_file() -> Finding:
    folders = {Path(folder) for folder in (*site.getsitepackages(), site.getusersitepackages(), *sys.path) if folder}
    stray = sorted(str(folder / _STARTUP_FILE) for folder in folders if (folder / _STARTUP_FILE).exists())
    if stray:
        return Finding("fail", f"{', '.join(stray)} runs at each start of Python. {_STOLEN}")
    return Finding("ok", f"no {_STARTUP_FILE}, which compromised releases of LiteLLM leave behind")


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _release(text: str) -> tuple[int, ...]:
    """Return the numbers that a version begins with.

    >>> _release("1.106.2.post1"), _release("1.81.10rc1")
    ((1, 106, 2), (1, 81, 10))
    """
    return tuple(int(number) for number in re.findall(r"\d+", text)[:3])
