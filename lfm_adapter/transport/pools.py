"""The connections of the blocking transport: urllib3's pools, shared by all threads of this process."""

from __future__ import annotations

import http.client
import os
import time
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

import urllib3
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util import Retry, parse_url

from lfm_adapter.transport.tls import context

if TYPE_CHECKING:
    import socket
    from io import BufferedReader

    from urllib3.util.url import Url

    from lfm_adapter.transport.route import Route

__all__ = ["close_pools", "urlopen"]

# Idle connections kept for each host. More threads than this may send at once: what they opened beyond it is closed
# after use. No thread ever waits for another's connection.
_IDLE_CONNECTIONS = 64

_MAX_LINE_BYTES = 65_536  # as http.client has it for headers
_MAX_TRAILERS = 100

# Beyond so many hosts the one first asked loses its idle connections.
_MAX_POOLS = 64

# Without this urllib3 would make one for each request.
_NO_RETRIES = Retry.from_int(False, redirect=False)

# Plain dicts, because a lock could be held by another thread while the process forks.
_pools: dict[tuple[str | None, ...], HTTPConnectionPool] = {}
_proxies: dict[tuple[bool, str, str | None], urllib3.ProxyManager] = {}
_inherited: list[HTTPConnectionPool | urllib3.ProxyManager] = []


def urlopen(route: Route, method: str, url: str, **options: Any) -> urllib3.BaseHTTPResponse:
    """Ask by `route` and return the reply, its body unread and undecoded.

    Args:
        route: The way to `url`.
        method: The method.
        url: The whole address.
        **options: Further arguments of urllib3's `urlopen`.
    """
    options |= {"retries": _NO_RETRIES, "redirect": False, "preload_content": False, "decode_content": False}
    if route.proxy is not None:
        return _proxy(route, route.proxy).urlopen(method, url, **options)
    # Not by a `PoolManager`, which takes the address apart in every call: an eighth of what a request costs.
    parts = _parts(url)
    return _pool(parts).urlopen(method, parts.request_uri, assert_same_host=False, **options)


def close_pools() -> None:
    """Close the idle connections of every `Urllib3Transport`. The next request opens new ones."""
    while _pools:
        _pools.popitem()[1].close()
    while _proxies:
        _proxies.popitem()[1].clear()


_parts = lru_cache(maxsize=256)(parse_url)


def _pool(parts: Url) -> HTTPConnectionPool:
    key = (parts.scheme, parts.netloc)
    pool = _pools.get(key)
    if pool is None:
        cls = _HTTPSPool if parts.scheme == "https" else _HTTPPool
        # Two threads may both make one: the first stays, and the other has not opened anything yet.
        pool = _pools.setdefault(key, cls(parts.host or "", parts.port, **_settings(tls=parts.scheme == "https")))
        while len(_pools) > _MAX_POOLS:
            with suppress(StopIteration, KeyError, RuntimeError):  # another thread was faster
                _pools.pop(next(iter(_pools))).close()
    return pool


def _proxy(route: Route, address: str) -> urllib3.ProxyManager:
    authorization = route.proxy_authorization
    key = (route.tls, address, authorization)
    manager = _proxies.get(key)
    if manager is None:
        settings = _settings(tls=route.tls)
        manager = urllib3.ProxyManager(
            address,
            proxy_headers={"Proxy-Authorization": authorization} if authorization else None,
            proxy_ssl_context=settings.get("ssl_context"),
            **settings,
        )
        manager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}
        manager = _proxies.setdefault(key, manager)
    return manager


def _settings(*, tls: bool) -> dict[str, Any]:
    # The context is slow to make, and not needed for a server on this machine.
    return {"maxsize": _IDLE_CONNECTIONS, "block": False} | ({"ssl_context": context()} if tls else {})


def _forget_in_child() -> None:
    """Leave the parent's connections alone after a fork; closing them here could wait for a lock that no one holds."""
    _inherited.extend((*_pools.values(), *_proxies.values()))
    _pools.clear()
    _proxies.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)


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


class _Reply(http.client.HTTPResponse):
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


class _HTTPPool(HTTPConnectionPool):
    def _new_conn(self) -> Any:
        # On the connection and not as `ConnectionCls`, which vcrpy replaces.
        connection: Any = super()._new_conn()
        connection.response_class = _Reply
        return connection


class _HTTPSPool(_HTTPPool, HTTPSConnectionPool):
    pass
