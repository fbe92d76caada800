"""`ChatLFM`: Liquid AI's models as a LangChain chat model."""

from __future__ import annotations

from inspect import signature
from typing import TYPE_CHECKING, Any

from lfm_adapter.errors import ConfigurationError
from lfm_adapter.langchain import _blocks as blocks
from lfm_adapter.langchain._boundary import langchain_errors
from lfm_adapter.langchain._facts import ChatFacts
from lfm_adapter.langchain._messages import to_wire
from lfm_adapter.langchain._options import ChatOptions
from lfm_adapter.langchain._replies import to_result

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
    from langchain_core.language_models.base import LanguageModelInput
    from langchain_core.messages import AIMessage, BaseMessage
    from langchain_core.outputs import ChatGenerationChunk, ChatResult
    from langchain_core.runnables import Runnable
    from langchain_core.tools import BaseTool
    from pydantic import BaseModel

    from lfm_adapter._client.async_client import AsyncLFMClient
    from lfm_adapter._client.sync_client import LFMClient
    from lfm_adapter.langchain._output import Method

__all__ = ["ChatLFM"]

blocks.register()


class ChatLFM(ChatFacts, ChatOptions):
    """Chat with Liquid AI's LFM models, through OpenRouter or a server of your own.

    Setup:
        `pip install lfm-adapter`, and put a key (https://openrouter.ai/settings/keys) into `OPENROUTER_API_KEY`.

    Key init args:
        `model`, `temperature`, `max_tokens`, `stop`, `seed`, `reasoning`, `provider` and other fields of a request;
        `extra_body` takes those that have no argument. `api_key`, `base_url`, `timeout` (seconds), `max_retries` and
        `default_headers` are the client's. Every one of them may also be given for a single call:
        `llm.invoke("Hello", temperature=0.9)`. The arguments of `ChatOpenRouter` work too, except that `timeout`
        counts milliseconds there. `help(ChatLFM)` and the docstring of `ChatOptions` list all, with their meanings.

    Instantiate:
        >>> from lfm_adapter import ChatLFM
        >>> llm = ChatLFM(model="liquid/lfm-2.5-2.6b:free", temperature=0.3, max_tokens=500)
        >>> llm.profile["max_input_tokens"], llm.profile["tool_calling"]
        (65536, True)

    Invoke:
        ```python
        message = llm.invoke([("system", "Answer in French."), ("human", "How are you?")])
        message.text, message.content_blocks  # also the reasoning
        ```

    Stream:
        The sum of the chunks is the message of `invoke`. Leaving the loop hangs up.

        ```python
        for chunk in llm.stream("Tell me a story."):
            print(chunk.text, end="")
        ```

    Async:
        `ainvoke`, `astream`, `abatch`: the same results, the same errors, in any event loop.

        ```python
        message = await llm.ainvoke("How are you?")
        ```

    Tool calling:
        Works on every model: where one has no tools they are written into the prompt and calls are read out of the
        text, and where a native call leaked into the text it is found there (`tool_calling`, `recover_tool_calls`). A
        call that was cut off, or does not fit the tool, stands in `invalid_tool_calls`, streamed or not.

        ```python
        def get_weather(city: str) -> str:
            "Tell the weather in a city."
            return f"Rain in {city}."

        llm.bind_tools([get_weather]).invoke("Use get_weather for Oslo.").tool_calls
        ```

    Structured output:
        Works on every model, by the best way that it has. A refusal, an answer that was cut off, and one that does not
        fit the schema, even after the model was told so (`max_output_retries`), are an `OutputParserException`.

        ```python
        from pydantic import BaseModel

        class Person(BaseModel):
            name: str
            age: int

        llm.with_structured_output(Person).invoke("Ada is 36 years old.")
        ```

    Token usage:
        ```python
        message.usage_metadata  # {"input_tokens": 9, "output_tokens": 5, "total_tokens": 14, …}
        message.response_metadata["cost"]  # US$
        ```

    Logprobs:
        ```python
        llm.invoke("How are you?", logprobs=True, top_logprobs=2).response_metadata.get("logprobs")
        ```

    Response metadata:
        `model_name`, `id` ("gen-…"), `provider`, `finish_reason`, `native_finish_reason`, `cost` (US$), `cost_source`
        ("openrouter" or "catalog"), `cost_details`, `is_byok`, `logprobs`, `system_fingerprint`, `service_tier` and
        `max_tokens_clamped`, each where there is something to say. `model_provider` is always "openrouter": it names
        the form of the message, whoever answered.

    Errors:
        Each is a class of `lfm_adapter.errors` and of `langchain_core.exceptions` at once, says in `is_retryable`
        whether it may go away, and carries in `partial` what had arrived before.

    Local models:
        Any server with an OpenAI-compatible API, without a key; `lfm_adapter.apps.local` brings one.

        ```python
        local = ChatLFM(base_url="http://localhost:8080/v1", model="lfm2-1.2b")
        ```
    """

    def _client(self, call: dict[str, Any]) -> LFMClient:
        from lfm_adapter._client.sync_client import LFMClient

        return LFMClient.from_settings(self._settings(call))

    def _async_client(self, call: dict[str, Any]) -> AsyncLFMClient:
        from lfm_adapter._client.async_client import AsyncLFMClient

        return AsyncLFMClient.from_settings(self._settings(call))

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        with langchain_errors:
            return to_result(self._client(kwargs).chat(to_wire(messages), **self._parameters(stop, kwargs)))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        with langchain_errors:
            return to_result(await self._async_client(kwargs).chat(to_wire(messages), **self._parameters(stop, kwargs)))

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        from lfm_adapter.langchain._chunks import to_chunk

        with langchain_errors, self._client(kwargs).stream(to_wire(messages), **self._streamed(stop, kwargs)) as deltas:
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
        from lfm_adapter.langchain._chunks import to_chunk

        with langchain_errors:
            stream = self._async_client(kwargs).stream(to_wire(messages), **self._streamed(stop, kwargs))
            async with stream as deltas:
                async for delta in deltas:
                    chunk = to_chunk(delta)
                    if run_manager:
                        await run_manager.on_llm_new_token(delta.text, chunk=chunk)
                    yield chunk

    def _streamed(self, stop: list[str] | None, call: dict[str, Any]) -> dict[str, Any]:
        fields = self._parameters(stop, call, stream=True)
        if (fields.get("n") or 1) > 1:
            raise ConfigurationError("Several answers cannot be streamed: LangChain would join them. Use `n=1`.")
        return fields

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: dict[str, Any] | str | bool | None = None,
        strict: bool | None = None,
        parallel_tool_calls: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Return this model with tools that it may call.

        Args:
            tools: Pydantic classes, functions, LangChain tools, or tools as OpenAI and OpenRouter write them.
            tool_choice: "auto", "none", "any" (or "required", or True) for one at least, or a tool's name.
            strict: Ask the provider to keep to the schema; only sent when given, since few endpoints take it.
            parallel_tool_calls: Whether several calls may come at once; only sent when given.
            **kwargs: Further arguments of each call.

        Raises:
            ConfigurationError: `tool_choice` names no tool that is bound.
        """
        from lfm_adapter.langchain._tools import openai_tool, openai_tool_choice

        formatted = [openai_tool(tool, strict=strict) for tool in tools]
        if tool_choice is not None and tool_choice is not False and tool_choice != "":
            kwargs["tool_choice"] = openai_tool_choice(tool_choice, formatted)
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
            schema: A Pydantic class, whose instances then come back, or a `TypedDict` or JSON schema, for dicts.
            method: "json_schema", "function_calling" or "json_mode". Default: the best that the model is known to have.
            include_raw: Return `{"raw": message, "parsed": object or None, "parsing_error": error or None}`.
            strict: Ask the provider to keep to the schema; only sent when given.
            **kwargs: Further arguments of each call.

        Raises:
            ConfigurationError: `method` is none of these.
        """
        from lfm_adapter.langchain._output import default_method, structured

        chosen = method or default_method(self._settings({}), self.model)
        return structured(self, schema, method=chosen, include_raw=include_raw, strict=strict, **kwargs)


# `help` shows the docstring of a class, and not those of its bases. With `python -OO` there are none.
if ChatLFM.__doc__ and ChatOptions.__doc__:
    ChatLFM.__doc__ += ChatOptions.__doc__.partition("\n")[2]

# In every call LangChain looks whether these take a `run_manager`. Written down here, their signatures take 20 µs less.
setattr(ChatLFM._generate, "__signature__", signature(ChatLFM._generate))  # noqa: B010 # mypy knows no such attribute
setattr(ChatLFM._agenerate, "__signature__", signature(ChatLFM._agenerate))  # noqa: B010
