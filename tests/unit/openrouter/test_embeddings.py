"""Vectors are read in the order of the texts, as Python's floats, or not at all."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest

from lfm_adapter import errors
from lfm_adapter._openrouter.embeddings import embedding_reply, embeddings_body, role_of, with_prefix
from lfm_adapter._openrouter.response import PaidBodyReader
from lfm_adapter.types import EmbeddingReply
from tests.support.stream_reading import ASKED

MAX = 10_000


def item(vector: Any, index: Any = 0, **more: Any) -> dict[str, Any]:
    return {"object": "embedding", "index": index, "embedding": vector, **more}


def read(*items: Any, count: int | None = None, status: int = 200, **more: Any) -> EmbeddingReply:
    return read_body({"object": "list", "data": [*items], **more}, count=len(items) if count is None else count)


def read_body(body: Any, *, count: int = 1, status: int = 200) -> EmbeddingReply:
    reader = PaidBodyReader(status, {}, ASKED, content="data", max_bytes=MAX)
    for part in (b"\n \n", json.dumps(body).encode(), b""):
        reader.feed(part)
    return embedding_reply(reader.result, {}, count)


def base64_of(*numbers: float) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


class TestVectors:
    def test_whole_reply_has_all_fields(self):
        usage = {"prompt_tokens": 4, "total_tokens": 4, "cost": 0}
        reply = read(item([0.5, 1.5]), id="gen-emb-1", model="liquid/x-20260818", provider="Liquid", usage=usage)
        assert reply == EmbeddingReply([[0.5, 1.5]], "gen-emb-1", "liquid/x-20260818", "Liquid", usage)

    def test_order_is_that_of_the_indexes(self):
        assert read(item([2.0], 1), item([3.0], 2), item([1.0], 0)).vectors == [[1.0], [2.0], [3.0]]

    def test_order_is_that_of_the_items_where_none_has_an_index(self):
        assert read(item([1.0], None), {"embedding": [2.0]}).vectors == [[1.0], [2.0]]

    @pytest.mark.parametrize("indexes", [(0, 0), (1, 2), (0, None), (0, "1"), (0, True), (-1, 0), (0, 1.0), (0, [1])])
    def test_indexes_that_leave_the_order_open_are_an_error(self, indexes):
        with pytest.raises(errors.ResponseError, match="does not say which vector belongs to which text"):
            read(*(item([1.0], index) for index in indexes))

    def test_integers_become_floats(self):
        (vector,) = read(item([0, 1, -0.5])).vectors
        assert [(type(number), number) for number in vector] == [(float, 0.0), (float, 1.0), (float, -0.5)]

    def test_base64_is_read_as_little_endian_float32(self):
        (vector,) = read(item(base64_of(0.5, -2.0, 1e-3))).vectors
        assert vector == pytest.approx([0.5, -2.0, 1e-3])
        assert read(item("AAAAPwAAAMA=")).vectors == [[0.5, -2.0]]

    def test_large_numbers_whose_sum_is_infinite_are_finite(self):
        assert read(item([1e308, 1e308])).vectors == [[1e308, 1e308]]

    @pytest.mark.parametrize(
        "vector",
        [
            None, [], "", {}, 1.5, [None], ["0.5"], [True], [[0.5]], [0.5, None], [float("nan")], [1.5, float("inf")],
            [float("inf"), -float("inf")], [10**400], "no base64!", "AAAA", "é", base64_of(float("nan")),
        ],
        ids=repr,
    )  # fmt: skip
    def test_vector_that_is_not_of_finite_numbers_is_an_error(self, vector):
        with pytest.raises(errors.ResponseError, match="Vector 1 of the response is not a list of finite numbers"):
            read(item([0.5]), item(vector, 1))

    def test_vectors_of_different_lengths_are_an_error(self):
        with pytest.raises(errors.ResponseError, match="differ in length: 1 and 3"):
            read(item([0.5]), item([0.5, 1.0, 1.5], 1))

    @pytest.mark.parametrize("found", [1, 3])
    def test_another_number_of_vectors_than_of_texts_is_an_error(self, found):
        with pytest.raises(errors.ResponseError, match=f"{found} vectors for 2 texts"):
            read(*[item([0.5])] * found, count=2)

    @pytest.mark.parametrize("data", [None, {}, [], ""])
    def test_response_without_vectors_is_an_error(self, data):
        with pytest.raises(errors.ResponseError, match="The response has no `data`"):
            read_body({"data": data})

    @pytest.mark.parametrize("data", [{"a": 1}, "x", 1, [None], ["x"], [[0.5]]])
    def test_data_of_another_type_is_an_error(self, data):
        with pytest.raises(errors.ResponseError):
            read_body({"data": data})

    def test_usage_of_another_type_is_left_out(self):
        assert read(item([0.5]), usage=[1], id=7, model={}, provider=None) == EmbeddingReply([[0.5]])


class TestFailures:
    @pytest.mark.parametrize(
        "body",
        [
            {"error": {"code": 429, "message": "Slow down"}},
            {"error": {"code": 429, "message": "Slow down"}, "data": []},
            {"object": "error", "code": 429, "message": "Slow down"},
        ],
    )
    def test_error_in_a_success_is_the_error(self, body):
        with pytest.raises(errors.RateLimitError, match="Slow down"):
            read_body(body)

    def test_status_of_a_failure_is_read_as_for_chats(self):
        with pytest.raises(errors.ContextWindowExceededError) as caught:
            read_body({"error": {"code": 500, "message": "input (700 tokens) is too large to process"}}, status=500)
        assert (caught.value.prompt_tokens, caught.value.is_retryable) == (700, False)

    def test_too_large_body_is_an_error(self):
        with pytest.raises(errors.ResponseError, match="max_reply_bytes"):
            read(item([0.123456789] * MAX))

    @pytest.mark.parametrize(
        ("parts", "status", "is_answered"),
        [
            ((), 200, False),
            ((b"\n  \n",), 200, False),
            ((b"\n  \n", b'{"data'), 200, True),
            ((b'{"error', b'"}'), 500, False),
        ],
    )
    def test_answer_has_begun_with_the_first_byte_after_padding(self, parts, status, is_answered):
        reader = PaidBodyReader(status, {}, ASKED, content="data", max_bytes=MAX)
        for part in parts:
            reader.feed(part)
        assert reader.is_answered == is_answered

    @pytest.mark.parametrize(
        ("body", "is_answered"),
        [
            ({"error": {"message": "Slow"}}, False),
            ({"error": {"message": "Slow"}, "usage": {"cost": 0.1}}, True),
            ({"data": [], "usage": {"cost": 0.1}}, True),
            ({"detail": "It broke"}, True),
        ],
    )
    def test_error_is_an_answer_only_if_it_was_charged_or_is_an_odd_one(self, body, is_answered):
        reader = PaidBodyReader(200, {}, ASKED, content="data", max_bytes=MAX)
        reader.feed(json.dumps(body).encode())
        with pytest.raises(errors.APIError):
            reader.feed(b"")
        assert reader.is_answered == is_answered


class TestRequest:
    def test_floats_are_asked_for_whatever_else_is_sent(self):
        body = embeddings_body("liquid/x", ["a"], {"user": "u", "encoding_format": "base64"})
        assert body == {"model": "liquid/x", "input": ["a"], "user": "u", "encoding_format": "float"}

    @pytest.mark.parametrize(("role", "sent"), [("query", "query: a"), ("document", "document: a"), (None, "a")])
    def test_prefix_is_that_of_the_role(self, role, sent):
        assert with_prefix(["a"], role) == [sent]

    @pytest.mark.parametrize(
        ("input_type", "role"),
        [("query", "query"), ("search_query", "query"), ("document", "document"), ("search_document", "document"),
         (None, "document")],
    )  # fmt: skip
    def test_input_type_names_the_role(self, input_type, role):
        assert role_of(input_type, ["a"]) == role

    def test_texts_that_all_have_a_prefix_keep_it_unless_their_type_is_named(self):
        texts = ["query: a", "document: b"]
        assert role_of(None, texts) is None
        assert role_of("document", texts) == "document"
        assert role_of(None, [*texts, "c"]) == "document"

    @pytest.mark.parametrize("input_type", ["passage", "", 1, ["query"], False])
    def test_unknown_input_type_is_refused(self, input_type):
        with pytest.raises(errors.ConfigurationError, match="`input_type` must be one of 'query', "):
            role_of(input_type, ["a"])
