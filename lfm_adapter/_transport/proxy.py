"""Finds the proxy that the environment names for a URL.

The variables are those of curl and requests: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, also in lower
case; without them, the settings of macOS or Windows.
"""

from __future__ import annotations

import os
import time
from base64 import b64encode
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import ip_address, ip_network
from urllib.parse import unquote_to_bytes, urlsplit
from urllib.request import getproxies, proxy_bypass

from lfm_adapter._openrouter.address import is_loopback
from lfm_adapter.errors import ConfigurationError

_VARIABLES = [f"{kind}_proxy" for kind in ("https", "http", "all", "no")]
_VARIABLES += [name.upper() for name in _VARIABLES]

# The settings of macOS and Windows may change under a running program, but reading them for each request would be too
# slow, and so would `getproxies` with its 40 µs. A route is looked up again after this time, or if a variable changes.
_REREAD_S = 30.0


@dataclass(frozen=True, slots=True)
class ProxyConfig:
    """The route of one request.

    Attributes:
        peer: What messages call the other end: host, port, and the proxy on the way. Never a user name.
        tls: Whether any part of the route is encrypted.
        proxy: The proxy's URL without user name and password, or None.
        proxy_authorization: The value of the header that carries those to the proxy, or None.
    """

    peer: str
    tls: bool
    proxy: str | None = None
    proxy_authorization: str | None = field(default=None, repr=False)


@lru_cache(maxsize=256)
def local_route(url: str) -> ProxyConfig | None:
    """Return the route to `url` if it is on this machine, which is always reached directly; else None.

    Raises:
        ConfigurationError: `url` is not an http or https URL, or holds a user name.
    """
    direct = _direct(url)
    return direct if is_loopback(url) else None


def resolve_proxy(url: str) -> ProxyConfig:
    """Return the route to `url` on another machine. A repeated call costs 5 µs, most of it for reading the environment.

    Raises:
        ConfigurationError: `url` needs a proxy that cannot be used.
    """
    return _through_proxy(url, (time.monotonic() // _REREAD_S, *map(os.environ.get, _VARIABLES)))


def _direct(url: str) -> ProxyConfig:
    if not _is_valid(url):
        raise ConfigurationError("The URL is invalid. Write `base_url` like 'https://openrouter.ai/api/v1'.")
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise ConfigurationError("The URL contains a user name. Remove it from `base_url` and pass `api_key` instead.")
    return ProxyConfig(parts.netloc, tls=parts.scheme == "https")


@lru_cache(maxsize=256)
def _through_proxy(url: str, _state: tuple[object, ...]) -> ProxyConfig:
    direct = _direct(url)
    parts = urlsplit(url)
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(parts.netloc) or _is_in_network(parts.hostname or "", proxies.get("no", "")):
        return direct
    variable = f"{parts.scheme.upper()}_PROXY"
    scheme, _, place = proxy.rpartition("://")
    scheme = scheme.lower() or "http"
    if scheme.startswith("socks"):
        raise ConfigurationError(
            f"The proxy for {direct.peer} is a SOCKS proxy, which is not supported. "
            f"Set `{variable}` to an HTTP proxy, or add the host to `NO_PROXY` to connect directly."
        )
    credentials, _, place = place.rpartition("@")
    address = f"{scheme}://{place}"
    if not _is_valid(address):
        raise ConfigurationError(
            f"The proxy for {direct.peer} has no valid address. Write `{variable}` like 'http://proxy.example:3128'."
        )
    return ProxyConfig(
        f"{direct.peer} (through the proxy {urlsplit(address).netloc})",
        tls=direct.tls or scheme == "https",
        proxy=address,
        proxy_authorization=f"Basic {b64encode(unquote_to_bytes(credentials)).decode()}" if credentials else None,
    )


def _is_valid(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:  # an unclosed bracket, or a port that is not a number
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def _is_in_network(host: str, exceptions: str) -> bool:
    """Return whether `NO_PROXY` lists the network of `host` ("10.0.0.0/8"), which `proxy_bypass` does not support."""
    for exception in exceptions.split(","):
        with suppress(ValueError):  # one of them is a name
            if ip_address(host) in ip_network(exception.strip(), strict=False):
                return True
    return False
