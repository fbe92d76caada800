"""Responses to `POST /embeddings`: given vectors, or vectors from the words of the texts."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any
from zlib import crc32

from lfm_adapter.testing._reply import REQUESTED_MODEL, ScriptedReply, json_reply
from lfm_adapter.testing._wire import GENERATION_ID, error

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LENGTH = 1024  # as of LFM2.5-Embedding-350M


def embeddings(
    *vectors: Sequence[float] | str,
    prompt_tokens: int = 9,
    cost: float | None = 0,
    headers: Mapping[str, str] | None = None,
    **top_level: Any,
) -> ScriptedReply:
    """Return a response with a vector for each text: `server.add(embeddings([0.6, 0.8]), path="/embeddings")`.

    Args:
        *vectors: The vectors in the order of the texts. A string is sent unchanged, as a vector in base64.
        prompt_tokens: Tokens of the texts.
        cost: US$.
        headers: Headers to add or replace.
        **top_level: Keys to add to the body or to replace in it: `data=[]`, `usage=None`.
    """
    body = {
        "object": "list",
        "data": [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)],
        "model": REQUESTED_MODEL,
        "provider": "Liquid",
        "id": GENERATION_ID,
        "usage": {"prompt_tokens": prompt_tokens, "total_tokens": prompt_tokens, "cost": cost},
    }
    return json_reply(body | top_level, headers=headers)


def word_embeddings(request: Mapping[str, Any]) -> ScriptedReply:
    """Return vectors of length 1: equal for texts with the same words, orthogonal for texts without a common word."""
    given = request.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text for text in texts):
        return error(400, "`input` must be a text or a list of texts")
    words = [re.findall(r"\w+", text.lower()) for text in texts]
    return embeddings(*map(_vector, words), prompt_tokens=sum(map(len, words)))


def _vector(words: Sequence[str]) -> list[float]:
    counts = [0.0] * _LENGTH
    for word in words or [""]:
        counts[crc32(word.encode()) % _LENGTH] += 1.0
    norm = math.hypot(*counts)
    return [count / norm for count in counts]
