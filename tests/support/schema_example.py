"""A value that fits a JSON schema, taken from the words of a prompt where they fit: the same for the same prompt."""

from __future__ import annotations

import re
from collections import deque
from typing import Any

__all__ = ["PromptWords", "example_of"]

MAX_DEPTH = 6

_FORMATS = {
    "date": "2026-11-23",
    "date-time": "2026-11-23T12:00:00Z",
    "time": "12:00:00Z",
    "email": "cat@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


class PromptWords:
    """The numbers, quoted texts and names of a prompt, each handed out once and in order."""

    def __init__(self, prompt: str) -> None:
        self._numbers = deque(re.findall(r"(?<![\w.])-?\d+(?:\.\d+)?(?!\w)", prompt))
        self._quoted = deque(re.findall(r"(?<!\w)(?:'([^'\n]+)'|\"([^\"\n]+)\"|«([^»\n]+)»)", prompt))
        # A capital letter inside a sentence: a name.
        self._names = deque(re.findall(r"(?<![.!?:\n] )(?<!^)\b[A-Z]\w+(?:,? [A-Z]\w*)*", prompt))
        self.text = prompt

    def number(self) -> float | None:
        """The next number."""
        return float(self._numbers.popleft()) if self._numbers else None

    def words(self) -> str | None:
        """The next quoted text, or the next name."""
        if self._quoted:
            return "".join(self._quoted.popleft())
        return self._names.popleft() if self._names else None


def example_of(schema: dict[str, Any], prompt: PromptWords) -> Any:
    """Make a value for `schema`. Optional properties are left out; `pattern`, `if` and `not` are not looked at."""
    return _example(schema, prompt, schema, "answer", 0)


def _example(schema: dict[str, Any], prompt: PromptWords, root: dict[str, Any], name: str, depth: int) -> Any:
    schema = _resolved(schema, root)
    options = [schema["const"]] if "const" in schema else schema.get("enum")
    if options:
        named = [option for option in options if isinstance(option, str) and option in prompt.text]
        return (named or options)[0]
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = next(option for option in kind if option != "null") if isinstance(kind, list) else kind
    if kind == "object":
        properties = schema.get("properties", {})
        wanted = schema.get("required", [])
        return {key: _example(properties.get(key, {}), prompt, root, key, depth + 1) for key in wanted}
    if kind == "array":
        count = schema.get("minItems", 1 if depth < MAX_DEPTH else 0)
        return [_example(schema.get("items", {}), prompt, root, name, depth + 1) for _ in range(count)]
    if kind in {"integer", "number"}:
        return _number(schema, prompt.number(), whole=kind == "integer")
    if kind == "string":
        return _string(schema, prompt, name)
    return {"boolean": True, "null": None}[kind]


def _resolved(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    """Follow `$ref`, take the first choice that is not null, and join `allOf`."""
    while "$ref" in schema:
        found: Any = root
        for step in schema["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        schema = {**found, **{key: value for key, value in schema.items() if key != "$ref"}}
    for choice in ("anyOf", "oneOf"):
        if choice in schema:
            first = next(option for option in schema[choice] if option.get("type") != "null")
            return _resolved(first, root)
    for part in schema.get("allOf", []):
        schema = {**schema, **_resolved(part, root)}
    return schema


def _number(schema: dict[str, Any], found: float | None, *, whole: bool) -> float:
    low = schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1)
    high = schema.get("maximum", schema.get("exclusiveMaximum", float("inf")) - 1)
    value = min(max(1 if found is None else found, low), high)
    return int(value) if whole else value


def _string(schema: dict[str, Any], prompt: PromptWords, name: str) -> str:
    text = _FORMATS.get(schema.get("format", "")) or prompt.words() or f"the {name.replace('_', ' ')}"
    text = text.ljust(schema.get("minLength", 0), ".")
    return text[: schema.get("maxLength")]
