"""Decodes an event stream (https://html.spec.whatwg.org/multipage/server-sent-events.html).

`EventDecoder` works on bytes, where only CR, LF and CRLF end a line: `str.splitlines` also splits at U+2028, U+2029 and
U+0085, which are legal in JSON. `TextEvents` reads the text of most events without parsing them.
"""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from typing import TYPE_CHECKING

from lfm_adapter._json import as_dict, parse_received
from lfm_adapter.errors import ResponseError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lfm_adapter.types import JSONDict

DONE = b"[DONE]"

_OTHER_FIELDS = (b":", b"event", b"id", b"retry")  # the first is a comment

MAX_EVENT_BYTES = 8 * 1024 * 1024
"""The largest event that is read. A piece of text has some hundred bytes, an image a few million."""

_KEY = b'"content":'
_PROBE, _PROBE_LITERAL = "probe", b'"probe"'

_decode_string = json.JSONDecoder().raw_decode


class EventDecoder:
    r"""Splits a stream into events, wherever the network splits its bytes.

    >>> decoder = EventDecoder()
    >>> list(decoder.feed(b": OPENROUTER PROCESSING"))
    []
    >>> list(decoder.feed(b'\n\ndata: {"a": 1}\n\ndata: [DO'))
    [b'{"a": 1}']
    >>> list(decoder.feed(b"NE]\n\n"))
    [b'[DONE]']

    Attributes:
        stray: The lines that belong to no event, such as a JSON body that a proxy put into the stream.
    """

    def __init__(self, *, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max_event_bytes = max_event_bytes
        self.stray: list[bytes] = []
        self._stray_bytes = 0
        self._line: list[bytes] = []
        self._line_bytes = 0
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._first_line = True
        self._after_cr = False

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Add the next bytes, and yield the data of the events that they complete.

        Raises:
            ResponseError: An event is larger than `max_event_bytes`.
        """
        if self._after_cr and chunk:
            self._after_cr = False
            chunk = chunk.removeprefix(b"\n")
        lines = chunk.splitlines()
        rest = b""
        if lines and not chunk.endswith((b"\n", b"\r")):
            rest = lines.pop()
        for line in lines:
            event = self._end_line(line)
            if event is not None:
                yield event
        if rest:
            self._line.append(rest)
            self._line_bytes = self._bounded(self._line_bytes + len(rest))
        elif chunk.endswith(b"\r"):
            self._after_cr = True

    @property
    def is_within_event(self) -> bool:
        """Whether an event has begun that is not complete. Comments and blank lines do not count."""
        begun = b"".join(self._line).lstrip()
        return bool(self._data) or (begun != b"" and not begun.startswith(b":"))

    def close(self) -> Iterator[bytes]:
        """Yield the last event if only its blank line is missing."""
        for _ in range(2):
            event = self._end_line(b"")
            if event is not None:
                yield event

    def _end_line(self, line: bytes) -> bytes | None:
        if self._line:
            line = b"".join((*self._line, line))
            self._line.clear()
            self._line_bytes = 0
        if self._first_line:
            self._first_line = False
            line = line.removeprefix(BOM_UTF8)
        if line.startswith(b"data:"):
            self._add_data(line[6:] if line.startswith(b"data: ") else line[5:])
        elif line == b"data":
            self._add_data(b"")
        elif not line and self._data:
            event = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
            self._data.clear()
            self._data_bytes = 0
            return event
        elif line.strip() and not line.startswith(_OTHER_FIELDS):
            self.stray.append(line)
            self._stray_bytes = self._bounded(self._stray_bytes + len(line))
        return None

    def _add_data(self, value: bytes) -> None:
        self._data.append(value)
        self._data_bytes = self._bounded(self._data_bytes + len(value) + 1)

    def _bounded(self, held_bytes: int) -> int:
        if held_bytes > self._max_event_bytes:
            raise ResponseError(
                f"An event of the stream is larger than {self._max_event_bytes:,} bytes (`max_event_bytes`)."
            )
        return held_bytes


class TextEvents:
    r"""Reads events that differ from one before in their text alone, as most of a stream do.

    The rest of an event (the model, the time, the choice) takes ten times as long to parse as its text.

    Attributes:
        index: The choice that the event added to.

    >>> events = TextEvents()
    >>> data = b'{"choices":[{"index":0,"delta":{"content":"%s"}}]}'
    >>> events.learn(data % b"Hello", {"choices": [{"index": 0, "delta": {"content": "Hello"}}]})
    >>> events.text(data % b' \\"you\\"')
    ' "you"'
    >>> events.text(b'{"choices":[{"index":1,"delta":{"content":"Hello"}}]}') is None
    True
    """

    def __init__(self) -> None:
        self.index = 0
        self._before = b""
        self._after = b""
        self._is_used = True

    def text(self, data: bytes) -> str | None:
        """Return the text of an event that otherwise equals the last one that was learnt; None for another."""
        before, after = self._before, self._after
        if not (before and data.startswith(before) and data.endswith(after)):
            return None
        end = len(data) - len(after)
        string = data[len(before) : end]
        if string[:1] != b'"' or b"\\u" in string:  # which may be half a character
            return None
        try:
            literal = string.decode()
            text, length = _decode_string(literal)
        except ValueError:
            return None
        self._is_used = True
        return text if length == len(literal) else None

    def learn(self, data: bytes, event: JSONDict) -> None:
        """Learn from an event that adds text to one choice, and nothing else."""
        # Where all events differ in more than their text, this is not worth its time.
        if not self._is_used or not _adds_only_text(event):
            return
        self._is_used = False
        start = data.find(_KEY) + len(_KEY)
        start += data[start : start + 1] == b" "
        try:
            rest = data[start:].decode()
            literal = rest[: _decode_string(rest)[1]]
        except ValueError:
            return
        before, after = data[:start], data[start + len(literal.encode()) :]
        choice = event["choices"][0]
        other = event | {"choices": [choice | {"delta": choice["delta"] | {"content": _PROBE}}]}
        if parse_received(before + _PROBE_LITERAL + after) == other:
            index = choice.get("index")
            self.index = index if isinstance(index, int) else 0
            self._before, self._after = before, after


def _adds_only_text(event: JSONDict) -> bool:
    choices = event.get("choices")
    if event.get("usage") or event.get("error") or not isinstance(choices, list) or len(choices) != 1:
        return False
    choice = as_dict(choices[0])
    delta = as_dict(choice.get("delta"))
    return (
        isinstance(delta.get("content"), str)
        and not any(delta[name] for name in delta.keys() - {"role", "content"})
        and not any(choice[name] for name in choice.keys() - {"delta", "index"})
    )
