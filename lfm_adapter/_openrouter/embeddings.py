"""`POST /embeddings`: the body of a request, and the vectors in a response.

The fields are those of https://openrouter.ai/docs/api-reference/embeddings. LFM2.5-Embedding wants a prefix that tells
queries from documents (https://huggingface.co/LiquidAI/LFM2.5-Embedding-350M); without it nothing fails, but results
are worse. Whether OpenRouter adds one for `input_type` is not documented, so it is added here.
"""

from __future__ import annotations

import math
import struct
from base64 import b64decode
from typing import TYPE_CHECKING, Any

from lfm_adapter._json import as_dict, as_str
from lfm_adapter._masking import shown
from lfm_adapter.errors import ConfigurationError, ResponseError
from lfm_adapter.types import EmbeddingReply

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lfm_adapter.types import EmbeddingRole, JSONDict

_PREFIXES: dict[EmbeddingRole, str] = {"query": "query: ", "document": "document: "}
_ROLES: dict[object, EmbeddingRole] = {
    "query": "query", "search_query": "query", "document": "document", "search_document": "document", None: "document",
}  # fmt: skip


def with_prefix(texts: Sequence[str], role: EmbeddingRole | None) -> list[str]:
    """Return the texts as the model wants them; unchanged without a role."""
    prefix = "" if role is None else _PREFIXES[role]
    return [prefix + text for text in texts]


def role_of(input_type: object, texts: Iterable[object]) -> EmbeddingRole | None:
    """Return the role of texts that come through another API, where `input_type` names it.

    Without one they are documents, or None if all have a prefix already: some programs add it themselves.
    """
    prefixes = tuple(_PREFIXES.values())
    if input_type is None and all(isinstance(text, str) and text.startswith(prefixes) for text in texts):
        return None
    if not isinstance(input_type, str | None) or input_type not in _ROLES:
        known = ", ".join(repr(name) for name in _ROLES if name)
        raise ConfigurationError(f"`input_type` must be one of {known}; got {shown(input_type)}.")
    return _ROLES[input_type]


def embeddings_body(model: str, texts: Sequence[str], fields: Mapping[str, Any]) -> JSONDict:
    """Return the body of a request.

    `encoding_format` is always sent: without it some providers return nothing to clients that want base64
    (https://github.com/mem0ai/mem0/issues/4057).
    """
    return {"model": model, "input": texts, **fields, "encoding_format": "float"}


def embedding_reply(data: JSONDict, headers: Mapping[str, str], count: int) -> EmbeddingReply:
    """Return the reply to a request for `count` vectors."""
    return EmbeddingReply(
        _vectors(data["data"], count),
        id=as_str(data.get("id")) or headers.get("x-generation-id"),
        model=as_str(data.get("model")),
        provider=as_str(data.get("provider")),
        usage=as_dict(data.get("usage")) or None,
    )


def _vectors(data: object, count: int) -> list[list[float]]:
    """Return the vectors of a response in the order of the texts."""
    items = [as_dict(item) for item in data] if isinstance(data, list) else []
    if len(items) != count:
        raise ResponseError(f"The response has {len(items)} vectors for {count} texts.")
    indexes = [item.get("index") for item in items]
    if any(index is not None for index in indexes):
        places = {index: place for place, index in enumerate(indexes) if type(index) is int}
        if places.keys() != set(range(count)):
            raise ResponseError("The response does not say which vector belongs to which text: its `index` is invalid.")
        items = [items[places[index]] for index in range(count)]
    vectors = [_vector(item.get("embedding"), number) for number, item in enumerate(items)]
    lengths = {len(vector) for vector in vectors}
    if len(lengths) != 1:
        raise ResponseError(f"The vectors of the response differ in length: {min(lengths)} and {max(lengths)}.")
    return vectors


def _vector(value: object, number: int) -> list[float]:
    """Return a vector as Python's floats. It comes as numbers, or as little-endian float32 in base64."""
    vector: list[float] = []
    try:
        if isinstance(value, str):
            data = b64decode(value, validate=True)
            vector = [*struct.unpack(f"<{len(data) // 4}f", data)]
        elif isinstance(value, list):
            types = set(map(type, value))
            vector = value if types == {float} else [float(item) for item in value] if types <= {float, int} else []
    except (ValueError, OverflowError, struct.error):
        pass
    # The sum is finite only if all numbers are, and takes a fifth of the time of looking at each.
    if not vector or not (math.isfinite(sum(vector)) or all(map(math.isfinite, vector))):
        raise ResponseError(f"Vector {number} of the response is not a list of finite numbers.")
    return vector
