"""What can go wrong on the way, as exceptions of `lfm_adapter.errors`, the same for both transports.

Messages name the host, and never the path, the query or a header. The libraries' own exceptions are not passed on:
aiohttp's hold the request's headers, and with them the key. `origin` finds the exception of Python that is under them.
"""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import sys
import zlib
from typing import TYPE_CHECKING

from lfm_adapter.errors import APIConnectionError, APIError, APITimeoutError, ResponseError, StreamInterruptedError

if TYPE_CHECKING:
    from lfm_adapter._transport.proxy import ProxyConfig

__all__ = [
    "already_closed",
    "before_reply",
    "in_body",
    "not_http",
    "origin",
    "proxy_refused",
    "timed_out",
    "unknown_encoding",
]

_TUNNEL_STATUS = re.compile(r"Tunnel connection failed: (\d{3})")


def origin(error: BaseException) -> BaseException | None:
    """Return the exception of Python itself that led to `error`, or None.

    Only what an exception says of its own origin is followed: `__context__` may be what the caller is handling.
    """
    found: list[BaseException] = [error]
    for candidate in found:
        if type(candidate).__module__.partition(".")[0] in sys.stdlib_module_names:
            return candidate
        links = (candidate.__cause__, *candidate.args)
        found += [link for link in links if isinstance(link, BaseException) and link not in found]
    return None


def before_reply(error: BaseException, route: ProxyConfig, timeout_s: float) -> APIError:
    """Return what to raise for `error`, which came before the reply's headers."""
    cause = origin(error)
    match cause:
        case TimeoutError():
            return timed_out(route, timeout_s)
        case socket.gaierror():
            return APIConnectionError(f"No address was found for {route.name}. Check `base_url` and the network.")
        case ssl.SSLCertVerificationError():
            return APIConnectionError(
                f"The certificate of {route.name} is not trusted ({getattr(cause, 'verify_message', cause)}). "
                "Behind a company's proxy, name the company's CA file in the environment variable `SSL_CERT_FILE`.",
                is_retryable=False,
            )
        case ssl.SSLError():
            return APIConnectionError(f"No TLS connection to {route.name} ({getattr(cause, 'reason', None) or cause}).")
        case ConnectionRefusedError():
            return APIConnectionError(f"{route.name} refused the connection. Is a server running there?")
        case http.client.RemoteDisconnected():
            return _no_reply(route)
        case http.client.HTTPException():
            return not_http(route)
        case OSError() if refused := _TUNNEL_STATUS.search(str(cause)):
            return proxy_refused(route, int(refused[1]))
        case OSError() if cause.strerror and not isinstance(cause, ConnectionError):
            return APIConnectionError(f"No connection to {route.name} ({cause.strerror}).")
        case _:
            return _no_reply(route)


def in_body(error: BaseException, route: ProxyConfig, timeout_s: float) -> APIError:
    """Return what to raise for `error`, which came while the reply's body was read."""
    match origin(error):
        case TimeoutError():
            return APITimeoutError(f"{route.name} sent nothing for {timeout_s:g} s. A longer `timeout` may help.")
        case zlib.error():
            return ResponseError(f"The body of the reply from {route.name} cannot be decompressed.")
        case _:
            return StreamInterruptedError(f"{route.name} broke off its reply before the end.")


def _no_reply(route: ProxyConfig) -> APIConnectionError:
    return APIConnectionError(f"{route.name} closed the connection before it replied.")


def timed_out(route: ProxyConfig, timeout_s: float) -> APITimeoutError:
    """No connection or no headers in time."""
    return APITimeoutError(f"{route.name} did not reply within {timeout_s:g} s. A longer `timeout` may help.")


def proxy_refused(route: ProxyConfig, status: int) -> APIConnectionError:
    """The proxy replied to CONNECT with `status`."""
    advice = "Check the user name and password of the proxy." if status == 407 else "Ask who runs the proxy."
    return APIConnectionError(f"The proxy refuses {route.name}: status {status}. {advice}", is_retryable=status >= 500)


def not_http(route: ProxyConfig) -> APIConnectionError:
    """Bytes came that are no reply."""
    return APIConnectionError(
        f"What {route.name} sent is not HTTP. Check the scheme and the port of `base_url`.",
        is_retryable=False,
    )


def unknown_encoding(route: ProxyConfig, encoding: str) -> ResponseError:
    """The body is compressed in a way that was not asked for."""
    return ResponseError(f"{route.name} encoded its reply as {encoding!r}, which was not asked for.")


def already_closed(route: ProxyConfig) -> StreamInterruptedError:
    """The body is read after `close`, or while another thread or task closes it."""
    return StreamInterruptedError(f"The reply from {route.name} was closed before its end.", is_retryable=False)
