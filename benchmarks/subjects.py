"""What is measured: each subject asks a server, whole or streamed, sync or async, in as few lines as its users need."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.server import MODEL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

__all__ = ["SUBJECTS", "Subject", "subject"]

QUESTION = "How is the weather in Paris?"
KEY = "test-key"


@dataclass(frozen=True)
class Subject:
    """One way to ask.

    Attributes:
        make: Makes a new instance of whatever users make once.
        invoke: Asks it, given the instance.
        ainvoke: The same, to be awaited.
        stream: Yields the text of each piece.
        astream: The same, asynchronously.
    """

    make: Callable[[str], Any]
    invoke: Callable[[Any], object] | None = None
    ainvoke: Callable[[Any], Awaitable[object]] | None = None
    stream: Callable[[Any], Iterator[str]] | None = None
    astream: Callable[[Any], AsyncIterator[str]] | None = None


def subject(name: str) -> Subject:
    """Import what a subject needs, and return it."""
    return SUBJECTS[name]()


def _langchain(make: Callable[[str], Any]) -> Subject:
    def stream(llm: Any) -> Iterator[str]:
        for chunk in llm.stream(QUESTION):
            yield chunk.content

    async def astream(llm: Any) -> AsyncIterator[str]:
        async for chunk in llm.astream(QUESTION):
            yield chunk.content

    return Subject(make, lambda llm: llm.invoke(QUESTION), lambda llm: llm.ainvoke(QUESTION), stream, astream)


def chat_lfm() -> Subject:
    from lfm_adapter import ChatLFM

    return _langchain(lambda url: ChatLFM(model=MODEL, base_url=url, api_key=KEY))


def chat_lfm_by_prompt() -> Subject:
    from lfm_adapter import ChatLFM

    def weather(city: str) -> str:
        """Tell the weather in a city."""
        return f"Rain in {city}."

    def make(url: str) -> Any:
        return ChatLFM(model=MODEL, base_url=url, api_key=KEY, tool_calling="prompted").bind_tools([weather])

    return _langchain(make)


def chat_openai() -> Subject:
    from langchain_openai import ChatOpenAI

    return _langchain(lambda url: ChatOpenAI(model=MODEL, base_url=url, api_key=KEY))  # type: ignore[arg-type]


def chat_openrouter() -> Subject:
    from langchain_openrouter import ChatOpenRouter

    return _langchain(lambda url: ChatOpenRouter(model=MODEL, base_url=url, api_key=KEY))  # type: ignore[arg-type]


def chat_litellm() -> Subject:
    from langchain_litellm import ChatLiteLLM

    return _langchain(lambda url: ChatLiteLLM(model=f"openrouter/{MODEL}", api_base=url, api_key=KEY))


def floor() -> Subject:
    from benchmarks.floor import EmptyChat

    return _langchain(lambda url: EmptyChat(url=f"{url}/chat/completions", model=MODEL))


def client() -> Subject:
    from lfm_adapter import AsyncLFMClient, LFMClient

    def make(url: str) -> Any:
        facts: dict[str, Any] = {"model": MODEL, "base_url": url, "api_key": KEY}
        return LFMClient(**facts), AsyncLFMClient(**facts)

    def stream(clients: Any) -> Iterator[str]:
        with clients[0].stream(QUESTION) as deltas:
            for delta in deltas:
                yield delta.text

    async def astream(clients: Any) -> AsyncIterator[str]:
        async with clients[1].stream(QUESTION) as deltas:
            async for delta in deltas:
                yield delta.text

    return Subject(make, lambda both: both[0].chat(QUESTION), lambda both: both[1].chat(QUESTION), stream, astream)


def openai() -> Subject:
    from openai import AsyncOpenAI, OpenAI

    asked: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": QUESTION}]}

    def make(url: str) -> Any:
        return OpenAI(base_url=url, api_key=KEY), AsyncOpenAI(base_url=url, api_key=KEY)

    def stream(clients: Any) -> Iterator[str]:
        for chunk in clients[0].chat.completions.create(stream=True, **asked):
            yield chunk.choices[0].delta.content or ""

    async def astream(clients: Any) -> AsyncIterator[str]:
        async for chunk in await clients[1].chat.completions.create(stream=True, **asked):
            yield chunk.choices[0].delta.content or ""

    return Subject(
        make,
        lambda both: both[0].chat.completions.create(**asked),
        lambda both: both[1].chat.completions.create(**asked),
        stream,
        astream,
    )


def _litellm(model: str, prepare: Callable[[Any], None] = lambda _: None) -> Subject:
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import litellm

    litellm.suppress_debug_info = True
    prepare(litellm)
    asked: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": QUESTION}], "api_key": KEY}

    def stream(url: str) -> Iterator[str]:
        for chunk in litellm.completion(stream=True, api_base=url, **asked):
            yield chunk.choices[0].delta.content or ""

    async def astream(url: str) -> AsyncIterator[str]:
        async for chunk in await litellm.acompletion(stream=True, api_base=url, **asked):
            yield chunk.choices[0].delta.content or ""

    return Subject(
        lambda url: url,
        lambda url: litellm.completion(api_base=url, **asked),
        lambda url: litellm.acompletion(api_base=url, **asked),
        stream,
        astream,
    )


def litellm_lfm() -> Subject:
    def prepare(_: Any) -> None:
        import lfm_adapter.litellm as lfm

        lfm.register()

    return _litellm(f"lfm/{MODEL}", prepare)


def litellm_openrouter() -> Subject:
    return _litellm(f"openrouter/{MODEL}")


def litellm_empty() -> Subject:
    """What LiteLLM itself costs: a provider of one's own that answers from memory."""

    def prepare(litellm: Any) -> None:
        from benchmarks.empty_provider import EmptyProvider

        litellm.custom_provider_map = [{"provider": "empty", "custom_handler": EmptyProvider()}]
        litellm.utils.custom_llm_setup()

    return _litellm("empty/model", prepare)


