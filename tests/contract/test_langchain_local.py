"""LangChain's standard integration tests against a real model on this machine, as far as so small a one can answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from langchain_tests.integration_tests import ChatModelIntegrationTests

from lfm_adapter import ChatLFM

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel


@pytest.mark.local_model
@pytest.mark.from_local_model
class TestChatLFM(ChatModelIntegrationTests):
    @pytest.fixture(autouse=True)
    def _served(self, request: pytest.FixtureRequest) -> None:
        recorded = request.node.get_closest_marker("vcr")
        self.base_url = (
            request.getfixturevalue("openrouter").base_url if recorded else request.getfixturevalue("local_model")
        )
        # An object takes it 48 tokens. Any text will do, and is written in a fraction of the time.
        self.max_tokens = 60 if recorded or "structured_output" in request.node.name else 8

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatLFM

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {
            "model": "local/smollm2-135m-instruct",
            "base_url": self.base_url,
            "api_key": "test-key",
            "temperature": 0,
            "max_tokens": self.max_tokens,
        }

    @property
    def enable_vcr_tests(self) -> bool:
        return True

    @property
    def has_tool_calling(self) -> bool:
        """The model's template leaves tools out of the prompt, so it cannot call any natively."""
        return False

    @property
    def has_tool_choice(self) -> bool:
        return False

    @property
    def model_override_value(self) -> str:
        """The server has one model and answers by its name, whatever was asked for."""
        return "local/smollm2-135m-instruct"
