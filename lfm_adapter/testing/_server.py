"""The scripted server: HTTP/1.1 on 127.0.0.1, one thread for each connection."""

from __future__ import annotations

import json
import math
import select
import socket
import struct
import threading
import time
from collections import defaultdict, deque
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self

from lfm_adapter.testing._decisions import undecided
from lfm_adapter.testing._embeddings import word_embeddings
from lfm_adapter.testing._listings import listing
from lfm_adapter.testing._reply import Break, ScriptedReply, with_model
from lfm_adapter.testing._wire import error

if TYPE_CHECKING:
    from collections.abc import Callable
    from io import BufferedReader

CHAT, EMBEDDINGS, DECISIONS = "/chat/completions", "/embeddings", ("/alpha/decisions", "/systemone")
POLL_S = 0.005
PHRASES = {status.value: status.phrase for status in HTTPStatus}


@dataclass(frozen=True)
class RecordedRequest:
    """One request that the server received.

    Attributes:
        method: As sent.
        path: With its query, without the path of the base URL.
        headers: Names in lower case.
        content: The bytes of the body.
        connection: The number of its connection, from 1. Requests with equal numbers shared a connection.
        abandoned: Set once the client has hung up before the reply was out.
    """

    method: str
    path: str
    headers: dict[str, str] = field(repr=False)
    content: bytes
    connection: int
    abandoned: threading.Event = field(default_factory=threading.Event, repr=False, compare=False)

    @cached_property
    def body(self) -> Any:
        """The body, parsed as JSON; None without one."""
        return json.loads(self.content) if self.content else None


class ScriptedOpenRouter:
    """A server that answers `POST /chat/completions` with the replies that a test adds, in their order.

        with ScriptedOpenRouter(completion("Paris.")) as server:
            client = LFMClient(base_url=server.base_url, api_key="test-key")
            assert client.chat("Capital of France?").text == "Paris."
        server.check()

    Without a script, the server answers `GET /models`, its endpoints, `GET /key`, `GET /generation`, `POST /embeddings`
    (texts with common words have close vectors), and decisions (`POST /alpha/decisions`, `/systemone`) with equal
    probabilities.

    Args:
        *replies: The first replies, see `add`.
        default: Answers chat requests when no added reply is left. Without it, they get a 501. The server raises its
            errors on exit.
        path: The path of the base URL. With another path, clients do not treat the server as OpenRouter.

    Attributes:
        base_url: The base URL for clients, once the server runs.
        requests: The requests so far, in order.
        unexpected: Requests without a scripted reply.
    """

    def __init__(
        self,
        *replies: ScriptedReply,
        default: Callable[[RecordedRequest], ScriptedReply] | None = None,
        path: str = "/openrouter.ai/api/v1",
    ) -> None:
        self.requests: list[RecordedRequest] = []
        self.unexpected: list[RecordedRequest] = []
        self.default = default
        self._path = path
        self._queues: defaultdict[str, deque[ScriptedReply]] = defaultdict(deque)
        self._changed = threading.Condition()
        self._stopping = False
        self._raised: Exception | None = None
        self._connections: list[tuple[socket.socket, threading.Thread]] = []
        self.add(*replies)

    def add(self, *replies: ScriptedReply, path: str = CHAT) -> None:
        """Send `replies` to the next requests for `path`, in this order."""
        with self._changed:
            self._queues[path].extend(replies)

    @property
    def unplayed(self) -> int:
        """How many added replies are left."""
        return sum(map(len, list(self._queues.values())))

    @property
    def connections(self) -> int:
        """How many connections were ever opened."""
        return len(self._connections)

    def check(self) -> None:
        """Check that each request had its reply, and each added reply its request.

        Raises:
            AssertionError: A request had no reply, or replies are left.
        """
        if self.unexpected:
            asked = (f"{one.method} {one.path} {one.content[:500].decode(errors='replace')}" for one in self.unexpected)
            raise AssertionError("The script has no reply for:\n" + "\n".join(asked))
        if self.unplayed:
            raise AssertionError(f"{self.unplayed} scripted replies were not requested.")

    def wait_for_requests(self, count: int, timeout: float = 10) -> None:
        """Wait until `count` requests have come in, for `timeout` seconds at most."""
        with self._changed:
            came = self._changed.wait_for(lambda: len(self.requests) >= count, timeout)
        if not came:
            raise AssertionError(f"Only {len(self.requests)} of {count} requests arrived.")

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.base_url = f"http://127.0.0.1:{self._listener.getsockname()[1]}{self._path}"
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping = True
        # Closing a listener does not wake `accept` everywhere; a last connection does.
        socket.create_connection(self._listener.getsockname()).close()
        self._acceptor.join()
        self._listener.close()
        for connection, thread in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            thread.join()
        if self._raised is not None:
            raise self._raised

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if self._stopping:
                connection.close()
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            thread = threading.Thread(target=self._serve, args=(connection, len(self._connections) + 1), daemon=True)
            self._connections.append((connection, thread))
            thread.start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        # A client may hang up at any point, which ends only its connection.
        with connection, connection.makefile("rb") as stream, suppress(ConnectionError):
            while request := self._read_request(stream, number):
                reply = self._reply_to(request)
                try:
                    reusable = _send(reply, connection, _requested_model(request))
                except ConnectionError:
                    request.abandoned.set()
                    return
                if not reusable or request.headers.get("connection") == "close":
                    return

    def _read_request(self, stream: BufferedReader, number: int) -> RecordedRequest | None:
        method, _, rest = stream.readline().decode("latin-1").partition(" ")
        if not method:
            return None
        headers = {}
        while line := stream.readline().decode("latin-1").strip():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        content = stream.read(int(headers.get("content-length", 0)))
        path = rest.rpartition(" ")[0].removeprefix(self._path)
        if path.startswith(alpha := self._path.removesuffix("/v1") + "/alpha/"):
            path = "/alpha/" + path.removeprefix(alpha)
        return RecordedRequest(method, path, headers, content, number)

    def _reply_to(self, request: RecordedRequest) -> ScriptedReply:
        path = request.path.partition("?")[0]
        with self._changed:
            self.requests.append(request)
            self._changed.notify_all()
            if self._queues[path]:
                return self._queues[path].popleft()
        # 501 is a status that clients do not retry.
        if request.method == "GET":
            return listing(path, has_key="authorization" in request.headers)
        if path == EMBEDDINGS:
            return word_embeddings(request.body)
        if path in DECISIONS:
            return undecided(request.body["questions"])
        if self.default is not None and path == CHAT:
            try:
                return self.default(request)
            except Exception as raised:  # noqa: BLE001 # the test's thread raises it
                self._raised = raised
                return error(501, f"The test's `default` raised {raised!r}.")
        self.unexpected.append(request)
        return error(501, f"The test scripts no reply for {request.method} {request.path}.")


