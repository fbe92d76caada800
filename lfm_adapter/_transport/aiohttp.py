"""The asyncio transport, over aiohttp."""

from __future__ import annotations

import asyncio
import weakref
import zlib
from typing import TYPE_CHECKING, Any

from aiohttp import ClientError, ClientHttpProxyError, ClientResponseError, InvalidURL, NonHttpUrlClientError
from aiohttp.http_exceptions import HttpProcessingError

from lfm_adapter._transport import failures, tls
from lfm_adapter._transport.headers import check_headers, lower_names
from lfm_adapter._transport.inflate import UnknownEncodingError, inflater_for
from lfm_adapter._transport.proxy import ProxyConfig, resolve_proxy
from lfm_adapter._transport.sessions import aclose_pools, current_session, hang_up
from lfm_adapter.errors import ConfigurationError, LFMError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

    from aiohttp import ClientResponse

    from lfm_adapter.types import HTTPRequest

__all__ = ["AiohttpResponse", "AiohttpTransport", "aclose_pools"]

_FAILURES = (ClientError, HttpProcessingError, OSError)
_BODY_FAILURES = (*_FAILURES, EOFError, zlib.error)

# How often a read that waits looks at its connection. aiohttp closes one that brings nonsense in the middle of a body,
# or whose session is closed, and does not tell the reader. (One that is closed twice in a row is: whatever else closed
# it has been told in between.)
_LOOK_AGAIN_S = 0.5


class AiohttpTransport:
    """An `AsyncTransport` over aiohttp.

    It has no state: connections are kept in a session for each event loop, which all transports of this process share.
    Copy and pickle it freely, and use it in as many loops as there are.
    """

    async def send(self, request: HTTPRequest) -> AiohttpResponse:
        """See `AsyncTransport.send`.

        Raises:
            ConfigurationError: The address, a header, a proxy or a certificate file cannot be used.
        """
        route = resolve_proxy(request.url)
        check_headers(request.headers)
        ssl_context = await _ssl_context() if route.tls else True
        response = await _ask(request, route, ssl_context)
        if isinstance(response, LFMError):
            try:
                raise response
            finally:
                del response  # its traceback leads here, and would keep it until the next collection
        try:
            return AiohttpResponse(response, route)
        except UnknownEncodingError as encoding:
            response.close()
            raise failures.unknown_encoding(route, str(encoding)) from None


