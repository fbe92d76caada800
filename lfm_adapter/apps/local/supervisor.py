"""Starts the engine, restarts it when it dies, and ends it with the program that started the server.

This process answers the requests, because loading a model stops every Python thread of the engine's process, sometimes
for minutes.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
from typing import Any

from lfm_adapter.apps.local.process import EngineProcess, read_settings


def main() -> None:
    """Read the settings from stdin, serve, write the port to stdout, and run as long as the parent."""
    parent = os.getppid()
    config = read_settings()
    listener = socket.socket()
    if os.name != "nt":  # on Windows, this would let two programs share the port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", config["port"]))
    except OSError as error:
        _report(
            {"error": f"Port {config['port']} cannot be used: {error.strerror}. Choose another, or 0 for a free one."}
        )
        return
    engine = EngineProcess(config["engine"])  # loads the model while this process loads its own modules
    import asyncio

    from lfm_adapter.apps.local.front import Front

    front = Front(engine, config)

    def stop(*_: object) -> None:
        front.engine.kill()
        os._exit(0)

    def stop_with_parent() -> None:
        sys.stdin.buffer.read()
        stop()

    signal.signal(signal.SIGTERM, stop)
    threading.Thread(target=stop_with_parent, daemon=True).start()
    # A process forked from the parent keeps stdin open, so the parent's death is polled too.
    asyncio.run(front.serve(listener, report=_report, is_orphan=lambda: os.getppid() != parent))


def _report(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)  # noqa: T201 - the parent reads it


if __name__ == "__main__":
    main()
