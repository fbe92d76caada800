"""The dashboard at `/`: what a model's page on OpenRouter shows, for this user's calls."""

from __future__ import annotations

import asyncio
import hmac
import secrets
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from typing import Any

from aiohttp import web

from lfm_adapter._extras import how_to_install
from lfm_adapter.apps.gateway.call import GATEWAY
from lfm_adapter.apps.gateway.errors import GatewayError
from lfm_adapter.apps.gateway.page_facts import PERIODS, last_calls, page_facts
from lfm_adapter.errors import ConfigurationError

# https://developer.mozilla.org/en-US/docs/Web/HTTP/Guides/CSP
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

PAGE_PATHS = frozenset({"/", "/calls", "/login", "/page.css", "/page.js"})


@dataclass
class Sessions:
    """The browsers that are signed in, by the link that is printed at the start or by the key.

    Attributes:
        token: The token of the link, until it is used.
        cookies: The cookies of the browsers.
    """

    token: str | None = field(default_factory=lambda: secrets.token_urlsafe(24))
    cookies: set[str] = field(default_factory=set)

    def open(self, request: web.Request) -> web.Response:
        """Sign the browser in with a cookie, and redirect it to the dashboard."""
        value = secrets.token_urlsafe(24)
        self.cookies.add(value)
        response = web.Response(status=303, headers={"Location": "/"})
        response.set_cookie(_cookie_name(request), value, httponly=True, samesite="Strict", path="/")
        return response

    def takes_token(self, token: str) -> bool:
        """Return whether a token is correct, and invalidate it."""
        if self.token is None or not hmac.compare_digest(token.encode(), self.token.encode()):
            return False
        self.token = None
        return True

    def knows(self, request: web.Request) -> bool:
        """Return whether the browser is signed in."""
        return request.cookies.get(_cookie_name(request)) in self.cookies


SESSIONS = web.AppKey("sessions", Sessions)


def _cookie_name(request: web.Request) -> str:
    # Browsers send cookies to every port of a host, and each gateway needs its own.
    port = request.host.rpartition(":")[2]
    return f"lfm_gateway_{port}" if port.isascii() and port.isdecimal() else "lfm_gateway"


def add_page(app: web.Application, sessions: Sessions) -> None:
    """Add the routes of the dashboard."""
    app[SESSIONS] = sessions
    app.router.add_get("/", _page)
    app.router.add_get("/calls", _calls)
    app.router.add_post("/login", _login)
    app.router.add_get("/page.css", _file)
    app.router.add_get("/page.js", _file)


async def _page(request: web.Request) -> web.Response:
    sessions = request.app[SESSIONS]
    token = request.query.get("token")
    # Programs that show links ask HEAD.
    if token is not None and request.method == "GET" and sessions.takes_token(token):
        return sessions.open(request)
    if not _may_see(request):
        return _login_page(request, "You are not signed in." if token is None else "This link has already been used.")
    gateway = request.app[GATEWAY]
    days = next((days for days in PERIODS if str(days) == request.query.get("days")), 30)
    try:
        facts = await asyncio.to_thread(page_facts, gateway, days)
    except ConfigurationError as error:
        return _html("unreadable.html", status=503, problem=error.message)
    return _html("page.html", **facts)


async def _calls(request: web.Request) -> web.Response:
    if not _may_see(request):
        raise GatewayError(401, "You are not signed in.")
    ledger = request.app[GATEWAY].ledger
    try:
        calls = await asyncio.to_thread(last_calls, ledger)
    except ConfigurationError as error:
        raise GatewayError(503, error.message) from error
    return _html("calls.html", calls=calls)


async def _login(request: web.Request) -> web.Response:
    try:
        form = await request.post()
    except (ValueError, LookupError) as error:  # malformed parts, or a wrong or unknown charset
        raise GatewayError(400, "The form is malformed. Open the page again, and enter the key.") from error
    key = str(form.get("key", "")).strip()
    if hmac.compare_digest(key.encode("utf-8", "replace"), request.app[GATEWAY].access.key.encode()):
        return request.app[SESSIONS].open(request)
    return _login_page(request, "This is not the gateway's key.")


def _login_page(request: web.Request, problem: str) -> web.Response:
    return _html("login.html", status=401, problem=problem, base_url=f"{request.scheme}://{request.host}/v1")


async def _file(request: web.Request) -> web.Response:
    kind = {"css": "text/css", "js": "text/javascript"}[request.path.rpartition(".")[2]]
    return web.Response(text=_text(request.path[1:]), content_type=kind, headers=_HEADERS)


def _may_see(request: web.Request) -> bool:
    access = request.app[GATEWAY].access
    if request.app[SESSIONS].knows(request):
        return True
    try:
        access.check(request)
    except GatewayError:
        if access.is_open:
            raise
        return False
    return True


def _html(template: str, *, status: int = 200, **facts: Any) -> web.Response:
    page = _templates().get_template(template).render(facts)
    return web.Response(text=page, status=status, content_type="text/html", headers=_HEADERS)


def _text(name: str) -> str:
    return files("lfm_adapter.apps.gateway").joinpath(name).read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def _templates() -> Any:
    """Return Jinja's environment, which escapes all values.

    Raises:
        GatewayError: The extra `gateway` is not installed.
    """
    try:
        import jinja2
        import leather  # noqa: F401
    except ImportError as error:
        raise GatewayError(
            501, f"The dashboard needs more packages. Run `{how_to_install('gateway')}` and restart `lfm gateway`."
        ) from error
    return jinja2.Environment(loader=jinja2.FunctionLoader(_text), autoescape=True, trim_blocks=True)
