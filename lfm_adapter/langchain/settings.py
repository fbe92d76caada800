"""A `ChatLFM`'s fields to the settings of its client."""

from __future__ import annotations

from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from lfm_adapter.client.settings import Settings, default_model
from lfm_adapter.openrouter.request import OPENROUTER_URL, Attribution, base_url_of

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["setting_values", "settings_of"]

_FIELDS = (
    "model", "base_url", "timeout", "stream_chunk_timeout", "total_timeout", "max_retries", "app_url", "app_title",
    "when_retired", "tool_calling", "recover_tool_calls", "max_repairs", "when_unfit", "token_counter", "allow_http",
    "max_reply_bytes",
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
) -> Settings:
    """Return the settings of a client.

    Args:
        values: What `setting_values` says.
        api_key: The key, or a function that returns it.
        headers: For every request.
        categories: The app's.

    Raises:
        ConfigurationError: A value is out of its range.
    """
    fields = dict(zip(_FIELDS, values, strict=True))
    base_url: str | None = fields.pop("base_url")
    return Settings.checked(
        model=fields.pop("model") or default_model(base_url),
        api_key=api_key.get_secret_value() if isinstance(api_key, SecretStr) else api_key,
        base_url=base_url_of(base_url or OPENROUTER_URL),
        timeout=fields.pop("timeout"),
        stream_chunk_timeout_s=fields.pop("stream_chunk_timeout"),
        total_timeout_s=fields.pop("total_timeout"),
        attribution=Attribution(fields.pop("app_url"), fields.pop("app_title"), categories),
        headers=dict(headers),
        **fields,
    )
