"""http.client's reply, such that no server can draw it out or have half of its headers taken for all of them."""

from __future__ import annotations

import http.client
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import socket
    from io import BufferedReader

__all__ = ["HTTPReply"]

_MAX_LINE_BYTES = 65_536  # as http.client has it for headers
_MAX_TRAILERS = 100


class _TimedFile:
    """`file` for http.client, such that one step of its reading waits no longer than the socket's timeout in all.

    The timeout of a socket bounds each wait, so a server that sends a byte now and then would be waited for without
    end: in the headers, and in the line before each chunk.
    """

    def __init__(self, file: BufferedReader, connection: socket.socket) -> None:
        self._file = file
        self.raw = file.raw
        self.flush = file.flush
        self.close = file.close
        self._socket = connection
        self._unread = 0
        self.start()

    def start(self) -> None:
        """Let the time of a step begin."""
        self._deadline: float | None = None

    def readline(self, limit: int) -> bytes:
        line = b""
        while len(line) < limit and (self._unread or self._has_more()):
            piece = self._file.readline(min(self._unread, limit - len(line)))
            self._unread -= len(piece)
            if piece.endswith(b"\n"):
                return line + piece if line else piece
            line += piece
        return line

    def read(self, size: int) -> bytes:
        data = b""
        while len(data) < size and (self._unread or self._has_more()):
            piece = self._file.read(min(self._unread, size - len(data)))
            self._unread -= len(piece)
            data += piece
        return data

    def read1(self, size: int) -> bytes:
        if not self._unread and not self._has_more():
            return b""
        piece = self._file.read1(min(self._unread, size))
        self._unread -= len(piece)
        return piece

    def _has_more(self) -> bool:
        self._unread = self._wait()
        return self._unread > 0

    def _wait(self) -> int:
        """Return how many bytes have come, 0 at the end."""
        timeout_s = self._socket.gettimeout()
        now = time.monotonic()
        if self._deadline is None:
            self._deadline = now + cast("float", timeout_s)
            return len(self._file.peek())
        if now >= self._deadline:
            raise TimeoutError
        self._socket.settimeout(self._deadline - now)
        try:
            return len(self._file.peek())
        finally:
            with suppress(OSError):  # closed by another thread
                self._socket.settimeout(timeout_s)


class _HeaderLines(_TimedFile):
    """The lines of headers, which must not end before the empty one."""

    def _wait(self) -> int:
        unread = super()._wait()
        if not unread:
            raise http.client.RemoteDisconnected("the connection closed before the end of the headers")
        return unread


class HTTPReply(http.client.HTTPResponse):
    """A reply whose headers are whole and sound, come in time, and are the last of their request.

    http.client's own takes headers that are cut off for whole ones, "103 Early Hints" for the reply itself, and a
    length that is no number for none.
    """

    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        self._connection = sock
        self._timed: _TimedFile | None = None
        # Not only in `begin`, which http.client does not call for a proxy's reply to CONNECT.
        self._file = self.fp
        self.fp = cast("Any", _HeaderLines(self.fp, sock))

    def begin(self) -> None:
        """Read the headers."""
        try:
            super().begin()
            while http.client.SWITCHING_PROTOCOLS < self.status < http.client.OK:
                self.headers = None  # type: ignore[assignment] # or else `begin` believes that it is done
                super().begin()
            if self.length is None and not self.chunked and "content-length" in self.headers:
                raise http.client.HTTPException("the length is no number")
        finally:
            if not self.isclosed():
                self._timed = _TimedFile(self._file, self._connection) if self.chunked else None
                self.fp = cast("Any", self._timed or self._file)

    def read1(self, n: int = -1) -> bytes:
        """Return the next bytes of the body."""
        if self._timed is not None:
            self._timed.start()
        return super().read1(n)

    def _read_and_discard_trailer(self) -> None:
        """Read what stands behind the last chunk. http.client's own reads on for as long as lines come."""
        for _ in range(_MAX_TRAILERS):
            line = self.fp.readline(_MAX_LINE_BYTES + 1)
            if len(line) > _MAX_LINE_BYTES:
                raise http.client.LineTooLong("trailer line")
            if line in {b"", b"\n", b"\r\n"}:
                return
        raise http.client.HTTPException("trailers without an end")
