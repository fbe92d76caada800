"""The server over streamable HTTP: on this machine only, and only for who has the token."""

from __future__ import annotations

import secrets
import socket
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.responses import PlainTextResponse

from lfm_adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp.server import MCPServer
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["HOST", "PATH", "Guard", "serve_http"]

HOST = "127.0.0.1"
PATH = "/mcp"

# Clients keep a stream open for what the server may have to say; nothing waits for them to close it.
_SHUTDOWN_S = 1


class Guard:
    """Lets in only requests with the token.

    Other programs of this machine can reach the port, and so can pages in its browser.

    Args:
        app: What they are let in to.
        token: What `Authorization: Bearer …` has to say.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See https://asgi.readthedocs.io/en/latest/specs/www.html."""
        given: list[bytes] = [value for name, value in scope.get("headers", ()) if name == b"authorization"]
        if scope["type"] == "lifespan" or (len(given) == 1 and secrets.compare_digest(given[0], self._expected)):
            await self._app(scope, receive, send)
            return
        refusal = PlainTextResponse(
            "The header `Authorization: Bearer TOKEN` is missing or wrong.\n",
            status_code=401,
            headers={"WWW-Authenticate": "Bearer"},
        )
        await refusal(scope, receive, send)


def serve_http(server: MCPServer, token: str, port: int, when_ready: Callable[[str], Any]) -> None:
    """Serve until Ctrl-C.

    Args:
        server: What to serve.
        token: What clients must send.
        port: Where to listen; 0 for a free one.
        when_ready: Called with the address once clients can connect.

    Raises:
        ConfigurationError: The port is taken.
    """
    try:
        listener = socket.create_server((HOST, port))
    except OSError as error:
        raise ConfigurationError(
            f"Port {port} cannot be used ({error.strerror}). Name another with `--port`."
        ) from error
    with listener:
        # Of itself, uvicorn logs to stdout. The app refuses other values of Host and Origin than this machine's.
        config = uvicorn.Config(
            Guard(server.streamable_http_app(host=HOST, streamable_http_path=PATH), token),
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=_SHUTDOWN_S,
        )
        url = f"http://{HOST}:{listener.getsockname()[1]}{PATH}"
        _Server(config, lambda: when_ready(url)).run(sockets=[listener])


class _Server(uvicorn.Server):
    """Tells that it is ready when Ctrl-C already ends it in order."""

    def __init__(self, config: uvicorn.Config, when_ready: Callable[[], Any]) -> None:
        super().__init__(config)
        self._when_ready = when_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._when_ready()
