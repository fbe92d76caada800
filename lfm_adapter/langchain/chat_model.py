"""`ChatLFM`: Liquid AI's models as a LangChain chat model."""

# No `from __future__ import annotations`: Pydantic would evaluate the strings, 2 ms of the import.

import json
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from inspect import signature
from typing import Any, Literal, Self, TypeAlias

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import ModelProfile
from langchain_core.language_models.base import LangSmithParams, LanguageModelInput
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.block_translators import register_translator
from langchain_core.messages.utils import count_tokens_approximately
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult, Generation
from langchain_core.runnables import Runnable
from pydantic import BaseModel, Field, model_validator

from lfm_adapter._client.settings import DEFAULT_MODEL, PER_CALL, ClientOptions
from lfm_adapter._openrouter.address import OPENROUTER_URL
from lfm_adapter._version import __version__
from lfm_adapter.langchain._blocks import chunk_blocks, message_blocks
from lfm_adapter.langchain._messages import to_wire
from lfm_adapter.langchain._params import ALIASES, CLIENT_OPTIONS, CommonFields, request_fields, translate_errors
from lfm_adapter.langchain._replies import PROVIDER, to_chunk, to_result

__all__ = ["ChatLFM"]

Tool: TypeAlias = dict[str, Any] | type | Callable[..., Any] | Runnable[Any, Any]
Method: TypeAlias = Literal["function_calling", "json_mode", "json_schema"]

register_translator(PROVIDER, message_blocks, chunk_blocks)


