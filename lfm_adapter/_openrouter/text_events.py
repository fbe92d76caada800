"""Reads events that differ from one before in nothing but their text, as most of a stream do, without parsing the rest.

What is around the text says which model answers, when, and for which choice, and takes ten times as long to read.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from lfm_adapter._json import as_dict, parse_received

if TYPE_CHECKING:
    from lfm_adapter.types import JSONDict

__all__ = ["TextEvents"]

_KEY = b'"content":'
_PROBE, _PROBE_LITERAL = "probe", b'"probe"'

_decode_string = json.JSONDecoder().raw_decode


class TextEvents:
    r"""Knows the bytes around the text of an event.

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
        """Return the text of an event that is otherwise the same as the one that was learnt; None for another."""
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
        """Learn from an event, if it adds text to one choice, and nothing else.

        Args:
            data: Its bytes.
            event: What they hold.
        """
        # Where all events differ in more than their text, it is not worth it.
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
