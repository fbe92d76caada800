"""The connections of the asyncio transport: one aiohttp session for each event loop."""

from __future__ import annotations

import asyncio
import atexit
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector

from lfm_adapter._transport.headers import AUTOMATIC_HEADERS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

__all__ = ["aclose_pools", "current_session", "hang_up"]

# After this time an idle connection is given up: a pause in a conversation is shorter, and what load balancers and NAT
# gateways allow is longer.
_IDLE_S = 60.0

# http.client's bound, in place of aiohttp's 8,190 bytes.
_HEADER_LINE_BYTES = 65_536


class _Held(NamedTuple):
    session: ClientSession
    lifetime: AsyncGenerator[ClientSession]


# Not weak: a session refers to its loop, and would keep it there for ever. `_drop_dead_loops` lets go of them.
_sessions: dict[asyncio.AbstractEventLoop, _Held] = {}
_inherited: list[_Held] = []


async def current_session() -> ClientSession:
    """Return the session of the running loop, made at its first request."""
    loop = asyncio.get_running_loop()
    held = _sessions.get(loop)
    if held is None:
        _drop_dead_loops()
        lifetime = _lifetime(loop)
        held = _sessions[loop] = _Held(await anext(lifetime), lifetime)
    return held.session


async def aclose_pools() -> None:
    """Close the connections of every `AiohttpTransport` in the running loop, also those that are being read.

    The next request opens new ones. `asyncio.run` does this by itself at its end.
    """
    held = _sessions.get(asyncio.get_running_loop())
    if held is not None:
        await held.lifetime.aclose()


async def _lifetime(loop: asyncio.AbstractEventLoop) -> AsyncGenerator[ClientSession]:
    """Hold a session until the end of `loop`, which is when asyncio closes the generators that are still open."""
    session = _new_session()
    try:
        yield session
    finally:
        _sessions.pop(loop, None)
        await session.close()


def _new_session() -> ClientSession:
    return ClientSession(
        # No limit: no request waits for another's connection, as with the blocking transport.
        connector=TCPConnector(limit=0, keepalive_timeout=_IDLE_S),
        cookie_jar=DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=AUTOMATIC_HEADERS,
        timeout=ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None),
        max_line_size=_HEADER_LINE_BYTES,
        max_field_size=_HEADER_LINE_BYTES,
    )


def _drop_dead_loops() -> None:
    """Let go of loops that were closed without `shutdown_asyncgens`, and so without their sessions."""
    for loop in list(_sessions):
        if loop.is_closed() and (held := _sessions.pop(loop, None)) is not None:
            _hang_up_all(_disown(held.session))


def _disown(session: ClientSession) -> Any:
    """Have `session` and its connector leave their connections alone, also when they are deleted; return the latter."""
    connector: Any = session.connector
    session.detach()
    connector._closed = True
    return connector


def _hang_up_all(connector: Any) -> None:
    idle = (protocol for waiting in connector._conns.values() for protocol, _ in waiting)
    for protocol in (*idle, *connector._acquired):
        hang_up(protocol.transport)


def hang_up(transport: Any) -> None:
    """Close the socket of a transport whose loop does not run any more.

    What asyncio offers for it takes a turn of the loop; `_call_connection_lost` is what that turn would do.
    """
    lowest = getattr(getattr(transport, "_ssl_protocol", None), "_transport", None) or transport
    with suppress(AttributeError, RuntimeError):  # None, or of another library; "Event loop is closed"
        transport.abort()
    with suppress(AttributeError, RuntimeError):
        lowest._call_connection_lost(None)


def _forget_in_child() -> None:
    """Leave the parent's connections alone after a fork: to close one here takes it out of the parent's selector."""
    for held in _sessions.values():
        _disown(held.session)
        _inherited.append(held)
    _sessions.clear()


@atexit.register
def _close_at_exit() -> None:
    """Close what is left, so that aiohttp does not complain of sessions whose loops no one closed."""
    while _sessions:
        loop, held = _sessions.popitem()
        connector = _disown(held.session)
        if not loop.is_running():  # in a thread that ends with the process
            _hang_up_all(connector)
        with suppress(StopIteration):  # nothing to await is left; collected, it would ask the loop for a turn in vain
            held.lifetime.aclose().send(None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)
