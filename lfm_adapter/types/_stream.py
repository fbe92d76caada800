"""A reply that is read while it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from lfm_adapter.types._reply import Delta, Reply


class Stream:
    """The deltas of one reply, in order. Close it, or leave its `with` block, to stop the model and the bill.

    Attributes:
        reply: The whole reply, once the stream has ended.
    """

    def __init__(self, deltas: Generator[Delta]) -> None:
        self.reply: Reply | None = None
        self._deltas = deltas

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Delta:
        delta = next(self._deltas)
        self.reply = delta.reply
        return delta

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection at once if the reply has not come to its end."""
        self._deltas.close()


class AsyncStream:
    """`Stream` for asyncio.

    Attributes:
        reply: The whole reply, once the stream has ended.
    """

    def __init__(self, deltas: AsyncGenerator[Delta]) -> None:
        self.reply: Reply | None = None
        self._deltas = deltas

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Delta:
        delta = await anext(self._deltas)
        self.reply = delta.reply
        return delta

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_raised: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connection at once if the reply has not come to its end."""
        await self._deltas.aclose()
