"""Liquid AI's LFM models for LangChain and Python, through OpenRouter or on your machine.

Public names are loaded on first use (PEP 562): `import lfm_adapter` loads neither LangChain nor an HTTP client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lfm_adapter._version import __version__

if TYPE_CHECKING:
    from lfm_adapter import catalog, errors, local, testing, types
    from lfm_adapter._client.async_client import AsyncLFMClient
    from lfm_adapter._client.settings import ClientOptions
    from lfm_adapter._client.sync_client import LFMClient
    from lfm_adapter._openrouter.request import Attribution
    from lfm_adapter.langchain.chat_model import ChatLFM
    from lfm_adapter.langchain.embeddings import LFMEmbeddings

__all__ = [
    "AsyncLFMClient",
    "Attribution",
    "ChatLFM",
    "ClientOptions",
    "LFMClient",
    "LFMEmbeddings",
    "__version__",
    "catalog",
    "errors",
    "local",
    "testing",
    "types",
]


def __getattr__(name: str) -> Any:  # noqa: C901 # a case for each name
    value: Any
    match name:
        case "AsyncLFMClient":
            from lfm_adapter._client.async_client import AsyncLFMClient

            value = AsyncLFMClient
        case "Attribution":
            from lfm_adapter._openrouter.request import Attribution

            value = Attribution
        case "ChatLFM":
            from lfm_adapter.langchain.chat_model import ChatLFM

            value = ChatLFM
        case "ClientOptions":
            from lfm_adapter._client.settings import ClientOptions

            value = ClientOptions
        case "LFMClient":
            from lfm_adapter._client.sync_client import LFMClient

            value = LFMClient
        case "LFMEmbeddings":
            from lfm_adapter.langchain.embeddings import LFMEmbeddings

            value = LFMEmbeddings
        case "catalog":
            import lfm_adapter.catalog as value
        case "errors":
            import lfm_adapter.errors as value
        case "local":
            import lfm_adapter.local as value
        case "testing":
            import lfm_adapter.testing as value
        case "types":
            import lfm_adapter.types as value
        case _:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
