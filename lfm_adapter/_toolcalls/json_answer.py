"""The JSON in an answer: found among prose and fences, and repaired where a model wrote it loosely."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from lfm_adapter._json import as_dict, parse
from lfm_adapter._toolcalls.coercion import Coercion
from lfm_adapter._toolcalls.loose_json import MAX_ANSWER_DEPTH, read_answer
from lfm_adapter._toolcalls.schema import WorkBudget

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["JSONReader", "json_types", "read_json", "schema_problem"]

# What may follow the bracket that begins the JSON of an answer, and what may still become it. An object begins with a
# key or is empty, so "{name}" in prose begins none; a list begins with what a list can hold.
_BEGINS = {
    "{": re.compile(r"""\{\s{0,200}(?:["'}#]|//|/\*|[A-Za-z_$][\w$-]{0,100}\s{0,200}:)"""),
    "[": re.compile(r"""\[\s{0,200}(?:["'{\[\]#\d-]|//|/\*|true|false|null)"""),
}
_MAY_BEGIN = {
    "{": re.compile(r"\{\s{0,200}(?:/|[A-Za-z_$][\w$-]{0,100}\s{0,200})?\Z"),
    "[": re.compile(r"\[\s{0,200}(?:/|[a-z]{0,4})?\Z"),
}
_SPACE = re.compile(r"[ \t\n\r]+")
_SCALAR = re.compile(r"(?:-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null)(?=[,\]} \t\n\r])")
_COMMA = {"}": re.compile(r',[ \t\n\r]{0,200}(?=")'), "]": re.compile(r',[ \t\n\r]{0,200}(?=["\[{\-0-9tfn])')}
_STRING_PART = re.compile(r'(?:[^"\\\x00-\x1f]+|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))+')
# The quote that ends a key, or a value in an object or a list, is known by what follows it.
_END_QUOTE = {
    ":": re.compile(r'"(?=[ \t\n\r]{0,200}:)'),
    "}": re.compile(r'"(?=[ \t\n\r]{0,200}(?:\}|,[ \t\n\r]{0,200}"))'),
    "]": re.compile(r'"(?=[ \t\n\r]{0,200}(?:\]|,[ \t\n\r]{0,200}["\[{\-0-9tfn]))'),
}
_WHOLE_STRING = {closer: re.compile(r'"[^"\\\x00-\x1f]*' + quote.pattern) for closer, quote in _END_QUOTE.items()}
_SIGN = re.compile(r"[}\]]|[:{\[][ \t\n\r]*")
# What may go on as one of these.
_UNDECIDED = re.compile(r'[-+.\w]{0,400}|"?[ \t\n\r]{0,200}(?:,[ \t\n\r]{0,200})?|\\(?:u[0-9a-fA-F]{0,3})?')


class JSONReader:
    r"""Takes the text of an answer while it is written, and returns the JSON in it.

    Text before the first bracket that can begin the JSON, and behind its end, is dropped. Strict JSON comes out byte
    for byte while it is written. From the first irregularity on, the rest waits for the end and is read loosely.

    Args:
        root: "{" where an object is wanted, "[" where a list is.

    >>> reader = JSONReader()
    >>> reader.feed('Sure!\n```json\n{"name": "To') + reader.feed('m", "age": 3}\n``` Bye')
    '{"name": "Tom", "age": 3}'
    >>> reader = JSONReader()
    >>> reader.feed("{'name': 'Tom', }") + reader.close(cut_off=False)
    '{"name": "Tom" }'
    """

    def __init__(self, root: str = "{") -> None:
        self._root = root
        self._json: list[str] = []  # what has come from the root on
        self._sent_chars = 0  # how much of it was returned
        self._held = ""  # the rest of it; before the root, what may begin it
        self._closers: list[str] = []
        # "start", "key", "first key", "colon", "value", "first value", "comma", "rest" or "nothing"
        self._wants = "start"
        self._string = ""  # the key of `_END_QUOTE` for the string that is being read

    def feed(self, text: str) -> str:
        """Take the next characters, and return the JSON that they add."""
        if self._wants == "nothing":
            return ""
        if self._wants == "rest":
            self._json.append(text)
            return ""
        data, place = self._held + text, 0
        if self._wants == "start":
            root = _BEGINS[self._root].search(data) or _MAY_BEGIN[self._root].search(data)
            text = data = self._held = data[root.start() :] if root else ""
            if root is None or root.re is _MAY_BEGIN[self._root]:
                return ""
            self._wants = "value"
        self._json.append(text)
        while self._wants != "nothing":
            end = self._token(data, place)
            if end is None:
                is_control = self._string and data[place : place + 1] not in ("", '"', "\\")
                if is_control or not _UNDECIDED.fullmatch(data, place):
                    self._wants = "rest"
                break
            place = end
        self._held = data[place:]
        self._sent_chars += place
        return data[:place]

    def close(self, *, cut_off: bool) -> str:
        """Return what is left at the end of the answer.

        Args:
            cut_off: The answer was broken off, so it must not look whole: nothing is closed that was left open.
        """
        if self._wants in ("start", "nothing"):
            return ""
        self._wants = "nothing"
        found = read_answer("".join(self._json), strict_until=self._sent_chars, closes=not cut_off)
        return found[self._sent_chars :]

    def _token(self, data: str, place: int) -> int | None:
        """Return the place behind the next part of strict JSON, or None where no such part is certain."""
        if self._string:
            if part := _STRING_PART.match(data, place):
                return part.end()
            quote = _END_QUOTE[self._string].match(data, place)
            self._string = "" if quote else self._string
            return quote.end() if quote else None
        if space := _SPACE.match(data, place):
            return space.end()
        char, wants = data[place : place + 1], self._wants
        match char:
            case '"' if "key" in wants or "value" in wants:
                kind = ":" if "key" in wants else self._closers[-1]
                self._wants = "colon" if "key" in wants else "comma"
                if whole := _WHOLE_STRING[kind].match(data, place):
                    return whole.end()
                self._string = kind
                return place + 1
            case ":" if wants == "colon":
                self._wants = "value"
            case "," if wants == "comma":
                comma = _COMMA[self._closers[-1]].match(data, place)
                self._wants = wants if comma is None else "key" if self._closers[-1] == "}" else "value"
                return None if comma is None else comma.end()
            case "{" | "[" if "value" in wants and len(self._closers) < MAX_ANSWER_DEPTH:
                self._closers.append("}" if char == "{" else "]")
                self._wants = "first key" if char == "{" else "first value"
            case "}" | "]" if char == self._closers[-1] and (wants == "comma" or "first" in wants):
                self._closers.pop()
                self._wants = "comma" if self._closers else "nothing"
            case _:
                scalar = _SCALAR.match(data, place) if "value" in wants else None
                self._wants = wants if scalar is None else "comma"
                return None if scalar is None else scalar.end()
        sign = _SIGN.match(data, place)
        return None if sign is None else sign.end()


def read_json(text: str, *, root: str = "{", cut_off: bool = False) -> str | None:
    """Return the JSON in an answer, as `JSONReader` finds and repairs it, or None.

    >>> read_json('The cat: {"name": "Tom", "age": 3')
    '{"name": "Tom", "age": 3}'
    """
    reader = JSONReader(root)
    return (reader.feed(text) + reader.close(cut_off=cut_off)) or None


def json_types(response_format: Mapping[str, Any]) -> frozenset[str]:
    """Return the JSON types of an answer that fits `response_format`; none if the schema does not say.

    >>> json_types({"type": "json_object"})
    frozenset({'object'})
    """
    if response_format.get("type") == "json_object":
        return frozenset({"object"})
    schema = _schema(response_format)
    return Coercion(schema).types(schema)


def schema_problem(text: str, response_format: Mapping[str, Any]) -> str | None:
    """Return why a text does not fit `response_format`, for the model to correct, or None if it fits.

    A value counts in the type that the schema wants, if nothing is lost by it: `"36"` is an integer.

    >>> schema_problem("Tom", {"type": "json_object"})
    'the answer is not JSON'
    """
    value = parse(text)
    if value is None and text.strip() != "null":
        return "the answer is not JSON"
    if response_format.get("type") == "json_object":
        return None if isinstance(value, dict) else "the answer is not a JSON object"
    schema = _schema(response_format)
    coercion, budget = Coercion(schema), WorkBudget()
    problem = coercion.checker.problem(coercion.coerced(value, schema, budget), budget)
    return None if problem is None else f"the JSON does not fit the schema: {problem}"


def _schema(response_format: Mapping[str, Any]) -> Any:
    return as_dict(response_format.get("json_schema")).get("schema")
