"""The asynchronous transport, over aiohttp."""

from __future__ import annotations

import asyncio
import atexit
import math
import os
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import ref

from aiohttp import (
    ClientError,
    ClientHttpProxyError,
    ClientResponseError,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    InvalidURL,
    NonHttpUrlClientError,
    TCPConnector,
)
from aiohttp.http_exceptions import HttpProcessingError

from lfm_adapter._openrouter.response import not_http, unreadable
from lfm_adapter._transport import failures, tls
from lfm_adapter._transport.proxy import ProxyConfig, local_route, resolve_proxy
from lfm_adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from aiohttp import ClientResponse

    from lfm_adapter.errors import LFMError
    from lfm_adapter.types import HTTPRequest

# An idle connection is kept for this long: longer than a pause in a conversation, and shorter than what load balancers
# and NAT gateways allow.
_IDLE_S = 60.0

# http.client's limit, in place of aiohttp's 8,190 bytes.
_HEADER_LINE_BYTES = 65_536

# How often a waiting read checks that the connection still exists.
_WATCH_S = 0.25

_ERRORS = (ClientError, HttpProcessingError, OSError)


class AiohttpTransport:
    """An `AsyncTransport` over aiohttp.

    It has no state: all transports of the process share one session for each event loop. It can be copied, pickled and
    used in any number of loops.
    """

    async def send(self, request: HTTPRequest) -> AiohttpResponse:
        """See `AsyncTransport.send`. Invalid proxy settings and certificate files raise `ConfigurationError`."""
        route = local_route(request.url) or resolve_proxy(request.url)
        failure: LFMError | None
        if not _is_in_loop():
            raise ConfigurationError(
                "Asynchronous calls need asyncio. With trio, call `LFMClient` in a thread instead."
            )
        if route.tls and not tls.is_built():
            await asyncio.to_thread(tls.context)  # reads files
        session = await _current_session()
        try:
            async with asyncio.timeout(request.timeout):
                reply = await session.request(
                    request.method,
                    request.url,
                    data=request.body,
                    allow_redirects=False,
                    ssl=tls.context() if route.tls else True,
                    **_headers(request, route),
                )
        except _ERRORS as error:
            failure = _before_response(error, route.peer, request.timeout)
            failure.__cause__ = failures.origin(error)
        else:
            response = AiohttpResponse(reply, route.peer)
            failure = unreadable(response.status_code, response.headers, route.peer)
            if failure is None:
                return response
            response.close()
        # Raised above, it would have aiohttp's exception as its context: one that holds the headers of the request.
        raise failure


class AiohttpResponse:
    """An `AsyncHTTPResponse` of `AiohttpTransport`."""

    def __init__(self, response: ClientResponse, peer: str) -> None:
        self.status_code: int = response.status
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}
        self._response = response
        self._stream = response.content
        self._peer = peer
        self._closed = False
        self._deadline = math.inf  # of the read that waits
        self._timer: asyncio.TimerHandle | None = None

    async def read(self, timeout: float) -> bytes:  # noqa: ASYNC109 - each read has its own
        """Return less than 1 MiB: see `AsyncHTTPResponse.read`."""
        if self._closed:
            raise failures.already_closed(self._peer)
        try:
            data = self._stream.read_nowait()
            if not data and not self._stream.at_eof():
                # Not `asyncio.timeout`, which costs 6 µs more an event: one timer serves all reads of `_WATCH_S`.
                loop = asyncio.get_running_loop()
                self._deadline = loop.time() + timeout
                if self._timer is None or self._timer.when() > self._deadline:
                    self._set_timer(loop)
                try:
                    data = await self._stream.readany()
                finally:
                    self._deadline = math.inf
        except (*_ERRORS, RuntimeError) as error:  # RuntimeError: aiohttp has closed the connection
            if unread := self._unread():
                return unread
            self.close()
            failure = failures.in_body(error, self._peer, timeout)
            failure.__cause__ = failures.origin(error)
        else:
            return data
        raise failure  # see `send`

    def _set_timer(self, loop: asyncio.AbstractEventLoop, *, was_lost: bool = False) -> None:
        if self._timer is not None:
            self._timer.cancel()
        at = min(self._deadline, loop.time() + _WATCH_S)
        # A strong reference would keep a response that nobody reads any more, and its connection.
        self._timer = loop.call_at(at, partial(_watch, ref(self), loop, was_lost=was_lost))

    def watch(self, loop: asyncio.AbstractEventLoop, *, was_lost: bool) -> None:
        """End a read that waits for too long, or on a connection that aiohttp has closed silently."""
        self._timer = None
        if self._deadline == math.inf:  # nothing is read
            return
        connection = self._response.connection
        is_lost = connection is not None and (connection.transport is None or connection.transport.is_closing())
        if self._deadline <= loop.time():
            self._stream.set_exception(TimeoutError())
        elif is_lost and was_lost:  # twice, since its end may still be on its way to the reader
            self._stream.set_exception(ConnectionAbortedError())
        else:
            self._set_timer(loop, was_lost=is_lost)

    def _unread(self) -> bytes:
        """Return what arrived before the connection broke, which often gives the reason."""
        error = self._stream.exception()
        if error is None:
            return b""
        # A stream with an exception raises it instead of returning what it holds.
        self._stream.set_exception(None)  # type: ignore[arg-type]
        data = self._stream.read_nowait()
        self._stream.set_exception(error)
        return data

    def close(self) -> None:
        if self._closed or self._stream.at_eof():
            return
        self._closed = True
        connection = self._response.connection
        if connection is not None and connection.transport is not None:
            connection.transport.abort()  # `close` alone would wait for the server to end its side of TLS
        self._response.close()


