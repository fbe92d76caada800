"""`estimate_tokens` never exceeds the true count: held against a real tokenizer and against recorded usage."""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lfm_adapter.catalog import estimate_tokens
from tests.support import corpus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Count = Callable[[str], int]

ANYTHING = st.text(st.characters(exclude_categories=["Cs"]))
WORDS = st.lists(st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=4), max_size=40).flatmap(
    lambda words: st.sampled_from([" ", "  ", "\n", " \n", "\r\n", "\t ", " \u00a0"]).map(lambda gap: gap.join(words))
)
EDGES = st.text(
    st.sampled_from("aZ1é字/.!'_-<|> \u3164\u00b2\u0661\uff21\n\r\t\u00a0\u2003\u200b\ufeff\x00\x1c\x85\u0301")
)
LONG = st.builds(
    lambda piece, times: (piece * times)[:2_000], st.text(min_size=1, max_size=6), st.integers(1, 1_000)
).filter(lambda text: text.isprintable())
# Replies whose `usage` is wrong for all to see: 2 tokens for a question of four words to a base model.
MISCOUNTED = {"activeagent/quantization#0"}


@pytest.fixture(scope="module")
def smollm2_count(local_model: str) -> Iterator[Count]:
    """Count tokens with the tokenizer of SmolLM2, by llama.cpp's server in this process."""
    connection = http.client.HTTPConnection(urlsplit(local_model).netloc, timeout=30)

    def count(text: str) -> int:
        connection.request("POST", "/tokenize", json.dumps({"content": text}), {"Content-Type": "application/json"})
        return len(json.loads(connection.getresponse().read())["tokens"])

    assert count("What is the capital of France?") == 7
    yield count
    connection.close()


def user(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


@pytest.mark.local_model
@pytest.mark.parametrize("texts", [ANYTHING, WORDS, EDGES, LONG], ids=["anything", "words", "edges", "long"])
def test_a_real_tokenizer_never_counts_less(texts, smollm2_count):
    @settings(max_examples=300, deadline=None)
    @given(texts)
    @example("one two three\nfour")
    @example(" \u00a0 \u00a0")
    @example("a" * 5_000)
    def check(text: str) -> None:
        assert estimate_tokens(user(text)) <= smollm2_count(text)

    check()


@given(ANYTHING, ANYTHING)
def test_more_text_never_means_fewer_tokens(text, more):
    assert estimate_tokens(user(text)) <= estimate_tokens(user(text + more))
    assert estimate_tokens(user(text)) <= estimate_tokens([*user(text), *user(more)])


@given(st.text(), st.data())
def test_parts_never_count_more_than_their_text_in_one(text, data):
    cut = data.draw(st.integers(0, len(text)))
    parts = [{"type": "text", "text": text[:cut]}, {"type": "text", "text": text[cut:]}]
    assert estimate_tokens([{"role": "user", "content": parts}]) == estimate_tokens(user(text))


@pytest.mark.skipif(corpus.FOLDER is None, reason=corpus.WHY_NOT)
def test_no_recorded_reply_counts_less():
    checked = 0
    for recording in corpus.load():
        if recording.status != 200 or "messages" not in (recording.request or {}) or recording.id in MISCOUNTED:
            continue
        usage = corpus.expected(recording).usage
        if usage:
            checked += 1
            assert estimate_tokens(recording.request["messages"]) <= usage["prompt_tokens"], recording.id
    assert checked > 0
