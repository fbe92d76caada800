"""LangChain's standard tests of embeddings, whole: alone, against the scripted server, and against a local model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from langchain_tests.integration_tests import EmbeddingsIntegrationTests
from langchain_tests.unit_tests import EmbeddingsUnitTests

from lfm_adapter import LFMEmbeddings

if TYPE_CHECKING:
    from lfm_adapter.testing import ScriptedOpenRouter

MODEL = "liquid/lfm-2.5-embedding-350m:free"


class TestAlone(EmbeddingsUnitTests):
    @property
    def embeddings_class(self) -> type[LFMEmbeddings]:
        return LFMEmbeddings

    @property
    def init_from_env_params(self) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        environment = {
            "OPENROUTER_API_KEY": "key-from-the-environment", "OPENROUTER_BASE_URL": "https://eu.openrouter.ai/api/v1",
            "OPENROUTER_APP_TITLE": "My app", "LFM_MODEL": "liquid/lfm-3-1.7b",
        }  # fmt: skip
        attributes = {"base_url": environment["OPENROUTER_BASE_URL"], "app_title": "My app", "model": MODEL}
        return environment, {}, {"api_key": "key-from-the-environment", **attributes}


class TestScripted(EmbeddingsIntegrationTests):
    @pytest.fixture(autouse=True)
    def _served(self, openrouter: ScriptedOpenRouter) -> None:
        """The environment names the server."""

    @property
    def embeddings_class(self) -> type[LFMEmbeddings]:
        return LFMEmbeddings


@pytest.mark.local_model
class TestLocal(EmbeddingsIntegrationTests):
    @pytest.fixture(autouse=True)
    def _served(self, local_embeddings: str) -> None:
        self.base_url = local_embeddings

    @property
    def embeddings_class(self) -> type[LFMEmbeddings]:
        return LFMEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        return {"base_url": self.base_url}
