"""The files of the user: private, whole, and read with a clear error."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from lfm_adapter.apps.user_files import read_user_file, write_private
from lfm_adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path


def test_written_file_is_private_even_if_the_old_one_was_not(tmp_path: Path):
    file = tmp_path / "folder" / "keys"
    file.parent.mkdir()
    file.write_text("old")
    file.chmod(0o644)
    write_private(file, "new")
    assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == ("new", 0o600)


def test_failed_write_keeps_the_old_file_and_leaves_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def disk_is_full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    file = tmp_path / "keys"
    file.write_text("old")
    monkeypatch.setattr(os, "fsync", disk_is_full)
    with pytest.raises(OSError, match="No space left"):
        write_private(file, "new")
    assert [(path, path.read_text()) for path in tmp_path.iterdir()] == [(file, "old")]


def test_missing_file_is_empty_and_an_unreadable_one_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("typer.get_app_dir", lambda _: str(tmp_path))
    assert read_user_file("missing") == ""
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigurationError, match=r"Cannot read .*folder: Is a directory\."):
        read_user_file("folder")