def raw_urllib3() -> Subject:
    from benchmarks.floor import HEADERS, body_of, pool, texts_in

    def invoke(url: str) -> object:
        body = body_of(MODEL, QUESTION, stream=False)
        return json.loads(pool.request("POST", f"{url}/chat/completions", body=body, headers=HEADERS).data)

    def stream(url: str) -> Iterator[str]:
        body = body_of(MODEL, QUESTION, stream=True)
        reply = pool.request("POST", f"{url}/chat/completions", body=body, headers=HEADERS, preload_content=False)
        yield from texts_in(reply.stream(65536))
        reply.release_conn()

    return Subject(lambda url: url, invoke=invoke, stream=stream)


def raw_aiohttp() -> Subject:
    from benchmarks.floor import HEADERS, asession, atexts_in, body_of

    async def ainvoke(url: str) -> object:
        body = body_of(MODEL, QUESTION, stream=False)
        async with asession().post(f"{url}/chat/completions", data=body, headers=HEADERS) as reply:
            return json.loads(await reply.read())

    async def astream(url: str) -> AsyncIterator[str]:
        body = body_of(MODEL, QUESTION, stream=True)
        async with asession().post(f"{url}/chat/completions", data=body, headers=HEADERS) as reply:
            async for text in atexts_in(reply.content.iter_any()):
                yield text

    return Subject(lambda url: url, ainvoke=ainvoke, astream=astream)


def raw_httpx2() -> Subject:
    import httpx2

    from benchmarks.floor import HEADERS, body_of, text_in

    def make(url: str) -> Any:
        limits = httpx2.Limits(max_connections=None)
        facts: dict[str, Any] = {"base_url": url, "headers": HEADERS, "limits": limits, "timeout": 60}
        return httpx2.Client(**facts), httpx2.AsyncClient(**facts)

    def invoke(clients: Any) -> object:
        return clients[0].post("/chat/completions", content=body_of(MODEL, QUESTION, stream=False)).json()

    async def ainvoke(clients: Any) -> object:
        return (await clients[1].post("/chat/completions", content=body_of(MODEL, QUESTION, stream=False))).json()

    def stream(clients: Any) -> Iterator[str]:
        body = body_of(MODEL, QUESTION, stream=True)
        with clients[0].stream("POST", "/chat/completions", content=body) as reply:
            yield from (text for line in reply.iter_lines() if (text := text_in(line.encode())) is not None)

    async def astream(clients: Any) -> AsyncIterator[str]:
        body = body_of(MODEL, QUESTION, stream=True)
        async with clients[1].stream("POST", "/chat/completions", content=body) as reply:
            async for line in reply.aiter_lines():
                if (text := text_in(line.encode())) is not None:
                    yield text

    return Subject(make, invoke, ainvoke, stream, astream)


SUBJECTS: dict[str, Callable[[], Subject]] = {
    "ChatLFM": chat_lfm,
    "ChatLFM, tools by prompt": chat_lfm_by_prompt,
    "floor: an empty chat model": floor,
    "ChatOpenAI": chat_openai,
    "ChatLiteLLM, openrouter/": chat_litellm,
    "ChatOpenRouter": chat_openrouter,
    "LFMClient": client,
    "openai": openai,
    "urllib3 and json": raw_urllib3,
    "aiohttp and json": raw_aiohttp,
    "httpx2 and json": raw_httpx2,
    "LiteLLM, lfm/": litellm_lfm,
    "LiteLLM, openrouter/": litellm_openrouter,
    "LiteLLM, nothing behind it": litellm_empty,
}
"""By the name that the tables show."""
