"""Serves streamable HTTP, on this machine only, to clients that send the token."""

from __future__ import annotations

import secrets
import socket
from typing import TYPE_CHECKING, Any

import uvicorn
from mcp.server.transport_security import DEFAULT_MAX_REQUEST_BODY_SIZE
from starlette.responses import PlainTextResponse

from lfm_adapter.apps.event_loop import run
from lfm_adapter.apps.mcp.surrogates import repair_json
from lfm_adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp.server import Server
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOST = "127.0.0.1"
PATH = "/mcp"

# Clients keep a stream open for messages of the server, and would not close it by themselves.
_SHUTDOWN_S = 1


class TokenGuard:
    """Accepts only requests with the token, because every program and web page on this machine can reach the port.

    Args:
        app: The application to protect.
        token: The token in `Authorization: Bearer …`.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See https://asgi.readthedocs.io/en/latest/specs/www.html."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif self._is_allowed(scope):
            await self._app(scope, _repaired(receive), send)
        elif scope.get("path", "").startswith("/.well-known/"):
            # Clients look for OAuth metadata here, and only a 404 tells them that there is no login.
            await PlainTextResponse("Not found.\n", status_code=404)(scope, receive, send)
        else:
            refusal = PlainTextResponse(
                "The header `Authorization: Bearer TOKEN` is missing or wrong.\n",
                status_code=401,
                headers={"WWW-Authenticate": "Bearer"},
            )
            await refusal(scope, receive, send)

    def _is_allowed(self, scope: Scope) -> bool:
        given: list[bytes] = [value for name, value in scope.get("headers", ()) if name == b"authorization"]
        scheme, _, token = given[0].partition(b" ") if len(given) == 1 else (b"", b"", b"")
        return scheme.lower() == b"bearer" and secrets.compare_digest(token.strip(), self._token)


def _repaired(receive: Receive) -> Receive:
    """Receive the whole body, without lone surrogates. Beyond the SDK's limit, which refuses it, no more is read."""

    async def receive_repaired() -> Message:
        message = await receive()
        body: bytes = message.get("body", b"")
        while message.get("more_body") and len(body) <= DEFAULT_MAX_REQUEST_BODY_SIZE:
            message = await receive()
            body += message.get("body", b"")
        return {**message, "body": repair_json(body)} if message["type"] == "http.request" else message

    return receive_repaired


def serve_http(server: Server, token: str, port: int, when_ready: Callable[[str], Any]) -> None:
    """Serve until Ctrl-C.

    Args:
        server: The server.
        token: The token that clients must send.
        port: Port to listen on; 0 for any free port.
        when_ready: Called with the URL when clients can connect.

    Raises:
        ConfigurationError: The port cannot be used.
    """
    try:
        listener = socket.create_server((HOST, port))
    except OSError as error:
        raise ConfigurationError(f"Port {port} cannot be used: {error.strerror}. Choose another: `--port`.") from error
    with listener:
        # By default, uvicorn logs to stdout. The SDK's app refuses other Host and Origin headers.
        config = uvicorn.Config(
            TokenGuard(server.streamable_http_app(host=HOST, streamable_http_path=PATH), token),
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=_SHUTDOWN_S,
        )
        url = f"http://{HOST}:{listener.getsockname()[1]}{PATH}"
        _Server(config, lambda: when_ready(url)).run(sockets=[listener])


class _Server(uvicorn.Server):
    """Calls `when_ready` when it accepts connections and handles Ctrl-C."""

    def __init__(self, config: uvicorn.Config, when_ready: Callable[[], Any]) -> None:
        super().__init__(config)
        self._when_ready = when_ready

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        run(lambda: self.serve(sockets))

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._when_ready()
