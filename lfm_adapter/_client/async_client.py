"""`AsyncLFMClient`: sends requests without blocking the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence  # noqa: TC003  # `typing.get_type_hints` needs it
from contextlib import aclosing, closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Unpack

from lfm_adapter._client.calls import DRAIN_S, ApiCall
from lfm_adapter._client.embeddings import BATCH_SIZE, MAX_CONCURRENCY, embedding_calls, joined, keeping_finished
from lfm_adapter._client.exchange import Exchange, Messages
from lfm_adapter._client.request import ApiRequest, endpoints_request, generation_request
from lfm_adapter._client.settings import BaseClient
from lfm_adapter._json import as_dict, dicts
from lfm_adapter._transport.aiohttp import AiohttpTransport
from lfm_adapter.catalog._listing import liquid_models, refreshed_cards
from lfm_adapter.errors import APIError, NotFoundError, StreamInterruptedError
from lfm_adapter.types import (
    AsyncStream,
    AsyncTransport,
    ChatParameters,
    DecisionParameters,
    DecisionReply,
    Delta,
    EmbeddingParameters,
    EmbeddingReply,
    EmbeddingRole,
    JSONDict,
    ModelCard,
    Question,
    Reply,
    State,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


@dataclass(kw_only=True, eq=False, repr=False)
class AsyncLFMClient(BaseClient[AsyncTransport]):
    """`LFMClient` for asyncio, with the same arguments, results and errors.

    A client may be used from any number of event loops, one after the other or in different threads.
    """

    @staticmethod
    def _default_transport() -> AsyncTransport:
        return AiohttpTransport()

    async def chat(
        self, messages: Messages, *, model: str | None = None, **parameters: Unpack[ChatParameters]
    ) -> Reply:
        """Send messages and wait for the whole reply: see `LFMClient.chat`."""
        reply: Reply = await self._run(Exchange(self._settings, messages, model, parameters, stream=False))
        return reply

    def stream(
        self, messages: Messages, *, model: str | None = None, **parameters: Unpack[ChatParameters]
    ) -> AsyncStream:
        """Send messages and read the reply while it is written: see `LFMClient.stream`."""
        return AsyncStream(self._batches(Exchange(self._settings, messages, model, parameters, stream=True)))

    async def decide(
        self,
        state: State,
        questions: Mapping[str, Question | str],
        *,
        model: str | None = None,
        **parameters: Unpack[DecisionParameters],
    ) -> DecisionReply:
        """Ask a decision model typed questions about a state: see `LFMClient.decide`."""
        from lfm_adapter._client.decision import MAX_CHATS, decision_of  # on use, like its types

        call = decision_of(self._settings, state, questions, model, parameters)
        if isinstance(call, ApiCall):
            reply: DecisionReply = await self._run(call)
            return reply
        while call.result is None:
            refusal = None
            try:
                await self._run_all(call.exchanges, MAX_CHATS)
            except APIError as error:
                refusal = error
            call.on_end(refusal)
        return call.result

    async def embed(
        self,
        texts: str | Sequence[str],
        *,
        role: EmbeddingRole | None,
        model: str | None = None,
        batch_size: int = BATCH_SIZE,
        max_concurrency: int = MAX_CONCURRENCY,
        **parameters: Unpack[EmbeddingParameters],
    ) -> EmbeddingReply:
        """Return a vector for each text: see `LFMClient.embed`."""
        calls = embedding_calls(
            self._settings,
            texts,
            parameters,
            role=role,
            model=model,
            batch_size=batch_size,
            max_concurrency=max_concurrency,
        )
        with keeping_finished(calls):
            await self._run_all(calls, max_concurrency)
        return joined(calls)

    async def list_models(self) -> list[JSONDict]:
        """Return the models as OpenRouter lists them. Needs no key."""
        return list(dicts(await self._get(ApiRequest(self._settings, "/models", needs_key=False))))

    async def list_endpoints(self, model: str) -> JSONDict:
        """Return a model and its endpoints, with their prices, limits and health. Needs no key."""
        return as_dict(await self._get(endpoints_request(self._settings, model)))

    async def key_info(self) -> JSONDict:
        """Return the limits of the key and its usage in US$: the cheapest way to check one."""
        return as_dict(await self._get(ApiRequest(self._settings, "/key")))

    async def generation(self, generation_id: str) -> JSONDict:
        """Return what a generation cost, and how it was served: see `LFMClient.generation`."""
        return as_dict(await self._get(generation_request(self._settings, generation_id)))

    async def refresh_catalog(self) -> tuple[ModelCard, ...]:
        """Return the catalogue with what OpenRouter lists today: see `LFMClient.refresh_catalog`."""
        listed = liquid_models(await self.list_models())
        endpoints: dict[str, JSONDict] = {}
        for model in listed:
            with suppress(NotFoundError):  # it went away in between
                endpoints[model] = await self.list_endpoints(model)
        return refreshed_cards(listed, endpoints, datetime.now(tz=UTC).date())

    async def _get(self, request: ApiRequest) -> Any:
        return (await self._run(ApiCall(request))).get("data")

    async def _run(self, call: ApiCall) -> Any:
        async with aclosing(self._batches(call)) as batches:
            async for _ in batches:
                pass
        return call.result

    async def _run_all(self, calls: Sequence[ApiCall], max_concurrency: int) -> None:
        if len(calls) == 1:
            await self._run(calls[0])
            return
        waiting = iter(calls)

        async def work() -> None:
            for call in waiting:
                await self._run(call)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(max_concurrency, len(calls))):
                    group.create_task(work())
        except BaseExceptionGroup as failures:
            failure = failures.exceptions[0]
        else:
            return
        raise failure from failure.__cause__

    async def _batches(self, call: ApiCall) -> AsyncGenerator[Sequence[Delta]]:
        """Yield together what came at once: a burst costs less so."""
        with call:
            while call.result is None:
                attempts = call.attempts
                try:
                    request = attempts.begin()
                    if not attempts.reserve(wait=False):
                        await asyncio.to_thread(attempts.reserve)
                    with closing(await self._transport.send(request)) as response:
                        reader = attempts.read(response.status_code, response.headers)
                        while reader.result is None:
                            try:
                                chunk = await response.read(attempts.read_timeout())
                            except StreamInterruptedError as error:
                                chunk = reader.end(error)
                            for batch in call.batches(reader.feed(chunk)):
                                yield batch
                        if reader.events is not None:
                            with suppress(APIError):
                                await response.read(DRAIN_S)
                    if last := call.on_response(reader.result):
                        yield last
                except APIError as error:
                    if delay := call.on_error(error):
                        await asyncio.sleep(delay)
