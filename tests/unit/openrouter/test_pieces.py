"""Pieces of reasoning blocks and of other dicts are joined."""

from __future__ import annotations

from typing import Any

from lfm_adapter._openrouter.pieces import DictPieces, ReasoningPieces


def text(words: str | None, index: Any = 0, **more: Any) -> dict[str, Any]:
    return {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": index, "text": words, **more}


def blocks(*events: list[dict[str, Any]], whole: bool = False) -> list[dict[str, Any]]:
    pieces = ReasoningPieces()
    for event in events:
        pieces.add(event, whole=whole)
    assert bool(pieces.blocks) == any(events)
    return [block.joined() for block in pieces.blocks]


class TestReasoningBlocks:
    def test_reasoning_blocks_are_joined_by_type_and_index(self):
        summary = {"type": "reasoning.summary", "index": 0}
        assert blocks(
            [text("Hm")], [text(", well", 0), summary | {"summary": "A"}], [summary | {"summary": "B"}], [text("Oh", 1)]
        ) == [text("Hm, well"), summary | {"summary": "AB"}, text("Oh", 1)]

    def test_reasoning_block_takes_signature_of_later_piece(self):
        signed = {"type": "reasoning.text", "index": 0, "signature": "c2ln"}
        assert blocks([text("Hm")], [signed]) == [text("Hm", signature="c2ln")]

    def test_reasoning_block_keeps_value_over_later_null(self):
        assert blocks([text("Hm", id="r1", signature="c2ln")], [text(None, id=None, signature=None)]) == [
            text("Hm", id="r1", signature="c2ln")
        ]

    def test_reasoning_block_keeps_null_without_other_value(self):
        assert blocks([text("Hm", id=None)], [text("!", id=None)]) == [text("Hm!", id=None)]
        assert blocks([text(None)]) == [text(None)]

    def test_reasoning_blocks_of_different_ids_are_separate(self):
        first, second = ({"type": "reasoning.encrypted", "index": 0, "id": f"rs_{n}", "data": "eA=="} for n in (1, 2))
        assert blocks([first], [second]) == [first, second]

    def test_reasoning_blocks_without_index_are_whole(self):
        assert blocks([text("Hm", None)], [text("Oh", None)]) == [text("Hm", None), text("Oh", None)]

    def test_reasoning_blocks_of_unknown_type_are_kept(self):
        unknown = {"type": "reasoning.novel", "index": 0, "payload": {"a": [1]}, "format": None}
        assert blocks([unknown], [{"what": "is this"}]) == [unknown, {"what": "is this"}]

    def test_reasoning_blocks_of_whole_reply_are_unchanged(self):
        sent = [text("Hm"), text("Oh"), {"type": "reasoning.encrypted", "index": 0, "data": "eA==", "id": None}]
        assert blocks(sent, whole=True) == sent


def test_dict_pieces_join_named_texts_and_keep_last_of_others():
    pieces = DictPieces(("data", "transcript"))
    for part in ({"id": "a1", "data": "UklG"}, {"data": "Rg==", "transcript": "Hi"}, {"expires_at": 1}, {"id": None}):
        pieces.add(part)
    assert pieces.joined() == {
        "id": "a1",
        "data": "UklGRg==",
        "transcript": "Hi",
        "expires_at": 1,
    }
    assert pieces.fields["id"] == "a1"
