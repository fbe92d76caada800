"""Who may use the gateway: the key, the origins of web pages, and open access on this machine."""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lfm_adapter._openrouter.address import is_loopback
from lfm_adapter.apps.gateway.errors import GatewayError
from lfm_adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from aiohttp import web

_AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[^\s\[\]/?#@\\:,]+)(?::\d+)?", re.IGNORECASE)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")
_USUAL_PORTS = {"http": ":80", "https": ":443"}  # browsers leave them out

_EXPOSED = "Retry-After, X-LFM-Model, X-LFM-Retired-Model, X-Generation-Id"


@dataclass(frozen=True, slots=True)
class Access:
    """The access rules.

    Attributes:
        key: The key that clients must send.
        key_place: Where users find the key, for the error.
        is_open: Accept any key, or none. Only for an address on this machine.
        allowed_origins: Origins of web pages that may use the gateway, besides those on this machine; "*" for all.

    Raises:
        ConfigurationError: An origin is malformed, or `is_open` is combined with all origins.
    """

    key: str = field(repr=False)
    key_place: str
    is_open: bool = False
    allowed_origins: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for origin in self.allowed_origins - {"*"}:
            if not _is_origin(origin):
                raise ConfigurationError(
                    "`--allow-origin` must be like https://app.example.com, without a path or the usual port; "
                    f"got {origin!r}."
                )
        if self.is_open and "*" in self.allowed_origins:
            raise ConfigurationError("`--open` needs no key, so `--allow-origin` must name the origins; got '*'.")

    def check(self, request: web.Request) -> None:
        """Check a request other than a preflight.

        Raises:
            GatewayError: The request is not allowed.
        """
        if not self.is_open:
            self._check_key(request)
            return
        # A web page can resolve its own host name to 127.0.0.1, and post forms and plain text without a preflight.
        if not is_on_this_machine(request.headers.get("Host", "")):
            raise GatewayError(
                403,
                "This gateway accepts only requests to this machine. Use 127.0.0.1 or localhost as the host.",
            )
        origin = request.headers.get("Origin")
        if origin is not None and not self.allows_origin(origin):
            how = f" Start it with `--allow-origin {origin}` to allow it." if _is_origin(origin) else ""
            raise GatewayError(403, f"Web pages of {origin} may not use this gateway.{how}")
        if request.method == "POST" and not _is_json(request.content_type):
            raise GatewayError(415, f"Send JSON with `Content-Type: application/json`, not {request.content_type}.")

    def allows_origin(self, origin: str) -> bool:
        """Return whether web pages of `origin` may use the gateway."""
        if origin in self.allowed_origins or "*" in self.allowed_origins:
            return True
        scheme, _, authority = origin.partition("://")
        return scheme in _USUAL_PORTS and is_on_this_machine(authority)

    def cors_headers(self, request: web.Request) -> dict[str, str]:
        """Return the headers that let a web page read the response; empty for an origin that is not allowed."""
        origin = request.headers.get("Origin")
        if origin is None or not self.allows_origin(origin):
            return {}
        headers = {"Access-Control-Allow-Origin": origin, "Vary": "Origin", "Access-Control-Expose-Headers": _EXPOSED}
        if request.method != "OPTIONS":
            return headers
        headers |= {
            "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
            "Access-Control-Allow-Headers": request.headers.get("Access-Control-Request-Headers", "*"),
            "Access-Control-Max-Age": "600",
        }
        if request.headers.get("Access-Control-Request-Private-Network") == "true":
            headers["Access-Control-Allow-Private-Network"] = "true"
        return headers

    def _check_key(self, request: web.Request) -> None:
        scheme, _, token = request.headers.get("Authorization", "").strip().partition(" ")
        token = token.strip() if scheme.lower() == "bearer" else ""
        shown = token or request.headers.get("x-api-key") or request.headers.get("api-key") or ""
        if hmac.compare_digest(shown.encode("utf-8", "surrogateescape"), self.key.encode()):
            return
        problem = "is wrong" if shown else "is missing"
        raise GatewayError(
            401,
            f"The API key {problem}. Enter the gateway's key in your app: {self.key_place}.",
            code="invalid_api_key",
        )


def is_on_this_machine(authority: str) -> bool:
    """Return whether a host with or without a port is this machine; False for a malformed one such as "[::1"."""
    found = _AUTHORITY.fullmatch(authority)
    try:
        return found is not None and is_loopback(f"http://{found[1]}")
    except ValueError:
        return False


def _is_origin(text: str) -> bool:
    """Return whether a browser may send `text` as the origin of a web page or an app."""
    scheme, _, authority = text.partition("://")
    is_usual = authority.endswith(_USUAL_PORTS.get(scheme, "//"))
    return bool(_SCHEME.fullmatch(scheme) and _AUTHORITY.fullmatch(authority)) and not is_usual


def _is_json(content_type: str) -> bool:
    return content_type == "application/json" or content_type.endswith("+json")
