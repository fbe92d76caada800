"""Replies that are spoiled in one place: any JSON value in any field, one left out, or one that comes twice.

The replies are those of `openrouter_replies`, and the recorded ones of `corpus` where there are any.
"""

from __future__ import annotations

import copy
import json
import math
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from lfm_adapter import errors
from lfm_adapter.testing import chunk, completion, error, events, stream, tool_call
from lfm_adapter.testing._wire import error_in_choice, midstream_error
from tests.support import corpus
from tests.support.played import AsyncPlayed, Played

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from lfm_adapter.testing import ScriptedReply

__all__ = ["Mutant", "Path", "Sample", "mutants", "paths", "replaced", "sample_of", "samples", "written"]

Path = tuple[str | int, ...]

# What JSON cannot write stands for something until the text is made.
LEFT_OUT, DEEP, DIGITS, INFINITE = "@left out@", "@deep@", "@digits@", "@infinite@"
WRITTEN = {DEEP: "[" * 10_000 + "]" * 10_000, DIGITS: "9" * 5_000, INFINITE: "1e999"}
JUNK: list[Any] = [
    LEFT_OUT, DEEP, DIGITS, INFINITE, None, True, False, 0, -1, 429, 1.5, math.nan, -math.inf, 10**400, 1e308,
    "", "x", "\ud800", "429", "nan", "1e999", "[{", "\u2028", [], {}, [None], [[]], ["x"], [{}], [{"message": "x"}],
    {"": None}, {"message": {"message": {"message": {"message": {"message": "x"}}}}}, {"text": 1, "index": {}},
]  # fmt: skip

ALIKE = 10  # places of one kind that are spoiled, such as the content of an event


@dataclass(frozen=True, eq=False)
class Sample:
    """A good reply, or a good error.

    Attributes:
        id: Where it comes from.
        status: Its HTTP status.
        objects: Its JSON objects: one, or those of the events of a stream.
        is_stream: Whether they are events.
    """

    id: str
    status: int
    objects: list[Any] = field(repr=False)
    is_stream: bool

    @property
    def headers(self) -> dict[str, str]:
        """The headers that matter to who reads it."""
        return {"content-type": corpus.EVENT_STREAM if self.is_stream else "application/json"}

    @property
    def body(self) -> bytes:
        """What is sent of it."""
        return self.with_object(0, written(self.objects[0]))

    @cached_property
    def text(self) -> str:
        """The text of its first answer, taken from the JSON in the plainest way."""
        texts = []
        for choice in (choice for one in self.objects for choice in one.get("choices") or ()):
            if choice.get("index", 0) == 0:
                content = (choice.get("delta") or choice.get("message") or {}).get("content") or ""
                texts += [content] if isinstance(content, str) else [part.get("text", "") for part in content]
        return "".join(texts)

    def with_object(self, place: int, data: bytes) -> bytes:
        """The body with other bytes for one of its objects."""
        if not self.is_stream:
            return data
        texts = [*map(written, self.objects), b"[DONE]"]
        texts[place] = data
        return b"".join(b"data: %s\n\n" % text for text in texts)


@dataclass(frozen=True)
class Mutant:
    """A spoiled reply.

    Attributes:
        sample: What it was.
        path: What was spoiled: the number of the object, and the way to the place in it.
        body: What is sent.
    """

    sample: Sample
    path: Path
    body: bytes = field(repr=False)

    @property
    def spares_text(self) -> bool:
        """Whether what was spoiled is neither text, nor around it, nor decides which answer it belongs to."""
        keys = [key for key in self.path[1:] if isinstance(key, str)]
        around = [["choices"], ["choices", "message"], ["choices", "delta"], ["choices", "index"], []]
        return keys not in around and "content" not in keys[:3]

    def played(self) -> Any:
        """A transport that gives this reply."""
        return Played(self.sample.status, self.sample.headers, self.body)

    def aplayed(self) -> Any:
        """The twin of `played` for asyncio."""
        return AsyncPlayed(self.sample.status, self.sample.headers, self.body)

    def check(self, ask: Callable[[Mutant], str]) -> None:
        """Check that `ask` returns the text of an answer or raises an error of ours, and that the text is not lost."""
        try:
            self._check(ask)
        except BaseException as error:
            error.add_note(f"{self.sample}, spoiled at {self.path}: {self.body[:2_000]!r}")
            raise

    def _check(self, ask: Callable[[Mutant], str]) -> None:
        expected = self.sample.text
        try:
            text = ask(self)
        except errors.APIError as error:
            partial = "" if error.partial is None else error.partial.text
            assert not self.spares_text or expected.startswith(partial)
        else:
            assert self.sample.status == 200, "an error became an answer"
            assert not self.spares_text or text == expected


def paths(value: Any, path: Path = ()) -> Iterator[Path]:
    """The path of everything in `value`, itself included."""
    yield path
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield from paths(value[key], (*path, key))


def replaced(value: Any, path: Path, junk: Any) -> Any:
    """A copy of `value` with junk at `path`, where that still leads anywhere."""
    if not path:
        return junk
    value = copy.deepcopy(value)
    at = value
    try:
        for key in path[:-1]:
            at = at[key]
        if junk == LEFT_OUT:
            del at[path[-1]]
        else:
            at[path[-1]] = junk
    except (KeyError, IndexError, TypeError):
        pass
    return value