class ChatLFM(CommonFields, BaseChatModel, ClientOptions):  # pyright: ignore[reportIncompatibleVariableOverride]  # `api_key`
    """Chat with Liquid AI's LFM models, through OpenRouter or a server of your own.

    Setup:
        `pip install lfm-adapter`, and set `OPENROUTER_API_KEY` (create a key at https://openrouter.ai/settings/keys).

    Key init args:
        `model`, `temperature`, `max_tokens` and the other fields of a request below; `api_key`, `base_url`, `timeout`
        (seconds), `max_retries`, `tool_calling` and the other settings of `ClientOptions`, which documents them. Each
        may also be given for a single call: `llm.invoke("Hello", temperature=0.9)`. The arguments of `ChatOpenRouter`
        work too, except that its `timeout` is in milliseconds.

    Instantiate:
        >>> from lfm_adapter import ChatLFM
        >>> llm = ChatLFM(model="liquid/lfm-2.5-2.6b:free", temperature=0.3, max_tokens=500)
        >>> llm.profile["max_input_tokens"], llm.profile["tool_calling"]
        (65536, True)

        For any server with an OpenAI-compatible API, without a key (`lfm_adapter.local` starts one):

        ```python
        local = ChatLFM(base_url="http://localhost:8080/v1", model="lfm2-1.2b")
        ```

    Invoke:
        ```python
        message = llm.invoke([("system", "Answer in French."), ("human", "How are you?")])
        message = await llm.ainvoke("How are you?")  # in any event loop
        message.text, message.content_blocks  # with the reasoning
        ```

    Stream:
        The sum of the chunks equals the message of `invoke`. Leaving the loop closes the connection.

        ```python
        for chunk in llm.stream("Tell me a story."):
            print(chunk.text, end="")
        ```

    Tool calling:
        Works with every model: see `tool_calling` and `recover_tool_calls`. A call that was cut off or does not match
        the tool's schema goes to `invalid_tool_calls`, with the reason.

        ```python
        def get_weather(city: str) -> str:
            "Tell the weather in a city."
            return f"Rain in {city}."

        llm.bind_tools([get_weather]).invoke("Use get_weather for Oslo.").tool_calls
        ```

    Structured output:
        Works with every model. A refusal, an answer that was cut off, and one that does not match the schema after
        `max_output_retries` raise an `OutputParserException`.

        ```python
        from pydantic import BaseModel

        class Person(BaseModel):
            name: str
            age: int

        llm.with_structured_output(Person).invoke("Ada is 36 years old.")
        ```

    Response metadata:
        `model_name`, `id` ("gen-…"), `finish_reason`, `logprobs`, `system_fingerprint`, `service_tier` and the facts of
        `types.Reply.metadata` (`provider`, `cost` …), each if known. `model_provider` is always "openrouter": it names
        the format of the message, whichever server answered.

        ```python
        message.usage_metadata  # {"input_tokens": 9, "output_tokens": 5, "total_tokens": 14, …}
        message.response_metadata["cost"]  # US$
        ```

    Errors:
        Each error is an instance of a class of `lfm_adapter.errors` and of one of `langchain_core.exceptions`.
        `is_retryable` is True if a retry may help; `partial` holds what had arrived.

    Attributes:
        default_headers: Headers for every request; those of a call are added. Not shown and not serialized, since they
            may be secret.
        token_counter: Counts the tokens of wire messages, for the context check and for `get_num_tokens`. Not
            serialized.
        temperature: 0 to 2. Liquid advises 0.1 to 0.3 for its models.
        max_tokens: Tokens to generate at most, also called `max_completion_tokens`. Lowered to what the model can
            generate: see `response_metadata["max_tokens_clamped"]`.
        top_p: 0 to 1. Liquid's own endpoints refuse it (https://ngrok.com/docs/ai-gateway/providers/liquid).
        top_k: Sample from this many most likely tokens.
        min_p: Drop tokens less likely than this share of the most likely one. Liquid advises 0.15 for LFM2.
        top_a: Drop tokens less likely than this share of the squared probability of the most likely one.
        frequency_penalty: -2 to 2, grows with the number of times a token occurred.
        presence_penalty: -2 to 2, for tokens that occurred.
        repetition_penalty: 0 to 2. Liquid advises 1.05 for LFM2.
        seed: For reproducible answers, if the provider supports it.
        stop: Up to 4 texts at which generation stops.
        n: How many answers, if the provider supports it. More than one cannot be streamed.
        logprobs: Return the log probabilities of the tokens.
        top_logprobs: 0 to 20 most likely tokens at each position; needs `logprobs`.
        logit_bias: Bias by token id, -100 to 100.
        reasoning: `{"effort": "low"}`, `{"max_tokens": 500}`, `{"exclude": True}` …, for models that reason.
        reasoning_effort: Short for `reasoning={"effort": …}`.
        provider: Routing (https://openrouter.ai/docs/features/provider-routing): `{"data_collection": "deny"}` …
        fallback_models: Up to 3 models to ask when the first fails.
        plugins: OpenRouter's plugins: `[{"id": "response-healing"}]` …
        transforms: `["middle-out"]`; deprecated by OpenRouter for the plugin "context-compression".
        route: "fallback" or "sort"; deprecated by OpenRouter.
        user: A stable id of your end user.
        session_id: Groups requests, and keeps them on one provider. At most 256 characters.
        trace: Trace ids for OpenRouter's Broadcast.
        service_tier: "auto", "default", "flex", "priority" …, for providers with tiers.
        prediction: The expected answer.
        verbosity: "low", "medium" or "high", for models that support it.
        prompt_cache_key: A key for the provider's prompt cache.
        cache_control: Prompt caching, for providers where it must be asked for.
        extra_body: Other fields of the request. They override all others.
        model_kwargs: Other fields of the request, under LangChain's usual name. Arguments of a call override them.
        streaming: True streams even in `invoke`, False never streams.
        stream_usage: Ask other servers than OpenRouter, which always sends it, for the usage of a stream.
    """

    model: str = Field(  # pyright: ignore[reportIncompatibleVariableOverride]  # LangChain's is never None
        default_factory=lambda: os.environ.get("LFM_MODEL") or DEFAULT_MODEL
    )
    temperature: float | None = None
    max_tokens: int | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    top_a: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    repetition_penalty: float | None = None
    seed: int | None = None
    stop: list[str] | str | None = None
    n: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    logit_bias: dict[str | int, float] | None = None
    reasoning: dict[str, Any] | None = None
    reasoning_effort: str | None = None
    provider: dict[str, Any] | None = None
    fallback_models: list[str] | None = None
    plugins: list[dict[str, Any]] | None = None
    transforms: list[str] | None = None
    route: str | None = None
    user: str | None = None
    session_id: str | None = None
    trace: dict[str, Any] | None = None
    service_tier: str | None = None
    prediction: dict[str, Any] | None = None
    verbosity: str | None = None
    prompt_cache_key: str | None = None
    cache_control: dict[str, Any] | None = None
    extra_body: dict[str, Any] | None = None
    model_kwargs: dict[str, Any] = Field(default_factory=dict)
    # Not False, as in LangChain's other integrations: that bans streaming once the field is set, and
    # `configurable_fields` sets every field.
    streaming: bool | None = None
    stream_usage: bool = True

    @model_validator(mode="after")
    def _check(self) -> Self:
        settings = self._settings()
        if settings.is_default_model and settings.is_openrouter and self.when_retired is None:
            object.__setattr__(self, "when_retired", "successor")
        self._add_version("lfm-adapter", __version__)
        return self

    def _generate(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        with translate_errors():
            fields = request_fields(self, stop, kwargs)
            return to_result(self._client(**kwargs).chat(to_wire(messages), **fields))

    async def _agenerate(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        with translate_errors():
            fields = request_fields(self, stop, kwargs)
            return to_result(await self._async_client(**kwargs).chat(to_wire(messages), **fields))

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        fields = request_fields(self, stop, kwargs, stream=True)
        with translate_errors(), self._client(**kwargs).stream(to_wire(messages), **fields) as deltas:
            for delta in deltas:
                chunk = to_chunk(delta)
                if run_manager:
                    run_manager.on_llm_new_token(delta.text, chunk=chunk)
                yield chunk

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        fields = request_fields(self, stop, kwargs, stream=True)
        with translate_errors():
            async with self._async_client(**kwargs).stream(to_wire(messages), **fields) as deltas:
                async for delta in deltas:
                    chunk = to_chunk(delta)
                    if run_manager:
                        await run_manager.on_llm_new_token(delta.text, chunk=chunk)
                    yield chunk

    def bind_tools(
        self,
        tools: Sequence[Tool],
        *,
        tool_choice: dict[str, Any] | str | bool | None = None,
        strict: bool | None = None,
        parallel_tool_calls: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Return this model with tools that it may call.

        Args:
            tools: Pydantic classes, functions, LangChain tools, or tools as OpenAI and OpenRouter write them.
            tool_choice: "auto", "none", "any" (or "required", or True) for at least one, or a tool's name.
            strict: Make the provider enforce the schema. Sent only if given, since few endpoints support it.
            parallel_tool_calls: Whether an answer may have several calls. Sent only if given.
            **kwargs: Further arguments of each call.

        Raises:
            ConfigurationError: `tool_choice` names a tool that is not bound.
        """
        from lfm_adapter.langchain._tools import to_openai_tool_choice, to_openai_tools

        formatted = to_openai_tools(tools, strict=strict)
        if tool_choice:
            kwargs["tool_choice"] = to_openai_tool_choice(tool_choice, formatted)
        if parallel_tool_calls is not None:
            kwargs["parallel_tool_calls"] = parallel_tool_calls
        return super().bind(tools=formatted, **kwargs)

    def with_structured_output(
        self,
        schema: dict[str, Any] | type,
        *,
        method: Method | None = None,
        include_raw: bool = False,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, dict[str, Any] | BaseModel]:
        """Return a runnable that answers with objects of a schema.

        Args:
            schema: A Pydantic class, for instances of it, or a `TypedDict` or a JSON schema, for dicts.
            method: "json_schema", "function_calling" or "json_mode". Default: the best that the model supports.
            include_raw: Return `{"raw": message, "parsed": object or None, "parsing_error": error or None}`.
            strict: Make the provider enforce the schema. Sent only if given.
            **kwargs: Further arguments of each call.

        Raises:
            ConfigurationError: `method` is unknown.
        """
        from lfm_adapter.langchain._output import default_method, structured

        chosen = method or default_method(self._settings())
        return structured(self, schema, method=chosen, include_raw=include_raw, strict=strict, **kwargs)

    @property
    def model_name(self) -> str:
        """`model` under the name that other integrations use."""
        return self.model

    def get_num_tokens(self, text: str) -> int:
        """Return about how many tokens `text` has: the count of `token_counter`, else a fourth of its UTF-8 bytes.

        LFM-3B's tokenizer was never published, and the others are not shipped here. `usage_metadata` is exact.
        """
        if self.custom_get_token_ids is not None:
            return super().get_num_tokens(text)
        if self.token_counter is not None:
            return self.token_counter([{"role": "user", "content": text}])
        return -(-len(text.encode("utf-8", "replace")) // 4)

    def get_num_tokens_from_messages(self, messages: list[BaseMessage], tools: Sequence[Tool] | None = None) -> int:
        """Return about how many tokens `messages` have, with `tools` that will be bound; see `get_num_tokens`."""
        from lfm_adapter.langchain._tools import to_openai_tools

        formatted: list[Any] = to_openai_tools(tools or (), strict=None)
        if self.token_counter is None:
            return count_tokens_approximately(messages, tools=formatted)
        tokens = self.token_counter(to_wire(messages))
        return tokens + (self.get_num_tokens(json.dumps(formatted)) if formatted else 0)

    def _resolve_model_profile(self) -> ModelProfile | None:
        from lfm_adapter.langchain._profile import to_profile

        settings = self._settings()
        return to_profile(settings.card(settings.resolve_model()), prompts_tools=settings.tool_calling != "native")

    def _get_invocation_params(self, stop: list[str] | None = None, **kwargs: Any) -> dict[str, Any]:
        # Tracers and callbacks record these, so the key and headers of a call are left out.
        shown = {name: value for name, value in kwargs.items() if ALIASES.get(name, name) not in CLIENT_OPTIONS}
        return super()._get_invocation_params(stop=stop, **shown)

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        fields = request_fields(self, stop, kwargs)
        fields |= fields.pop("extra_body", {})
        stops = fields.pop("stop", None)
        params = super()._get_ls_params([stops] if isinstance(stops, str) else stops, **fields)
        params["ls_provider"] = PROVIDER
        return params

    def _get_llm_string(self, stop: list[str] | None = None, **kwargs: Any) -> str:
        # The key of LangChain's caches. LangChain's own misses changed attributes, also those of a copy.
        settings = self._settings(**kwargs)
        fields = request_fields(self, stop, kwargs)
        fields["model"] = settings.resolve_model(fields.get("model"))
        options = {name: getattr(settings, name) for name in ("base_url", *PER_CALL)}
        return repr([options, self.output_version, sorted(fields.items())])

    def _convert_cached_generations(self, cache_val: list[Generation]) -> list[ChatGeneration]:
        # Answers from LangChain's caches were paid for before.
        generations = super()._convert_cached_generations(cache_val)
        for generation in generations:
            facts = generation.message.response_metadata
            if facts.get("cost"):
                unpaid = {name: fact for name, fact in facts.items() if name not in ("cost_details", "cost_source")}
                generation.message = generation.message.model_copy(
                    update={"response_metadata": {**unpaid, "cost": 0.0}}
                )
        return generations

    @property
    def _llm_type(self) -> str:
        return "chat-lfm"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"base_url": self.base_url or OPENROUTER_URL, "model": self.model, **request_fields(self, None, {})}


# In every call LangChain checks whether these take a `run_manager`: 4 µs with a ready signature, 14 µs without.
setattr(ChatLFM._generate, "__signature__", signature(ChatLFM._generate))  # noqa: B010 # mypy knows no such attribute
setattr(ChatLFM._agenerate, "__signature__", signature(ChatLFM._agenerate))  # noqa: B010
