"""GGUF files of a few hundred bytes, for what only looks at their metadata."""

from __future__ import annotations

import struct

__all__ = ["DATA", "tiny_gguf"]

DATA = bytes(range(64))


def tiny_gguf(alignment: int | None = None, **texts: str) -> bytes:
    """Return a file with one tensor, a value of each kind of metadata, and `texts`: `a__b` stands for `a.b`."""
    entries = [_key("count") + struct.pack("<IQ", 10, 7), _key("rope.scale") + struct.pack("<If", 6, 0.5)]
    entries += [_key("tokens") + struct.pack("<IIQ", 9, 8, 2) + _text("a") + _text("bc")]
    entries += [_key("scores") + struct.pack("<IIQff", 9, 6, 2, 0.0, 1.0)]
    if alignment is not None:
        entries += [_key("general.alignment") + struct.pack("<II", 4, alignment)]
    entries += [_key(name.replace("__", ".")) + struct.pack("<I", 8) + _text(text) for name, text in texts.items()]
    tensor = _text("weights") + struct.pack("<IQQIQ", 2, 4, 4, 0, 0)
    head = struct.pack("<4sIQQ", b"GGUF", 3, 1, len(entries)) + b"".join(entries) + tensor
    return head + bytes(-len(head) % (alignment or 32)) + DATA


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


_key = _text
