"""Collects a reply, event by event or all at once.

Streamed and whole replies take the same code, so that they cannot differ. Any field may be missing, null or of another
type than documented: it is then left out, and nothing is raised.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lfm_adapter._json import as_dict, as_number, as_str, dicts
from lfm_adapter._openrouter.error_text import error_elsewhere
from lfm_adapter._openrouter.pieces import DictPieces, ReasoningPieces
from lfm_adapter._openrouter.thinking import ThinkingSplitter, split_thinking
from lfm_adapter._openrouter.tool_calls import ToolCallPieces
from lfm_adapter.types import Choice, Delta, Reply

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lfm_adapter.types import JSONDict

_FIELDS = {"id", "model", "provider", "created", "system_fingerprint", "service_tier"}
_NOT_EXTRA = {"choices", "usage", "error", "object", "user_id"}
_MESSAGE_FIELDS = {
    "annotations", "audio", "content", "images", "reasoning", "reasoning_content", "reasoning_details", "refusal",
    "role", "tool_calls",
}  # fmt: skip
_PLAIN = {"content", "role"}
_TEXT_TYPES = {"text", "output_text", None}  # None for a missing or invalid type
_TAG_START = re.compile(r"</?(?:t|\Z)", re.IGNORECASE)  # of `<think>` or `</think>`, which the next event may continue
_CUT_OFF = {"length", "max_tokens", "MAX_TOKENS", "max_output_tokens", "content_filter", "error"}


class Collector:
    """Collects the chunks of a stream, or the body of a plain reply.

    With `is_single`, one choice is expected: it is choice 0, whatever index the server gives it.

    Attributes:
        usage: The last usage object.
        error: The error of the last chunk or of one of its choices, as sent.
    """

    def __init__(self, *, is_single: bool = True) -> None:
        self.usage: JSONDict | None = None
        self.error: object = None
        self._head: JSONDict = {}
        self._seen = set(_NOT_EXTRA)
        self._is_single = is_single
        self._choices: dict[int, _ChoiceCollector] = {}

    @property
    def has_content(self) -> bool:
        """Whether any answer has begun."""
        return any(choice.has_content for choice in self._choices.values())

    @property
    def finished(self) -> bool:
        """Whether every choice that has begun has its finish reason."""
        return bool(self._choices) and all(c.choice.finish_reason for c in self._choices.values())

    @property
    def generation_id(self) -> str | None:
        """OpenRouter's id of the generation, once known."""
        return as_str(self._head.get("id"))

    @property
    def provider(self) -> str | None:
        """The provider that serves, once known."""
        return as_str(self._head.get("provider"))

    def add(self, chunk: JSONDict) -> list[Delta]:
        """Add a chunk or a whole body, and return a delta for each choice that it adds to."""
        head = self._head
        if not chunk.keys() <= self._seen:
            for key, value in chunk.items():
                if value is not None and value != "" and key not in self._seen:
                    self._seen.add(key)
                    head[key] = value
        usage = chunk.get("usage")
        if usage and isinstance(usage, dict):
            self.usage = usage
        choices = chunk.get("choices")
        error = chunk.get("error") or (None if choices else error_elsewhere(chunk))
        self.error = chunk if error is True else error
        deltas: list[Delta] = []
        for position, choice in enumerate(dicts(choices)):
            index = choice.get("index")
            if not isinstance(index, int):
                index = position
            collector = self._choices.get(index)
            if collector is None:
                place = len(self._choices) if self._is_single else index
                collector = self._choices[index] = _ChoiceCollector(place)
            delta = collector.add(choice, as_str(head.get("id")))
            if collector.choice.finish_reason == "error" or choice.get("error"):
                self.error = self.error or choice.get("error") or {}
            if delta is not None:
                deltas.append(delta)
        return deltas

    def add_text(self, index: int, text: str) -> Iterator[Delta]:
        """Add text to a choice that has begun: as a chunk that adds nothing else, and repeats the other facts."""
        delta = self._choices[index].add({"delta": {"content": text}}, as_str(self._head.get("id")))
        if delta is not None:
            yield delta

    def partial(self) -> Reply | None:
        """Return the reply as far as it arrived; None if it has no content yet."""
        return self.reply() if self.has_content else None

    def reply(self) -> Reply:
        """Return the reply as far as it arrived."""
        head = self._head
        created = as_number(head.get("created"))
        return Reply(
            choices=[self._choices[index].joined() for index in sorted(self._choices)] or [Choice()],
            id=as_str(head.get("id")),
            model=as_str(head.get("model")),
            provider=as_str(head.get("provider")),
            created=None if created is None else int(created),
            system_fingerprint=as_str(head.get("system_fingerprint")),
            service_tier=as_str(head.get("service_tier")),
            usage=self.usage,
            extra={key: value for key, value in head.items() if key not in _FIELDS},
        )


