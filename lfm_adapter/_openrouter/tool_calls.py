"""Joins the tool calls of a reply from their pieces."""

from __future__ import annotations

from dataclasses import dataclass, field

from lfm_adapter._json import as_dict, as_str, as_text, dicts
from lfm_adapter.types import ToolCall

__all__ = ["ToolCallPieces"]


@dataclass(slots=True)
class _ToolCallBuilder:
    """A tool call whose pieces are still arriving."""

    index: int
    id: str
    wire_id: str | None
    wire_index: object
    name: str | None = None
    arguments: list[str] = field(default_factory=list)

    def joined(self) -> ToolCall:
        return ToolCall(self.index, self.id, self.name, "".join(self.arguments))


class ToolCallPieces:
    """Joins the pieces of tool calls.

    Providers omit, repeat and misnumber `index` and `id` (https://github.com/agno-agi/agno/issues/8880,
    https://github.com/continuedev/continue/issues/13235). So a piece belongs to the call with its id, else with its
    index, else to the last one; a piece with a name that does not fit that call begins a new one.
    """

    def __init__(self) -> None:
        self._calls: list[_ToolCallBuilder] = []
        self._by_index: dict[int, _ToolCallBuilder] = {}
        self._by_id: dict[str, _ToolCallBuilder] = {}
        self._at_finish: set[tuple[str | None, str]] | None = None

    def add(self, pieces: object, generation_id: str | None, *, whole: bool, finished: bool) -> list[ToolCall]:
        """Add the `tool_calls` of one event, `whole` or in pieces, and return what they add.

        Generated ids contain the `generation_id`, to be unique in a conversation.
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
            added.append(ToolCall(call.index, new_id, new_name, arguments))
        return added

    def _find(self, wire_id: str | None, index: object, name: str | None) -> _ToolCallBuilder | None:
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

    def _is_repeated(self, call: _ToolCallBuilder | None, name: str | None, arguments: str) -> bool:
        # Since June 2026, OpenRouter repeats the finish chunk, sometimes with its calls, which are not new ones.
        # https://github.com/QwenLM/qwen-code/issues/2402
        if self._at_finish is None:
            self._at_finish = {(known.name, known.arguments) for known in self.joined()}
        if call is not None and not arguments:
            return True
        return (call.name if call else name, arguments) in self._at_finish

    def _open(self, wire_id: str | None, index: object, generation_id: str | None) -> _ToolCallBuilder:
        position = len(self._calls)
        is_new = wire_id is not None and wire_id not in self._by_id
        own_id = wire_id if wire_id and is_new else f"call_{generation_id or 'reply'}_{position}"
        call = _ToolCallBuilder(position, own_id, wire_id, index)
        self._calls.append(call)
        if wire_id:
            self._by_id[wire_id] = call
        if isinstance(index, int):
            self._by_index[index] = call
        return call

    def joined(self) -> list[ToolCall]:
        """Return the whole calls."""
        return [call.joined() for call in self._calls]
