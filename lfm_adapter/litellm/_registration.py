"""Makes `lfm/...` known to LiteLLM, and Liquid's models to its price table."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import litellm

from lfm_adapter.litellm._model_cost import PROVIDER, rows
from lfm_adapter.litellm._provider import LFMProvider

if TYPE_CHECKING:
    from lfm_adapter._openrouter.request import Attribution

__all__ = ["handler", "register"]

handler = LFMProvider()
"""What answers `lfm/...`, as `register` installs it; a Proxy's `custom_provider_map` names it."""


def register(*, attribution: Attribution | None = None) -> None:
    """Let LiteLLM answer `lfm/...`, and know the prices, limits and capabilities of Liquid's models.

    It may be called any number of times, before and after other libraries register their providers; those stay. After a
    library that replaced `litellm.custom_provider_map`, call it again.

    Args:
        attribution: The app to credit (https://openrouter.ai/docs/app-attribution), for `lfm/...` and, as far as the
            environment does not say another, for LiteLLM's own `openrouter/...`, which takes `OR_SITE_URL` and
            `OR_APP_NAME` from there and knows no categories. Default: what an earlier call said, else the environment.
    """
    if attribution is not None:
        _credit(handler.attribution, attribution)
        handler.attribution = attribution
    others = [entry for entry in litellm.custom_provider_map if entry["provider"] != PROVIDER]
    ours: Any = {"provider": PROVIDER, "custom_handler": handler}
    litellm.custom_provider_map = [*others, ours]
    # LiteLLM does so itself with the first completion, which is too late for questions about a model.
    litellm.utils.custom_llm_setup()
    litellm.register_model(rows())


def _credit(before: Attribution | None, now: Attribution) -> None:
    """Set the variables of LiteLLM's own provider, unless somebody else has."""
    for name, was, value in (
        ("OR_SITE_URL", before and before.url, now.url),
        ("OR_APP_NAME", before and before.title, now.title),
    ):
        if value and os.environ.get(name) in (None, was):
            os.environ[name] = value
