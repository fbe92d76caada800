"""Runs the event loop of a server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")


def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run `main` in a new event loop, as `asyncio.run` does.

    `asyncio.run(main())` begins with the coroutine. After Ctrl-C while it makes the loop, Python would warn that
    nothing awaited the coroutine.
    """
    with asyncio.Runner() as runner:
        runner.get_loop()
        return runner.run(main())
