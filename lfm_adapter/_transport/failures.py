"""Maps what the HTTP libraries raise to `lfm_adapter.errors`, the same for both transports.

Messages name the host and leave out path, query and headers. The libraries' own exceptions are never chained, because
aiohttp's hold the request's headers, and with them the key. `origin` finds Python's own exception among their causes.
"""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import sys

from lfm_adapter._openrouter.response import not_http
from lfm_adapter.errors import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    ConfigurationError,
    StreamInterruptedError,
)

_TUNNEL_STATUS = re.compile(r"Tunnel connection failed: (\d{3})")


def origin(error: BaseException) -> BaseException | None:
    """Return the exception of Python itself that led to `error`, or None.

    It comes without its frames and its own causes: in the libraries' frames, tools that show the variables of a
    traceback would find the headers. Only causes and arguments are followed: `__context__` may be what the caller is
    handling.
    """
    found: list[BaseException] = [error]
    for candidate in found:
        links = (candidate.__cause__, *candidate.args)
        if type(candidate).__module__.partition(".")[0] in sys.stdlib_module_names:
            candidate.__traceback__ = candidate.__cause__ = candidate.__context__ = None
            return candidate
        found += [link for link in links if isinstance(link, BaseException) and link not in found]
    return None


def before_response(error: BaseException, peer: str, timeout: float) -> APIError:
    """Return what to raise for `error`, which came before the response's headers."""
    cause = origin(error)
    match cause:
        case TimeoutError():
            return timed_out(peer, timeout)
        case socket.gaierror():
            return APIConnectionError(f"Could not resolve {peer}. Check `base_url` and the network.")
        case ssl.SSLCertVerificationError():
            return APIConnectionError(
                f"The certificate of {peer} is not trusted ({getattr(cause, 'verify_message', cause)}). "
                "Behind a company's proxy, set the environment variable `SSL_CERT_FILE` to the company's CA file.",
                is_retryable=False,
            )
        case ssl.SSLError():
            reason = getattr(cause, "reason", None) or cause
            return APIConnectionError(f"Could not set up TLS with {peer} ({reason}).")
        case ConnectionRefusedError():
            return APIConnectionError(f"Could not connect to {peer}: connection refused. Is a server running there?")
        case http.client.HTTPException() if not isinstance(cause, ConnectionError):
            return not_http(peer)
        case OSError() if refused := _TUNNEL_STATUS.search(str(cause)):
            return proxy_refused(peer, int(refused[1]))
        case OSError() if cause.strerror and not isinstance(cause, ConnectionError):
            return APIConnectionError(f"Could not connect to {peer} ({cause.strerror}).")
        case _:
            return APIConnectionError(f"{peer} closed the connection before it responded.")


def in_body(error: BaseException, peer: str, timeout: float) -> APIError:
    """Return what to raise for `error`, which came while the response's body was read."""
    if isinstance(origin(error), TimeoutError):
        return APITimeoutError(f"{peer} sent nothing for {timeout:g} s. A longer `timeout` may help.")
    return StreamInterruptedError(f"{peer} closed the connection before the end of its response.")


def timed_out(peer: str, timeout: float) -> APITimeoutError:
    """Return the error for a connection or headers that did not come within `timeout` seconds."""
    return APITimeoutError(f"{peer} did not respond within {timeout:g} s. A longer `timeout` may help.")


def proxy_refused(peer: str, status_code: int) -> APIConnectionError:
    """Return the error for a proxy that answered CONNECT with `status_code`."""
    advice = "Check its user name and password." if status_code == 407 else "Ask whoever runs the proxy."
    return APIConnectionError(
        f"The proxy refused to connect to {peer} (status {status_code}). {advice}", is_retryable=status_code >= 500
    )


def invalid_url(peer: str) -> ConfigurationError:
    """Return the error for a URL that the HTTP library rejects."""
    return ConfigurationError(f"The URL of {peer} is invalid. Check `base_url`.")


def already_closed(peer: str) -> StreamInterruptedError:
    """Return the error for reading a body after `close`, or while another thread closes it."""
    return StreamInterruptedError(f"The response from {peer} was closed before its end.", is_retryable=False)
