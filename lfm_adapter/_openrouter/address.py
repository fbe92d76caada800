"""Addresses of APIs: which are valid, whose they are, and where a key may go."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from urllib.parse import urlsplit, urlunsplit

from lfm_adapter.errors import ConfigurationError

OPENROUTER_URL = "https://openrouter.ai/api/v1"

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+")

# This machine, local networks, and the addresses of a carrier's or a VPN's own network; IPv6's are of the same kinds.
_PRIVATE_NETWORKS = [
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16",
        "::/127", "fc00::/7", "fe80::/10",
    )
]  # fmt: skip
_PRIVATE_DOMAINS = (".localhost", ".local", ".internal", ".lan", ".home.arpa")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # holds an IPv4 address in its last 32 bits (RFC 6052)


@lru_cache(maxsize=256)
def base_url_of(url: str) -> str:
    """Return `url` ready to have "/chat/completions" appended, its host as it will be connected to.

    Raises:
        ConfigurationError: It is not http or https, has credentials, or has a query.
    """
    text = url.strip()
    shown = re.sub(r"//.*@", "//", re.split(r"[?#]", url, maxsplit=1)[0])  # without secrets
    invalid = ConfigurationError(
        f"`base_url` must be an http or https URL such as 'https://openrouter.ai/api/v1', got {shown!r}."
    )
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 # raises if it is not a number
    except ValueError:
        raise invalid from None
    # `urlsplit` silently removes line breaks, and keeps other characters that are invalid in a URL.
    if parts.scheme not in ("http", "https") or not parts.hostname or not text.isprintable() or " " in text:
        raise invalid
    if parts.username or parts.password:
        raise ConfigurationError("`base_url` must not have a user name or password. Pass `default_headers` instead.")
    if parts.query or parts.fragment:
        raise ConfigurationError(f"`base_url` must not have a query or fragment, got {shown!r}.")
    host = _canonical_host(parts.hostname)
    if host is None:
        raise invalid
    path = parts.path.rstrip("/").removesuffix("/chat/completions")
    return urlunsplit((parts.scheme, host if parts.port is None else f"{host}:{parts.port}", path, "", ""))


def _canonical_host(host: str) -> str | None:
    """Return the one way to write a host, so that nothing that reads it takes it for another; None for an invalid one.

    An IPv4 address may be written in octal, in hexadecimal, with fewer numbers or as IPv6: `0x7f.1` is 127.0.0.1
    (https://url.spec.whatwg.org/#concept-ipv4-parser). A name in other letters than ASCII is refused: the libraries
    disagree on what it means.
    """
    if ":" in host:
        address, _, zone = host.partition("%")
        try:
            ip = ipaddress.IPv6Address(address)
        except ValueError:
            return None
        if ip.ipv4_mapped:
            return str(ip.ipv4_mapped)
        return f"[{ip}{f'%{zone}' if zone else ''}]"
    name = host.removesuffix(".")
    labels = name.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return _ipv4(labels)
    return host if len(name) <= 253 and all(map(_LABEL.fullmatch, labels)) else None


def _ipv4(numbers: list[str]) -> str | None:
    if len(numbers) > 4 or not all(map(_NUMBER.fullmatch, numbers)):
        return None
    try:
        *first, last = (int(one, 16) if one[1:2] == "x" else int(one, 8 if one[0] == "0" else 10) for one in numbers)
    except ValueError:
        return None
    if any(number > 255 for number in first) or last >= 256 ** (4 - len(first)):
        return None
    return str(ipaddress.IPv4Address(sum(number << (24 - 8 * place) for place, number in enumerate(first)) + last))


# The following are asked several times in a request, of the same few addresses, which took 15 µs of it.
@lru_cache(maxsize=256)
def is_loopback(url: str) -> bool:
    """Return whether the host of `url` is this machine.

    >>> is_loopback("http://127.0.0.1:8080/v1"), is_loopback("https://openrouter.ai/api/v1")
    (True, False)
    """
    host = (urlsplit(url).hostname or "").rstrip(".")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


@lru_cache(maxsize=256)
def is_private(url: str) -> bool:
    """Return whether the host of a URL of `base_url_of` is on this machine or in a private network.

    >>> is_private("http://192.168.1.5/v1"), is_private("http://gpu-box/v1"), is_private("http://8.8.8.8/v1")
    (True, True, False)
    """
    host = urlsplit(url).hostname or ""
    try:
        ip = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return "." not in host or f".{host}".rstrip(".").endswith(_PRIVATE_DOMAINS)
    if ip in _NAT64:
        ip = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return any(ip in network for network in _PRIVATE_NETWORKS)


@lru_cache(maxsize=256)
def is_openrouter(url: str) -> bool:
    """Return whether `url` is OpenRouter's, one of its regions', or that of `lfm_adapter.testing` in its place."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    is_scripted = parts.path.startswith("/openrouter.ai/") and is_loopback(url)
    return is_scripted or host == "openrouter.ai" or host.endswith(".openrouter.ai")


@lru_cache(maxsize=256)
def is_liquid(url: str) -> bool:
    """Return whether `url` is that of Liquid's own API, or of a server on this machine that plays it."""
    parts = urlsplit(url)
    return parts.hostname == "api.liquid.ai" or (parts.path.startswith("/api.liquid.ai") and is_loopback(url))


def sends_env_key(url: str) -> bool:
    """Return whether `OPENROUTER_API_KEY` may go to an address that the environment did not name."""
    return url.startswith("https:") and not is_loopback(url)
