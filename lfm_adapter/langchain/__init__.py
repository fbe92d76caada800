"""`ChatLFM`, the LangChain chat model, and its name for `init_chat_model`."""

from lfm_adapter.langchain.chat_model import ChatLFM

__all__ = ["ChatLFM", "register"]


def register() -> None:
    """Register names such as "lfm:liquid/lfm-3-1.7b" for `init_chat_model`, `create_agent` and so on.

    LangChain has no public way to add a provider, so this adds one to its own table. deepagents calls it by itself.

    Raises:
        ImportError: `langchain` is not installed.
        ConfigurationError: This release of `langchain` has no such table.
    """
    from langchain.chat_models import base

    from lfm_adapter.errors import ConfigurationError

    providers = getattr(base, "_BUILTIN_PROVIDERS", None)
    if not isinstance(providers, dict):
        raise ConfigurationError(
            "This release of `langchain` does not support further providers. Pass a `ChatLFM` instead of a name."
        )
    providers["lfm"] = ("lfm_adapter", "ChatLFM", lambda cls, **arguments: cls(**arguments))
