"""The synchronous transport, over urllib3."""

from __future__ import annotations

import http.client
import os
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from urllib3 import ProxyManager, Timeout
from urllib3.exceptions import HTTPError, InvalidHeader, LocationValueError, ProxySchemeUnsupported, ReadTimeoutError
from urllib3.util import Retry, parse_url

from lfm_adapter._openrouter.response import not_http, unreadable
from lfm_adapter._transport import failures, tls
from lfm_adapter._transport.deadline import MAX_TIMEOUT_S, DeadlineHTTPPool, DeadlineHTTPSPool
from lfm_adapter._transport.proxy import ProxyConfig, local_route, resolve_proxy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from urllib3 import BaseHTTPResponse

    from lfm_adapter.errors import LFMError
    from lfm_adapter.types import HTTPRequest

# Idle connections kept for each host. More may be open at once; those beyond this number are closed after use.
_IDLE_CONNECTIONS = 64

# Hosts with idle connections. Beyond this number, the host used least recently loses its own.
_MAX_POOLS = 64

_READ_BYTES = 65_536

_NO_RETRIES = Retry(total=False, redirect=False)  # urllib3 would build one for each request

_ERRORS = (HTTPError, ProxySchemeUnsupported, http.client.HTTPException, OSError)


class Urllib3Transport:
    """A `Transport` over urllib3.

    It has no state: all transports of the process share one set of connection pools. It can be copied and pickled.
    """

    def send(self, request: HTTPRequest) -> Urllib3Response:
        """See `Transport.send`. Invalid proxy settings and certificate files raise `ConfigurationError`."""
        route = local_route(request.url) or resolve_proxy(request.url)
        failure: LFMError | None
        try:
            response = Urllib3Response(_open(request, route), route.peer)
        except _ERRORS as error:
            failure = _before_response(error, route.peer, request.timeout)
            failure.__cause__ = failures.origin(error)
        else:
            failure = unreadable(response.status_code, response.headers, route.peer)
            if failure is None:
                return response
            response.close()
        # Raised above, it would have urllib3's exception as its context, which keeps the connection and the headers.
        raise failure


class Urllib3Response:
    """An `HTTPResponse` of `Urllib3Transport`."""

    def __init__(self, response: BaseHTTPResponse, peer: str) -> None:
        self.status_code: int = response.status
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}
        self._response = response
        self._peer = peer
        self._closed = False
        self._socket = getattr(_connection_of(response), "deadline_socket", None)

    def read(self, timeout: float) -> bytes:
        """Return at most 64 KiB: see `HTTPResponse.read`."""
        if self._closed:
            raise failures.already_closed(self._peer)
        failure: Any = None  # mypy would think that `_closed` does not change here
        try:
            if self._socket is not None and self._response.connection is not None:
                self._socket.settimeout(timeout)
            # Neither `stream` nor `read`: both wait for a whole chunk, or for as many bytes as were asked for.
            data = self._response.read1(_READ_BYTES)
            if not self._closed:
                return data
        except Exception as error:
            if not self._closed:
                self._closed = True
                self._response.close()
                if not isinstance(error, _ERRORS):
                    raise
                failure = failures.in_body(error, self._peer, timeout)
                failure.__cause__ = failures.origin(error)
        # Without a failure, another thread closed the response, which explains whatever was read or raised here.
        raise failures.already_closed(self._peer) if failure is None else failure

    def close(self) -> None:
        """See `HTTPResponse.close`. Another thread may call it during a `read`."""
        if self._closed or _connection_of(self._response) is None:
            return
        self._closed = True
        with suppress(ValueError, RuntimeError, OSError):  # released or closed meanwhile
            self._response.shutdown()  # ends a `read` that waits; `close` alone would wait for it
        self._response.close()


def close_pools() -> None:
    """Close the idle connections of every `Urllib3Transport`. The next request opens new ones."""
    _pool.cache_clear()
    _proxy_manager.cache_clear()


def _open(request: HTTPRequest, route: ProxyConfig) -> BaseHTTPResponse:
    options: dict[str, Any] = {
        "body": request.body,
        # http.client encodes text as Latin-1; the wire wants UTF-8.
        "headers": {
            name: value if value.isascii() else value.encode().decode("latin-1")
            for name, value in request.headers.items()
        },
        "timeout": Timeout(total=min(request.timeout, MAX_TIMEOUT_S)),
        "retries": _NO_RETRIES,
        "redirect": False,
        "preload_content": False,
        "decode_content": False,
    }
    if route.proxy is not None:
        manager = _proxy_manager(route.proxy, route.proxy_authorization, route.tls, os.getpid())
        return manager.urlopen(request.method, request.url, **options)
    # A `PoolManager` would parse the URL and look for its pool in every call: an eighth of what a request costs.
    url = _parse_url(request.url)
    pool = _pool(url.scheme or "", url.host or "", url.port, os.getpid())
    return pool.urlopen(request.method, url.request_uri, assert_same_host=False, **options)


_parse_url = lru_cache(maxsize=256)(parse_url)


# The process id is part of the key so that a forked child opens connections of its own. A pool that drops out closes
# its idle connections, and a response that is still being read keeps its pool.
@lru_cache(maxsize=_MAX_POOLS)
def _pool(scheme: str, host: str, port: int | None, _process_id: int) -> DeadlineHTTPPool | DeadlineHTTPSPool:
    if scheme == "https":
        return DeadlineHTTPSPool(host, port, ssl_context=tls.context(), maxsize=_IDLE_CONNECTIONS)
    return DeadlineHTTPPool(host, port, maxsize=_IDLE_CONNECTIONS)


@lru_cache(maxsize=_MAX_POOLS)
def _proxy_manager(proxy: str, authorization: str | None, is_tls: bool, _process_id: int) -> ProxyManager:
    ssl_context = tls.context() if is_tls else None  # takes 15 ms or more to build
    manager = ProxyManager(
        proxy,
        proxy_headers={"Proxy-Authorization": authorization} if authorization else None,
        proxy_ssl_context=ssl_context,
        ssl_context=ssl_context,
        maxsize=_IDLE_CONNECTIONS,
    )
    manager.pool_classes_by_scheme = {"http": DeadlineHTTPPool, "https": DeadlineHTTPSPool}
    return manager


def _connection_of(response: BaseHTTPResponse) -> Any:
    """Return urllib3's connection; None at the end of the body, and for the responses of vcrpy."""
    return getattr(response, "connection", None)


def _before_response(error: BaseException, peer: str, timeout: float) -> LFMError:
    match error:
        case ReadTimeoutError():
            return failures.timed_out(peer, timeout)
        case LocationValueError():
            return failures.invalid_url(peer)
        case InvalidHeader():
            return not_http(peer)
        case _:
            return failures.before_response(error, peer, timeout)
