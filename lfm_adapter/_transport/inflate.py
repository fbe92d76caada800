"""Decompression of bodies, in pieces of bounded size.

The HTTP libraries can do it, but not every version bounds what a small piece may grow to: aiohttp 3.14.0 made 131 MB of
131 kB at once (tried on 2026-11-23; see https://osv.dev/vulnerability/CVE-2025-69223).
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PIECE_BYTES", "Inflater", "UnknownEncodingError", "inflater_for"]

PIECE_BYTES = 65_536

MAX_SILENT_BYTES = 1024 * 1024
"""Compressed bytes that may say nothing. Empty blocks and members have no size when decompressed, so that no bound of
the body counts them, and a server could send them without end."""

_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32
_NAMES = frozenset({"gzip", "x-gzip", "deflate"})
_HEADER_BYTES = 2


class UnknownEncodingError(ValueError):
    """A body is encoded in a way that was not asked for."""


def inflater_for(headers: Mapping[str, str]) -> Inflater | None:
    """Return what decompresses a body with these headers (names in lower case), or None if it is not compressed.

    Raises:
        UnknownEncodingError: Its encoding is not gzip, deflate or identity.
    """
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding in _NAMES:
        return Inflater()
    if encoding in {"identity", ""}:
        return None
    raise UnknownEncodingError(encoding)


class Inflater:
    """Decompresses gzip and zlib (HTTP's "deflate"). Call `take` until it returns nothing, then `feed` it.

    A body that is not compressed, in spite of its header, comes out as it is: some proxies, and vcrpy, decompress a
    body and leave the header. Compressed data starts like neither JSON nor events.

    >>> inflater = Inflater()
    >>> inflater.feed(zlib.compress(b"data: {}"))
    >>> inflater.take(), inflater.take()
    (b'data: {}', b'')
    >>> inflater.check_end()
    """

    __slots__ = ("_fed", "_input", "_is_begun", "_is_plain", "_silent_bytes", "_stream")

    def __init__(self) -> None:
        self._fed = b""
        self._input = b""
        self._silent_bytes = 0
        self._stream: zlib._Decompress | None = None
        self._is_begun = False
        self._is_plain = False

    def feed(self, data: bytes) -> None:
        """Add compressed bytes."""
        self._fed += data

    def take(self) -> bytes:
        """Return the next bytes, about `PIECE_BYTES` at most; b"" when more must be fed.

        Raises:
            zlib.error: The data is broken, or `MAX_SILENT_BYTES` of it say nothing.
        """
        # In pieces, for each step copies the rest of its input.
        while not (data := self._take()) and self._fed:
            piece, self._fed = self._fed[:PIECE_BYTES], self._fed[PIECE_BYTES:]
            self._silent_bytes += len(piece)
            if self._silent_bytes > MAX_SILENT_BYTES:
                raise zlib.error("compressed data that says nothing")
            self._input += piece
        if data:
            self._silent_bytes = 0
        return data

    def _take(self) -> bytes:
        while self._is_compressed():
            stream = self._stream = self._stream or zlib.decompressobj(_GZIP_OR_ZLIB)
            data = stream.decompress(self._input, PIECE_BYTES)
            if stream.eof:  # of this member; gzip data may have several
                self._stream, self._input = None, stream.unused_data
            else:
                self._input = stream.unconsumed_tail
            if data or not self._input:
                return data
        data, self._input = (self._input, b"") if self._is_plain else (b"", self._input)
        return data

    def check_end(self) -> None:
        """Check that what was taken is all of a body.

        Raises:
            EOFError: The compressed data is cut off.
        """
        is_padding = self._is_begun and not self._input.strip(b"\0")  # one zero: too short to tell a member by
        if self._stream is not None or (self._input and not is_padding):
            raise EOFError

    def _is_compressed(self) -> bool:
        """Return whether there is something to decompress; at the start of a member, its first bytes tell."""
        if self._stream is not None:
            return True
        if self._is_plain or len(self._input) < _HEADER_BYTES:
            return False
        if self._input.startswith(b"\x1f\x8b") or _is_zlib(self._input):
            self._is_begun = True
            return True
        if self._is_begun:
            self._input = b""  # padding behind the data, which gzip ignores too
        else:
            self._is_plain = True
        return False


def _is_zlib(data: bytes) -> bool:
    """Return whether `data` starts with the header of RFC 1950."""
    return data[0] & 0x0F == zlib.DEFLATED and int.from_bytes(data[:_HEADER_BYTES]) % 31 == 0
