"""How each family of LFM writes tools and calls, and how text in its dialect is made.

LFM2 and LFM2.5: https://docs.liquid.ai/lfm/key-concepts/tool-use. LFM3 writes XML. What LFM-3B and the other first LFMs
were trained on was never published; they are shown calls in JSON between tags, which many models know.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from lfm_adapter._toolcalls.loose_tokens import write_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from lfm_adapter.types import JSONDict, ToolDialect

__all__ = ["Dialect", "dialect_of", "escaped"]

Arguments: TypeAlias = "dict[str, Any] | str"
"""The arguments of a call, or their text where they are not a JSON object."""

_KEYWORD = re.compile(r"[^\W\d]\w*")
_TAG_NAME = re.compile(r"[\w.-]+")
_PLAIN_WORD = re.compile(r"[^\W\d](?:[^<]*[^<\s])?")
_LITERALS = frozenset({"true", "false", "null", "none", "nan", "infinity", "inf"})


def escaped(text: str) -> str:
    r"""Return JSON without markers: "<" is written `\u003c`."""
    return text.replace("<", "\\u003c")


def _json_call(name: str, arguments: Arguments) -> str:
    return escaped(f'{{"name": {write_json(name)}, "arguments": {write_json(arguments)}}}')


def _python_call(name: str, arguments: Arguments) -> str:
    if isinstance(arguments, str) or not _TAG_NAME.fullmatch(name) or not all(map(_KEYWORD.fullmatch, arguments)):
        return _json_call(name, arguments)
    given = ", ".join(f"{key}={_python(value)}" for key, value in arguments.items())
    return f"{name}({given})"


def _python(value: Any) -> str:
    """Return a JSON value as Python writes it."""
    match value:
        case str():
            return write_json(value).replace("<", "\\x3c")
        case list():
            return f"[{', '.join(map(_python, value))}]"
        case dict():
            return f"{{{', '.join(f'{_python(key)}: {_python(member)}' for key, member in value.items())}}}"
    return repr(value)


def _xml_call(name: str, arguments: Arguments) -> str:
    if isinstance(arguments, str) or not all(map(_TAG_NAME.fullmatch, (name, *arguments))):
        return _json_call(name, arguments)
    given = "".join(f"<parameter={key}>{_xml(value)}</parameter>" for key, value in arguments.items())
    return f"<function={name}>{given}</function>"


def _xml(value: Any) -> str:
    """Return a value for a tag: a string as it is, where nobody could take it for anything else, all else as JSON."""
    if isinstance(value, str) and _PLAIN_WORD.fullmatch(value) and value.lower() not in _LITERALS:
        return value
    return escaped(write_json(value))


class Dialect(NamedTuple):
    """One way to write tools, calls and results: what comes before, between and behind them."""

    manual: str  # says how to write a call
    call: Callable[[str, Arguments], str]
    tools: tuple[str, str, str] = ("You have these tools, one on each line:\n<tools>\n", "\n", "\n</tools>")
    calls: tuple[str, str, str] = ("<tool_call>", "</tool_call>\n<tool_call>", "</tool_call>")
    result: tuple[str, str] = ("<tool_response>", "</tool_response>")

    def write_tools(self, definitions: Sequence[JSONDict]) -> str:
        """Return the definitions of tools as text."""
        start, between, end = self.tools
        return f"{start}{between.join(escaped(write_json(definition)) for definition in definitions)}{end}"

    def write_calls(self, calls: Iterable[tuple[str, Arguments]]) -> str:
        """Return calls as text, each given by the tool's name and the arguments."""
        start, between, end = self.calls
        return f"{start}{between.join(self.call(name, arguments) for name, arguments in calls)}{end}"


_DIALECTS = {
    "lfm2": Dialect(
        'To call a tool, write <|tool_call_start|>[name(argument="value")]<|tool_call_end|>. '
        "Results follow in <|tool_response_start|><|tool_response_end|>.",
        _python_call,
        tools=("List of tools: <|tool_list_start|>[", ", ", "]<|tool_list_end|>"),
        calls=("<|tool_call_start|>[", ", ", "]<|tool_call_end|>"),
        result=("<|tool_response_start|>", "<|tool_response_end|>"),
    ),
    "lfm3": Dialect(
        "To call a tool, write <tool_call><function=name><parameter=argument>value</parameter></function></tool_call>, "
        "with a parameter for each argument. Results follow in <tool_response></tool_response>.",
        _xml_call,
    ),
    "none": Dialect(
        'To call a tool, write <tool_call>{"name": "name", "arguments": {"argument": "value"}}</tool_call>. '
        "Results follow in <tool_response></tool_response>.",
        _json_call,
    ),
}


def dialect_of(dialect: ToolDialect | None) -> Dialect:
    """Return the dialect that a model's card names, or JSON in tags where it names none."""
    return _DIALECTS[dialect or "none"]
