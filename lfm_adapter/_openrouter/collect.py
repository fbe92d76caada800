"""Gathers what a reply says, event by event or all at once, into one `Reply`.

A streamed and a whole reply pass through the same lines, so they cannot come out different. Every field may be
missing, null or of another type than documented: what cannot be used is left out, never raised about.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lfm_adapter._json import as_dict, as_number, as_str, dicts
from lfm_adapter._openrouter.pieces import DictPieces, ReasoningPieces, ToolCallPieces
from lfm_adapter.types import Choice, Delta, Reply

if TYPE_CHECKING:
    from lfm_adapter.types import JSONDict

__all__ = ["Collector"]

_NAMED = {"id", "model", "provider", "created", "system_fingerprint", "service_tier"}
_APART = {"choices", "usage", "error", "object", "user_id"}
_MESSAGE = {
    "annotations", "audio", "content", "images", "reasoning", "reasoning_content", "reasoning_details", "refusal",
    "role", "tool_calls",
}  # fmt: skip
_PLAIN = {"content", "role"}


class Collector:
    """Takes the chunks of a stream, or the one body of a plain reply."""

    def __init__(self) -> None:
        self.usage: JSONDict | None = None
        self.error: object = None
        """The error that OpenRouter put into the chunk or one of its choices, as sent."""
        self._head: JSONDict = {}
        self._seen = set(_APART)
        self._choices: dict[int, _ChoiceCollector] = {}

    @property
    def has_content(self) -> bool:
        """Whether any answer has begun."""
        return any(choice.has_content for choice in self._choices.values())

    @property
    def finished(self) -> bool:
        """Whether every choice that began has its finish reason."""
        return bool(self._choices) and all(choice.finish_reason for choice in self._choices.values())

    @property
    def generation_id(self) -> str | None:
        """OpenRouter's id of the generation, once it is known."""
        return as_str(self._head.get("id"))

    @property
    def provider(self) -> str | None:
        """The provider that serves, once it is known."""
        return as_str(self._head.get("provider"))

    def add(self, chunk: JSONDict) -> list[Delta]:
        """Take a chunk or a whole body and return what it adds, a delta for each choice that it adds to."""
        head = self._head
        if not chunk.keys() <= self._seen:
            for key, value in chunk.items():
                if value is not None and value != "" and key not in self._seen:
                    self._seen.add(key)
                    head[key] = value
        usage = chunk.get("usage")
        if usage and isinstance(usage, dict):
            self.usage = usage
        self.error = chunk.get("error") or None
        deltas: list[Delta] = []
        for place, choice in enumerate(dicts(chunk.get("choices"))):
            index = choice.get("index")
            if not isinstance(index, int):
                index = place
            collector = self._choices.get(index)
            if collector is None:
                collector = self._choices[index] = _ChoiceCollector(index)
            delta = collector.add(choice, head)
            if collector.finish_reason == "error" or choice.get("error"):
                self.error = self.error or choice.get("error") or {}
            if delta is not None:
                deltas.append(delta)
        return deltas

    def reply(self) -> Reply:
        """Return all that came."""
        head = self._head
        created = as_number(head.get("created"))
        return Reply(
            choices=[self._choices[index].choice() for index in sorted(self._choices)] or [Choice()],
            id=as_str(head.get("id")),
            model=as_str(head.get("model")),
            provider=as_str(head.get("provider")),
            created=None if created is None else int(created),
            system_fingerprint=as_str(head.get("system_fingerprint")),
            service_tier=as_str(head.get("service_tier")),
            usage=self.usage,
            extra={key: value for key, value in head.items() if key not in _NAMED},
        )


