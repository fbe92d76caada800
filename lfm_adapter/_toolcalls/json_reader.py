"""JSON out of an answer while it is written: `JSONReader`."""

from __future__ import annotations

import re
from typing import Any

from lfm_adapter._json import json_end, parse
from lfm_adapter._toolcalls.call_reader import CallReader
from lfm_adapter._toolcalls.json_schema import JSONSchema
from lfm_adapter._toolcalls.loose_json import MAX_ANSWER_DEPTH, read_answer
from lfm_adapter._toolcalls.quotes import AMBIGUOUS, Keys, find_strings
from lfm_adapter._toolcalls.tools import Tools, keys_of
from lfm_adapter._toolcalls.typed_json import SchemaPath, retyped

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
# The search for the object reads in proportion to the text, and checks only so many objects against the schema.
_READ_CHARS_FREE, _READ_CHARS_A_CHAR = 20_000, 1
_MAX_TRIED = 1_000
_SPACE = re.compile(r"[ \t\n\r]+")
_SCALAR = re.compile(r"(?:-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null)(?=[,\]} \t\n\r])")
_COMMA = {"}": re.compile(r',[ \t\n\r]{0,200}(?=")'), "]": re.compile(r',[ \t\n\r]{0,200}(?=["\[{\-0-9tfn])')}
_STRING_PART = re.compile(r'(?:[^"\\\x00-\x1f]+|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))+')
# The quote that ends a value in an object or a list is known by what follows it.
_END_QUOTE = {
    "}": re.compile(
        r'"(?=[ \t\n\r]{0,200}(?:\}[ \t\n\r]{0,200}[,\]}`\n]|,[ \t\n\r]{0,200}"[^"\\\n]{0,100}"[ \t\n\r]{0,200}:))'
    ),
    "]": re.compile(
        r'"(?=[ \t\n\r]{0,200}(?:\][ \t\n\r]{0,200}[,\]}`\n]|,[ \t\n\r]{0,200}(?:[\[{\-0-9tfn]'
        r'|"[^"\\\n]{0,200}(?:[\\\n]|"[ \t\n\r]{0,200}[,\]]|[^"]{200}))))'
    ),
}
_KEY = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"(?=[ \t\n\r]{0,200}:)')
_WHOLE_STRING = {closer: re.compile(r'"[^"\\\x00-\x1f]*' + quote.pattern) for closer, quote in _END_QUOTE.items()}
_SIGN = re.compile(r"[}\]]|[:{\[][ \t\n\r]*")
# What may still become a part that is taken.
_TAIL = r'[ \t\n\r]{0,200}(?:[,}\]][ \t\n\r]{0,200}(?:"[^"\\\n]{0,400}"?[ \t\n\r]{0,200})?)?'
_UNDECIDED = re.compile(rf'[-+.\w]{{0,400}}|"?{_TAIL}|\\(?:u[0-9a-fA-F]{{0,3}})?')
_UNDECIDED_STRING = re.compile(rf'"(?:[^"\\\x00-\x1f]|\\.){{0,400}}(?:\\|"{_TAIL})?')


