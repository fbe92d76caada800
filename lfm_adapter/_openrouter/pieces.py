"""Joins what a stream sends in pieces beside text and calls: reasoning blocks, audio."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lfm_adapter.types import JSONDict


class DictPieces:
    """Joins a dict that arrives in pieces: strings of the keys in `joined_keys` are joined, other values replaced."""

    def __init__(self, joined_keys: tuple[str, ...]) -> None:
        self._joined_keys = joined_keys
        self.fields: JSONDict = {}
        self._texts: dict[str, list[str]] = {}

    def add(self, piece: JSONDict) -> None:
        """Add the next piece."""
        for key, value in piece.items():
            if key in self._joined_keys and isinstance(value, str):
                self._texts.setdefault(key, []).append(value)
                self.fields.setdefault(key, "")
            elif value is not None or key not in self.fields:
                self.fields[key] = value

    def joined(self) -> JSONDict:
        """Return the whole dict."""
        return {**self.fields, **{key: "".join(texts) for key, texts in self._texts.items()}}


class ReasoningPieces:
    """Joins reasoning blocks, so that they can be sent back as if they had not been streamed.

    Pieces of one block share `type`, `index` and `id`, if given; a signature comes with the last. A block without an
    index is whole. Unknown types are kept.
    https://openrouter.ai/docs/use-cases/reasoning-tokens#preserving-reasoning-blocks
    """

    def __init__(self) -> None:
        self.blocks: list[DictPieces] = []
        self._by_place: dict[tuple[int, str], DictPieces] = {}

    def add(self, pieces: list[JSONDict], *, whole: bool) -> None:
        """Add the `reasoning_details` of one event: `whole` blocks, or pieces of some."""
        for piece in pieces:
            index, kind = piece.get("index"), piece.get("type")
            place = (index, kind) if isinstance(index, int) and isinstance(kind, str) and not whole else None
            block = self._by_place.get(place) if place else None
            known_id, new_id = block and block.fields.get("id"), piece.get("id")
            if block is None or (known_id and new_id and known_id != new_id):
                block = DictPieces(("text", "summary", "data"))
                self.blocks.append(block)
                if place:
                    self._by_place[place] = block
            block.add(piece)
