r"""The keywords of a JSON schema that hold regular expressions, by an engine that ends.

Schemas come from agents and from tools of others, and answers from a model. Python's `re` may take hours for forty
letters; `regex` takes a timeout. The dialect is JavaScript's (https://json-schema.org/draft/2020-12/json-schema-core
section 6.4): a match anywhere, `$` only at the very end, `.` without any line end, `\d` and `\w` in ASCII.
"""

from __future__ import annotations

import re
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jsonschema.exceptions import ValidationError

# The k-th search for one value may take a k-th of this, which bounds them all together to 3 s.
_MAX_SEARCH_S = 0.25
_MIN_SEARCH_S = 0.0002  # at the 1,250th; a usual search takes a hundredth of it

_MAX_DIGITS = 10  # of a count of repetitions
_MAX_ATOMS = 20_000  # the engine writes out what is repeated: (((a{1000}){1000}){1000} would take all memory
_MAX_SHOWN_CHARS = 100

# A letter by its number, a pair of surrogates, and a control character.
_ESCAPE = r"\\u\{[0-9A-Fa-f]{1,6}\}|\\u[Dd][89ABab][0-9A-Fa-f]{2}\\u[Dd][C-Fc-f][0-9A-Fa-f]{2}|\\c[A-Za-z]"
_TOKEN_IN_SET = re.compile(_ESCAPE + r"|\\.", re.DOTALL)
_TOKEN = re.compile(
    r"(?P<escape>" + _ESCAPE + r"|\\k<\w+>|\\.)|(?P<any>\[\^\])|(?P<none>\[\])"
    r"|(?P<set>\[(?:\\.|[^\]\\])*(?:\]|\Z))|(?P<open>\()|(?P<close>\))|\{(?P<least>\d+)(?:,(?P<most>\d*))?\}"
    r"|(?P<end>\$)|(?P<dot>\.)|.",
    re.DOTALL,
)
_PLAIN = {"any": r"[\s\S]", "none": r"(?!)", "end": r"\Z", "dot": r"[^\n\r\u2028\u2029]"}
# By the letter of an escape: what it matches as the inside of a set, where a complement cannot be nested.
_SETS = {
    "d": "0-9",
    "D": r"\x00-/:-\U0010ffff",
    "w": "A-Za-z0-9_",
    "W": r"\x00-/:-@\[-^`{-\U0010ffff",
    "s": r"\t-\r \xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff",
    "S": r"\x00-\x08\x0e-\x1f!-\x9f\xa1-\u167f\u1681-\u1fff\u200b-\u2027\u202a-\u202e\u2030-\u205e\u2060-\u2fff"
    r"\u3001-\ufefe\uff00-\U0010ffff",
}
_BOUNDARIES = {
    "b": "(?:(?<=[{0}])(?![{0}])|(?<![{0}])(?=[{0}]))".format(_SETS["w"]),
    "B": "(?:(?<=[{0}])(?=[{0}])|(?<![{0}])(?![{0}]))".format(_SETS["w"]),
}


class SlowPatternError(Exception):
    """A pattern takes too long, or is too large."""


_Matches: TypeAlias = "Callable[[str, str], bool]"


def pattern_keywords(matches: _Matches) -> dict[str, Callable[..., Iterator[ValidationError]]]:
    """Return the keywords as `jsonschema` takes them. `matches` returns whether a pattern matches a text."""
    return {
        "pattern": partial(_pattern, matches),
        "patternProperties": partial(_pattern_properties, matches),
        "additionalProperties": partial(_additional_properties, matches),
    }


def _pattern(matches: _Matches, validator: Any, source: str, value: Any, _: Any) -> Iterator[ValidationError]:
    if validator.is_type(value, "string") and not matches(source, value):
        yield _error(f"{value!r} does not match {source!r}")


def _pattern_properties(matches: _Matches, validator: Any, parts: Any, value: Any, _: Any) -> Iterator[ValidationError]:
    for source, part in parts.items() if validator.is_type(value, "object") else ():
        for key in value:
            if matches(source, key):
                yield from validator.descend(value[key], part, path=key, schema_path=source)


