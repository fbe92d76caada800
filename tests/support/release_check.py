"""Refuses a release that is not ready, and says what is missing: `make check-release TAG=v0.1.0`."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path


def missing(root: Path, tag: str) -> list[str]:
    """Return what stands in the way of a release under a tag, one sentence for each.

    Args:
        root: A checkout of the repository.
        tag: The tag, such as v0.1.0.
    """
    urls = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["urls"]
    (version,) = re.findall(
        r'^__version__ = "(.+)"', (root / "lfm_adapter/_version.py").read_text("utf-8"), re.MULTILINE
    )
    changelog = (root / "CHANGELOG.md").read_text("utf-8")
    found = [
        f"pyproject.toml has no {name!r} under [project.urls]. Add the public address of the repository."
        for name in ("Source", "Issues", "Changelog")
        if not urls.get(name, "").startswith("https://")
    ]
    if tag != f"v{version}":
        found.append(
            f"The tag is {tag!r}, and `__version__` in lfm_adapter/_version.py is {version!r}: expected 'v{version}'."
        )
    if not re.search(rf"^## {re.escape(version)} - \d{{4}}-\d\d-\d\d$", changelog, re.MULTILINE):
        found.append(f"CHANGELOG.md has no heading '## {version} - YYYY-MM-DD'. Rename 'Unreleased'.")
    return found


if __name__ == "__main__":
    sys.exit("\n".join(missing(Path(__file__).parents[2], sys.argv[1])))
