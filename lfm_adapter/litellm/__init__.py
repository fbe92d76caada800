"""LFM models in LiteLLM: `lfm/lfm-3b` and its like, and prices and limits for `openrouter/liquid/...`.

    import litellm
    import lfm_adapter.litellm

    lfm_adapter.litellm.register()
    litellm.completion(model="lfm/lfm-3-1.7b", messages=[{"role": "user", "content": "Hello!"}])

Needs `pip install "lfm-adapter[litellm]"`.
"""

from __future__ import annotations

from lfm_adapter.litellm.provider import LFMProvider
from lfm_adapter.litellm.registration import handler, register

__all__ = ["LFMProvider", "handler", "register"]