class _ChoiceCollector:
    """Gathers one choice."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.finish_reason: str | None = None
        self._native_finish_reason: str | None = None
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._refusal: list[str] = []
        self._details = ReasoningPieces()
        self._calls = ToolCallPieces()
        self._lists: dict[str, list[JSONDict]] = {"annotations": [], "images": [], "parts": []}
        self._audio = DictPieces(("data", "transcript"))
        self._logprobs: dict[str, list[Any]] = {}
        self._extra: JSONDict = {}

    @property
    def has_content(self) -> bool:
        return bool(
            self._text or self._reasoning or self._refusal or self._calls or self._details
            or self._audio.joined() or self._logprobs or any(self._lists.values())
        )  # fmt: skip

    def add(self, choice: JSONDict, head: JSONDict) -> Delta | None:
        message = choice.get("delta")
        whole = not isinstance(message, dict)
        if not isinstance(message, dict):
            message = as_dict(choice.get("message"))
        generation_id = as_str(head.get("id"))
        delta = Delta(index=self.index, generation_id=generation_id)
        content = message.get("content")
        if content:
            self._add_content(content, delta)
        # Most events have text and nothing else, most whole messages nothing but nulls beside it.
        if not message.keys() <= _PLAIN and any(message[key] is not None for key in message.keys() - _PLAIN):
            self._add_rest(message, delta, generation_id, whole=whole)
        logprobs = choice.get("logprobs")
        if logprobs and isinstance(logprobs, dict):
            self._add_logprobs(logprobs, delta)
        if choice.get("finish_reason"):
            self.finish_reason = as_str(choice["finish_reason"]) or self.finish_reason
        if choice.get("native_finish_reason"):
            self._native_finish_reason = as_str(choice["native_finish_reason"]) or self._native_finish_reason
        adds = delta.text or delta.reasoning or delta.tool_calls or delta.refusal or delta.logprobs
        return delta if adds else None

    def _add_content(self, content: object, delta: Delta) -> None:
        if isinstance(content, str):
            delta.text = content
        else:
            for part in content if isinstance(content, list) else ():
                text = part.get("text") if isinstance(part, dict) and part.get("type") == "text" else part
                if isinstance(text, str):
                    delta.text += text
                elif isinstance(part, dict):
                    self._lists["parts"].append(part)
        if delta.text:
            self._text.append(delta.text)

    def _add_rest(self, message: JSONDict, delta: Delta, generation_id: str | None, *, whole: bool) -> None:
        finished = bool(self.finish_reason)
        details = list(dicts(message.get("reasoning_details")))
        self._details.add(details, whole=whole)
        reasoning = as_str(message.get("reasoning")) or as_str(message.get("reasoning_content"))
        reasoning = reasoning or _detail_text(details)
        if reasoning:
            self._reasoning.append(reasoning)
            delta.reasoning = reasoning
        refusal = as_str(message.get("refusal"))
        if refusal:
            self._refusal.append(refusal)
            delta.refusal = refusal
        if message.get("tool_calls"):
            delta.tool_calls = self._calls.add(message["tool_calls"], generation_id, whole=whole, finished=finished)
        for name in ("annotations", "images"):
            items = list(dicts(message.get(name)))
            if items and not (finished and self._lists[name][-len(items) :] == items):
                self._lists[name] += items
        self._audio.add(as_dict(message.get("audio")))
        self._extra.update({k: v for k, v in message.items() if k not in _MESSAGE and v is not None})

    def _add_logprobs(self, logprobs: JSONDict, delta: Delta) -> None:
        added = {key: value for key, value in logprobs.items() if isinstance(value, list) and value}
        for key, value in added.items():
            self._logprobs.setdefault(key, []).extend(value)
        delta.logprobs = added or None

    def choice(self) -> Choice:
        return Choice(
            text="".join(self._text),
            reasoning="".join(self._reasoning),
            reasoning_details=self._details.joined(),
            tool_calls=self._calls.joined(),
            refusal="".join(self._refusal) or None,
            annotations=self._lists["annotations"],
            parts=self._lists["parts"],
            images=self._lists["images"],
            audio=self._audio.joined() or None,
            logprobs=self._logprobs or None,
            finish_reason=self.finish_reason,
            native_finish_reason=self._native_finish_reason,
            extra=self._extra,
        )


def _detail_text(details: list[JSONDict]) -> str:
    return "".join(
        text for detail in details for key in ("text", "summary") if isinstance(text := detail.get(key), str)
    )
