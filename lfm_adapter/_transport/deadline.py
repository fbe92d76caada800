"""urllib3's connections with timeouts that bound the whole wait.

A timeout of Python's sockets starts again with each address of a host, with each byte of a slow header or chunk, and
with TLS. A server could hold a call for much longer than the caller allows.
"""

from __future__ import annotations

import atexit
import io
from concurrent.futures import Future, InvalidStateError
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

if TYPE_CHECKING:
    import socket

MAX_TIMEOUT_S = 86_400.0  # a socket takes no infinity

# The seconds left differ at each wait. Setting a socket's timeout is a system call of 0.8 µs, so one that differs by no
# more than this stays.
_PRECISION_S = 0.01


class DeadlineSocket:
    """A connected socket on which `settimeout` bounds all that follows, until it is called again."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock = sock
        self._deadline = deadline
        self._timeout_s = -1.0  # what `sock` itself has
        self._held: list[bytes] | None = None
        self.fileno, self.shutdown, self.close = sock.fileno, sock.shutdown, sock.close

    def settimeout(self, timeout_s: float) -> None:
        self._deadline = monotonic() + timeout_s

    def hold(self) -> None:
        """Keep what is sent until `release`: http.client sends the headers and the body apart, in two packets."""
        self._held = []

    def release(self) -> None:
        data, self._held = b"".join(self._held or ()), None
        self.sendall(data)

    def sendall(self, data: bytes) -> None:
        if self._held is not None:
            self._held.append(data)
            return
        unsent = memoryview(data)
        while unsent:
            self.set_time_left()
            unsent = unsent[self._sock.send(unsent) :]

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_DeadlineReader(self, self._sock.makefile("rb", buffering=0)))

    def set_time_left(self) -> None:
        left_s = self._deadline - monotonic()
        if abs(left_s - self._timeout_s) > _PRECISION_S or left_s <= 0:
            if left_s <= 0:
                raise TimeoutError
            self._timeout_s = left_s
            self._sock.settimeout(min(left_s, MAX_TIMEOUT_S))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class _DeadlineReader(io.RawIOBase):
    def __init__(self, sock: DeadlineSocket, raw: io.RawIOBase) -> None:
        self._set_time_left = sock.set_time_left
        self._readinto = raw.readinto
        self._raw = raw

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._set_time_left()
        return self._readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _DeadlineHTTPConnection(HTTPConnection):
    """A connection whose `timeout`, which urllib3 sets to the time left for a request, bounds the whole of it.

    Attributes:
        deadline_socket: The socket, also when `sock` is None since the server will close the connection.
    """

    deadline_socket: DeadlineSocket | None = None
    _is_new = False

    def connect(self) -> None:
        """Look up the host, connect, and set up the proxy's tunnel and TLS, within `timeout`.

        Most of that takes no deadline, name resolution not even a timeout. So it runs in a thread of its own, which
        costs 100 µs, and which is abandoned if it is too late.
        """
        timeout_s = self.timeout or MAX_TIMEOUT_S
        deadline = monotonic() + timeout_s
        connected: Future[None] = Future()
        try:
            Thread(target=self._connect, args=(connected,), daemon=True).start()
        except RuntimeError:  # Python is ending, or there are too many threads
            self._connect(connected)
        try:
            connected.result(timeout_s)
        finally:
            connected.cancel()
            del connected  # it holds the exception, whose frames would hold it
        self.sock = self.deadline_socket = DeadlineSocket(self.sock, deadline)
        self._is_new = True
        _opened.add(self)

    def _connect(self, connected: Future[None]) -> None:
        try:
            try:
                super().connect()
            except BaseException as error:  # noqa: BLE001 # `connect` raises it
                connected.set_exception(error)
            else:
                connected.set_result(None)
        except InvalidStateError:  # too late
            self.close()

    def request(self, *arguments: Any, **options: Any) -> None:
        if self.is_closed:
            self.connect()
        elif not self._is_new:  # with a new one, the time to connect counts too
            self.sock.settimeout(self.timeout)
        self._is_new = False
        sock: Any = self.sock
        sock.hold()
        super().request(*arguments, **options)
        sock.release()


class _DeadlineHTTPSConnection(_DeadlineHTTPConnection, HTTPSConnection):
    pass


_opened: WeakSet[_DeadlineHTTPConnection] = WeakSet()


@atexit.register
def _close_at_exit() -> None:
    """Close what is still being read, of which Python might warn when it collects the garbage."""
    for connection in list(_opened):
        connection.close()


class DeadlineHTTPPool(HTTPConnectionPool):
    """A pool of connections with deadlines."""

    @property
    def ConnectionCls(self) -> type:  # type: ignore[override] # noqa: N802 # urllib3's name
        """The class of the connections: ours, or what vcrpy and the like put in place of urllib3's."""
        current = HTTPConnectionPool.ConnectionCls
        return _DeadlineHTTPConnection if current is HTTPConnection else current


class DeadlineHTTPSPool(HTTPSConnectionPool):
    """A pool of connections with deadlines and TLS."""

    @property
    def ConnectionCls(self) -> type:  # type: ignore[override] # noqa: N802
        current = HTTPSConnectionPool.ConnectionCls
        return _DeadlineHTTPSConnection if current is HTTPSConnection else current
