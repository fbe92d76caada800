"""Which parameters a model has: the others follow LiteLLM's `drop_params`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from litellm.exceptions import UnsupportedParamsError

from lfm_adapter.litellm._errors import PROVIDER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lfm_adapter.types import JSONDict, ModelCard

__all__ = ["supported"]

logger = logging.getLogger("lfm_adapter")

# What OpenRouter names in a model's `supported_parameters` (https://openrouter.ai/docs/api-reference/parameters).
# `max_tokens`, tools and `response_format` are not here: the clients offer them on every model.
_TOLD_OF_MODELS = frozenset({
    "frequency_penalty", "include_reasoning", "logit_bias", "logprobs", "min_p", "presence_penalty", "reasoning",
    "reasoning_effort", "repetition_penalty", "seed", "stop", "temperature", "top_a", "top_k", "top_logprobs", "top_p",
    "verbosity", "web_search_options",
})  # fmt: skip

_ANOTHER_NAME = {"reasoning_effort": "reasoning"}

_dropped: set[tuple[str, str]] = set()


def supported(parameters: Mapping[str, object], card: ModelCard, *, drop: bool) -> JSONDict:
    """Return the parameters without those that the model is known not to have.

    OpenRouter leaves such a parameter out in silence. LiteLLM's users expect an error, or, with `drop_params`, that it
    is dropped; the log says so once for each model and parameter.

    Args:
        parameters: The fields of the request.
        card: The model; nothing is refused where its parameters are not known.
        drop: Whether to drop what is not supported.

    Raises:
        litellm.UnsupportedParamsError: There is one, and `drop` is False.
    """
    has = card.supported_parameters
    if has is None:
        return dict(parameters)
    missing = [
        name
        for name, value in parameters.items()
        if name in _TOLD_OF_MODELS and value not in (None, False) and _ANOTHER_NAME.get(name, name) not in has
    ]
    if missing and not drop:
        raise UnsupportedParamsError(
            message=f"`{card.id}` does not support {', '.join(f'`{name}`' for name in missing)}. Leave it out, or set "
            "`litellm.drop_params = True` (or `drop_params=True` in the call) to have it dropped.",
            llm_provider=PROVIDER,
            model=card.id,
        )
    for name in missing:
        if (card.id, name) not in _dropped:
            _dropped.add((card.id, name))
            logger.warning("`%s` does not support `%s`: dropped, as `drop_params` says.", card.id, name)
    return {name: value for name, value in parameters.items() if name not in missing}
