"""Joins the tool calls of a reply from their pieces."""

from __future__ import annotations

from lfm_adapter._json import as_dict, as_str, as_text, dicts, parse
from lfm_adapter._openrouter.surrogates import EscapeJoiner
from lfm_adapter.types import ToolCall


class _ToolCallBuilder:
    """A tool call whose pieces are still arriving."""

    def __init__(self, index: int, call_id: str, wire_id: str | None, wire_index: object) -> None:
        self.index = index
        self.id = call_id
        self.wire_id = wire_id
        self.wire_index = wire_index
        self.name: str | None = None
        self._arguments: list[str] = []
        self._held: str | None = ""  # None once the arguments have begun as an object
        self._escapes = EscapeJoiner()

    def add(self, arguments: str) -> str:
        """Add the next characters of the arguments, and return those that are certain."""
        if self._held is not None:
            arguments = self._held + arguments
            # They may turn out to be null, or an object within a string.
            if arguments.lstrip()[:1] in ("", "n", '"'):
                self._held = arguments
                return ""
            self._held = None
        return self._release(self._escapes.add(arguments))

    def close(self, *, is_cut_off: bool) -> str:
        """End the arguments, and return what is still missing of them."""
        held, self._held = self._held, None
        if held is not None and not is_cut_off:
            held = as_object(held)
        return self._release(self._escapes.add(held or "", is_last=True))

    def _release(self, arguments: str) -> str:
        if arguments:
            self._arguments.append(arguments)
        return arguments

    def joined(self) -> ToolCall:
        """Return the call as far as it arrived."""
        return ToolCall(self.index, self.id, self.name, "".join(self._arguments))


def as_object(arguments: str) -> str:
    r"""Return arguments as an object where they are missing ("", "null") or encoded twice; else unchanged.

    >>> as_object("null"), as_object('"{\\"a\\": 1}"'), as_object('{"a": 1}')
    ('{}', '{"a": 1}', '{"a": 1}')
    """
    text = arguments.strip()
    inner = parse(text) if text.startswith('"') else None
    if isinstance(inner, str):
        text = inner.strip()
    if text in ("", "null"):
        return "{}"
    return text if isinstance(inner, str) and isinstance(parse(text), dict) else arguments


class ToolCallPieces:
    """Joins the pieces of tool calls.

    Providers omit, repeat and misnumber `index` and `id` (https://github.com/agno-agi/agno/issues/8880,
    https://github.com/continuedev/continue/issues/13235). So a piece belongs to the call with its id, else with its
    index, else to the last one; a piece with a name that does not fit that call begins a new one.
    """

    def __init__(self) -> None:
        self._calls: list[_ToolCallBuilder] = []
        self._open_calls: list[_ToolCallBuilder] = []
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
            added.append(ToolCall(call.index, new_id, new_name, call.add(arguments)))
        return added

    def close(self, *, is_cut_off: bool) -> list[ToolCall]:
        """End the calls, and return what is still missing of them: `{}` for a call without arguments."""
        rests = [(call.index, call.close(is_cut_off=is_cut_off)) for call in self._open_calls]
        self._open_calls.clear()
        return [ToolCall(index, None, None, rest) for index, rest in rests if rest]

    def _find(self, wire_id: str | None, index: object, name: str | None) -> _ToolCallBuilder | None:
        call = self._find_place(wire_id, index, name)
        if call is None or not name or call.name in (None, name):
            return call
        # Two calls with one id and one index: https://github.com/continuedev/continue/issues/13235
        same = (call for call in self._calls if (call.name, call.wire_id, call.wire_index) == (name, wire_id, index))
        return next(same, None)

    def _find_place(self, wire_id: str | None, index: object, name: str | None) -> _ToolCallBuilder | None:
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
        return (call.name if call else name, as_object(arguments)) in self._at_finish

    def _open(self, wire_id: str | None, index: object, generation_id: str | None) -> _ToolCallBuilder:
        position = len(self._calls)
        is_new = wire_id is not None and wire_id not in self._by_id
        own_id = wire_id if wire_id and is_new else f"call_{generation_id or 'reply'}_{position}"
        call = _ToolCallBuilder(position, own_id, wire_id, index)
        self._calls.append(call)
        self._open_calls.append(call)
        if wire_id:
            self._by_id[wire_id] = call
        if isinstance(index, int):
            self._by_index[index] = call
        return call

    def joined(self) -> list[ToolCall]:
        """Return the whole calls."""
        return [call.joined() for call in self._calls]
