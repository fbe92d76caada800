"""Halves of characters in what models write and clients send."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from lfm_adapter.apps.mcp.surrogates import join_halves, repair_json

HALVES = st.text(st.sampled_from(["\ud83d", "\ude00", "a", "\\", '"', "u", "é"]))


@given(text=HALVES)
def test_joined_text_can_always_be_sent(text: str):
    joined = join_halves({text: [text]})
    assert json.loads(json.dumps(joined, ensure_ascii=False).encode()) == joined


@given(text=HALVES)
def test_repaired_json_means_the_same_with_the_halves_replaced(text: str):
    assert json.loads(repair_json(json.dumps(text).encode())) == join_halves(text)


@given(text=st.text())
def test_repair_leaves_other_json_alone(text: str):
    assert repair_json(json.dumps(text).encode()) == json.dumps(text).encode()


def test_repair_drops_a_byte_order_mark():
    assert repair_json(b'\xef\xbb\xbf{"a": 1}') == b'{"a": 1}'
