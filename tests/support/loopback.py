"""A TCP server on 127.0.0.1 that plays bytes, for what no well-behaved HTTP server does.

    with Loopback([b"HTTP/1.1 200 OK\\r\\nContent-Length: 20\\r\\n\\r\\n", b"half of it", CUT]) as server:
        ...  # the code under test talks to `server.url`
        assert server.requests[0].body == b"{}"

Each script is played for one request, in order; the last one is played again for all that follow. A connection is
kept for the next request unless its script ends with `CUT` or `RESET`. A script is bytes, or a list of steps:

    bytes             are sent as they are
    float             a pause in seconds
    threading.Event   is waited for
    ssl.SSLContext    the connection turns to TLS, as behind a proxy's reply to CONNECT
    REQUEST           another request is read (and kept in `requests`), as behind the same
    UNTIL_CLOSED      waits until the other side closes the connection, which sets `server.was_closed`
    CUT               the connection is closed
    RESET             the connection is reset
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
import time
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "CUT",
    "PATIENCE_S",
    "REQUEST",
    "RESET",
    "UNTIL_CLOSED",
    "Loopback",
    "Received",
    "chunk",
    "chunked",
    "dripping",
    "reply",
]

PATIENCE_S = 60.0  # after which a test that hangs fails


class Mark(Enum):
    CUT = "cut"
    RESET = "reset"
    REQUEST = "request"
    UNTIL_CLOSED = "until closed"


CUT, RESET, REQUEST, UNTIL_CLOSED = Mark

Step = bytes | float | threading.Event | ssl.SSLContext | Mark


@dataclass(frozen=True)
class Received:
    """One request, as it came over the wire.

    Attributes:
        head: The request line and the headers, with the empty line.
        body: As many bytes as `Content-Length` says.
        connection: Which connection it came over, counted from 0.
        packets: In how many pieces it came.
    """

    head: bytes
    body: bytes
    connection: int
    packets: int

    @property
    def lines(self) -> list[bytes]:
        """The request line and the headers."""
        return self.head.split(b"\r\n")[:-2]


class Loopback:
    """See the module. With `tls`, every connection starts with a handshake."""

    def __init__(self, *scripts: bytes | Sequence[Step], tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Received] = []
        self.connections = 0
        self.alpn: list[str | None] = []  # what TLS settled on
        self.was_closed = threading.Event()  # some connection, by the other side
        self._scripts = [[script] if isinstance(script, bytes) else script for script in scripts]
        self._tls = tls
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes `accept`
        self._listener.close()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE_S)

    def wait_for_requests(self, number: int) -> None:
        """Wait until so many requests arrived."""
        deadline = time.monotonic() + PATIENCE_S
        while len(self.requests) < number:
            assert time.monotonic() < deadline, f"only {len(self.requests)} of {number} requests came"
            time.sleep(0.005)

    def wait_until_idle(self) -> None:
        """Wait until all connections so far are closed, by whichever side."""
        for thread in self._threads[1:]:
            thread.join(PATIENCE_S)

    def _start(self, target: object, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.settimeout(PATIENCE_S)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._start(self._serve, connection, self.connections)
            self.connections += 1

    def _serve(self, connection: socket.socket, number: int) -> None:
        with self._lock:
            self._open.add(connection)
        try:
            with contextlib.ExitStack() as stack:
                self._converse(stack.enter_context(connection), number, stack)
        except (ConnectionError, ssl.SSLError):
            self.was_closed.set()
        except OSError:
            pass  # this side closed it

    def _converse(self, connection: socket.socket, number: int, stack: contextlib.ExitStack) -> None:
        if self._tls:
            connection = self._secure(connection, self._tls, stack)
        while self._receive(connection, number):
            for step in self._next_script():
                if isinstance(step, ssl.SSLContext):
                    connection = self._secure(connection, step, stack)
                elif step is REQUEST:
                    self._receive(connection, number)
                elif step is CUT or step is RESET:
                    if step is RESET:
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return
                else:
                    self._play(connection, step)

    def _secure(self, connection: socket.socket, tls: ssl.SSLContext, stack: contextlib.ExitStack) -> socket.socket:
        wrapped = stack.enter_context(tls.wrap_socket(connection, server_side=True))
        self.alpn.append(wrapped.selected_alpn_protocol())
        with self._lock:
            self._open.add(wrapped)
        return wrapped

    def _play(self, connection: socket.socket, step: Step) -> None:
        match step:
            case bytes():
                connection.sendall(step)
            case float():
                time.sleep(step)
            case threading.Event():
                step.wait(PATIENCE_S)
            case Mark.UNTIL_CLOSED:
                while connection.recv(65_536):
                    pass
                self.was_closed.set()

    def _next_script(self) -> Sequence[Step]:
        with self._lock:
            return self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]

    def _receive(self, connection: socket.socket, number: int) -> bool:
        """Read one request; return whether there was one."""
        data, packets = b"", 0
        while b"\r\n\r\n" not in data:
            received = connection.recv(65_536)
            if not received:
                self.was_closed.set()
                return False
            data += received
            packets += 1
        head, _, body = data.partition(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        length = int(lengths[0].split(b":")[1]) if lengths else 0
        while len(body) < length:
            body += connection.recv(65_536)
            packets += 1
        self.requests.append(Received(head + b"\r\n\r\n", body, number, packets))
        return True


def reply(body: bytes = b"{}", *headers: bytes, status: bytes = b"200 OK") -> bytes:
    """Return a whole reply with a `Content-Length`."""
    lines = (b"HTTP/1.1 " + status, *headers, b"Content-Length: %d" % len(body), b"", body)
    return b"\r\n".join(lines)


def chunked(*parts: bytes, headers: Sequence[bytes] = ()) -> list[Step]:
    """Return a whole reply in chunks, sent one by one."""
    head = b"\r\n".join((b"HTTP/1.1 200 OK", *headers, b"Transfer-Encoding: chunked", b"", b""))
    return [head, *map(chunk, parts), chunk(b"")]


def dripping(data: bytes, pause_s: float = 0.05) -> list[Step]:
    """Return `data` byte by byte."""
    return [step for byte in data for step in (pause_s, bytes([byte]))]


def chunk(part: bytes) -> bytes:
    """Return `part` as one chunk; an empty one is the last."""
    return b"%x\r\n%b\r\n" % (len(part), part)