def _watch(response: ref[AiohttpResponse], loop: asyncio.AbstractEventLoop, *, was_lost: bool) -> None:
    if (alive := response()) is not None:
        alive.watch(loop, was_lost=was_lost)


class _Session(NamedTuple):
    session: ClientSession
    lifetime: AsyncGenerator[ClientSession]


# By process id too, so that a forked child leaves the sessions of its parent alone. Weak keys would not work, since a
# session refers to its loop; `_close_dead_sessions` removes those of closed loops.
_sessions: dict[tuple[int, asyncio.AbstractEventLoop], _Session] = {}


async def aclose_pools() -> None:
    """Close the connections of every `AiohttpTransport` in the running loop, also those that are being read.

    The next request opens new ones. `asyncio.run` does this by itself at its end.
    """
    held = _sessions.get((os.getpid(), asyncio.get_running_loop()))
    if held is not None:
        await held.lifetime.aclose()


def _is_in_loop() -> bool:
    with suppress(RuntimeError):
        return asyncio.get_running_loop().is_running()
    return False


async def _current_session() -> ClientSession:
    """Return the session of the running loop, which its first request opens."""
    key = os.getpid(), asyncio.get_running_loop()
    held = _sessions.get(key)
    if held is None:
        _close_dead_sessions()
        lifetime = _lifetime(key)
        held = _sessions[key] = _Session(await anext(lifetime), lifetime)
    return held.session


async def _lifetime(key: tuple[int, asyncio.AbstractEventLoop]) -> AsyncGenerator[ClientSession]:
    """Hold a session until the end of its loop, when asyncio closes the generators that are still open."""
    session = ClientSession(
        connector=TCPConnector(limit=0, keepalive_timeout=_IDLE_S),  # no request waits for another's connection
        cookie_jar=DummyCookieJar(),
        auto_decompress=False,
        timeout=ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None),
        max_line_size=_HEADER_LINE_BYTES,
        max_field_size=_HEADER_LINE_BYTES,
    )
    try:
        yield session
    finally:
        _sessions.pop(key, None)
        await session.close()


def _close_dead_sessions() -> None:
    """Close the sessions of loops that were closed without `shutdown_asyncgens`."""
    for key in list(_sessions):
        _, loop = key
        if loop.is_closed() and (held := _sessions.pop(key, None)) is not None:
            with suppress(StopIteration):  # its end: nothing is left to wait for
                held.lifetime.aclose().send(None)


@atexit.register
def _close_at_exit() -> None:
    """Close the sessions that are left, or aiohttp would warn of each."""
    _close_dead_sessions()
    for (process_id, loop), held in list(_sessions.items()):
        if process_id != os.getpid():
            continue
        if loop.is_running():  # in a thread that ends with the process
            with suppress(TimeoutError):
                asyncio.run_coroutine_threadsafe(held.session.close(), loop).result(timeout=1)
        else:
            loop.run_until_complete(held.lifetime.aclose())


def _headers(request: HTTPRequest, route: ProxyConfig) -> dict[str, Any]:
    """Return the arguments for aiohttp that hold the headers, and the proxy with its own."""
    if route.proxy is None:
        return {"headers": request.headers}
    authorization = {"Proxy-Authorization": route.proxy_authorization} if route.proxy_authorization else {}
    if request.url.startswith("https:"):
        return {"headers": request.headers, "proxy": route.proxy, "proxy_headers": authorization}
    return {"headers": {**request.headers, **authorization}, "proxy": route.proxy}


def _before_response(error: BaseException, peer: str, timeout: float) -> LFMError:
    match error:
        case InvalidURL() | NonHttpUrlClientError():
            return failures.invalid_url(peer)
        case ClientHttpProxyError():
            return failures.proxy_refused(peer, error.status)
        case ClientResponseError():
            return not_http(peer)
        case _:
            return failures.before_response(error, peer, timeout)
