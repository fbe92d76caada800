"""Liquid AI's LFM models for LangChain and Python, through OpenRouter or on your machine.

Public names are loaded on first use (PEP 562): `import lfm_adapter` loads neither LangChain nor an HTTP client.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lfm_adapter._version import __version__

if TYPE_CHECKING:
    from lfm_adapter import catalog, errors, local, testing, types
    from lfm_adapter._client.async_client import AsyncLFMClient
    from lfm_adapter._client.settings import ClientOptions
    from lfm_adapter._client.sync_client import LFMClient
    from lfm_adapter._openrouter.request import Attribution
    from lfm_adapter.langchain.chat_model import ChatLFM
    from lfm_adapter.langchain.decisions import LFMDecisions
    from lfm_adapter.langchain.embeddings import LFMEmbeddings

__all__ = [
    "AsyncLFMClient",
    "Attribution",
    "ChatLFM",
    "ClientOptions",
    "LFMClient",
    "LFMDecisions",
    "LFMEmbeddings",
    "__version__",
    "catalog",
    "errors",
    "local",
    "testing",
    "types",
]


_MODULES = {
    "AsyncLFMClient": "_client.async_client",
    "Attribution": "_openrouter.request",
    "ChatLFM": "langchain.chat_model",
    "ClientOptions": "_client.settings",
    "LFMClient": "_client.sync_client",
    "LFMDecisions": "langchain.decisions",
    "LFMEmbeddings": "langchain.embeddings",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.{_MODULES.get(name, name)}")
    value = globals()[name] = getattr(module, name) if name in _MODULES else module
    return value


def __dir__() -> list[str]:
    return __all__