def written(value: Any) -> bytes:
    text = json.dumps(value)
    for sign, meant in WRITTEN.items():
        text = text.replace(f'"{sign}"', meant)
    return text.encode()


def samples() -> list[Sample]:
    """Every reply there is to spoil."""
    return [*map(sample_of, range(len(REPLIES)), REPLIES), *_recorded()]


def mutants(of: Iterable[Sample] | None = None) -> Iterator[Mutant]:
    """Every sample, of those given or of `samples()`, with each kind of junk in each kind of place."""
    seen: Counter[tuple[Any, ...]] = Counter()
    for sample in samples() if of is None else of:
        for place, one in enumerate(sample.objects):
            for path in paths(one):
                shape = (
                    sample.is_stream,
                    sample.status >= 400,
                    *("*" if isinstance(key, int) else key for key in path),
                )
                seen[shape] += 1
                if seen[shape] <= ALIKE:
                    for spoiled in _spoiled(one, path):
                        yield Mutant(sample, (place, *path), sample.with_object(place, spoiled))


def _spoiled(value: Any, path: Path) -> Iterator[bytes]:
    for junk in JUNK:
        yield written(replaced(value, path, junk))
    if not path:
        return
    at = value
    for key in path[:-1]:
        at = at[key]
    was = at[path[-1]]
    if isinstance(at, list):
        again = copy.deepcopy(value)
        parent = again
        for key in path[:-1]:
            parent = parent[key]
        parent.append(was)
        yield written(again)
        return
    # A key that comes twice: json takes the last.
    text = written(replaced(value, path, "@here@")).decode()
    key, here = json.dumps(path[-1]), '"@here@"'
    for first, last in (([], was), (was, {}), (was, was)):
        twice = f"{written(first).decode()}, {key}: {written(last).decode()}"
        yield text.replace(here, twice).encode()


def sample_of(number: int, reply: ScriptedReply) -> Sample:
    """A reply, as a sample to spoil."""
    is_stream = reply.headers["Content-Type"] == corpus.EVENT_STREAM
    return Sample(f"reply {number}", reply.status, _objects(reply.body, is_stream=is_stream), is_stream=is_stream)


def _recorded() -> Iterator[Sample]:
    for recording in (*corpus.load(), *corpus.errors()):
        objects = _objects(recording.body, is_stream=recording.is_stream)
        if objects:
            yield Sample(recording.id, recording.status, objects, is_stream=recording.is_stream)


def _objects(body: bytes, *, is_stream: bool) -> list[Any]:
    texts = (
        [line.removeprefix(b"data:") for line in body.split(b"\n") if line.startswith(b"data:")]
        if is_stream
        else [body]
    )
    found = []
    for text in texts:
        try:
            found.append(json.loads(text))
        except ValueError:  # [DONE], or an error that is a page
            continue
    return found


CALLS = (tool_call("weather", {"city": "Oslo", "days": [1, 2]}), tool_call("time", {}, call_id="call_2"))
LOGPROBS = {
    "content": [{"token": "H", "logprob": -0.5, "bytes": [72], "top_logprobs": [{"token": "h"}]}],
    "refusal": None,
}
CITATION = {"type": "url_citation", "url_citation": {"url": "https://a.b", "start_index": 0, "title": "A"}}
REASONS = {"reasoning": ["Hm."], "tool_calls": CALLS, "refusal": ["No."], "system_fingerprint": "f"}
PARTS = [{"type": "text", "text": "Hi"}, {"type": "image_url", "image_url": {"url": "data:"}}]
METADATA = {
    "provider_name": "Liquid", "raw": '{"error": {"message": "x"}}', "error_type": "rate_limit_exceeded",
    "headers": {"Retry-After": "3", "X-RateLimit-Reset": "1790000009000"}, "reasons": ["a"], "retry_after_seconds": 3,
}  # fmt: skip
FAILURES = ((429, "Slow down"), (404, "No endpoints found that support tool use"), (400, "context length is 8 tokens"))
REPLIES: tuple[ScriptedReply, ...] = (
    completion(
        "Hello.", reasoning="Hm.", tool_calls=CALLS, refusal="No.", choice={"logprobs": LOGPROBS},
        system_fingerprint="f", service_tier="s", citations=["https://a.b"],
        message={"annotations": [CITATION], "images": [PARTS[1]], "audio": {"data": "UklG", "transcript": "H"}},
    ),
    completion("Hello."),
    completion(None, message={"content": PARTS}),
    stream(["Hel", "lo."], **REASONS),
    stream(["Hel", "lo."], ending="A"),
    stream(["Hel", "lo."], ending="B"),
    stream(["Hel", "lo."], ending="usage_in_finish"),
    events(
        chunk({"content": "Hel", "annotations": [CITATION], "images": [PARTS[1]], "audio": {"data": "UklG"}}),
        chunk({"content": "lo.", "audio": {"transcript": "H"}}),
        chunk({"content": PARTS}),
        chunk({}, finish_reason="stop"),
    ),
    midstream_error(["Hel", "lo."], 502, "Upstream", metadata=METADATA),
    error(200, "Slow down", code=429, metadata=METADATA),
    error_in_choice(502, "Upstream", text="Hel", metadata=METADATA),
    *(error(status, message, metadata=METADATA, user_id="user_0123456789abcdef") for status, message in FAILURES),
)  # fmt: skip