def _requested_model(request: RecordedRequest) -> Any:
    with suppress(ValueError, AttributeError, LookupError):  # not JSON, not an object, no model
        return request.body.get("model") or request.body["models"][0]
    return "liquid/lfm-3b"


def _send(reply: ScriptedReply, connection: socket.socket, model: Any) -> bool:
    """Send `reply` in the name of `model`; return whether the connection can serve another request."""
    chunked = reply.status is not None and "content-length" not in map(str.lower, reply.headers)
    if reply.status is not None:
        lines = [f"HTTP/1.1 {reply.status} {PHRASES.get(reply.status, '')}"]
        lines += [f"{name}: {value}" for name, value in reply.headers.items()]
        lines += ["Transfer-Encoding: chunked"] * chunked
        connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
    for part in reply.parts:
        match part:
            case bytes() if chunked and part:
                data = with_model(part, model)
                connection.sendall(b"%x\r\n%b\r\n" % (len(data), data))
            case bytes():
                connection.sendall(part)
            case Break.CUT:
                return False
            case Break.RESET:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return False
            case Break.SILENCE:
                _wait(connection)
            case threading.Event():
                _wait(connection, until=part)
            case seconds:
                _wait(connection, seconds)
    if chunked:
        connection.sendall(b"0\r\n\r\n")
    return True


def _wait(connection: socket.socket, seconds: float = math.inf, until: threading.Event | None = None) -> None:
    """Wait, unless the client hangs up or the server stops."""
    end = time.monotonic() + seconds
    while not (until and until.is_set()) and (left := end - time.monotonic()) > 0:
        readable, _, _ = select.select([connection], [], [], min(left, POLL_S))
        if readable and not connection.recv(1, socket.MSG_PEEK):
            raise ConnectionAbortedError
