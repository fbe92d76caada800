"""`ChatLFM`: Liquid AI's models as a LangChain chat model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from langchain_core.messages.utils import count_tokens_approximately
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import model_validator

from lfm_adapter import catalog
from lfm_adapter._version import __version__
from lfm_adapter.errors import ConfigurationError
from lfm_adapter.langchain import blocks
from lfm_adapter.langchain.exceptions import langchain_errors
from lfm_adapter.langchain.messages import to_wire
from lfm_adapter.langchain.options import ChatOptions
from lfm_adapter.langchain.profile import profile_of
from lfm_adapter.langchain.replies import PROVIDER, closing_chunk, to_chunk, to_message
from lfm_adapter.langchain.structured_output import default_method, structured
from lfm_adapter.langchain.tools import openai_tool, openai_tool_choice

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence
    from typing import Self

    from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
    from langchain_core.language_models import ModelProfile
    from langchain_core.language_models.base import LangSmithParams, LanguageModelInput
    from langchain_core.messages import AIMessage, BaseMessage
    from langchain_core.runnables import Runnable
    from langchain_core.tools import BaseTool
    from pydantic import BaseModel

    from lfm_adapter.client.asynchronous import AsyncLFMClient
    from lfm_adapter.client.blocking import LFMClient
    from lfm_adapter.langchain.structured_output import Method
    from lfm_adapter.openrouter.values import Delta, Reply

__all__ = ["ChatLFM"]

blocks.register()


class ChatLFM(ChatOptions):
    """Chat with Liquid AI's LFM models, through OpenRouter or a server of your own.

    Setup:
        Install `lfm-adapter` and set the environment variable `OPENROUTER_API_KEY`.

    Instantiate:
        >>> from lfm_adapter import ChatLFM
        >>> llm = ChatLFM(model="liquid/lfm-2.5-2.6b:free", api_key="…", temperature=0.3, max_tokens=500)

    Invoke and stream:
        `llm.invoke("Hello")` returns an `AIMessage`; `llm.stream("Hello")` yields `AIMessageChunk`s, and their sum is
        the same message. `ainvoke`, `astream`, `batch` and `abatch` are their twins.

    Response metadata:
        `model_name`, `model_provider` ("openrouter"), `id` ("gen-…"), `provider`, `finish_reason`,
        `native_finish_reason`, `cost` (US$), `cost_source` ("openrouter" or "catalog"), `cost_details`, `is_byok`,
        `logprobs`, `system_fingerprint` and `service_tier`, each where the reply has it.

    Errors:
        Each is a class of `lfm_adapter.errors` and of `langchain_core.exceptions` at once.
    """

    @model_validator(mode="after")
    def _set_lfm_adapter_version(self) -> Self:
        self._add_version("lfm-adapter", __version__)
        return self

    @property
    def model_name(self) -> str:
        """The model, by the name that other integrations give it."""
        return self.model

    def _client(self, call: dict[str, Any]) -> LFMClient:
        from lfm_adapter.client.blocking import LFMClient

        return LFMClient.of(self._settings(call))

    def _async_client(self, call: dict[str, Any]) -> AsyncLFMClient:
        from lfm_adapter.client.asynchronous import AsyncLFMClient

        return AsyncLFMClient.of(self._settings(call))

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        with langchain_errors:
            return _result(self._client(kwargs).chat(to_wire(messages), **self._parameters(stop, kwargs)))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        with langchain_errors:
            return _result(await self._async_client(kwargs).chat(to_wire(messages), **self._parameters(stop, kwargs)))

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        with langchain_errors, self._client(kwargs).stream(to_wire(messages), **self._streamed(stop, kwargs)) as deltas:
            for delta in deltas:
                chunk = _chunk(delta)
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
        with langchain_errors:
            stream = self._async_client(kwargs).stream(to_wire(messages), **self._streamed(stop, kwargs))
            async with stream as deltas:
                async for delta in deltas:
                    chunk = _chunk(delta)
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
        chosen = method or default_method(self._settings({}), self.model)
        return structured(self, schema, method=chosen, include_raw=include_raw, strict=strict, **kwargs)

    def get_num_tokens(self, text: str) -> int:
        """Return about how many tokens `text` has: what `token_counter` says, else a fourth of its UTF-8 bytes.

        LFM-3B's tokenizer was never published, and the others are not shipped here; the truth is in `usage_metadata`.
        """
        if self.custom_get_token_ids is not None:
            return super().get_num_tokens(text)
        if self.token_counter is not None:
            return self.token_counter([{"role": "user", "content": text}])
        return -(-len(text.encode("utf-8", "replace")) // 4)

    def get_num_tokens_from_messages(
        self,
        messages: list[BaseMessage],
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool] | None = None,
    ) -> int:
        """Return about how many tokens `messages` have, and the tools with them; see `get_num_tokens`.

        Args:
            messages: The messages.
            tools: Tools that will be bound, in any form that `bind_tools` takes.
        """
        formatted: list[Any] = [openai_tool(tool, strict=None) for tool in tools or ()]
        if self.token_counter is None:
            return count_tokens_approximately(messages, tools=formatted)
        tokens = self.token_counter(to_wire(messages))
        return tokens + (self.get_num_tokens(json.dumps(formatted)) if formatted else 0)

    def _resolve_model_profile(self) -> ModelProfile | None:
        return profile_of(catalog.get(self.model))

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        fields = self._parameters(stop, kwargs)
        params = super()._get_ls_params(**kwargs)
        params["ls_provider"] = PROVIDER
        params["ls_model_name"] = fields["model"] or self.model
        if fields.get("max_tokens"):
            params["ls_max_tokens"] = fields["max_tokens"]
        if fields.get("stop"):
            params["ls_stop"] = [fields["stop"]] if isinstance(fields["stop"], str) else fields["stop"]
        return params

    def _get_llm_string(self, stop: list[str] | None = None, **kwargs: Any) -> str:
        # What LangChain's caches tell requests apart by. Its own is made from the fields as they first were: it misses
        # an attribute that was changed, also in a copy.
        request = {"base_url": self._settings(kwargs).base_url, **self._parameters(stop, kwargs)}
        return json.dumps(request, sort_keys=True, default=repr)

    @property
    def _llm_type(self) -> str:
        return "chat-lfm"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"base_url": self._settings({}).base_url, **self._parameters(None, {})}

    @property
    def lc_secrets(self) -> dict[str, str]:
        """Which fields are secrets, and the environment variables that they are loaded from."""
        return {"api_key": "OPENROUTER_API_KEY"}

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Whether LangChain may serialize it: yes, without its secrets."""
        return True


def _result(reply: Reply) -> ChatResult:
    return ChatResult(
        generations=[
            ChatGeneration(message=to_message(reply, choice), generation_info={"finish_reason": choice.finish_reason})
            for choice in reply.choices
        ],
    )


def _chunk(delta: Delta) -> ChatGenerationChunk:
    return ChatGenerationChunk(message=to_chunk(delta) if delta.reply is None else closing_chunk(delta.reply))
