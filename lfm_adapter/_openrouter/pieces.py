"""Joins what a stream cuts up: blocks of reasoning, and tool calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfm_adapter._json import as_dict, as_str, as_text, dicts
from lfm_adapter.types import ToolCall

if TYPE_CHECKING:
    from lfm_adapter.types import JSONDict

__all__ = ["DictPieces", "ReasoningPieces", "ToolCallPieces"]


class DictPieces:
    """A dict that arrives in pieces: of the keys in `joined_keys` the strings are joined, of others the last stands."""

    def __init__(self, joined_keys: tuple[str, ...]) -> None:
        self._joined_keys = joined_keys
        self._fields: JSONDict = {}
        self._texts: dict[str, list[str]] = {}

    def get(self, key: str) -> object:
        """Return the last value of a key that is not joined."""
        return self._fields.get(key)

    def add(self, piece: JSONDict) -> None:
        """Take the next piece."""
        for key, value in piece.items():
            if key in self._joined_keys and isinstance(value, str):
                self._texts.setdefault(key, []).append(value)
                self._fields.setdefault(key, "")
            elif value is not None or key not in self._fields:
                self._fields[key] = value

    def joined(self) -> JSONDict:
        """Return the dict as if it had come in one piece."""
        return {**self._fields, **{key: "".join(texts) for key, texts in self._texts.items()}}


class ReasoningPieces:
    """Joins reasoning blocks, so that they can be sent back as if they had never been streamed.

    Pieces of one block share `type` and `index`, and do not differ in `id`; a signature comes with the last. A block
    without an index is a whole one. Unknown types survive whole.
    https://openrouter.ai/docs/use-cases/reasoning-tokens#preserving-reasoning-blocks
    """

    def __init__(self) -> None:
        self._blocks: list[DictPieces] = []
        self._by_place: dict[tuple[int, str], DictPieces] = {}

    def __bool__(self) -> bool:
        return bool(self._blocks)

    def add(self, pieces: list[JSONDict], *, whole: bool) -> None:
        """Take the blocks of one event.

        Args:
            pieces: `reasoning_details` as sent.
            whole: They are whole blocks, not pieces: each is one of its own.
        """
        for piece in pieces:
            index, kind = piece.get("index"), piece.get("type")
            place = (index, kind) if isinstance(index, int) and isinstance(kind, str) and not whole else None
            block = self._by_place.get(place) if place else None
            if block is None or _differ(block.get("id"), piece.get("id")):
                block = DictPieces(("text", "summary", "data"))
                self._blocks.append(block)
                if place:
                    self._by_place[place] = block
            block.add(piece)

    def joined(self) -> list[JSONDict]:
        """Return the blocks, each in one piece."""
        return [block.joined() for block in self._blocks]


def _differ(one: object, other: object) -> bool:
    return bool(one and other) and one != other


class _Call:
    """A tool call that may still grow."""

    def __init__(self, place: int, own_id: str, wire_id: str | None, wire_index: object) -> None:
        self.place = place
        self.id = own_id
        self.wire_id = wire_id
        self.wire_index = wire_index
        self.name: str | None = None
        self.arguments: list[str] = []

    def joined(self) -> ToolCall:
        return ToolCall(self.place, self.id, self.name, "".join(self.arguments))


class ToolCallPieces:
    """Joins the pieces of tool calls.

    Providers leave out, repeat and misnumber `index` and `id` (https://github.com/agno-agi/agno/issues/8880,
    https://github.com/continuedev/continue/issues/13235), so a piece belongs to the call of its id, else to that of
    its index, else to the one last opened; what comes with a name that cannot be that call's opens a new one.
    """

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._by_index: dict[int, _Call] = {}
        self._by_id: dict[str, _Call] = {}
        self._at_finish: set[tuple[str | None, str]] | None = None

    def __bool__(self) -> bool:
        return bool(self._calls)

    def add(self, pieces: object, generation_id: str | None, *, whole: bool, finished: bool) -> list[ToolCall]:
        """Take the calls of one event and return what they add.

        Args:
            pieces: `tool_calls` as sent.
            generation_id: Used to make up ids that stay unique over a conversation.
            whole: They are whole calls, not pieces: each is one of its own.
            finished: The choice already had its finish reason.
        """
        added: list[ToolCall] = []
        for piece in dicts(pieces):
            function = as_dict(piece.get("function"))
            arguments = as_text(function.get("arguments"))
            name = as_str(function.get("name"))
            wire_id, index = as_str(piece.get("id")), piece.get("index")
            call = None if whole else self._find(wire_id, index, name)
            if finished and self._is_repeated(call, name, arguments):
                continue
            new_id = None
            if call is None:
                call = self._open(wire_id, index, generation_id)
                new_id = call.id
            new_name = name if call.name is None else None
            call.name = call.name or name
            call.arguments.append(arguments)
            added.append(ToolCall(call.place, new_id, new_name, arguments))
        return added

    def _find(self, wire_id: str | None, index: object, name: str | None) -> _Call | None:
        at_index = self._by_index.get(index) if isinstance(index, int) else None
        of_id = self._by_id.get(wire_id) if wire_id else None
        if of_id is None:
            if at_index is None:
                return None if name or not self._calls else self._calls[-1]
            id_came_late = wire_id is None or at_index.wire_id is None
            return at_index if not name or (id_came_late and at_index.name in (None, name)) else None
        if at_index is not None and at_index.wire_id == wire_id:
            return at_index
        moved = index is not None and index != of_id.wire_index
        renamed = name != of_id.name and index is None
        return None if name and of_id.name and (moved or renamed) else of_id

    def _is_repeated(self, call: _Call | None, name: str | None, arguments: str) -> bool:
        # OpenRouter repeats the finish chunk since June 2026, at times with its calls: the same call, not a second.
        # https://github.com/QwenLM/qwen-code/issues/2402
        if self._at_finish is None:
            self._at_finish = {(known.name, known.arguments) for known in self.joined()}
        if call is not None and not arguments:
            return True
        return (call.name if call else name, arguments) in self._at_finish

    def _open(self, wire_id: str | None, index: object, generation_id: str | None) -> _Call:
        place = len(self._calls)
        taken = wire_id is None or wire_id in self._by_id
        own_id = f"call_{generation_id or 'reply'}_{place}" if wire_id is None or taken else wire_id
        call = _Call(place, own_id, wire_id, index)
        self._calls.append(call)
        if wire_id:
            self._by_id[wire_id] = call
        if isinstance(index, int):
            self._by_index[index] = call
        return call

    def joined(self) -> list[ToolCall]:
        """Return the calls, each in one piece."""
        return [call.joined() for call in self._calls]