def _additional_properties(
    matches: _Matches, validator: Any, part: Any, value: Any, schema: Any
) -> Iterator[ValidationError]:
    if not validator.is_type(value, "object"):
        return
    known, sources = schema.get("properties", {}), schema.get("patternProperties", {})
    others = [key for key in value if key not in known and not any(matches(one, key) for one in sources)]
    if validator.is_type(part, "object"):
        for key in others:
            yield from validator.descend(value[key], part, path=key)
    elif not part and others:
        named, verb = ", ".join(map(repr, others)), "was" if len(others) == 1 else "were"
        yield _error(f"Additional properties are not allowed ({named} {verb} unexpected)")


def matches(source: str, text: str, nth: int = 1) -> bool:
    """Return whether `source` matches somewhere in `text`; True if it is not a regular expression.

    Args:
        source: A regular expression of JavaScript.
        text: Where to look for it.
        nth: How many searches there were for this value, with this one.

    Raises:
        SlowPatternError: The check takes too long.
    """
    compiled = _compiled(source)
    if compiled is None:
        return True
    try:
        return compiled.search(text, timeout=max(_MAX_SEARCH_S / nth, _MIN_SEARCH_S)) is not None
    except TimeoutError:
        shown = text if len(text) <= _MAX_SHOWN_CHARS else f"{text[:_MAX_SHOWN_CHARS]}…"
        raise SlowPatternError(f"the pattern {_shown(source)} takes too long to check on {shown!r}") from None


@lru_cache(maxsize=512)
def _compiled(source: str) -> Any:
    import regex  # type: ignore[import-untyped] # on use: it takes 40 ms

    python = _in_python(source)
    try:
        return regex.compile(python)
    except (regex.error, RecursionError, OverflowError):
        return None


def _in_python(source: str) -> str:
    """Return the pattern in Python's dialect, or raise `SlowPatternError` if it would be too large."""
    if len(source) > _MAX_ATOMS:
        raise SlowPatternError(f"the pattern {_shown(source)} is too large to check")
    parts: list[str] = []
    atoms, last = [0], 0  # of each open group, and of what precedes a quantifier
    for token in _TOKEN.finditer(source):
        kind, text = token.lastgroup, token[0]
        if kind == "open":
            atoms.append(0)
        elif kind == "close" and len(atoms) > 1:
            last = atoms.pop()
            atoms[-1] += last
        elif kind in ("least", "most"):
            counts = (token["least"], token["most"] or "0")
            repeated = max(1, *(int(count) if len(count) < _MAX_DIGITS else _MAX_ATOMS + 1 for count in counts))
            atoms[-1] += last * (repeated - 1)
            last *= repeated
        else:
            last = 1
            atoms[-1] += 1
        if sum(atoms) > _MAX_ATOMS:
            raise SlowPatternError(f"the pattern {_shown(source)} is too large to check")
        if kind == "escape":
            text = _escape(text)
        elif kind == "set":
            text = _TOKEN_IN_SET.sub(lambda found: _escape(found[0], in_set=True), text)
        parts.append(_PLAIN.get(kind or "", text))
    return "".join(parts)


def _escape(text: str, *, in_set: bool = False) -> str:
    kind = text[1]
    if kind in _SETS:
        return _SETS[kind] if in_set else f"[{_SETS[kind]}]"
    if kind in _BOUNDARIES and not in_set:
        return _BOUNDARIES[kind]
    match kind:
        case "u" if text[2:3] == "{":
            return rf"\U{text[3:-1]:0>8}"
        case "u" if len(text) > 2:  # a pair of surrogates
            high, low = int(text[2:6], 16), int(text[8:], 16)
            return rf"\U{0x10000 + ((high - 0xD800) << 10) + low - 0xDC00:08x}"
        case "c" if len(text) > 2:
            return rf"\x{ord(text[2]) % 32:02x}"
        case "k" if len(text) > 2:
            return f"(?P={text[3:-1]})"
        case _:
            return text


def _error(message: str) -> ValidationError:
    from jsonschema.exceptions import ValidationError

    return ValidationError(message)


def _shown(source: str) -> str:
    return repr(source if len(source) <= _MAX_SHOWN_CHARS else f"{source[:_MAX_SHOWN_CHARS]}…")