class AiohttpResponse:
    """An `AsyncHTTPResponse` of `AiohttpTransport`.

    Attributes:
        status_code: See `HTTPResponse.status_code`.
        headers: See `HTTPResponse.headers`.
    """

    def __init__(self, response: ClientResponse, route: ProxyConfig) -> None:
        self.status_code: int = response.status
        self.headers: Mapping[str, str] = lower_names(response.headers.items())
        self._response = response
        self._route = route
        self._stream = response.content
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = 0.0
        self._waits = False
        self._is_broken = False
        self._closed = False
        self._inflater = inflater_for(self.headers)

    async def read(self, timeout_s: float) -> bytes:
        """See `AsyncHTTPResponse.read`. Returns less than 1 MiB.

        Raises:
            ResponseError: The body's compression is broken.
        """
        if self._closed:
            raise failures.already_closed(self._route)
        try:
            if self._inflater is None:
                return await self._read_raw(timeout_s)
            while not (data := self._inflater.take()):
                if not (raw := await self._read_raw(timeout_s)):
                    self._inflater.check_end()
                    return b""
                self._inflater.feed(raw)
        except _BODY_FAILURES as error:
            if self._closed:  # by another task
                raise failures.already_closed(self._route) from None
            self.close()
            raise failures.in_body(error, self._route, timeout_s) from failures.origin(error)
        return data

    def close(self) -> None:
        """See `AsyncHTTPResponse.close`. Another thread may call it too: the loop then closes it as its next step."""
        try:
            here = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            here = not self._loop.is_running()
        if here or self._loop.is_closed():
            self._close()
        else:
            self._loop.call_soon_threadsafe(self._close)

    def __del__(self) -> None:
        self.close()

    async def _read_raw(self, timeout_s: float) -> bytes:
        stream = self._stream
        try:
            data = stream.read_nowait()
            if data or stream.at_eof():
                return data
            # `asyncio.timeout` for each read would cost more than the read. One timer for the reply, which looks at
            # the deadline when it rings and mostly sets itself again, costs next to nothing.
            self._deadline = self._loop.time() + timeout_s
            if self._timer is None or self._timer.when() > self._deadline:
                self._set_timer()
            self._waits = True
            try:
                return await stream.readany()
            finally:
                self._waits = False
        except _FAILURES as error:
            # aiohttp forgets what came before a failure and was not read yet; it may be the server's last word.
            if not self._closed and (rest := stream._read_nowait(-1)):
                error.__traceback__ = None  # aiohttp keeps the error, which by this frame would keep the reply
                return rest
            raise

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        when = min(self._deadline, self._loop.time() + _LOOK_AGAIN_S)
        # Not the method: the loop would hold a reply that no one reads any more, and with it the connection.
        self._timer = self._loop.call_at(when, _look, weakref.ref(self))

    def _look(self) -> None:
        self._timer = None
        if not self._waits:
            return
        connection = self._response.connection
        was_broken, self._is_broken = self._is_broken, connection is None or connection.closed
        if self._loop.time() >= self._deadline:
            self._stream.set_exception(TimeoutError())
        elif was_broken and self._is_broken:
            self._stream.set_exception(ConnectionResetError())
        else:
            self._set_timer()

    def _close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._closed or self._stream.at_eof():
            return
        self._closed = True
        connection = self._response.connection
        if connection is not None:
            if self._loop.is_closed():
                hang_up(connection.transport)
                connection.close()
            elif connection.transport is not None:
                # `close` would first send what is left to send, and for TLS wait for the server's farewell.
                connection.transport.abort()
        self._response.close()


def _look(reply: Callable[[], AiohttpResponse | None]) -> None:
    if (response := reply()) is not None:
        response._look()


async def _ask(
    request: HTTPRequest, route: ProxyConfig, ssl_context: ssl.SSLContext | bool
) -> ClientResponse | LFMError:
    """Return the reply, or what to raise.

    Raised here, while aiohttp's exception is handled, it would have that as its context: one that shows all headers of
    the request, the key among them.
    """
    session = await current_session()
    try:
        async with asyncio.timeout(request.timeout):
            return await session.request(
                request.method,
                request.url,
                data=request.body,
                allow_redirects=False,
                ssl=ssl_context,
                **_headers(request, route),
            )
    except _FAILURES as error:
        failure = _before_reply(error, route, request.timeout)
        failure.__cause__ = failures.origin(error)
        return failure


async def _ssl_context() -> ssl.SSLContext:
    """Return the shared context, built in another thread where it is not yet: that reads files."""
    built = tls.built_context()
    return await asyncio.to_thread(tls.context) if built is None else built


def _headers(request: HTTPRequest, route: ProxyConfig) -> dict[str, Any]:
    """Return the arguments for aiohttp that hold the headers, and with them the proxy's."""
    if route.proxy is None:
        return {"headers": request.headers}
    authorization = {"Proxy-Authorization": route.proxy_authorization} if route.proxy_authorization else {}
    tunnelled = request.url.startswith("https:")
    return {
        "headers": request.headers if tunnelled else {**request.headers, **authorization},
        "proxy": route.proxy,
        "proxy_headers": authorization if tunnelled else None,
    }


def _before_reply(error: BaseException, route: ProxyConfig, timeout_s: float) -> LFMError:
    match error:
        case InvalidURL() | NonHttpUrlClientError():
            return ConfigurationError(f"The address of {route.name} is not valid. Check `base_url`.")
        case ClientHttpProxyError():
            return failures.proxy_refused(route, error.status)
        case ClientResponseError():
            return failures.not_http(route)
        case _:
            return failures.before_reply(error, route, timeout_s)
