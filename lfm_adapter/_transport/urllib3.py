"""The blocking transport, over urllib3."""

from __future__ import annotations

import http.client
import math
import socket
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING

from urllib3 import Timeout
from urllib3.exceptions import (
    HTTPError,
    InvalidHeader,
    LocationValueError,
    ProxySchemeUnsupported,
    ReadTimeoutError,
)
from urllib3.util import SKIP_HEADER

from lfm_adapter._transport import failures
from lfm_adapter._transport.headers import check_headers, lower_names
from lfm_adapter._transport.http_reply import HTTPReply
from lfm_adapter._transport.inflate import PIECE_BYTES, UnknownEncodingError, inflater_for
from lfm_adapter._transport.pools import close_pools, urlopen
from lfm_adapter._transport.proxy import ProxyConfig, resolve_proxy
from lfm_adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from urllib3 import BaseHTTPResponse

    from lfm_adapter.errors import LFMError
    from lfm_adapter.types import HTTPRequest

__all__ = ["Urllib3Response", "Urllib3Transport", "close_pools"]

# What a socket accepts: 0 would mean not to wait at all, and infinity is no number of nanoseconds.
_SHORTEST_S = 0.001
_LONGEST_S = 86_400.0

_FAILURES = (HTTPError, ProxySchemeUnsupported, http.client.HTTPException, OSError)
_BODY_FAILURES = (*_FAILURES, EOFError, zlib.error)


class Urllib3Transport:
    """A `Transport` over urllib3.

    It has no state: connections are kept in pools that all transports of this process share. Copy and pickle it freely.
    """

    def send(self, request: HTTPRequest) -> Urllib3Response:
        """See `Transport.send`.

        Raises:
            ConfigurationError: The address, a header, a proxy or a certificate file cannot be used.
        """
        route = resolve_proxy(request.url)
        check_headers(request.headers)
        try:
            response = urlopen(
                route,
                request.method,
                request.url,
                body=request.body,
                headers=_for_wire(request.headers),
                timeout=Timeout(total=_for_socket(request.timeout)),
            )
        except _FAILURES as error:
            raise _before_reply(error, route, request.timeout) from failures.origin(error)
        try:
            return Urllib3Response(response, route)
        except UnknownEncodingError as encoding:
            response.close()
            raise failures.unknown_encoding(route, str(encoding)) from None


class Urllib3Response:
    """A `HTTPResponse` of `Urllib3Transport`.

    Attributes:
        status_code: See `HTTPResponse.status_code`.
        headers: See `HTTPResponse.headers`.
    """

    def __init__(self, response: BaseHTTPResponse, route: ProxyConfig) -> None:
        self.status_code: int = response.status
        self.headers: Mapping[str, str] = lower_names(
            (name, _as_utf8(value)) for name, value in response.headers.items()
        )
        self._response = response
        self._body = _body_of(response)
        self._route = route
        self._socket = _socket_of(response)
        self._timeout_s: float | None = None
        self._ended = False
        self._closed = False
        self._inflater = inflater_for(self.headers)

    def read(self, timeout_s: float) -> bytes:
        """See `HTTPResponse.read`. Returns 64 KiB at most.

        Raises:
            ResponseError: The body's compression is broken.
        """
        if self._closed:
            raise failures.already_closed(self._route)
        try:
            if self._inflater is None:
                return self._read_raw(timeout_s)
            while not (data := self._inflater.take()):
                if not (raw := self._read_raw(timeout_s)):
                    self._inflater.check_end()
                    return b""
                self._inflater.feed(raw)
        except Exception as error:
            if self._closed:  # by another thread, which takes away what urllib3 works on
                raise failures.already_closed(self._route) from None
            self.close()
            if not isinstance(error, _BODY_FAILURES):
                raise
            raise failures.in_body(error, self._route, timeout_s) from failures.origin(error)
        return data

    def close(self) -> None:
        """See `HTTPResponse.close`. Another thread may call it while this one waits in `read`."""
        if self._ended or self._closed:
            return
        self._closed = True
        # Ends a `read` that waits, and would have `close` below wait with it. Not `SSLSocket.shutdown`: after that
        # the rest would be read as plain text.
        if isinstance(self._socket, socket.socket) and self._response.connection is not None:
            with suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
        self._response.close()

    def _read_raw(self, timeout_s: float) -> bytes:
        if self._ended:
            return b""
        # What is left of a deadline is never the same twice; rounded up it mostly is, and saves a call of the system.
        rounded_s = math.ceil(timeout_s * 100) / 100 if timeout_s < _LONGEST_S else _LONGEST_S
        # At the end of a body http.client closes the socket of a connection that the server does not keep.
        if rounded_s != self._timeout_s and self._socket is not None and self._socket.fileno() != -1:
            self._socket.settimeout(_for_socket(rounded_s))
            self._timeout_s = rounded_s
        # Not `stream` nor `read`: they wait until a chunk or so many bytes are there.
        data = self._body.read1(PIECE_BYTES)
        if not data:
            if self._closed:
                raise ConnectionAbortedError
            if self._body is not self._response:
                self._response.read1(PIECE_BYTES)  # to give the connection back
            self._ended = True
        elif self._response.length_remaining == 0 and getattr(self._response, "connection", None) is None:
            self._ended = True  # and the connection was given back
        return data


def _before_reply(error: BaseException, route: ProxyConfig, timeout_s: float) -> LFMError:
    match error:
        case ReadTimeoutError():
            return failures.timed_out(route, timeout_s)
        case LocationValueError():
            return ConfigurationError(f"The address of {route.name} is not valid. Check `base_url`.")
        case InvalidHeader():
            return failures.not_http(route)
        case _:
            return failures.before_reply(error, route, timeout_s)


def _for_socket(timeout_s: float) -> float:
    return min(max(timeout_s, _SHORTEST_S), _LONGEST_S)


def _for_wire(headers: Mapping[str, str]) -> dict[str, str]:
    """Return `headers` such that UTF-8 goes out, though http.client encodes Latin-1, and urllib3 adds none."""
    sent = {name: value if value.isascii() else value.encode().decode("latin-1") for name, value in headers.items()}
    given = {name.lower() for name in sent}
    return sent | {name: SKIP_HEADER for name in ("accept-encoding", "user-agent") if name not in given}


def _as_utf8(value: str) -> str:
    """Undo http.client's Latin-1."""
    return value if value.isascii() else value.encode("latin-1").decode("utf-8", "replace")


def _body_of(response: BaseHTTPResponse) -> HTTPReply | BaseHTTPResponse:
    """Return what to read: of a body in chunks http.client's reply, which sees to their ends.

    What urllib3 does beside, to map errors and to count what is left, takes 2 µs an event.
    """
    reply = getattr(response, "_fp", None)
    return reply if isinstance(reply, HTTPReply) and reply.chunked else response


def _socket_of(response: BaseHTTPResponse) -> socket.socket | None:
    """Return the socket that `response` is read from, or None for the stand-in of vcrpy, which has none.

    A connection that the server will not keep has let go of its socket by now: only http.client's file still holds it.
    """
    connection = getattr(response, "connection", None)
    if connection is None:
        return None
    file = getattr(getattr(response, "_fp", None), "fp", None)
    return connection.sock or getattr(getattr(file, "raw", None), "_sock", None)
