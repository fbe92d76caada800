"""Random replies for hypothesis: each can be sent as one body, or as the events of a stream cut up at random."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ENDINGS", "Said", "replies"]

ENDINGS = ("A", "B", "C", "usage_in_finish")
"""Where `usage` has stood over time; see `openrouter_replies.stream`."""

Object = dict[str, Any]

# Letters of every length in UTF-8, what JSON escapes, and line separators that end no line of an event stream.
TEXT = st.text('aé字😀 \n\r\t"\\{[:\u2028\u2029\u0085\x00\x1e', max_size=12)
WORDS = TEXT.filter(bool)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda values: st.lists(values, max_size=3) | st.dictionaries(TEXT, values, max_size=3),
    max_leaves=5,
)


@dataclass
class Said:
    """One reply, as it comes whole and as it comes in events.

    Attributes:
        body: The whole reply.
        chunks: The same as the objects of a stream, without its end.
        ends: The objects of its end, for each of `ENDINGS`.
    """

    body: Object
    chunks: list[Object] = field(default_factory=list)
    ends: dict[str, list[Object]] = field(default_factory=dict, repr=False)

    def plain(self, padding: bytes = b"") -> bytes:
        """The reply as one body."""
        return padding + _json(self.body)

    def events(self, ending: str) -> list[bytes]:
        """The reply as a stream, its events apart."""
        data = [_json(chunk) for chunk in (*self.chunks, *self.ends[ending])]
        return [b"data: " + line + b"\n\n" for line in (*data, b"[DONE]")]


@st.composite
def replies(draw: st.DrawFn) -> Said:
    """A reply with any of text, reasoning, tool calls, refusal, citations and log probabilities, in 1 or 2 choices."""
    head: Object = {"id": "gen-1790000000-Abcdefghijklmnopqrst", "created": 1790000000, "model": draw(WORDS)}
    head |= draw(
        _some(
            {
                "provider": WORDS,
                "system_fingerprint": WORDS,
                "service_tier": WORDS,
                "citations": st.lists(WORDS, min_size=1),
            }
        )
    )
    usage = {"prompt_tokens": 3, "completion_tokens": draw(st.integers(0, 99)), "cost": draw(st.floats(0, 1))}
    choices, lines, finishes = [], [], []
    for index in range(draw(st.sampled_from([1, 1, 1, 2]))):
        message, deltas, logprobs = draw(_messages())
        finish = draw(st.sampled_from(["stop", "length", "tool_calls", "content_filter", "a_new_word"]))
        finished = {"index": index, "finish_reason": finish, "native_finish_reason": draw(TEXT)}
        choices.append({**finished, "message": message, "logprobs": logprobs})
        unfinished = {"index": index, "finish_reason": None, "native_finish_reason": None}
        lines.append([{**unfinished, **part} for part in deltas])
        finishes.append({**finished, "delta": {"content": "", "role": "assistant"}})

    def chunk(*choices: Object, **more: Any) -> Object:
        return {**head, "object": "chat.completion.chunk", "choices": list(choices), **more}

    finish_chunks = [chunk(finish) for finish in finishes]
    nothing = {"index": 0, "delta": {"content": ""}, "finish_reason": None}
    return Said(
        body={**head, "object": "chat.completion", "choices": choices, "usage": usage},
        chunks=[chunk(choice) for choice in draw(_interleaved(lines))],
        ends={
            "A": [*finish_chunks, chunk(nothing, usage=usage)],
            "B": [*finish_chunks, chunk(usage=usage)],
            "C": [*finish_chunks, chunk(finishes[0], usage=usage)],
            "usage_in_finish": [*finish_chunks[:-1], finish_chunks[-1] | {"usage": usage}],
        },
    )


@st.composite
def _messages(draw: st.DrawFn) -> tuple[Object, list[Object], Object | None]:
    """A message, the same in deltas, and its log probabilities."""
    message: Object = {"role": "assistant", "content": None}
    deltas: list[Object] = []

    def say(logprobs: Object | None = None, **delta: Any) -> None:
        deltas.append({"delta": {"role": "assistant", "content": "", **delta}, "logprobs": logprobs})

    _reason(draw, message, say)
    logprobs = None
    if draw(st.booleans()):
        pieces = draw(_pieces(draw(TEXT)))
        message["content"] = "".join(pieces)
        tokens = [[{"token": letter, "logprob": -0.5} for letter in piece] for piece in pieces]
        told = draw(st.booleans())
        logprobs = {"content": [one for many in tokens for one in many], "refusal": None} if told else None
        for piece, many in zip(pieces, tokens, strict=True):
            say(content=piece, logprobs={"content": many, "refusal": None} if told else None)
    if draw(st.booleans()):
        pieces = draw(_pieces(draw(WORDS)))
        message["refusal"] = "".join(pieces)
        for piece in pieces:
            say(refusal=piece)
    _call_tools(draw, message, say)
    if draw(st.booleans()):
        citation = st.fixed_dictionaries({"type": st.just("url_citation"), "url_citation": JSON})
        message["annotations"] = draw(st.lists(citation, min_size=1, max_size=3))
        for annotation in message["annotations"]:
            say(annotations=[annotation])
    return message, deltas, logprobs if logprobs and logprobs["content"] else None


def _reason(draw: st.DrawFn, message: Object, say: Callable[..., None]) -> None:
    """Put reasoning blocks into a message, and their pieces into deltas."""
    named = draw(st.booleans())  # else the words stand in the blocks alone
    kinds = draw(st.lists(st.sampled_from(["text", "summary", "encrypted", "something_new"]), max_size=4))
    words = ""
    blocks = []
    for index, kind in enumerate(kinds):
        block: Object = {"type": f"reasoning.{kind}", "format": draw(st.none() | WORDS), "index": index}
        if kind in ("text", "summary"):
            pieces = draw(_pieces(draw(WORDS)))
            for piece in pieces:
                say(reasoning=piece if named else None, reasoning_details=[block | {kind: piece}])
            words += "".join(pieces)
            last = draw(_some({"signature": WORDS, "id": WORDS}))
            if last:
                say(reasoning_details=[block | last])
            block |= {kind: "".join(pieces), **last}
        else:
            block |= {"id": f"rs_{index}", "data": draw(WORDS), "more": draw(JSON)}
            say(reasoning_details=[block])
        blocks.append(block)
    if blocks:
        message["reasoning_details"] = blocks
        message["reasoning"] = words if named else None


def _call_tools(draw: st.DrawFn, message: Object, say: Callable[..., None]) -> None:
    """Put tool calls into a message, and their pieces into deltas: opened in turn, then grown in any order."""
    calls: list[Object] = []
    timed: list[tuple[int, Object]] = []
    repeated = draw(st.booleans())  # some providers repeat id and type on every piece
    for index in range(draw(st.integers(0, 3))):
        same: Object = {"index": index, "id": f"call_{draw(TEXT)}_{index}", "type": "function"}
        name = draw(WORDS)
        pieces = draw(_pieces(draw(JSON.map(json.dumps))))
        calls.append(same | {"function": {"name": name, "arguments": "".join(pieces)}})
        timed.append((10 * index, same | {"function": {"name": name, "arguments": ""}}))
        times = draw(st.lists(st.integers(10 * index, 40), min_size=len(pieces), max_size=len(pieces)))
        for time, piece in zip(sorted(times), pieces, strict=True):
            timed.append((time, (same if repeated else {"index": index}) | {"function": {"arguments": piece}}))
    if calls:
        message["tool_calls"] = calls
    for _, piece in sorted(timed, key=itemgetter(0)):
        say(content=None, tool_calls=[piece])


@st.composite
def _pieces(draw: st.DrawFn, text: str) -> list[str]:
    """`text` in one or more pieces, some of them perhaps empty."""
    places = sorted(draw(st.lists(st.integers(0, len(text)), max_size=3)))
    return [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]


@st.composite
def _interleaved(draw: st.DrawFn, lines: list[list[Object]]) -> list[Object]:
    """The objects of all lines, in any order that keeps each line's own."""
    order = draw(st.permutations([number for number, line in enumerate(lines) for _ in line]))
    sources = [iter(line) for line in lines]
    return [next(sources[number]) for number in order]


def _some(strategies: Object) -> st.SearchStrategy[Object]:
    """Some of the given keys."""
    return st.fixed_dictionaries({}, optional=strategies)


def _json(value: Object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
