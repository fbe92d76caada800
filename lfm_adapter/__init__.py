"""Liquid AI's LFM models for LangChain and Python, through OpenRouter or on your machine.

Public names are loaded on first use (PEP 562): `import lfm_adapter` brings neither LangChain nor an HTTP client.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lfm_adapter._version import __version__

if TYPE_CHECKING:
    from lfm_adapter import catalog, errors, local
    from lfm_adapter.client.asynchronous import AsyncLFMClient
    from lfm_adapter.client.blocking import LFMClient
    from lfm_adapter.langchain.chat_model import ChatLFM
    from lfm_adapter.openrouter.request import Attribution

__all__ = ["AsyncLFMClient", "Attribution", "ChatLFM", "LFMClient", "__version__", "catalog", "errors", "local"]

_HOMES = {
    "AsyncLFMClient": "lfm_adapter.client.asynchronous",
    "Attribution": "lfm_adapter.openrouter.request",
    "ChatLFM": "lfm_adapter.langchain.chat_model",
    "LFMClient": "lfm_adapter.client.blocking",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
    elif name in __all__:
        value = import_module(f"lfm_adapter.{name}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
