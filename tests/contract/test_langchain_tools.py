"""LangChain's standard integration tests without native tools: tools in the prompt, and calls that leak into text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from langchain_tests.integration_tests import ChatModelIntegrationTests

from lfm_adapter import ChatLFM
from lfm_adapter.testing import ScriptedOpenRouter
from tests.support.prompted_model import PROMPTED, leaking_model, prompted_model

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langchain_core.language_models import BaseChatModel


class _Tests(ChatModelIntegrationTests):
    """The suite, against one of the fake models."""

    asked_model: str
    another_model: str

    @pytest.fixture(autouse=True)
    def _served(self, request: pytest.FixtureRequest) -> Iterator[None]:
        if request.node.get_closest_marker("vcr"):
            self.base_url = request.getfixturevalue("openrouter").base_url
            yield
        else:
            responder = request.node.get_closest_marker("scripted").kwargs["responder"]
            with ScriptedOpenRouter(default=responder, path="/api/v1") as server:
                self.base_url = server.base_url
                yield

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatLFM

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": self.asked_model, "base_url": self.base_url, "api_key": "test-key"}

    @property
    def model_override_value(self) -> str:
        return self.another_model

    @property
    def enable_vcr_tests(self) -> bool:
        return True

    @property
    def supports_json_mode(self) -> bool:
        return True

    @property
    def supports_anthropic_inputs(self) -> bool:
        return True


@pytest.mark.scripted(responder=prompted_model, always=True)
class TestPrompted(_Tests):
    asked_model = PROMPTED
    another_model = "liquid/lfm-7b"


@pytest.mark.scripted(responder=leaking_model, always=True)
class TestLeaking(_Tests):
    asked_model = "liquid/lfm-2.5-2.6b:free"
    another_model = "liquid/lfm-3-1.7b"
