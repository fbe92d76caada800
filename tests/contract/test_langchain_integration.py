"""LangChain's standard integration tests against the scripted server, which plays a model with native tools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from langchain_tests.integration_tests import ChatModelIntegrationTests

from lfm_adapter import ChatLFM
from lfm_adapter.testing import ScriptedOpenRouter
from tests.support.scripted_model import openrouter_like

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langchain_core.language_models import BaseChatModel

LIVE = "liquid/lfm-2.5-2.6b:free"


@pytest.mark.scripted(responder=openrouter_like)
class TestChatLFM(ChatModelIntegrationTests):
    @pytest.fixture(autouse=True)
    def _served(self, request: pytest.FixtureRequest) -> Iterator[None]:
        if request.node.get_closest_marker("vcr"):
            self.base_url = request.getfixturevalue("openrouter").base_url
            yield
        else:
            with ScriptedOpenRouter(default=openrouter_like, path="/api/v1") as server:
                self.base_url = server.base_url
                yield

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatLFM

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": LIVE, "base_url": self.base_url, "api_key": "test-key"}

    @property
    def model_override_value(self) -> str:
        return "liquid/lfm-3-1.7b"

    @property
    def enable_vcr_tests(self) -> bool:
        return True

    @property
    def supports_json_mode(self) -> bool:
        return True

    @property
    def supports_anthropic_inputs(self) -> bool:
        return True

    @property
    def supported_usage_metadata_details(self) -> dict[str, list[str]]:
        return {"invoke": ["reasoning_output"], "stream": ["reasoning_output"]}

    def invoke_with_reasoning_output(self, *, stream: bool = False) -> Any:
        model = ChatLFM(**self.chat_model_params)
        if not stream:
            return model.invoke("How many r are in strawberry?")
        chunks = list(model.stream("How many r are in strawberry?"))
        return sum(chunks[1:], start=chunks[0])
