"""One call of `embed` and the requests it takes: a call of the model for each batch of texts."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING, Any, get_args

from lfm_adapter._client.calls import Attempts, ModelCall, total_costs
from lfm_adapter._client.request import DEFAULT_MODELS, ApiRequest, model_for
from lfm_adapter._masking import shown
from lfm_adapter._openrouter.embeddings import embedding_reply, embeddings_body, with_prefix
from lfm_adapter._openrouter.request import check_types, encode
from lfm_adapter._openrouter.response import PaidBodyReader
from lfm_adapter.catalog import check_text_lengths
from lfm_adapter.errors import APIError, ConfigurationError, ResponseError
from lfm_adapter.types import EmbeddingParameters, EmbeddingReply, EmbeddingRole

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lfm_adapter._client.settings import Settings
    from lfm_adapter.types import Delta, JSONDict, ModelCard

BATCH_SIZE = 64
"""Texts in a request. The most that Liquid takes is not documented."""

MAX_CONCURRENCY = 4
"""Requests of one call that are under way at once. A free model takes 20 a minute."""


class EmbeddingCall(ModelCall):
    """The request for one batch of texts, and its attempts; `result` becomes an `EmbeddingReply`."""

    def __init__(
        self,
        settings: Settings,
        model: str,
        card: ModelCard,
        texts: Sequence[str],
        fields: Mapping[str, Any],
        *,
        deadline: float,
    ) -> None:
        super().__init__(settings, model, card, fields, operation="embeddings")
        self._count = len(texts)
        request = ApiRequest(
            settings,
            "/embeddings",
            model=model,
            body=encode(embeddings_body(model, texts, fields)),
            reader=partial(PaidBodyReader, content="data"),
        )
        self.attempts = Attempts(request, deadline, self._meter)

    def on_response(self, result: JSONDict) -> Sequence[Delta]:
        reader: Any = self.attempts.reader
        reply = embedding_reply(result, reader.telling_headers, self._count)
        self._price(reply)
        self.result = reply
        return ()


def embedding_calls(
    settings: Settings,
    texts: str | Sequence[str],
    parameters: Mapping[str, Any],
    *,
    role: EmbeddingRole | None,
    model: str | None,
    batch_size: int,
    max_concurrency: int,
) -> list[EmbeddingCall]:
    """Return the calls that `LFMClient.embed` makes. The arguments are checked."""
    name = model_for("embeddings", model, settings)
    card = settings.card(name)
    known: tuple[object, ...] = (*get_args(EmbeddingRole), None)
    if role not in known:
        raise ConfigurationError(f"`role` must be 'query', 'document' or None; got {shown(role)}.")
    counts: dict[str, Any] = {"batch_size": batch_size, "max_concurrency": max_concurrency}
    for option, number in counts.items():
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise ConfigurationError(f"`{option}` must be an integer >= 1, got {shown(number)}.")
    fields = _fields(parameters)
    prefixed = with_prefix(_checked_texts(texts), role)
    if settings.is_openrouter or name != DEFAULT_MODELS["embeddings"]:  # another server decides what that name means
        check_text_lengths(prefixed, card, model=name, token_counter=settings.token_counter)
    deadline = math.inf if settings.total_timeout is None else time.monotonic() + settings.total_timeout
    batches = (prefixed[start : start + batch_size] for start in range(0, len(prefixed), batch_size))
    return [EmbeddingCall(settings, name, card, batch, fields, deadline=deadline) for batch in batches]


def _checked_texts(texts: object) -> list[str]:
    if not isinstance(texts, Iterable) or isinstance(texts, bytes | Mapping):
        raise ConfigurationError(f"`texts` must be a string or a list of strings, got {type(texts).__name__}.")
    given: list[object] = [texts] if isinstance(texts, str) else [*texts]
    for number, text in enumerate(given):
        if not isinstance(text, str):
            raise ConfigurationError(f"`texts[{number}]` must be a string, got {type(text).__name__}.")
        if not text.strip():
            raise ConfigurationError(f"`texts[{number}]` is empty. Leave it out: there is nothing to embed.")
    return given  # type: ignore[return-value]  # all are strings


def _fields(parameters: Mapping[str, Any]) -> dict[str, Any]:
    fields = dict(parameters)
    unknown = fields.keys() - EmbeddingParameters.__annotations__.keys()
    check_types(fields, EmbeddingParameters)
    fields |= fields.pop("extra_body", None) or {}
    if "dimensions" in fields:
        raise ConfigurationError(
            "`dimensions` is not supported, because shortened vectors are not documented for this model. Leave it out."
        )
    if unknown:
        raise ConfigurationError(
            f"`embed` has no parameter `{min(unknown)}`. To send another field of the request, use `extra_body`."
        )
    return {name: value for name, value in fields.items() if value is not None}


def joined(calls: Sequence[EmbeddingCall]) -> EmbeddingReply:
    """Return the replies of all calls, which have ended, as one."""
    replies: list[EmbeddingReply] = [call.result for call in calls]
    if len(replies) < 2:
        return replies[0] if replies else EmbeddingReply([])
    usage, cost = total_costs(replies)
    vectors = [vector for reply in replies for vector in reply.vectors]
    total = replace(replies[0], vectors=vectors, id=replies[-1].id, usage=usage, cost=cost)
    if len(lengths := {len(vector) for vector in vectors}) > 1:
        raise ResponseError(
            f"The vectors of two responses differ in length: {min(lengths)} and {max(lengths)}.", model=total.model
        )
    return total


@contextmanager
def keeping_finished(calls: Sequence[EmbeddingCall]) -> Iterator[None]:
    """Add the vectors of the calls before it to the error of a call."""
    try:
        yield
    except APIError as error:
        finished = [*takewhile(lambda call: call.result is not None, calls)]
        if finished:
            error.embeddings = joined(finished)
        raise
