"""`LFMEmbeddings`: Liquid AI's embedding model for LangChain's vector stores and retrievers."""

# No `from __future__ import annotations`: see `chat_model`.

from typing import Any, Self

from langchain_core.embeddings import Embeddings
from pydantic import model_validator

from lfm_adapter._client.embeddings import BATCH_SIZE, MAX_CONCURRENCY
from lfm_adapter._client.request import DEFAULT_MODELS, model_for
from lfm_adapter.langchain._params import CommonFields, translate_errors
from lfm_adapter.types import EmbeddingParameters, EmbeddingRole

__all__ = ["LFMEmbeddings"]

_PARAMETERS = ("model", "batch_size", "max_concurrency", *EmbeddingParameters.__annotations__)


class LFMEmbeddings(CommonFields, Embeddings):
    """Turn texts into vectors with Liquid AI's embedding model, through OpenRouter or a server of your own.

    `embed_query` and `embed_documents` add the prefix that the model wants for each. Errors are those of `ChatLFM`.

        >>> from lfm_adapter import LFMEmbeddings
        >>> LFMEmbeddings(batch_size=32).model
        'liquid/lfm-2.5-embedding-350m:free'

    ```python
    from langchain_core.vectorstores import InMemoryVectorStore

    store = InMemoryVectorStore.from_texts(["Oslo is in Norway.", "Lyon is in France."], LFMEmbeddings())
    store.similarity_search("Which city is Norwegian?", k=1)
    ```

    `api_key`, `base_url`, `timeout` (seconds), `max_retries` and the other settings are those of `ClientOptions`.

    Attributes:
        model: An id or an alias.
        default_headers: Headers for every request. Not shown and not serialized, since they may be secret.
        batch_size: Texts in one request.
        max_concurrency: Concurrent requests of one call.
        provider: Routing (https://openrouter.ai/docs/features/provider-routing): `{"data_collection": "deny"}` …
        user: A stable id of your end user.
        session_id: Groups requests. At most 256 characters.
        trace: Trace ids for OpenRouter's Broadcast.
        extra_body: Other fields of the request.
    """

    model: str = DEFAULT_MODELS["embeddings"]  # pyright: ignore[reportIncompatibleVariableOverride]
    batch_size: int = BATCH_SIZE
    max_concurrency: int = MAX_CONCURRENCY
    provider: dict[str, Any] | None = None
    user: str | None = None
    session_id: str | None = None
    trace: dict[str, Any] | None = None
    extra_body: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        model_for("embeddings", self.model, self._settings())
        return self

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return the vectors of documents, for searches to find.

        Args:
            texts: The documents, each within the context of the model.

        Raises:
            ConfigurationError: A text is empty.
            ContextWindowExceededError: A text is too long.
            APIError: A request was refused or failed.
        """
        return self._embed(texts, "document")

    def embed_query(self, text: str) -> list[float]:
        """Return the vector of a search query; raises what `embed_documents` raises."""
        return self._embed([text], "query")[0]

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """See `embed_documents`."""
        return await self._aembed(texts, "document")

    async def aembed_query(self, text: str) -> list[float]:
        """See `embed_query`."""
        return (await self._aembed([text], "query"))[0]

    def _embed(self, texts: list[str], role: EmbeddingRole) -> list[list[float]]:
        with translate_errors():
            return self._client().embed(texts, role=role, **self._parameters()).vectors

    async def _aembed(self, texts: list[str], role: EmbeddingRole) -> list[list[float]]:
        with translate_errors():
            return (await self._async_client().embed(texts, role=role, **self._parameters())).vectors

    def _parameters(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _PARAMETERS}
