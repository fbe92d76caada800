"""Reads the metadata of a GGUF file, and writes a copy with more metadata.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md#file-structure.
"""

from __future__ import annotations

import mmap
import struct
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

MAGIC = b"GGUF"
VERSIONS = (2, 3)

_HEADER = struct.Struct("<4sIQQ")  # magic, version, number of tensors, number of metadata entries
_UINT32, _UINT64 = struct.Struct("<I"), struct.Struct("<Q")
_ARRAY_HEAD = struct.Struct("<IQ")  # type and number of its items
_TYPE_UINT32, _TYPE_STRING, _TYPE_ARRAY = 4, 8, 9
_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # bytes of a value, by its type
_DEFAULT_ALIGNMENT = 32

_COPIED_BYTES = 1 << 20


@dataclass
class _Layout:
    """The positions of the parts of a file, and its text metadata."""

    version: int
    tensors: int
    entries: int
    texts: dict[str, str] = field(default_factory=dict)
    alignment: int = _DEFAULT_ALIGNMENT
    metadata_end: int = 0
    tensors_end: int = 0  # of their names, shapes and offsets; padding and their data follow


def read_texts(file: Path) -> dict[str, str]:
    """Return the text metadata of a file.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is damaged.
    """
    with _mapped(file) as data:
        return _layout(data).texts


def decision_type(file: Path) -> str | None:
    """Return the type of a decision model, such as "lfm2-d1"; None for other models.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is damaged.
    """
    texts = read_texts(file)
    return texts.get(f"{texts.get('general.architecture')}.decision.type")


def find_decision_type(file: Path) -> str | None:
    """Return what `decision_type` returns; None for a file that cannot be read, which llama.cpp will refuse."""
    try:
        return decision_type(file.expanduser())
    except (OSError, ValueError):
        return None


def write_with_metadata(source: Path, target: IO[bytes], texts: Mapping[str, str]) -> None:
    """Write a copy of a file with more metadata. The rest is unchanged, byte by byte.

    Args:
        source: The file.
        target: An empty file to write to.
        texts: The new metadata.

    Raises:
        ValueError: The file is damaged, or already has one of these metadata.
    """
    with _mapped(source) as data:
        layout = _layout(data)
        if present := texts.keys() & layout.texts.keys():
            raise ValueError(f"it already has {', '.join(sorted(present))}")
        target.write(_HEADER.pack(MAGIC, layout.version, layout.tensors, layout.entries + len(texts)))
        target.write(data[_HEADER.size : layout.metadata_end])
        target.writelines(_string(key) + _UINT32.pack(_TYPE_STRING) + _string(text) for key, text in texts.items())
        target.write(data[layout.metadata_end : layout.tensors_end])
        target.write(bytes(-target.tell() % layout.alignment))
        begin = layout.tensors_end + -layout.tensors_end % layout.alignment  # offsets of tensors count from here
        target.writelines(data[start : start + _COPIED_BYTES] for start in range(begin, len(data), _COPIED_BYTES))


@contextmanager
def _mapped(file: Path) -> Iterator[mmap.mmap]:
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            yield data
        except (struct.error, UnicodeDecodeError, OverflowError) as error:
            raise ValueError("its metadata is truncated or damaged") from error


def _layout(data: mmap.mmap) -> _Layout:
    magic, version, tensors, entries = _HEADER.unpack_from(data)
    if magic != MAGIC or version not in VERSIONS:
        raise ValueError(f"it is not GGUF of version {' or '.join(map(str, VERSIONS))}")
    layout = _Layout(version, tensors, entries)
    position = _HEADER.size
    for _ in range(entries):
        key, position = _read_string(data, position)
        (kind,) = _UINT32.unpack_from(data, position)
        position += _UINT32.size
        if kind == _TYPE_STRING:
            layout.texts[key], position = _read_string(data, position)
            continue
        if key == "general.alignment" and kind == _TYPE_UINT32:
            layout.alignment = _UINT32.unpack_from(data, position)[0] or _DEFAULT_ALIGNMENT
        position = _value_end(data, position, kind)
    layout.metadata_end = position
    for _ in range(tensors):
        _, position = _read_string(data, position)
        (dimensions,) = _UINT32.unpack_from(data, position)
        position += _UINT32.size + dimensions * _UINT64.size + _UINT32.size + _UINT64.size  # and type, and offset
    layout.tensors_end = position
    return layout


def _value_end(data: mmap.mmap, position: int, kind: int) -> int:
    if kind in _SIZES:
        return position + _SIZES[kind]
    if kind != _TYPE_ARRAY:
        raise ValueError(f"its metadata has the unknown type {kind}")
    item: int
    count: int
    item, count = _ARRAY_HEAD.unpack_from(data, position)
    position += _ARRAY_HEAD.size
    if item in _SIZES:
        return position + count * _SIZES[item]
    if item != _TYPE_STRING:
        raise ValueError(f"its metadata has an array of the unknown type {item}")
    for _ in range(count):
        (length,) = _UINT64.unpack_from(data, position)
        position += _UINT64.size + length
    return position


def _read_string(data: mmap.mmap, position: int) -> tuple[str, int]:
    begin = position + _UINT64.size
    end = begin + _UINT64.unpack_from(data, position)[0]
    if end > len(data):
        raise struct.error
    return data[begin:end].decode(), end


def _string(text: str) -> bytes:
    return _UINT64.pack(len(text.encode())) + text.encode()
