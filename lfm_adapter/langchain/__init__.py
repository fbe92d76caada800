"""`ChatLFM`, `LFMDecisions` and `LFMEmbeddings` for LangChain, and their names for its `init_` functions."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lfm_adapter.langchain.chat_model import ChatLFM
    from lfm_adapter.langchain.decisions import DecisionResponse, LFMDecisions
    from lfm_adapter.langchain.embeddings import LFMEmbeddings

__all__ = ["ChatLFM", "DecisionResponse", "LFMDecisions", "LFMEmbeddings", "register"]

_MODULES = {
    "ChatLFM": "chat_model",
    "DecisionResponse": "decisions",
    "LFMDecisions": "decisions",
    "LFMEmbeddings": "embeddings",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return __all__


def register() -> None:
    """Register names such as "lfm:liquid/lfm-3-1.7b" for `init_chat_model`, `create_agent` and `init_embeddings`.

    LangChain has no public way to add a provider, so this adds one to its own tables. deepagents calls it by itself.

    Raises:
        ImportError: `langchain` is not installed.
        ConfigurationError: This release of `langchain` has no such tables.
    """
    from langchain.chat_models import base as chat_models
    from langchain.embeddings import base as embeddings

    from lfm_adapter.errors import ConfigurationError

    for module, cls in ((chat_models, "ChatLFM"), (embeddings, "LFMEmbeddings")):
        providers = getattr(module, "_BUILTIN_PROVIDERS", None)
        if not isinstance(providers, dict):
            raise ConfigurationError(
                "This release of `langchain` does not support further providers. Pass a `ChatLFM` or `LFMEmbeddings` "
                "instead of a name."
            )
        providers["lfm"] = ("lfm_adapter", cls, lambda cls, **arguments: cls(**arguments))
