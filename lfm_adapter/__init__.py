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
    from lfm_adapter._client.sync_client import LFMClient
    from lfm_adapter._openrouter.request import Attribution
    from lfm_adapter.langchain.chat_model import ChatLFM

__all__ = [
    "AsyncLFMClient",
    "Attribution",
    "ChatLFM",
    "LFMClient",
    "__version__",
    "catalog",
    "errors",
    "local",
    "testing",
    "types",
]

_MODULES = {
    "AsyncLFMClient": "lfm_adapter._client.async_client",
    "Attribution": "lfm_adapter._openrouter.request",
    "ChatLFM": "lfm_adapter.langchain.chat_model",
    "LFMClient": "lfm_adapter._client.sync_client",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        value = getattr(import_module(_MODULES[name]), name)
    elif name in __all__:
        value = import_module(f"lfm_adapter.{name}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
