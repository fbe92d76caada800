"""A `ChatLFM`'s fields to the settings of its client."""

from __future__ import annotations

from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from lfm_adapter._client.settings import DEFAULT_MODEL, Settings
from lfm_adapter._openrouter.request import OPENROUTER_URL, Attribution, base_url_of

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["setting_values", "settings_of"]

_FIELDS = (
    "model", "base_url", "timeout", "stream_chunk_timeout", "total_timeout", "max_retries", "app_url", "app_title",
    "when_retired", "tool_calling", "recover_tool_calls", "max_output_retries", "on_invalid_output", "token_counter",
    "allow_http", "max_reply_bytes",
)  # fmt: skip

setting_values = itemgetter(*_FIELDS)
"""Returns the values of a model's fields that `settings_of` takes first."""


# A model asks for its settings in each call, since its fields may change in between. Made anew, they took a twentieth
# of an `invoke`.
@lru_cache(maxsize=256)
def settings_of(
    values: tuple[Any, ...],
    api_key: SecretStr | Callable[[], str] | None,
    headers: tuple[tuple[str, str], ...],
    categories: tuple[str, ...],
    is_default_model: bool,
) -> Settings:
    """Return the settings of a client."""
    given = dict(zip(_FIELDS, values, strict=True))
    timeout = given.pop("timeout")
    settings = Settings(
        model=given.pop("model") or DEFAULT_MODEL,
        is_default_model=is_default_model,
        api_key=api_key.get_secret_value() if isinstance(api_key, SecretStr) else api_key,
        base_url=base_url_of(given.pop("base_url") or OPENROUTER_URL),
        timeout=120.0 if timeout is None else timeout,
        attribution=Attribution(given.pop("app_url"), given.pop("app_title"), categories),
        default_headers=dict(headers),
        **given,
    )
    settings.check()
    return settings
