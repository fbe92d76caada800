"""Refuses requests that llama.cpp would crash on, take minutes for, or silently answer in part.

The limits are those of build 11549 (xllamacpp 2026.10), where each was tried.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from lfm_adapter._json import is_deeper
from lfm_adapter.apps.local.patterns import to_engine_pattern

# 20,000 levels end the engine by a stack overflow; 5,000 take more than 6 s.
MAX_DEPTH = 250

# Each is an alternative in each step of the grammar: 2,000 properties or 20,000 values take more than 6 s a token.
MAX_ENUM = 1_000
MAX_PROPERTIES = 500
MAX_SCHEMA_NODES = 10_000

# 100,000 brackets end the engine by a stack overflow; 20,000 alternatives take more than 6 s a token.
MAX_GRAMMAR_CHARS = 100_000
MAX_GRAMMAR_BRACKETS = 1_000
MAX_GRAMMAR_ALTERNATIVES = 2_000

MAX_LOGPROBS = 20  # OpenAI's limit; a million takes minutes

# Fields with text of people and models, which the engine does not compile.
_CONTENT = frozenset({
    "messages", "prompt", "input", "content", "input_prefix", "input_suffix", "input_extra", "state", "questions",
})  # fmt: skip

# Keywords of a schema whose values are data or names.
_DATA = frozenset({"const", "default", "enum", "example", "examples"})

# Keywords whose value is an object of schemas by their names, which may be those of keywords.
_NAMED = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})

# If the minimum exceeds the maximum, the engine fills the memory.
_BOUNDS = (("minItems", "maxItems"), ("minLength", "maxLength"), ("minimum", "maximum"))

_REPETITION = re.compile(r"\{\s*(\d+)\s*,\s*(\d+)\s*\}")


def checked_request(body: bytes) -> dict[str, Any]:
    r"""Return the request to send to the engine.

    Args:
        body: The JSON that the client sent.

    Returns:
        The request, with `tool_choice="any"` and patterns such as `\d` written as the engine knows them.

    Raises:
        ValueError: The request must not reach the engine. The message says why, and what to do.
    """
    try:
        request = json.loads(body, parse_constant=_finite, parse_float=_finite, parse_int=_integer)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"The request is not valid JSON: {error}.") from None
    if not isinstance(request, dict):
        raise ValueError("The request must be a JSON object.")  # noqa: TRY004 - it becomes status 400
    if is_deeper(request, MAX_DEPTH):
        raise ValueError(_TOO_DEEP)
    _check_fields(request)
    count = [0]
    for name, value in request.items():
        if name not in _CONTENT:
            request[name] = _checked_schemas(value, name, count)
    return request


_TOO_DEEP = f"The request is nested too deep: {MAX_DEPTH} levels are the most that llama.cpp can be asked for."


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):  # NaN, Infinity or 1e999, which would be sent as `NaN` or `Infinity`
        raise ValueError(f"The request has a number that JSON cannot hold: {text[:100]}.")
    return number


def _integer(text: str) -> int:
    _finite(text)  # `int` refuses more than 4,300 digits without saying what is wrong
    return int(text)


def _check_fields(request: dict[str, Any]) -> None:
    if request.get("tool_choice") == "any":
        request["tool_choice"] = "required"
    for name in ("logprobs", "top_logprobs", "n_probs"):
        number = request.get(name)
        if isinstance(number, int | float) and number > MAX_LOGPROBS:
            raise ValueError(f"`{name}` must be at most {MAX_LOGPROBS}, got {number}.")
    grammar = request.get("grammar")
    if grammar is not None:
        _check_grammar(grammar)
    wanted = request.get("response_format")
    if wanted is None:
        return
    if not isinstance(wanted, dict):
        raise ValueError('`response_format` must be an object such as `{"type": "json_object"}`.')  # noqa: TRY004
    described = wanted.get("json_schema")
    for schema in (wanted.get("schema"), described.get("schema") if isinstance(described, dict) else described):
        if not (schema is None or isinstance(schema, dict)):
            raise ValueError(f"The schema in `response_format` must be an object, got {type(schema).__name__}.")


def _check_grammar(grammar: object) -> None:
    if not isinstance(grammar, str):
        raise ValueError("`grammar` must be a string.")  # noqa: TRY004 - it becomes status 400
    for found, most, what in (
        (len(grammar), MAX_GRAMMAR_CHARS, "characters"),
        (grammar.count("("), MAX_GRAMMAR_BRACKETS, "brackets"),
        (grammar.count("|"), MAX_GRAMMAR_ALTERNATIVES, "alternatives"),
    ):
        if found > most:
            raise ValueError(f"`grammar` has {found:,} {what}; llama.cpp can handle at most {most:,}.")
    for least, most_times in _REPETITION.findall(grammar):
        if float(least) > float(most_times):
            raise ValueError(
                f"`grammar` repeats something {{{least},{most_times}}} times: the minimum exceeds the maximum."
            )


def _checked_schemas(value: Any, path: str, count: list[int], *, named: bool = False) -> Any:
    """Return a part of the request, with the schemas in it at any depth written as the engine can compile them.

    Args:
        value: The part.
        path: Its place in the request, for errors.
        count: The number of parts so far, in a list of one.
        named: Whether it is an object of schemas by their names.
    """
    count[0] += 1
    if count[0] > MAX_SCHEMA_NODES:
        raise ValueError(f"The schemas of the request are too large: they have more than {MAX_SCHEMA_NODES:,} parts.")
    if isinstance(value, list):
        return [_checked_schemas(item, f"{path}[{index}]", count) for index, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    if named:
        return {name: _checked_schemas(part, f"{path}.{name}", count) for name, part in value.items()}
    _check_limits(value, path)
    checked = {}
    for name, part in value.items():
        if name in _DATA:
            checked[name] = part
        elif name == "pattern" and isinstance(part, str):
            try:
                checked[name] = to_engine_pattern(part)
            except ValueError as error:
                raise ValueError(f"The pattern {part[:100]!r} at `{path}` cannot be enforced: {error}") from None
        else:
            checked[name] = _checked_schemas(part, f"{path}.{name}", count, named=name in _NAMED)
    return checked


def _check_limits(schema: dict[str, Any], path: str) -> None:
    for name, most, kind in (("enum", MAX_ENUM, list), ("properties", MAX_PROPERTIES, dict)):
        found = schema.get(name)
        if isinstance(found, kind) and len(found) > most:
            raise ValueError(f"`{path}.{name}` has {len(found):,} entries; llama.cpp can handle at most {most:,}.")
    for low, high in _BOUNDS:
        least, highest = schema.get(low), schema.get(high)
        if isinstance(least, int | float) and isinstance(highest, int | float) and least > highest:
            raise ValueError(f"No value fits the schema at `{path}`: `{low}` is {least}, and `{high}` {highest}.")