class _ChoiceCollector:
    """Collects one choice."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.choice = Choice()
        self._thinking: ThinkingSplitter | None = None  # of a stream
        self._is_splitting = False  # whatever comes next
        self._split_pieces = 0  # how much of `_text` the splitter knows
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._refusal: list[str] = []
        self._details: ReasoningPieces | None = None
        self._calls: ToolCallPieces | None = None
        self._audio: DictPieces | None = None

    @property
    def _held(self) -> tuple[str, str]:
        return ("", "") if self._thinking is None else self._thinking.held

    @property
    def has_content(self) -> bool:
        choice = self.choice
        return bool(
            self._text or self._reasoning or self._refusal or self._calls or self._details
            or self._audio or choice.logprobs or choice.annotations or choice.images or choice.parts
            or any(part.strip() for part in self._held)
        )  # fmt: skip

    def add(self, data: JSONDict, generation_id: str | None) -> Delta | None:
        message = data.get("delta")
        whole = not isinstance(message, dict)
        if not isinstance(message, dict):
            message = as_dict(data.get("message"))
        delta = Delta(index=self.index, generation_id=generation_id)
        content = message.get("content")
        if content:
            self._add_content(content, delta)
            if delta.text and self._may_think(delta.text):
                self._split_thinking(delta, message, whole=whole)
            if delta.text:
                self._text.append(delta.text)
        # Most events have only text; most whole messages have only nulls beside it.
        if not message.keys() <= _PLAIN and any(message[key] is not None for key in message.keys() - _PLAIN):
            self._add_rest(message, delta, generation_id, whole=whole)
        logprobs = data.get("logprobs")
        if logprobs and isinstance(logprobs, dict):
            self._add_logprobs(logprobs, delta)
        if data.get("native_finish_reason"):
            native = as_str(data["native_finish_reason"])
            self.choice.native_finish_reason = native or self.choice.native_finish_reason
        if data.get("finish_reason"):
            self.choice.finish_reason = as_str(data["finish_reason"]) or self.choice.finish_reason
            self._close(delta)
        elif whole and message:
            self._close(delta)
        adds = (
            delta.text
            or delta.reasoning
            or delta.tool_calls
            or delta.refusal
            or delta.logprobs
            or delta.reasoning_details
        )
        return delta if adds else None

    def _add_content(self, content: object, delta: Delta) -> None:
        if isinstance(content, str):
            delta.text = content
        else:
            for part in content if isinstance(content, list) else [content]:
                kind = as_str(part.get("type")) if isinstance(part, dict) else None
                text = part
                if isinstance(part, dict) and (kind in _TEXT_TYPES or kind == "refusal"):
                    text = part.get("refusal" if kind == "refusal" else "text")
                if isinstance(text, str) and kind == "refusal":
                    delta.refusal += text
                    self._refusal.append(text)
                elif isinstance(text, str):
                    delta.text += text
                elif isinstance(part, dict) and kind:
                    self.choice.parts.append(part)

    def _may_think(self, text: str) -> bool:
        """Return whether a tag, or the white space before one, may begin in the next text."""
        return (
            self._is_splitting
            or ("<" in text and _TAG_START.search(text) is not None)
            or (not self._text and text.isspace())
        )

    def _split_thinking(self, delta: Delta, message: JSONDict, *, whole: bool) -> None:
        """Take reasoning out of the text."""
        if whole:
            delta.reasoning, delta.text = split_thinking(delta.text, is_separate=bool(_native_reasoning(message)))
        else:
            splitter = self._thinking = self._thinking or ThinkingSplitter()
            splitter.skip("".join(self._text[self._split_pieces :]))
            delta.reasoning, delta.text = splitter.add(delta.text)
            delta.reasoning_end = 0 if self._reasoning else splitter.reasoning_end
            self._split_pieces = len(self._text) + bool(delta.text)
            self._is_splitting = not splitter.is_idle
        if delta.reasoning:
            self._reasoning.append(delta.reasoning)

    def _close(self, delta: Delta) -> None:
        """Add what was held back until the choice has its finish reason."""
        reasoning, text = self._held
        self._thinking = None
        if reasoning or text:
            delta.reasoning += reasoning
            delta.text += text
            self._reasoning.append(reasoning)
            self._text.append(text)
        if self._calls:
            is_cut_off = not _CUT_OFF.isdisjoint((self.choice.finish_reason, self.choice.native_finish_reason))
            delta.tool_calls = [*delta.tool_calls, *self._calls.close(is_cut_off=is_cut_off)]

    def _add_rest(self, message: JSONDict, delta: Delta, generation_id: str | None, *, whole: bool) -> None:
        finished = bool(self.choice.finish_reason)
        details = list(dicts(message.get("reasoning_details")))
        if details:
            self._details = self._details or ReasoningPieces()
            self._details.add(details, whole=whole)
            delta.reasoning_details = details
        reasoning = _native_reasoning(message)
        if reasoning:
            delta.reasoning += reasoning
            self._reasoning.append(reasoning)
        refusal = as_str(message.get("refusal"))
        if refusal:
            delta.refusal += refusal
            self._refusal.append(refusal)
        if message.get("tool_calls"):
            self._calls = self._calls or ToolCallPieces()
            delta.tool_calls = self._calls.add(message["tool_calls"], generation_id, whole=whole, finished=finished)
        for name, known in (("annotations", self.choice.annotations), ("images", self.choice.images)):
            items = list(dicts(message.get(name)))
            if items and not (finished and known[-len(items) :] == items):
                known.extend(items)
        if audio := as_dict(message.get("audio")):
            self._audio = self._audio or DictPieces(("data", "transcript"))
            self._audio.add(audio)
        extra = {key: value for key, value in message.items() if key not in _MESSAGE_FIELDS and value is not None}
        self.choice.extra.update(extra)

    def _add_logprobs(self, logprobs: JSONDict, delta: Delta) -> None:
        added = {name: tokens for name, tokens in logprobs.items() if isinstance(tokens, list) and tokens}
        if added:
            delta.logprobs = added
            known = self.choice.logprobs = self.choice.logprobs or {}
            for name, tokens in added.items():
                known.setdefault(name, []).extend(tokens)

    def joined(self) -> Choice:
        """Return the choice as far as it arrived."""
        choice = self.choice
        reasoning, text = self._held
        choice.text = "".join(self._text) + text
        choice.reasoning = "".join(self._reasoning) + reasoning
        choice.reasoning_details = [block.joined() for block in self._details.blocks] if self._details else []
        choice.tool_calls = self._calls.joined() if self._calls else []
        choice.refusal = "".join(self._refusal) or None
        choice.audio = self._audio.joined() if self._audio else None
        return choice


def _native_reasoning(message: JSONDict) -> str:
    """Return the reasoning that the server sent apart from the answer."""
    details = dicts(message.get("reasoning_details"))
    return (
        as_str(message.get("reasoning"))
        or as_str(message.get("reasoning_content"))
        or "".join(text for detail in details for key in ("text", "summary") if (text := as_str(detail.get(key))))
    )
