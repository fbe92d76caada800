"""Translates regular expressions of JSON Schema into the syntax of llama.cpp, which ignores what it does not support.

Tried with build 11549 (xllamacpp 2026.10); its source is `_visit_pattern` in
https://github.com/ggml-org/llama.cpp/blob/master/common/json-schema-to-grammar.cpp.
"""

from __future__ import annotations

import re

MAX_CHARS = 2_000
MAX_REPETITIONS = 2_000
MAX_GROUP_DEPTH = 50

_CLASSES = {"d": "0-9", "w": "A-Za-z0-9_", "s": r" \t\n\r"}
_KNOWN_ESCAPES = frozenset(r"nrtxu.-+*?()[]{}|^$\"")
_KNOWN_IN_SETS = frozenset(r"nrtxu-[]\"")

_TOKEN = re.compile(
    r"""(?P<escape>\\.)
      | (?P<set>\[\^?(?:\\.|[^\[\]\\])+\])
      | (?P<extension>\(\?(?!:).?)
      | (?P<open>\((?:\?:)?)
      | (?P<close>\))
      | (?P<repeat>[*+?]|\{(?P<least>\d+)(?:,(?P<most>\d*))?\})(?P<mode>[?+]?)
      | (?P<reserved>[\^$\[\]{}])
      | (?P<plain>.)""",
    re.VERBOSE | re.DOTALL,
)


def to_engine_pattern(pattern: str) -> str:
    r"""Return an equivalent pattern for llama.cpp.

    Raises:
        ValueError: There is none. The message says why.

    >>> to_engine_pattern(r"^\d{3}-[\w.]+$")
    '^[0-9]{3}-[A-Za-z0-9_.]+$'
    """
    if len(pattern) > MAX_CHARS:
        raise ValueError(f"it has more than {MAX_CHARS:,} characters.")
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"it is not a valid regular expression ({error}).") from None
    whole = re.fullmatch(r"\^((?:[^\\]|\\.)*)\$", pattern, re.DOTALL)
    if whole is None:
        raise ValueError("llama.cpp matches only whole strings. Put `^` before the pattern, `$` after it, and `.*` "
                         "wherever other text is allowed.")  # fmt: skip
    tokens = list(_TOKEN.finditer(whole[1]))
    depth = 0
    for token in tokens:
        depth += {"open": 1, "close": -1}.get(str(token.lastgroup), 0)
        if depth > MAX_GROUP_DEPTH:
            raise ValueError(f"it has more than {MAX_GROUP_DEPTH} nested groups.")
    return f"^{''.join(map(_in_engine_words, tokens))}$"


def _in_engine_words(token: re.Match[str]) -> str:
    text = token[0]
    if token["escape"]:
        return _escape(text[1])
    if token["set"]:
        return re.sub(r"\\(.)", lambda found: _escape_in_set(found[1]), text, flags=re.DOTALL)
    if token["repeat"]:
        if max(int(token["least"] or 0), int(token["most"] or 0)) > MAX_REPETITIONS:
            raise ValueError(f"`{text}` repeats more than {MAX_REPETITIONS:,} times.")
        if token["mode"] == "+":
            raise ValueError(f"llama.cpp does not support `{text}`.")
        return token["repeat"]  # without its mode: a lazy repetition matches the same whole strings
    if token["extension"] or token["reserved"]:
        raise ValueError(f"llama.cpp does not support `{text}` here.")
    return text


def _escape(letter: str) -> str:
    if letter in _KNOWN_ESCAPES:
        return f"\\{letter}"
    if letter in _CLASSES:
        return f"[{_CLASSES[letter]}]"
    if letter.lower() in _CLASSES:
        return f"[^{_CLASSES[letter.lower()]}]"
    if letter.isalnum():
        raise ValueError(f"llama.cpp does not support `\\{letter}`.")
    return letter


def _escape_in_set(letter: str) -> str:
    if letter in _KNOWN_IN_SETS:
        return f"\\{letter}"
    if letter in _CLASSES:
        return _CLASSES[letter]
    if letter == "^":
        return r"\x5E"
    if letter.isalnum():
        raise ValueError(f"llama.cpp does not support `\\{letter}` in a set.")
    return letter
