"""The JSON in an answer: found among prose and fences, and repaired where a model wrote it loosely."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from lfm_adapter._json import as_dict, parse
from lfm_adapter._toolcalls.call_reader import CallReader
from lfm_adapter._toolcalls.loose_json import MAX_ANSWER_DEPTH, read_answer, write_json
from lfm_adapter._toolcalls.quotes import AMBIGUOUS, Keys, find_strings
from lfm_adapter._toolcalls.schema import Coercion, WorkBudget, keys_of
from lfm_adapter._toolcalls.tools import Tools

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["JSONReader", "answer_schema", "json_types", "read_arguments", "read_json", "schema_problem"]

# What may follow the bracket that begins the JSON of an answer, and what may still become it. An object begins with a
# key or is empty, so "{name}" in prose begins none; a list begins with what a list can hold.
_OBJECT = r"""\{\s{0,200}(?:["'`“}#]|//|/\*|[A-Za-z_$][\w$-]{0,100}\s{0,200}:)"""
_KEYED = (
    r"""\{\s{0,200}(?:["'`](?P<key>[^"'`\n]{0,100}+)(?:["'`]|\n|.)|[}#“]|//|/\*"""
    r"""|(?P<bare>[A-Za-z_$][\w$-]{0,100})\s{0,200}:)"""
)
_LIST = r"""\[\s{0,200}(?:["'{\[\]#\d-]|//|/\*|true|false|null)"""
_BEGINS = {"{": re.compile(_OBJECT), "[": re.compile(_LIST), "key": re.compile(_KEYED)}
_MAY_BEGIN = {
    "{": re.compile(r"\{\s{0,200}(?:/|[A-Za-z_$][\w$-]{0,100}\s{0,200})?\Z"),
    "[": re.compile(r"\[\s{0,200}(?:/|[a-z]{0,4})?\Z"),
    "key": re.compile(r"""\{\s{0,200}(?:/|[A-Za-z_$][\w$-]{0,100}\s{0,200}|["'`][^"'`\n]{0,100})?\Z"""),
}
_ANY_BEGIN = re.compile(rf"{_OBJECT}|\[")
_MEMBER = re.compile(r"""["'](?P<key>[^"'\n]{1,100})["']\s{0,9}:""")
_CLASS_CALL = re.compile(r"[A-Z]\w{0,63}\(.*\)\Z", re.DOTALL)
_decoder = json.JSONDecoder()
# What is read to find the object that fits stays in proportion to the text, and few enough are held against the schema.
_READ_CHARS_FREE, _READ_CHARS_A_CHAR = 20_000, 1
_MAX_TRIED = 1_000
_SPACE = re.compile(r"[ \t\n\r]+")
_SCALAR = re.compile(r"(?:-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null)(?=[,\]} \t\n\r])")
_COMMA = {"}": re.compile(r',[ \t\n\r]{0,200}(?=")'), "]": re.compile(r',[ \t\n\r]{0,200}(?=["\[{\-0-9tfn])')}
_STRING_PART = re.compile(r'(?:[^"\\\x00-\x1f]+|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))+')
# The quote that ends a key, or a value in an object or a list, is known by what follows it.
_END_QUOTE = {
    ":": re.compile(r'"(?=[ \t\n\r]{0,200}:)'),
    "}": re.compile(
        r'"(?=[ \t\n\r]{0,200}(?:\}[ \t\n\r]{0,200}[,\]}`\n]|,[ \t\n\r]{0,200}"[^"\\\n]{0,100}"[ \t\n\r]{0,200}:))'
    ),
    "]": re.compile(
        r'"(?=[ \t\n\r]{0,200}(?:\][ \t\n\r]{0,200}[,\]}`\n]|,[ \t\n\r]{0,200}(?:[\[{\-0-9tfn]'
        r'|"[^"\\\n]{0,200}(?:[\\\n]|"[ \t\n\r]{0,200}[,\]]|[^"]{200}))))'
    ),
}
_WHOLE_STRING = {closer: re.compile(r'"[^"\\\x00-\x1f]*' + quote.pattern) for closer, quote in _END_QUOTE.items()}
_SIGN = re.compile(r"[}\]]|[:{\[][ \t\n\r]*")
# What may go on as one of these.
_UNDECIDED = re.compile(
    r'[-+.\w]{0,400}|"?[ \t\n\r]{0,200}(?:[,}\]][ \t\n\r]{0,200}(?:"[^"\\\n]{0,400}"?[ \t\n\r]{0,200})?)?'
    r"|\\(?:u[0-9a-fA-F]{0,3})?"
)


class JSONReader:
    r"""Takes the text of an answer while it is written, and returns the JSON in it.

    Text before the first bracket that can begin the JSON, and behind its end, is dropped. Strict JSON whose first key
    is one of the schema's comes out byte for byte while it is written. From the first irregularity on, the rest waits
    for the end and is read loosely. Of several objects that waited, the first counts that fits the schema.

    Args:
        root: "{" where an object is wanted, "[" where a list is.
        schema: What the JSON should fit; None for any.

    Attributes:
        problem: Why the JSON could not be read, or "".

    >>> reader = JSONReader()
    >>> reader.feed('Sure!\n```json\n{"name": "To') + reader.feed('m", "age": 3}\n``` Bye')
    '{"name": "Tom", "age": 3}'
    >>> reader = JSONReader()
    >>> reader.feed("{'name': 'Tom', }") + reader.close(cut_off=False)
    '{"name": "Tom" }'
    """

    def __init__(self, root: str = "{", schema: Any = None) -> None:
        self.problem = ""
        self._coercion = Coercion(schema) if isinstance(schema, dict) else None
        self._keys = keys_of([schema]) if self._coercion else Keys()
        self._first_keys = frozenset(self._coercion.properties if self._coercion else ())
        self._root = "key" if root == "{" and len(self._first_keys) > 1 else root
        self._before: list[str] = []
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
            self._before.append(text)
            root = _BEGINS[self._root].search(data) or _MAY_BEGIN[self._root].search(data)
            if self._root == "key" and (list_at := data.find("[")) >= 0 and (root is None or list_at < root.start()):
                self._wants = "rest"  # a list may be what the object should hold
                self._json.append(data[list_at:])
                return ""
            text = data = self._held = data[root.start() :] if root else ""
            if root is None or root.re is _MAY_BEGIN[self._root]:
                return ""
            # An object that begins with another key may be an example, or the schema.
            is_other = self._root == "key" and (root["key"] or root["bare"]) not in self._first_keys
            self._wants = "rest" if is_other else "value"
        self._json.append(text)
        while self._wants not in ("nothing", "rest"):
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

    def _finds_other_form(self) -> bool:
        """Take an answer without a bracket that is an object's members, or the call of the schema's class."""
        text = "".join(self._before).strip()
        member = _MEMBER.match(text)
        if self._coercion is None or not text:
            return False
        if text[0] == "{" and isinstance(whole := parse(f'"{text}"'), str):  # {\"a\": 1}
            self._json.append(whole)
        elif member and member["key"] in self._first_keys:
            self._json.append(f"{{{text}")
        elif _CLASS_CALL.match(text):
            schema = self._coercion.schema
            tools = Tools([{"name": text.partition("(")[0], "parameters": schema}])
            reader = CallReader(tools, make_id=str)
            reader.feed(text)
            reader.close()
            self._json += [call.arguments for call in reader.calls if not call.error]
        return bool(self._json)

    def close(self, *, cut_off: bool) -> str:
        """Return what is left at the end of the answer.

        Args:
            cut_off: The answer was broken off, so it must not look whole: nothing is closed that was left open.
        """
        if self._wants == "nothing" or (self._wants == "start" and not self._finds_other_form()):
            return ""
        self._wants = "nothing"
        text = "".join(self._json)
        if not self._sent_chars and not cut_off and self._coercion is not None:
            return self._first_that_fits(text, self._coercion)
        found, _ = self._read(text, cut_off=cut_off)
        return (text if found is None else found)[self._sent_chars :]

    def _first_that_fits(self, text: str, coercion: Coercion) -> str:
        """Return the first object or list in a text that fits the schema, or the first of all."""
        found, end = self._read(text, cut_off=False)
        first, problem = text if found is None else found, self.problem
        left_chars = _READ_CHARS_FREE + _READ_CHARS_A_CHAR * len(text)
        for _ in range(_MAX_TRIED):
            self.problem = ""
            if found is not None and (fitting := _fitting(found, coercion)) is not None:
                return fitting
            begin = _ANY_BEGIN.search(text, max(1, end))
            left_chars -= end if found is not None else len(text)
            if begin is None or left_chars < 0:
                break
            text = text[begin.start() :]
            found, end = self._read(text, cut_off=False)
        self.problem = problem
        return first

    def _read(self, text: str, *, cut_off: bool) -> tuple[str | None, int]:
        """Return as JSON what begins a text, or None where its strings are ambiguous, and the place behind it."""
        try:
            _, end = _decoder.raw_decode(text)
        except (ValueError, RecursionError):
            pass
        else:
            if text[end : end + 1] not in ('"', "'"):
                return text[:end], end
        strings = find_strings(text, 0, self._keys, strict_until=self._sent_chars)
        if strings.is_ambiguous and not cut_off:
            self.problem = f"the answer is not JSON: {AMBIGUOUS}"
            return None, 1
        answer = read_answer(text, strings, closes=not cut_off)
        stray = next((one for one in answer.strays if one not in self._keys.names), None)
        if stray is not None and self._coercion and not cut_off:
            self.problem = f"the answer is not JSON: {stray!r} is out of place"
            return None, answer.end
        return answer.json, answer.end

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


def _fitting(found: str, coercion: Coercion) -> str | None:
    """Return JSON that fits the schema, or None. What is only of another type stays as it was written."""
    value = parse(found)
    fitting, budget = coercion.coerced(value, coercion.schema), WorkBudget()
    if coercion.checker.problem(fitting, budget) is not None:
        return None
    is_same = isinstance(value, dict) and value.keys() == fitting.keys()
    return found if is_same or value == fitting else write_json(fitting)


def read_json(text: str, *, root: str = "{", cut_off: bool = False, schema: Any = None) -> str | None:
    """Return the JSON in an answer, as `JSONReader` finds and repairs it, or None.

    >>> read_json('The cat: {"name": "Tom", "age": 3')
    '{"name": "Tom", "age": 3}'
    """
    reader = JSONReader(root, schema)
    return (reader.feed(text) + reader.close(cut_off=cut_off)) or None


def read_arguments(text: str, schema: Any) -> str | None:
    """Return the arguments of a tool as JSON, where a text holds them and they fit its schema.

    >>> read_arguments('Sure: {"age": "3"}', {"type": "object", "properties": {"age": {"type": "integer"}}})
    '{"age": 3}'
    """
    value = parse(read_json(text, schema=schema) or "")
    coercion, budget = Coercion(schema), WorkBudget()
    if not isinstance(value, dict) or (value and coercion.properties.keys().isdisjoint(value)):
        return None
    arguments = coercion.coerced(value, schema, budget)
    return write_json(arguments) if coercion.checker.problem(arguments, budget) is None else None


def json_types(response_format: Mapping[str, Any]) -> frozenset[str]:
    """Return the JSON types of an answer that fits `response_format`; none if the schema does not say.

    >>> json_types({"type": "json_object"})
    frozenset({'object'})
    """
    if response_format.get("type") == "json_object":
        return frozenset({"object"})
    schema = answer_schema(response_format)
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
    schema = answer_schema(response_format)
    coercion, budget = Coercion(schema), WorkBudget()
    problem = coercion.checker.problem(coercion.coerced(value, schema, budget), budget)
    return None if problem is None else f"the JSON does not fit the schema: {problem}"


def answer_schema(response_format: Mapping[str, Any]) -> Any:
    """Return the JSON schema that an answer must fit, or None."""
    return as_dict(response_format.get("json_schema")).get("schema")
