"""LFM models in LiteLLM: `lfm/lfm-3b` and its like, and prices and limits for `openrouter/liquid/...`.

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
    from lfm_adapter.litellm._provider import LFMProvider
    from lfm_adapter.litellm._registration import handler, register

__all__ = ["LFMProvider", "handler", "register"]

# Loaded on first use: `import litellm` takes seconds, which what only writes the Proxy's configuration is spared.
_HOMES = {
    "LFMProvider": "lfm_adapter.litellm._provider",
    "handler": "lfm_adapter.litellm._registration",
    "register": "lfm_adapter.litellm._registration",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value = getattr(import_module(_HOMES[name]), name)
    except ModuleNotFoundError as error:
        if error.name != "litellm":
            raise
        told = f"LiteLLM is not installed. Run `{how_to_install('litellm')}`."
        raise ModuleNotFoundError(told, name=error.name) from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
