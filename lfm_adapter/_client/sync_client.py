"""`LFMClient`: sends requests and waits for the responses."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence  # noqa: TC003  # `typing.get_type_hints` needs it
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from contextvars import copy_context
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Unpack

from lfm_adapter._client.calls import DRAIN_S, ApiCall
from lfm_adapter._client.embeddings import BATCH_SIZE, MAX_CONCURRENCY, embedding_calls, joined, keeping_finished
from lfm_adapter._client.exchange import Exchange, Messages
from lfm_adapter._client.request import ApiRequest, endpoints_request, generation_request
from lfm_adapter._client.settings import BaseClient
from lfm_adapter._json import as_dict, dicts
from lfm_adapter._transport.urllib3 import Urllib3Transport
from lfm_adapter.catalog._listing import liquid_models, refreshed_cards
from lfm_adapter.errors import APIError, NotFoundError, StreamInterruptedError
from lfm_adapter.types import (
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
    Stream,
    Transport,
)

if TYPE_CHECKING:
    from collections.abc import Generator


@dataclass(kw_only=True, eq=False, repr=False)
class LFMClient(BaseClient[Transport]):
    """A client for OpenRouter, or for any server with an OpenAI-compatible API.

    Clients hold settings, not connections: all clients of a process share their connection pools. So a client is cheap,
    can be shared between threads, pickled and copied, and survives a fork.

    The arguments are the fields of `ClientOptions`, and `transport`: what sends the requests, in place of urllib3.

    Raises:
        ConfigurationError: A setting is out of its range.

    >>> LFMClient(api_key="sk-or-v1-secret")
    LFMClient(model='liquid/lfm-3b', base_url='https://openrouter.ai/api/v1')
    """

    @staticmethod
    def _default_transport() -> Transport:
        return Urllib3Transport()

    def chat(self, messages: Messages, *, model: str | None = None, **parameters: Unpack[ChatParameters]) -> Reply:
        """Send messages and wait for the whole reply.

        Args:
            messages: A question, or messages in OpenAI's form: `[{"role": "user", "content": "…"}]`.
            model: A model other than the client's.
            **parameters: Fields of the request, such as `max_tokens`, `temperature`, `tools`, `provider`; those without
                a name here go into `extra_body`. `tool_calling`, `recover_tool_calls`, `max_output_retries`,
                `on_invalid_output` and `when_retired` replace the client's settings for this call.

        Returns:
            The reply. Tools and `response_format` work with every model: see `tool_calling`.

        Raises:
            ConfigurationError: The request is invalid.
            APIError: The request was refused or failed; the class says why.
        """
        reply: Reply = self._run(Exchange(self._settings, messages, model, parameters, stream=False))
        return reply

    def stream(self, messages: Messages, *, model: str | None = None, **parameters: Unpack[ChatParameters]) -> Stream:
        """Send messages and read the reply while it is written; the arguments are those of `chat`.

        Returns:
            An iterator of deltas. The request is sent when the first one is read.

        Raises:
            ConfigurationError: The request is invalid.
            ContextWindowExceededError: The prompt does not fit.
        """
        return Stream(self._deltas(Exchange(self._settings, messages, model, parameters, stream=True)))

    def decide(
        self,
        state: State,
        questions: Mapping[str, Question | str],
        *,
        model: str | None = None,
        **parameters: Unpack[DecisionParameters],
    ) -> DecisionReply:
        """Ask a decision model typed questions about a state. It generates no text: it returns probabilities.

        Args:
            state: What the questions are about: a text, or any JSON. Images are data URLs in it, in the form of
                OpenAI, Anthropic or LangChain.
            questions: The questions by an id of your own. A text is a yes-or-no question; `types.NoulQuestion`,
                `ChoiceQuestion`, `ScoreQuestion` and `BoxQuestion` have the form of the others.
            model: Default: the client's model if it makes decisions, else "liquid/d1.2".
            **parameters: See `types.DecisionParameters`; other fields of the request go into `extra_body`.

        Returns:
            An answer to each question, with usage and cost.

        Raises:
            ConfigurationError: The state or a question is invalid; nothing was sent.
            ContextWindowExceededError: The state is too long.
            InvalidDecisionError: An answer is missing or does not match its question; `reply` holds what arrived.
            APIError: The request was refused or failed.
        """
        from lfm_adapter._client.decision import MAX_CHATS, decision_of  # on use, like its types

        call = decision_of(self._settings, state, questions, model, parameters)
        if isinstance(call, ApiCall):
            reply: DecisionReply = self._run(call)
            return reply
        while call.result is None:
            refusal = None
            try:
                self._run_all(call.exchanges, MAX_CHATS)
            except APIError as error:
                refusal = error
            call.on_end(refusal)
        return call.result

    def embed(
        self,
        texts: str | Sequence[str],
        *,
        role: EmbeddingRole | None,
        model: str | None = None,
        batch_size: int = BATCH_SIZE,
        max_concurrency: int = MAX_CONCURRENCY,
        **parameters: Unpack[EmbeddingParameters],
    ) -> EmbeddingReply:
        """Return a vector for each text: texts of similar meaning have similar vectors.

        Args:
            texts: The texts, or one. Long lists are sent in several requests.
            role: "query" for what is searched for, "document" for what is found. The model was trained with a
                prefix for each, which is added here. None sends the texts as they are, for models without prefixes.
            model: Default: the client's model if it makes embeddings, else "liquid/lfm-2.5-embedding-350m:free".
            batch_size: Texts in one request.
            max_concurrency: Concurrent requests.
            **parameters: `provider`, `user`, `session_id` and `trace`; other fields go into `extra_body`.

        Returns:
            The vectors in the order of the texts, with usage and cost.

        Raises:
            ConfigurationError: A text is empty, or another argument is invalid; nothing was sent.
            ContextWindowExceededError: A text is too long.
            APIError: A request was refused or failed. `embeddings` holds what the requests before it returned.
        """
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
            self._run_all(calls, max_concurrency)
        return joined(calls)

    def list_models(self) -> list[JSONDict]:
        """Return the models as OpenRouter lists them. Needs no key.

        Returns:
            The objects of `data` in `GET /models`.

        Raises:
            APIError: The request failed.
        """
        return list(dicts(self._get(ApiRequest(self._settings, "/models", needs_key=False))))

    def list_endpoints(self, model: str) -> JSONDict:
        """Return a model and its endpoints, with their prices, limits and health. Needs no key.

        Args:
            model: An id or an alias.

        Raises:
            NotFoundError: OpenRouter does not list the model.
            APIError: The request failed.
        """
        return as_dict(self._get(endpoints_request(self._settings, model)))

    def key_info(self) -> JSONDict:
        """Return the limits of the key and its usage in US$: the cheapest way to check one.

        Raises:
            AuthenticationError: The key is wrong.
            APIError: The request failed.
        """
        return as_dict(self._get(ApiRequest(self._settings, "/key")))

    def generation(self, generation_id: str) -> JSONDict:
        """Return what a generation cost, and how it was served: also of a reply that was cancelled or broke off.

        OpenRouter knows it some seconds after its end. Until then the lookup is repeated, up to `max_retries` times.

        Args:
            generation_id: The `id` of a reply, the `generation_id` of a delta or an error ("gen-…").

        Returns:
            OpenRouter's fields, `total_cost` (US$), `native_tokens_prompt`, `cancelled` and `provider_name` among them
            (https://openrouter.ai/docs/api-reference/get-a-generation).

        Raises:
            NotFoundError: The generation is unknown, or not published yet.
        """
        return as_dict(self._get(generation_request(self._settings, generation_id)))

    def refresh_catalog(self) -> tuple[ModelCard, ...]:
        """Return the catalogue with what OpenRouter lists today: models, prices, limits, endpoints. Needs no key.

        Returns:
            The models of `catalog.models()`, in the same order, then models new to it. A chat model that is no longer
            listed comes back retired.

        Raises:
            APIError: A request failed.
            ResponseError: The listing has no Liquid model, so `base_url` is not OpenRouter's.
        """
        listed = liquid_models(self.list_models())
        endpoints: dict[str, JSONDict] = {}
        for model in listed:
            with suppress(NotFoundError):  # it went away in between
                endpoints[model] = self.list_endpoints(model)
        return refreshed_cards(listed, endpoints, datetime.now(tz=UTC).date())

    def _get(self, request: ApiRequest) -> Any:
        return self._run(ApiCall(request)).get("data")

    def _run(self, call: ApiCall) -> Any:
        for _ in self._deltas(call):
            pass
        return call.result

    def _run_all(self, calls: Sequence[ApiCall], max_concurrency: int) -> None:
        if len(calls) <= 1 or max_concurrency == 1:
            for call in calls:
                self._run(call)
            return
        with ThreadPoolExecutor(max_concurrency, thread_name_prefix="lfm-adapter") as pool:
            # Each in a copy of the context, which holds the current span.
            runs = [pool.submit(copy_context().run, self._run, call) for call in calls]
            try:
                for run in runs:
                    run.result()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _deltas(self, call: ApiCall) -> Generator[Delta]:
        with call:
            while call.result is None:
                attempts = call.attempts
                try:
                    request = attempts.begin()
                    attempts.reserve()
                    with closing(self._transport.send(request)) as response:
                        reader = attempts.read(response.status_code, response.headers)
                        while reader.result is None:
                            try:
                                chunk = response.read(attempts.read_timeout())
                            except StreamInterruptedError as error:
                                chunk = reader.end(error)
                            for delta in reader.feed(chunk):
                                yield from call.on_delta(delta)
                        if reader.events is not None:
                            with suppress(APIError):
                                response.read(DRAIN_S)
                    yield from call.on_response(reader.result)
                except APIError as error:
                    if delay := call.on_error(error):
                        time.sleep(delay)
