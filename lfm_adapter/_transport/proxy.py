"""Where a request goes: the host, and the proxy that the environment names for it.

The variables are those of curl and requests: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, also in lower
case; without them, the settings of macOS or Windows. This machine itself is never reached through a proxy.
"""

from __future__ import annotations

import os
import time
from base64 import b64encode
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import ip_address, ip_network
from urllib.parse import unquote_to_bytes, urlsplit
from urllib.request import getproxies, proxy_bypass

from lfm_adapter.errors import ConfigurationError

__all__ = ["ProxyConfig", "resolve_proxy"]

# The settings of macOS and Windows change under a running program, and are slow to read. So are 40 µs of `getproxies`.
_LOOK_AGAIN_S = 30.0

_VARIABLES = {
    scheme: (f"{scheme}_proxy", f"{scheme.upper()}_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY")
    for scheme in ("http", "https")
}


@dataclass(frozen=True, slots=True)
class ProxyConfig:
    """The way of one request.

    Attributes:
        name: What messages call the other end: the host, its port, and the proxy on the way. Never a user name.
        tls: Whether any part of the way is encrypted.
        proxy: The proxy's address without user name and password, or None.
        proxy_authorization: The value of the header that carries those to the proxy, or None.
    """

    name: str
    tls: bool
    proxy: str | None = None
    proxy_authorization: str | None = field(default=None, repr=False)


def resolve_proxy(url: str) -> ProxyConfig:
    """Return the way to `url`. A repeated call costs 5 µs, all of it looking at the environment.

    Raises:
        ConfigurationError: `url` is no http or https address, holds a user name, or needs a proxy that cannot be used.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ConfigurationError(_NO_ADDRESS) from None
    direct, is_this_machine = _direct(parts.scheme, parts.netloc)
    if is_this_machine:
        return direct
    environment = tuple(map(os.environ.get, _VARIABLES[parts.scheme]))
    return _from_environment(parts.scheme, parts.netloc, environment, time.monotonic() // _LOOK_AGAIN_S)


_NO_ADDRESS = "The address is not valid. Write `base_url` like 'https://openrouter.ai/api/v1'."


@lru_cache(maxsize=256)
def _direct(scheme: str, netloc: str) -> tuple[ProxyConfig, bool]:
    if "@" in netloc:
        raise ConfigurationError(
            "The address holds a user name. Take it out of `base_url`, and pass `api_key` instead."
        )
    host = _host_of(f"{scheme}://{netloc}")
    if scheme not in _VARIABLES or not host:
        raise ConfigurationError(_NO_ADDRESS)
    return ProxyConfig(netloc, tls=scheme == "https"), _is_this_machine(host)


def _host_of(url: str) -> str | None:
    """Return the host of `url`, None if there is none or its port is no number."""
    parts = urlsplit(url)
    try:
        _ = parts.port
    except ValueError:
        return None
    return parts.hostname


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


@lru_cache(maxsize=256)
def _from_environment(
    scheme: str,
    netloc: str,
    environment: tuple[str | None, ...],  # noqa: ARG001 - with `half_minute`, what the answer is remembered for
    half_minute: float,  # noqa: ARG001 - see `_LOOK_AGAIN_S`
) -> ProxyConfig:
    direct, _ = _direct(scheme, netloc)
    proxies = getproxies()
    proxy = proxies.get(scheme) or proxies.get("all")
    if not proxy or proxy_bypass(netloc) or _is_in_excepted_network(netloc, proxies.get("no", "")):
        return direct
    variable = f"{scheme.upper()}_PROXY"
    kind, _, place = proxy.rpartition("://")
    kind = kind.lower() or "http"
    if kind.startswith("socks"):
        raise ConfigurationError(
            f"The proxy for {netloc} is a SOCKS proxy, and those are not supported. "
            f"Name an HTTP proxy in `{variable}`, or add the host to `NO_PROXY` to go without.",
        )
    credentials, _, place = place.rpartition("@")
    address = f"{kind}://{place}"
    if kind not in _VARIABLES or _host_of(address) is None:
        raise ConfigurationError(
            f"The proxy for {netloc} has no valid address. Write `{variable}` like 'http://proxy.example:3128'.",
        )
    return ProxyConfig(
        f"{netloc} (through the proxy {urlsplit(address).netloc})",
        tls=direct.tls or kind == "https",
        proxy=address,
        proxy_authorization=f"Basic {b64encode(unquote_to_bytes(credentials)).decode()}" if credentials else None,
    )


def _is_in_excepted_network(netloc: str, exceptions: str) -> bool:
    """Return whether `NO_PROXY` names the address's network ("10.0.0.0/8"), which `proxy_bypass` does not know."""
    try:
        address = ip_address(urlsplit(f"//{netloc}").hostname or "")
    except ValueError:
        return False
    for exception in exceptions.split(","):
        try:
            if address in ip_network(exception.strip(), strict=False):
                return True
        except ValueError:
            continue
    return False
