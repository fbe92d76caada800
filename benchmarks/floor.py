"""The least that a LangChain chat model over HTTP can do: no errors, no usage, no tools, nothing but the text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import aiohttp
import urllib3
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from langchain_core.messages import BaseMessage

__all__ = ["HEADERS", "EmptyChat", "asession", "atexts_in", "body_of", "pool", "text_in", "texts_in"]

HEADERS = {"Authorization": "Bearer test-key", "Content-Type": "application/json"}
pool = urllib3.PoolManager(maxsize=64)
_sessions: list[aiohttp.ClientSession] = []


def asession() -> aiohttp.ClientSession:
    """Return the one session of this process, whose event loop never changes."""
    if not _sessions:
        _sessions.append(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
    return _sessions[0]


def body_of(model: str, text: str, *, stream: bool) -> bytes:
    """Return a request."""
    return json.dumps({"model": model, "messages": [{"role": "user", "content": text}], "stream": stream}).encode()


def text_in(line: bytes) -> str | None:
    """Return the text of a line of a stream; None for one that has none."""
    if not line.startswith(b"data: {"):
        return None
    choices = json.loads(line[6:])["choices"]
    return str(choices[0]["delta"]["content"])


def texts_in(pieces: Iterator[bytes]) -> Iterator[str]:
    """Yield the texts of a stream, wherever it was cut."""
    rest = b""
    for data in pieces:
        *lines, rest = (rest + data).split(b"\n")
        yield from (text for line in lines if (text := text_in(line)) is not None)


async def atexts_in(pieces: AsyncIterator[bytes]) -> AsyncIterator[str]:
    """The same, asynchronously."""
    rest = b""
    async for data in pieces:
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            if (text := text_in(line)) is not None:
                yield text


class EmptyChat(BaseChatModel):
    """A chat model without anything."""

    url: str
    model: str

    @property
    def _llm_type(self) -> str:
        return "empty"

    def _body(self, messages: list[BaseMessage], *, stream: bool) -> bytes:
        return body_of(self.model, str(messages[0].content), stream=stream)

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        reply = pool.request("POST", self.url, body=self._body(messages, stream=False), headers=HEADERS)
        return _result(reply.data)

    async def _agenerate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        async with asession().post(self.url, data=self._body(messages, stream=False), headers=HEADERS) as reply:
            return _result(await reply.read())

    def _stream(self, messages: list[BaseMessage], *_: Any, **__: Any) -> Iterator[ChatGenerationChunk]:
        body = self._body(messages, stream=True)
        reply = pool.request("POST", self.url, body=body, headers=HEADERS, preload_content=False)
        for text in texts_in(reply.stream(65536)):
            yield _chunk(text)
        reply.release_conn()

    async def _astream(self, messages: list[BaseMessage], *_: Any, **__: Any) -> AsyncIterator[ChatGenerationChunk]:
        async with asession().post(self.url, data=self._body(messages, stream=True), headers=HEADERS) as reply:
            async for text in atexts_in(reply.content.iter_any()):
                yield _chunk(text)


def _result(body: bytes) -> ChatResult:
    message = json.loads(body)["choices"][0]["message"]
    return ChatResult(generations=[ChatGeneration(message=AIMessage(content=message["content"]))])


def _chunk(text: str) -> ChatGenerationChunk:
    return ChatGenerationChunk(message=AIMessageChunk(content=text))
