"""`make check-release`: what a release must have before it goes to PyPI."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.release_check import missing

if TYPE_CHECKING:
    from pathlib import Path

URLS = 'Source = "https://example.com/lfm"\nIssues = "https://example.com/i"\nChangelog = "https://example.com/c"\n'


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository whose version 1.2.0 can be released."""
    (tmp_path / "lfm_adapter").mkdir()
    (tmp_path / "lfm_adapter/_version.py").write_text('"""The version."""\n\n__version__ = "1.2.0"\n')
    (tmp_path / "pyproject.toml").write_text(f"[project.urls]\n{URLS}")
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## 1.2.0 - 2026-11-28\n\n- A change.\n")
    return tmp_path


def test_a_release_that_is_ready_is_let_through(checkout: Path):
    assert missing(checkout, "v1.2.0") == []


@pytest.mark.parametrize("name", ["Source", "Issues", "Changelog"])
def test_a_release_without_an_address_is_refused(checkout: Path, name: str):
    (checkout / "pyproject.toml").write_text("[project.urls]\n" + URLS.replace(name, "Elsewhere"))
    (reason,) = missing(checkout, "v1.2.0")
    assert repr(name) in reason


@pytest.mark.parametrize("tag", ["v1.2.1", "1.2.0", ""])
def test_a_tag_that_is_not_the_version_is_refused(checkout: Path, tag: str):
    (reason,) = missing(checkout, tag)
    assert reason.endswith("expected 'v1.2.0'.")


@pytest.mark.parametrize("heading", ["Unreleased", "1.2.0", "1.2.0 - soon", "1.2.01 - 2026-11-28"])
def test_a_changelog_without_the_version_and_its_date_is_refused(checkout: Path, heading: str):
    (checkout / "CHANGELOG.md").write_text(f"# Changelog\n\n## {heading}\n\n- A change.\n")
    (reason,) = missing(checkout, "v1.2.0")
    assert "CHANGELOG.md" in reason
