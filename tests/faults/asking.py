"""Every way to ask, through every surface, and what the user then sees."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lfm_adapter import ChatLFM, LFMDecisions, LFMEmbeddings, errors
from lfm_adapter._transport.aiohttp import aclose_pools
from lfm_adapter._transport.urllib3 import close_pools
from lfm_adapter.testing import ScriptedOpenRouter
from tests.support.both_clients import KEY, clients
from tests.support.certificates import authority
from tests.support.loopback import CUT, Loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from lfm_adapter.testing import ScriptedReply
    from tests.faults.scenario import Scenario

__all__ = [
    "DECIDING", "EMBEDDING", "EMBEDDING_THEIRS", "OURS", "THEIRS", "Seen", "asking", "is_streamed", "kind_of", "play",
    "playing",
]  # fmt: skip

OURS = (
    "LFMClient.chat", "LFMClient.stream", "AsyncLFMClient.chat", "AsyncLFMClient.stream",
    "ChatLFM.invoke", "ChatLFM.stream", "ChatLFM.ainvoke", "ChatLFM.astream",
)  # fmt: skip
EMBEDDING = (
    "LFMClient.embed", "AsyncLFMClient.embed", "LFMEmbeddings.embed_documents", "LFMEmbeddings.aembed_documents",
)  # fmt: skip
DECIDING = ("LFMClient.decide", "AsyncLFMClient.decide", "LFMDecisions.invoke", "LFMDecisions.ainvoke")
EMBEDDING_THEIRS = ("litellm.embedding", "litellm.aembedding")
THEIRS = ("litellm.completion", "litellm.completion stream", "litellm.acompletion", "litellm.acompletion stream")

MODELS = {"decided": "liquid/d1.2", "embedded": "liquid/lfm-2.5-embedding-350m:free"}
MODEL = "liquid/lfm-3-1.7b"
MOST_TRIES = 3
QUESTION = [{"role": "user", "content": "Hi"}]


@dataclass
class Seen:
    """What a user sees.

    Attributes:
        text: What was passed on: all of an answer, or what of a stream came before its failure.
        calls: The arguments of each tool call.
        error: The exception, if there was one.
    """

    text: str = ""
    calls: list[Any] = field(default_factory=list)
    error: Any = None


def is_streamed(way: str) -> bool:
    """Whether the answer is read while it is written."""
    return way.endswith("stream")


def kind_of(way: str) -> str:
    """Return the kind of scenarios that a way takes part in: see `Scenario.kinds`."""
    if way.startswith("LFMDecisions") or way.endswith("decide"):
        return "decided"
    return "embedded" if "embed" in way else "streamed" if is_streamed(way) else "plain"


@contextmanager
def playing(
    reply: ScriptedReply, *, first: tuple[ScriptedReply, ...] = (), closed: bool = False
) -> Iterator[ScriptedOpenRouter]:
    """Yield a server that sends `first`, if there is any, and then `reply` for each request.

    Args:
        reply: What it sends.
        first: See `Scenario`.
        closed: Whether it has gone, so that nothing listens at its address.
    """
    with ScriptedOpenRouter(*first, default=lambda _: reply, path="/v1") as server:
        for path in ("/embeddings", "/systemone"):
            server.add(*[reply] * MOST_TRIES, path=path)
        if not closed:
            yield server
    if closed:
        yield server


@contextmanager
def untrusted() -> Iterator[Loopback]:
    """Yield a server with a certificate that no one trusts."""
    with Loopback([CUT], tls=authority().server) as server:
        server.base_url = server.url
        yield server


def play(scenario: Scenario, way: str) -> Any:
    """Return a server that plays `scenario` to `way`."""
    if scenario.tls:
        return untrusted()
    reply = scenario.reply(kind_of(way))
    return playing(reply, first=scenario.first, closed=scenario.heard == 0)


@contextmanager
def asking(way: str, url: str, **options: Any) -> Iterator[Callable[[], Seen]]:
    """Yield a function that asks by one way. Its connections are kept between calls, and closed at the end."""
    kind = kind_of(way)
    options = {"model": MODELS.get(kind, MODEL), "api_key": KEY} | options
    surface = way.partition(".")[0]
    make = {"ChatLFM": _chat, "litellm": _litellm}.get(surface, _client)
    if kind == "decided":
        make = {"LFMDecisions": _decisions}.get(surface, _decide)
    if kind == "embedded":
        make = {"LFMEmbeddings": _embeddings, "litellm": _litellm_embedding}.get(surface, _embed)
    with make(way, url, options) as ask:

        def seen() -> Seen:
            result = Seen()
            try:
                ask(result)
            except errors.LFMError as error:
                result.error = error
            return result

        yield seen
        close_pools()


@contextmanager
def _client(way: str, url: str, options: Mapping[str, Any]) -> Iterator[Callable[[Seen], None]]:
    with clients("async" if way.startswith("Async") else "sync") as make:
        client = make(base_url=url, **options)

        def ask(seen: Seen) -> None:
            if not is_streamed(way):
                reply = client.chat("Hi")
                seen.text = reply.text
                return
            pieces: dict[int, str] = {}
            with client.stream("Hi") as stream:
                for delta in stream:
                    seen.text += delta.text
                    for call in delta.tool_calls:
                        pieces[call.index] = pieces.get(call.index, "") + call.arguments
            assert stream.reply is not None
            seen.calls = [call.arguments for call in stream.reply.tool_calls]
            assert seen.calls == list(pieces.values())

        yield ask


@contextmanager
def _chat(way: str, url: str, options: Mapping[str, Any]) -> Iterator[Callable[[Seen], None]]:
    model = ChatLFM(base_url=url, **options)
    name = way.partition(".")[2]

    def add(seen: Seen, message: Any) -> None:
        seen.text += message.text
        for call in getattr(message, "tool_call_chunks", ()):
            seen.calls += [""] * (call["index"] + 1 - len(seen.calls))
            seen.calls[call["index"]] += call["args"] or ""

    async def collect(seen: Seen) -> None:
        async for piece in model.astream("Hi"):
            add(seen, piece)

    with asyncio.Runner() as runner:

        def ask(seen: Seen) -> None:
            match name:
                case "invoke":
                    add(seen, model.invoke("Hi"))
                case "stream":
                    for piece in model.stream("Hi"):
                        add(seen, piece)
                case "ainvoke":
                    add(seen, runner.run(model.ainvoke("Hi")))
                case _:
                    runner.run(collect(seen))

        yield ask


@contextmanager
def _embed(way: str, url: str, options: Mapping[str, Any]) -> Iterator[Callable[[Seen], None]]:
    with clients("async" if way.startswith("Async") else "sync") as make:
        client = make(base_url=url, **options)
        yield lambda _: client.embed("Hi", role="query")


@contextmanager
def _embeddings(way: str, url: str, options: Mapping[str, Any]) -> Iterator[Callable[[Seen], None]]:
    model = LFMEmbeddings(base_url=url, **options)
    with asyncio.Runner() as runner:
        if "aembed" in way:
            yield lambda _: runner.run(model.aembed_documents(["Hi"]))
        else:
            yield lambda _: model.embed_documents(["Hi"])


@contextmanager
def _decide(way: str, url: str, options: Mapping[str, Any]) -> Iterator[Callable[[Seen], None]]:
    with clients("async" if way.startswith("Async") else "sync") as make:
        client = make(base_url=url, **options)
        yield lambda _: client.decide("Hi", {"q": "Is it urgent?"})


@contextmanager
def _decisions(way: str, url: str, options: Mapping[str, Any]) -> Iterator[Callable[[Seen], None]]:
    model = LFMDecisions(base_url=url, **options)
    request: Any = {"state": "Hi", "questions": {"q": {"type": "noul", "instructions": "Is it urgent?"}}}
    with asyncio.Runner() as runner:
        if way.endswith("ainvoke"):
            yield lambda _: runner.run(model.ainvoke(request))
        else:
            yield lambda _: model.invoke(request)


@contextmanager
def _litellm_embedding(way: str, url: str, options: Mapping[str, Any]) -> Iterator[Callable[[Seen], None]]:
    import litellm

    from tests.support.litellm_ways import run

    call = {"input": ["Hi"], "api_base": url, **options, "model": f"lfm/{options['model']}"}

    def ask(seen: Seen) -> None:
        try:
            run(litellm.aembedding(**call)) if "aembed" in way else litellm.embedding(**call)
        except litellm.exceptions.openai.OpenAIError as error:
            seen.error = error

    yield ask
    run(aclose_pools())  # the loop of all tests outlives this one


@contextmanager
def _litellm(way: str, url: str, options: Mapping[str, Any]) -> Iterator[Callable[[Seen], None]]:
    import litellm

    from tests.support.litellm_ways import run

    call = {"messages": QUESTION, "api_base": url, **options, "model": f"lfm/{options['model']}"}
    is_async = "acompletion" in way

    async def collect(seen: Seen) -> None:
        async for chunk in await litellm.acompletion(stream=True, **call):
            _add(chunk.choices, seen)

    def ask(seen: Seen) -> None:
        try:
            if not is_streamed(way):
                _add((run(litellm.acompletion(**call)) if is_async else litellm.completion(**call)).choices, seen)
            elif is_async:
                run(collect(seen))
            else:
                for chunk in litellm.completion(stream=True, **call):
                    _add(chunk.choices, seen)
        except litellm.exceptions.MidStreamFallbackError as error:
            # LiteLLM may wrap what fails while a stream is read, so that its Router can go on elsewhere.
            seen.error = error.original_exception
        except litellm.exceptions.openai.OpenAIError as error:
            seen.error = error

    yield ask
    run(aclose_pools())  # the loop of all tests outlives this one


def _add(choices: Any, seen: Seen) -> None:
    """Take LiteLLM's answer, or a chunk of one."""
    for choice in choices:
        said = getattr(choice, "delta", None) or choice.message
        seen.text += said.content or ""
        for place, call in enumerate(said.tool_calls or ()):
            index = getattr(call, "index", place)
            seen.calls += [""] * (index + 1 - len(seen.calls))
            seen.calls[index] += call.function.arguments or ""
