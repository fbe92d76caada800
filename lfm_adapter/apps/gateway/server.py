"""Runs the gateway: binds its port, serves until a signal, and closes its connections."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
import socket
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from lfm_adapter.apps.event_loop import run
from lfm_adapter.apps.gateway.app import create_app
from lfm_adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from lfm_adapter.apps.gateway.call import Gateway
    from lfm_adapter.apps.gateway.page import Sessions

FIRST_PORT = 4000
PORTS_TRIED = 50

BACKLOG = 1024
CLOSE_TIMEOUT_S = 1.0  # for requests in progress

logger = logging.getLogger("lfm_adapter.gateway.http")


@logger.addFilter
def _is_fault_of_ours(record: logging.LogRecord) -> bool:
    """Drop records about malformed HTTP from clients. They get a 400, and aiohttp would log a traceback for each."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError | web.RequestPayloadError))


def listen(host: str, port: int | None) -> socket.socket:
    """Return a listening socket.

    Args:
        host: The address.
        port: The port; 0 for any free port, None for the first free port from `FIRST_PORT` on.

    Raises:
        ConfigurationError: The address cannot be used.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    except (OSError, UnicodeError):
        raise ConfigurationError(f"`--host` must be a name or an address of this machine, got {host!r}.") from None
    reason: str | None = None
    for candidate in range(FIRST_PORT, FIRST_PORT + PORTS_TRIED) if port is None else [port]:
        try:
            return socket.create_server((host, candidate), family=family, backlog=BACKLOG)
        except OSError as error:
            reason = str(error.strerror).partition(" (while")[0]  # `create_server` repeats the address
            if error.errno != errno.EADDRINUSE:
                break
    tried = f"{host}:{port}" if port is not None else f"{host}, ports {FIRST_PORT} to {FIRST_PORT + PORTS_TRIED - 1}"
    raise ConfigurationError(f"Cannot listen on {tried}: {reason}. Choose another address with `--host` or `--port`.")


def serve(gateway: Gateway, sessions: Sessions, listener: socket.socket, on_ready: Callable[[], None]) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        gateway: The gateway.
        sessions: The browsers that are signed in to the dashboard.
        listener: A listening socket.
        on_ready: Called when the server accepts requests.
    """

    async def until_a_signal() -> None:
        stopped = asyncio.Event()
        if os.name != "nt":  # there, KeyboardInterrupt ends `asyncio.run`
            for kind in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(kind, stopped.set)
        await serve_until(stopped, gateway, sessions, listener, on_ready)

    run(until_a_signal)


async def serve_until(
    stopped: asyncio.Event, gateway: Gateway, sessions: Sessions, listener: socket.socket, on_ready: Callable[[], None]
) -> None:
    """Serve in the running loop until `stopped` is set: see `serve`."""
    # When a client hangs up, its handler is cancelled, and with it the upstream request.
    runner = web.AppRunner(
        create_app(gateway, sessions),
        handler_cancellation=True,
        access_log=None,
        logger=logger,
        shutdown_timeout=CLOSE_TIMEOUT_S,
    )
    await runner.setup()
    try:
        await web.SockSite(runner, listener, backlog=BACKLOG).start()
        on_ready()
        await stopped.wait()
    finally:
        await runner.cleanup()
