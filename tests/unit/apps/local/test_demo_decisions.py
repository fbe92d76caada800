"""The demo model as a decision model: a copy in the cache folder, whole or not there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from lfm_adapter.apps.local import demo_decisions
from lfm_adapter.apps.local.demo_decisions import demo_decision_model
from lfm_adapter.apps.local.gguf import decision_type, read_texts
from lfm_adapter.errors import ConfigurationError
from tests.support.tiny_gguf import DATA, tiny_gguf

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "lfm-adapter"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "demo.gguf"
    file.write_bytes(tiny_gguf(general__architecture="llama", general__license="apache-2.0"))
    return file


def test_copy_answers_questions_and_says_what_was_changed(cache: Path, source: Path):
    before = source.read_bytes()
    file = demo_decision_model(source)
    assert (file.parent, decision_type(file)) == (cache, "lfm2-d1")
    texts = read_texts(file)
    assert "{{ option.label }}" in texts["tokenizer.chat_template.systemone"]
    assert "changed by lfm-adapter" in texts["lfm_adapter.changes"]
    assert texts["general.license"] == "apache-2.0"
    assert file.read_bytes().endswith(DATA)
    assert source.read_bytes() == before


def test_copy_is_written_once(cache: Path, source: Path):
    first = demo_decision_model(source)
    os.utime(first, (1, 1))
    assert demo_decision_model(source) == first
    assert first.stat().st_mtime == 1


def test_another_model_and_another_template_have_copies_of_their_own(
    cache: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    files = [demo_decision_model(source)]
    template = tmp_path / "template"
    template.write_text("{{ state }}")
    monkeypatch.setattr(demo_decisions, "TEMPLATE", template)
    files.append(demo_decision_model(source))
    source.write_bytes(tiny_gguf(general__architecture="llama", general__name="Other"))
    files.append(demo_decision_model(source))
    assert len(set(files)) == len(list(cache.iterdir())) == 3


def test_copy_that_fails_leaves_nothing(cache: Path, source: Path, monkeypatch: pytest.MonkeyPatch):
    def disk_is_full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", disk_is_full)
    with pytest.raises(ConfigurationError, match=r"No space left on device.*XDG_CACHE_HOME"):
        demo_decision_model(source)
    assert list(cache.iterdir()) == []


def test_cache_folder_that_cannot_be_made_is_named(source: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(source))
    with pytest.raises(ConfigurationError, match=r"demo\.gguf/lfm-adapter.*XDG_CACHE_HOME"):
        demo_decision_model(source)


def test_damaged_model_is_named(cache: Path, source: Path):
    source.write_bytes(source.read_bytes()[:100])
    with pytest.raises(ConfigurationError, match=r"demo\.gguf'.*truncated or damaged"):
        demo_decision_model(source)
