"""LFM models in LiteLLM: `lfm/lfm-3b` and the like, and prices and limits for `openrouter/liquid/...`.

    import litellm
    import lfm_adapter.litellm

    lfm_adapter.litellm.register()
    litellm.completion(model="lfm/lfm-3-1.7b", messages=[{"role": "user", "content": "Hello!"}])

Needs `pip install "lfm-adapter[litellm]"`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lfm_adapter._extras import how_to_install

if TYPE_CHECKING:
    from lfm_adapter.litellm._provider import LFMProvider, handler, register

__all__ = ["LFMProvider", "handler", "register"]


def __getattr__(name: str) -> Any:
    # On first use: `import litellm` takes seconds, and the Proxy's configuration is written without it.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value = getattr(import_module("lfm_adapter.litellm._provider"), name)
    except ModuleNotFoundError as error:
        if error.name != "litellm":
            raise
        message = f"LiteLLM is not installed. Run `{how_to_install('litellm')}`."
        raise ModuleNotFoundError(message, name=error.name) from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
