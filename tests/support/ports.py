"""Ports for servers that must be told theirs."""

from __future__ import annotations

import random
import socket
from contextlib import suppress

__all__ = ["free_port"]

# Below what any system hands out by itself: https://en.wikipedia.org/wiki/Ephemeral_port. Other tests that run at the
# same time ask for any port, thousands of times, and so would get one of those before the server has it.
NEVER_HANDED_OUT = range(20_000, 32_000)


def free_port() -> int:
    """Return a port on 127.0.0.1 on which nobody listens."""
    for port in random.sample(NEVER_HANDED_OUT, 100):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise OSError("no port is free")
