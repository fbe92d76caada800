"""A loopback HTTP/1.1 server that stands in for OpenRouter and plays what a test tells it to.

    with ScriptedOpenRouter() as server:
        server.add(error(429, "Rate limit exceeded"), completion("Hello."))
        ...  # the code under test talks to `server.base_url`
        assert len(server.requests) == 2

It is no model of OpenRouter: replies for `POST /chat/completions` are played in the order in which they were added,
whatever was asked. `scripted_model.openrouter_like` is a responder that looks at the request. GET requests are
answered from `scripted_listings`, unless a reply was added for the path.
"""

from __future__ import annotations

import json
import math
import selectors
import socket
import struct
import threading
import time
from collections import defaultdict, deque
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote

from tests.support.http_reply import Break
from tests.support.openrouter_replies import error
from tests.support.scripted_listings import key_information, model_endpoints, model_list

if TYPE_CHECKING:
    from collections.abc import Callable
    from io import BufferedReader

    from tests.support.http_reply import Reply

__all__ = ["RecordedRequest", "ScriptedOpenRouter", "head_of"]

API_PATH = "/api/v1"
NO_KEY = "No cookie auth credentials found"
POLL_S = 0.005


@dataclass(frozen=True)
class RecordedRequest:
    """One request as it came in.

    Attributes:
        method: As sent.
        path: With its query, without `/api/v1`.
        headers: Names in lower case.
        body: The bytes.
        connection: Which connection brought it, counted from 1: equal numbers mean that one was used again.
        abandoned: Set once the client has hung up before the reply was out.
    """

    method: str
    path: str
    headers: dict[str, str] = field(repr=False)
    body: bytes
    connection: int
    abandoned: threading.Event = field(default_factory=threading.Event, repr=False, compare=False)

    @property
    def json(self) -> Any:
        """The body as a value."""
        return json.loads(self.body)


class ScriptedOpenRouter:
    """The server. Runs from `__enter__` to `__exit__`, one thread for each connection.

    Attributes:
        requests: What has come in, in order.
        default: OutputReader `POST /chat/completions` once no added reply is left; None refuses with a 400 that says so.
    """

    def __init__(self, *replies: Reply, default: Callable[[RecordedRequest], Reply] | None = None) -> None:
        self.requests: list[RecordedRequest] = []
        self.default = default
        self._queues: defaultdict[str, deque[Reply]] = defaultdict(deque)
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._listener: socket.socket
        self._acceptor: threading.Thread
        self._port = 0
        self._connections: list[tuple[socket.socket, threading.Thread]] = []
        self.add(*replies)

    def add(self, *replies: Reply, path: str = "/chat/completions") -> None:
        """Play `replies` for the next requests to `path`, in this order."""
        with self._changed:
            self._queues[path].extend(replies)

    @property
    def base_url(self) -> str:
        """What to give a client as its base URL."""
        return f"http://127.0.0.1:{self._port}{API_PATH}"

    @property
    def unplayed(self) -> int:
        """How many added replies no request has asked for."""
        with self._changed:
            return sum(map(len, self._queues.values()))

    @property
    def connections(self) -> int:
        """How many connections were ever opened."""
        return len(self._connections)

    def wait_for_requests(self, count: int, timeout_s: float = 10) -> None:
        """Return as soon as `count` requests have come in."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.requests) >= count, timeout_s), "the requests did not come"

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._port = self._listener.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        # Closing a listener does not wake `accept` everywhere; a last connection does.
        socket.create_connection(("127.0.0.1", self._port)).close()
        self._acceptor.join()
        self._listener.close()
        for connection, thread in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            thread.join()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if self._stopping.is_set():
                connection.close()
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            thread = threading.Thread(target=self._serve, args=(connection, len(self._connections) + 1), daemon=True)
            self._connections.append((connection, thread))
            thread.start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        # A client may hang up at any point; that ends its connection and nothing else.
        with connection, connection.makefile("rb") as stream, suppress(ConnectionError):
            while request := _read_request(stream, number):
                reply = self._reply_to(request)
                try:
                    reusable = self._play(reply, connection)
                except ConnectionError:
                    request.abandoned.set()
                    return
                if not reusable or request.headers.get("connection") == "close":
                    return

    def _reply_to(self, request: RecordedRequest) -> Reply:
        path = request.path.partition("?")[0]
        with self._changed:
            self.requests.append(request)
            self._changed.notify_all()
            if self._queues[path]:
                return self._queues[path].popleft()
        if (request.method, path) != ("POST", "/chat/completions"):
            return _listing(request, path)
        if self.default is not None:
            return self.default(request)
        return error(400, "The test scripts no reply for this request.")

    def _play(self, reply: Reply, connection: socket.socket) -> bool:
        """Send `reply`. Returns whether the connection can serve another request."""
        chunked = "content-length" not in {name.lower() for name in reply.headers}
        connection.sendall(head_of(reply, chunked=chunked))
        for part in reply.parts:
            if isinstance(part, bytes):
                connection.sendall(b"%x\r\n%b\r\n" % (len(part), part) if chunked and part else part)
            elif isinstance(part, Break):
                if part is Break.RESET:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return False
            else:
                self._wait(part, connection)
        if chunked:
            connection.sendall(b"0\r\n\r\n")
        return True

    def _wait(self, until: float | threading.Event, connection: socket.socket) -> None:
        """Wait for so many seconds or for the event, unless the client hangs up or the server stops."""
        event = until if isinstance(until, threading.Event) else threading.Event()
        end = math.inf if isinstance(until, threading.Event) else time.monotonic() + until
        with selectors.DefaultSelector() as selector:
            selector.register(connection, selectors.EVENT_READ)
            while not event.is_set() and time.monotonic() < end:
                if selector.select(POLL_S) and not connection.recv(1, socket.MSG_PEEK):
                    raise ConnectionAbortedError


def _read_request(stream: BufferedReader, number: int) -> RecordedRequest | None:
    method, _, rest = stream.readline().decode("latin-1").partition(" ")
    if not method:
        return None
    headers = {}
    while line := stream.readline().decode("latin-1").strip():
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    body = stream.read(int(headers.get("content-length", 0)))
    path = rest.rpartition(" ")[0].removeprefix(API_PATH)
    return RecordedRequest(method, path, headers, body, number)


def head_of(reply: Reply, *, chunked: bool) -> bytes:
    """The status line and the headers of `reply`, as they go out."""
    known = {status.value: status.phrase for status in HTTPStatus}
    headers = {**reply.headers, "Transfer-Encoding": "chunked"} if chunked else reply.headers
    lines = [
        f"HTTP/1.1 {reply.status} {known.get(reply.status, '')}",
        *(f"{name}: {headers[name]}" for name in headers),
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _listing(request: RecordedRequest, path: str) -> Reply:
    """The answer to a GET, for which nothing was scripted."""
    path = unquote(path)
    if request.method != "GET":
        return error(404, "Not Found")
    if path == "/models":
        return model_list()
    if path == "/key":
        return key_information() if "authorization" in request.headers else error(401, NO_KEY)
    return model_endpoints(path.removeprefix("/models/").removesuffix("/endpoints"))