class JSONReader:
    r"""Takes the text of an answer while it is written, and returns the JSON in it.

    Text before the first bracket that can begin the JSON, and behind its end, is dropped. Strict JSON whose first key
    is one of the schema's comes out byte for byte while it is written. From the first irregularity on, or the first
    value of another type than the schema wants, the rest waits for the end. It is read loosely then, and values come
    out in the schema's types where nothing is lost by it. Of several objects that waited, the first that fits counts.

    Args:
        root: "{" where an object is wanted, "[" where a list is.
        schema: What the JSON should fit; None for any.
        coerces: Whether values come out in the schema's types.

    Attributes:
        problem: Why the JSON could not be read, or "".

    >>> reader = JSONReader()
    >>> reader.feed('Sure!\n```json\n{"name": "To') + reader.feed('m", "age": 3}\n``` Bye')
    '{"name": "Tom", "age": 3}'
    >>> reader = JSONReader()
    >>> reader.feed("{'name': 'Tom', }") + reader.close(cut_off=False)
    '{"name": "Tom" }'
    >>> reader = JSONReader(schema={"type": "object", "properties": {"age": {"type": "integer"}}})
    >>> reader.feed('{"age": "3"}') + reader.close(cut_off=False)
    '{"age": 3}'
    """

    def __init__(self, root: str = "{", schema: Any = None, *, coerces: bool = True) -> None:
        self.problem = ""
        self._coerces = coerces
        self._schema = JSONSchema(schema) if isinstance(schema, dict) else None
        self._keys = keys_of([schema]) if self._schema else Keys()
        self._path = SchemaPath(self._schema if coerces else None)
        self._first_keys = frozenset(self._schema.properties if self._schema else ())
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
                if not self._may_go_on(data, place):
                    self._wants = "rest"
                break
            place = end
        self._held = data[place:]
        self._sent_chars += place
        return data[:place]

    def _may_go_on(self, data: str, place: int) -> bool:
        """Return whether what comes next may still become a part of strict JSON that fits the schema."""
        if self._string and data[place : place + 1] not in ("", '"', "\\"):
            return False
        if _UNDECIDED.fullmatch(data, place):
            return True
        is_whole_only = "key" in self._wants or ("value" in self._wants and self._path.has_options)
        return is_whole_only and _UNDECIDED_STRING.fullmatch(data, place) is not None

    def _finds_other_form(self) -> bool:
        """Take an answer without a bracket that is an object's members, or the call of the schema's class."""
        text = "".join(self._before).strip()
        member = _MEMBER.match(text)
        if self._schema is None or not text:
            return False
        quoted = text if text[0] == '"' else f'"{text}"' if text[0] == "{" else ""
        if isinstance(inner := parse(quoted), str):  # {\"a\": 1}, in quotes or not
            self._json.append(inner)
        elif member and member["key"] in self._first_keys:
            self._json.append(f"{{{text}")
        elif _CLASS_CALL.match(text):
            tools = Tools([{"name": text.partition("(")[0], "parameters": self._schema.schema}])
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
        if not self._sent_chars and not cut_off and self._schema is not None:
            return self._first_that_fits(text, self._schema)
        found, _ = self._read(text, cut_off=cut_off)
        if found is None:
            return text[self._sent_chars :]
        if self._coerces and self._schema is not None and not cut_off:
            fitting = retyped(found, self._schema.coerced(parse(found)))
            if fitting[: self._sent_chars] == found[: self._sent_chars]:
                found = fitting
        return found[self._sent_chars :]

    def _first_that_fits(self, text: str, schema: JSONSchema) -> str:
        """Return the first object or list in a text that fits the schema, or the first of all."""
        found, end = self._read(text, cut_off=False)
        first, problem = text if found is None else found, self.problem
        left_chars = _READ_CHARS_FREE + _READ_CHARS_A_CHAR * len(text)
        for _ in range(_MAX_TRIED):
            self.problem = ""
            if found is not None and (fitting := self._fitting(found, schema)) is not None:
                return fitting
            begin = _ANY_BEGIN.search(text, max(1, end))
            left_chars -= end if found is not None else len(text)
            if begin is None or left_chars < 0:
                break
            text = text[begin.start() :]
            found, end = self._read(text, cut_off=False)
        self.problem = problem
        return first

    def _fitting(self, found: str, schema: JSONSchema) -> str | None:
        """Return JSON that fits the schema, or None."""
        value = parse(found)
        fitting = schema.coerced(value)
        if schema.problem(fitting) is not None:
            return None
        has_same_keys = isinstance(value, dict) and isinstance(fitting, dict) and value.keys() == fitting.keys()
        return found if has_same_keys and not self._coerces else retyped(found, fitting)

    def _read(self, text: str, *, cut_off: bool) -> tuple[str | None, int]:
        """Return as JSON what begins a text, or None where its strings are ambiguous, and the place behind it."""
        end = json_end(text, 0)
        if end is not None and text[end : end + 1] not in ('"', "'"):
            return text[:end], end
        strings = find_strings(text, 0, self._keys, strict_until=self._sent_chars)
        if strings.is_ambiguous and not cut_off:
            self.problem = f"the answer is not JSON: {AMBIGUOUS}"
            return None, 1
        answer = read_answer(text, strings, closes=not cut_off)
        stray = next((one for one in answer.strays if one not in self._keys.names), None)
        if stray is not None and self._schema and not cut_off:
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
        if char == '"':
            return self._key(data, place) if "key" in wants else self._string_value(data, place)
        match char:
            case ":" if wants == "colon":
                self._wants = "value"
            case "," if wants == "comma":
                comma = _COMMA[self._closers[-1]].match(data, place)
                self._wants = wants if comma is None else "key" if self._closers[-1] == "}" else "value"
                return None if comma is None else comma.end()
            case "{" | "[" if "value" in wants and len(self._closers) < MAX_ANSWER_DEPTH and self._path.admits(char):
                self._closers.append("}" if char == "{" else "]")
                self._wants = "first key" if char == "{" else "first value"
                self._path.open()
            case "}" | "]" if char == self._closers[-1] and (wants == "comma" or "first" in wants):
                self._closers.pop()
                self._wants = "comma" if self._closers else "nothing"
                self._path.close()
            case _:
                return self._scalar(data, place)
        sign = _SIGN.match(data, place)
        return None if sign is None else sign.end()

    def _key(self, data: str, place: int) -> int | None:
        key = _KEY.match(data, place)
        if key is None:
            return None
        self._path.enter(key[0])
        self._wants = "colon"
        return key.end()

    def _string_value(self, data: str, place: int) -> int | None:
        if "value" not in self._wants or not self._path.admits('"'):
            return None
        closer = self._closers[-1]
        whole = _WHOLE_STRING[closer].match(data, place)
        if self._path.has_options and not (whole and self._path.keeps(whole[0])):
            return None
        self._wants = "comma"
        if whole is None:
            self._string = closer
            return place + 1
        return whole.end()

    def _scalar(self, data: str, place: int) -> int | None:
        scalar = _SCALAR.match(data, place) if "value" in self._wants else None
        if scalar is None or not self._path.keeps(scalar[0]):
            return None
        self._wants = "comma"
        return scalar.end()
