"""What LangChain asks about a model before and beside asking it anything: who it is, what it can, what is secret."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from langchain_core.messages.utils import count_tokens_approximately

from lfm_adapter._openrouter.request import OPENROUTER_URL
from lfm_adapter.langchain._blocks import PROVIDER
from lfm_adapter.langchain._messages import to_wire
from lfm_adapter.langchain._options import ChatOptions, is_setting

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from langchain_core.language_models import ModelProfile
    from langchain_core.language_models.base import LangSmithParams
    from langchain_core.messages import BaseMessage
    from langchain_core.tools import BaseTool

__all__ = ["ChatFacts"]


# A mixin: one more class of Pydantic's takes 2 ms to make, a seventh of the import.
if TYPE_CHECKING:
    _Options = ChatOptions
else:
    _Options = object


class ChatFacts(_Options):
    """The part of `ChatLFM` that sends nothing."""

    @property
    def model_name(self) -> str:
        """The model, by the name that other integrations give it."""
        return self.model

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
        from lfm_adapter.langchain._tools import openai_tool

        formatted: list[Any] = [openai_tool(tool, strict=None) for tool in tools or ()]
        if self.token_counter is None:
            return count_tokens_approximately(messages, tools=formatted)
        tokens = self.token_counter(to_wire(messages))
        return tokens + (self.get_num_tokens(json.dumps(formatted)) if formatted else 0)

    def _resolve_model_profile(self) -> ModelProfile | None:
        from lfm_adapter.langchain._profile import profile_of

        settings = self._settings({})
        card = settings.card(settings.resolve_model(self.model))
        return profile_of(card, prompts_tools=settings.tool_calling != "native")

    def _get_invocation_params(self, stop: list[str] | None = None, **kwargs: Any) -> dict[str, Any]:
        # They go to tracers and callbacks, and must not tell them a key or a header of this one call.
        told = {name: value for name, value in kwargs.items() if not is_setting(name)}
        return super()._get_invocation_params(stop=stop, **told)

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
        settings = self._settings(kwargs)
        told = (
            settings.base_url,
            settings.when_retired,
            settings.tool_calling,
            settings.recover_tool_calls,
            settings.max_output_retries,
            settings.on_invalid_output,
            self.output_version,
            self._parameters(stop, kwargs),
        )
        return json.dumps(told, sort_keys=True, default=repr)

    @property
    def _llm_type(self) -> str:
        return "chat-lfm"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"base_url": self.base_url or OPENROUTER_URL, **self._parameters(None, {})}

    @property
    def lc_secrets(self) -> dict[str, str]:
        """Which fields are secrets, and the environment variables that they are loaded from."""
        return {"api_key": "OPENROUTER_API_KEY"}

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Whether LangChain may serialize it: yes, without its secrets."""
        return True
