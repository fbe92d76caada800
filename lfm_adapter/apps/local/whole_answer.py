"""Joins the events of a stream into the answer that llama.cpp would have sent as a whole."""

from __future__ import annotations

from typing import Any


class WholeAnswer:
    """An answer of `/chat/completions` or `/completions`, from the events of its stream."""

    def __init__(self) -> None:
        self._fields: dict[str, Any] = {}
        self._choices: dict[int, dict[str, Any]] = {}

    def add(self, event: dict[str, Any]) -> None:
        """Take the next event."""
        self._fields |= {name: value for name, value in event.items() if name != "choices"}
        for part in event.get("choices") or ():
            choice = self._choices.setdefault(part["index"], {"index": part["index"]})
            for name, value in part.items():
                if name == "delta":
                    _add_delta(choice.setdefault("message", {"role": "assistant", "content": ""}), value)
                elif name == "text":
                    choice["text"] = choice.get("text", "") + value
                elif name == "logprobs" and value:
                    entries = choice.setdefault("logprobs", {"content": []})["content"]
                    entries += value.get("content") or ()
                elif name != "index":
                    choice[name] = value

    def body(self) -> dict[str, Any]:
        """Return the whole answer."""
        kind = str(self._fields.get("object", "")).removesuffix(".chunk")
        choices = [self._choices[index] for index in sorted(self._choices)]
        return {**self._fields, "object": kind, "choices": choices}


def _add_delta(message: dict[str, Any], delta: dict[str, Any]) -> None:
    for name, value in delta.items():
        if name == "tool_calls":
            calls = message.setdefault("tool_calls", [])
            for piece in value:
                _add_call(calls, piece)
        elif name != "role" and isinstance(value, str):
            message[name] = message.get(name, "") + value


def _add_call(calls: list[dict[str, Any]], piece: dict[str, Any]) -> None:
    index = piece.get("index", 0)
    while len(calls) <= index:
        calls.append({"type": "function", "function": {"name": "", "arguments": ""}})
    call, function = calls[index], piece.get("function") or {}
    for name in ("name", "arguments"):
        call["function"][name] += function.get(name) or ""
    if piece.get("id"):
        call["id"] = piece["id"]
