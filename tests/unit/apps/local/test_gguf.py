"""Metadata of GGUF files: read, and added to a copy."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from lfm_adapter.apps.local.gguf import decision_type, read_texts, write_with_metadata
from tests.support.tiny_gguf import DATA, tiny_gguf

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "model.gguf"


def test_texts_are_read_among_values_of_other_kinds(file: Path):
    file.write_bytes(tiny_gguf(general__architecture="lfm2", general__name="Größe"))
    assert read_texts(file) == {"general.architecture": "lfm2", "general.name": "Größe"}


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ({"general__architecture": "lfm2", "lfm2__decision__type": "lfm2-d1"}, "lfm2-d1"),
        ({"general__architecture": "llama", "lfm2__decision__type": "lfm2-d1"}, None),
        ({"general__architecture": "lfm2"}, None),
        ({}, None),
    ],
)
def test_decision_model_is_recognised_by_the_metadata_of_its_architecture(
    file: Path, texts: dict[str, str], expected: str | None
):
    file.write_bytes(tiny_gguf(None, **texts))
    assert decision_type(file) == expected


@pytest.mark.parametrize("alignment", [None, 8, 64])
def test_copy_equals_a_file_written_with_the_metadata(file: Path, alignment: int | None):
    file.write_bytes(tiny_gguf(alignment=alignment, general__architecture="lfm2"))
    copy = file.with_name("copy.gguf")
    with copy.open("wb") as target:
        write_with_metadata(file, target, {"lfm2.decision.type": "lfm2-d1", "note": "n" * 100})
    whole = tiny_gguf(alignment=alignment, general__architecture="lfm2", lfm2__decision__type="lfm2-d1", note="n" * 100)
    assert copy.read_bytes() == whole
    assert whole.endswith(DATA)


def test_existing_metadata_are_not_written_twice(file: Path):
    file.write_bytes(tiny_gguf(note="old"))
    with file.with_name("copy").open("wb") as target, pytest.raises(ValueError, match="it already has note"):
        write_with_metadata(file, target, {"note": "new"})


@pytest.mark.parametrize("length", [0, 10, 24, 60, 150])
def test_file_that_is_cut_off_is_a_value_error(file: Path, length: int):
    file.write_bytes(tiny_gguf(general__architecture="lfm2")[:length])
    with pytest.raises(ValueError, match=r"damaged|empty file"):
        read_texts(file)


@pytest.mark.parametrize(
    "content",
    [
        b"GGUF" + struct.pack("<IQQ", 3, 2**63, 2**64 - 1),
        struct.pack("<4sIQQQ", b"GGUF", 3, 0, 1, 2**64 - 1),
        struct.pack("<4sIQQQ1sIIQ", b"GGUF", 3, 0, 1, 1, b"k", 9, 8, 2**64 - 1),
        struct.pack("<4sIQQQ1sIIQ", b"GGUF", 3, 0, 2, 1, b"k", 9, 4, 2**64 - 1),
        struct.pack("<4sIQQQ1sIIQ", b"GGUF", 3, 0, 1, 1, b"k", 9, 9, 2**64 - 1),
        struct.pack("<4sIQQQ1sIQ", b"GGUF", 3, 0, 1, 1, b"k", 99, 0),
        struct.pack("<4sIQQQ1sI", b"GGUF", 3, 0, 1, 1, b"\xff", 4) + bytes(16),
        struct.pack(">4sIQQ", b"GGUF", 3, 0, 0),
    ],
)
def test_hostile_counts_and_kinds_end_at_once(file: Path, content: bytes):
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"damaged|unknown type|not GGUF of version"):
        read_texts(file)
