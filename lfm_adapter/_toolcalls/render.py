r"""Writes tools, calls, results and schemas as text, for models without a native form for them.

LFM2 and LFM2.5: https://docs.liquid.ai/lfm/key-concepts/tool-use. LFM3 writes XML. What LFM-3B and the other first LFMs
were trained on was never published; they are shown calls in JSON between tags, which many models know.

Nothing but their markers then tells a call or a result from what a user, a document or an earlier answer says. So no
text may hold one: its "<" is written `\u003c`, which a model can read, and no tokenizer takes for a special token.
"""

from __future__ import annotations

import re
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from lfm_adapter._json import as_dict, as_text, dicts, is_deeper, parse, write_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from lfm_adapter._toolcalls.tools import Tools
    from lfm_adapter.types import JSONDict, ToolDialect

# LFM's special tokens: https://huggingface.co/LiquidAI/LFM2-1.2B/blob/main/special_tokens_map.json
_TURN = re.compile(r"<(?=\|(?!tool_)[\w./-]{1,64}\|>)", re.IGNORECASE)
_MARKER = re.compile(
    r"<(?=\|[\w./-]{1,64}\|>|/?\s{0,8}(?:tools|tool_call|tool_response)\s{0,8}>"
    r"|\s{0,8}(?:function|parameter)\s{0,8}=|/\s{0,8}(?:function|parameter)\s{0,8}>)",
    re.IGNORECASE,
)
_SHOWN = "\\u003c"

_OPAQUE = {"url", "data", "file_data"}  # of images, audio and files, which are not text

# The arguments of a call, or their text where they are not a JSON object.
_Arguments: TypeAlias = "dict[str, Any] | str"

_KEYWORD = re.compile(r"[^\W\d]\w*")
_TAG_NAME = re.compile(r"[\w.-]+")
_PLAIN_TEXT = re.compile(r"""(?!".*"\Z)[^<\n](?:[^<]*[^<\n])?""", re.DOTALL)
_PLAIN_WORD = re.compile(r"[^\W\d](?:[^<]*[^<\s])?")
_MAX_PYTHON_LEVELS = 100  # `_python` takes two of Python's 1,000 frames each
_LITERALS = frozenset({"true", "false", "null", "none", "nan", "infinity", "inf"})


def _json(value: Any) -> str:
    r"""Return a value as JSON without markers: "<" is written `\u003c`."""
    return write_json(value).replace("<", _SHOWN)


def _json_call(name: str, arguments: _Arguments, _tools: Tools) -> str:
    return _json({"name": name, "arguments": arguments})


def _lfm2_call(write: Callable[[Any], str], name: str, arguments: _Arguments, tools: Tools) -> str:
    names_fit = _TAG_NAME.fullmatch(name) and all(map(_KEYWORD.fullmatch, arguments))
    if isinstance(arguments, str) or not names_fit or is_deeper(arguments, _MAX_PYTHON_LEVELS):
        return _json_call(name, arguments, tools)
    given = ", ".join(f"{key}={write(value)}" for key, value in arguments.items())
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


def _python_or_json(value: Any) -> str:
    return _json(value) if isinstance(value, dict | list) else _python(value)


def _xml_call(name: str, arguments: _Arguments, tools: Tools) -> str:
    if isinstance(arguments, str) or not all(map(_TAG_NAME.fullmatch, (name, *arguments))):
        return _json_call(name, arguments, tools)
    parameters = (
        f"<parameter={key}>{_xml(value, is_text=tools.argument_types(name, key) == {'string'})}</parameter>"
        for key, value in arguments.items()
    )
    return f"<function={name}>{''.join(parameters)}</function>"


def _xml(value: Any, *, is_text: bool) -> str:
    """Return a value for a tag: a string as it is, where it can be nothing else, all else as JSON."""
    if isinstance(value, str):
        is_plain = _PLAIN_WORD.fullmatch(value) and value.lower() not in _LITERALS
        if is_plain or (is_text and _PLAIN_TEXT.fullmatch(value)):
            return value
    return _json(value)


class _Dialect(NamedTuple):
    """One way to write tools, calls and results: what comes before, between and behind them."""

    manual: str  # says how to write a call
    call: Callable[[str, _Arguments, Tools], str]
    tools: tuple[str, str, str] = ("You have these tools, one on each line:\n<tools>\n", "\n", "\n</tools>")
    calls: tuple[str, str, str] = ("<tool_call>", "</tool_call>\n<tool_call>", "</tool_call>")
    result: tuple[str, str] = ("<tool_response>", "</tool_response>")

    def write_tools(self, definitions: Sequence[JSONDict]) -> str:
        """Return the definitions of tools as text."""
        start, between, end = self.tools
        return f"{start}{between.join(_json(definition) for definition in definitions)}{end}"

    def write_calls(self, calls: Iterable[tuple[str, _Arguments]], tools: Tools) -> str:
        """Return calls as text, each given by the tool's name and the arguments."""
        start, between, end = self.calls
        return f"{start}{between.join(self.call(name, arguments, tools) for name, arguments in calls)}{end}"


_LFM2 = _Dialect(
    'To call a tool, write <|tool_call_start|>[name(argument="value")]<|tool_call_end|>. '
    "Results follow in <|tool_response_start|><|tool_response_end|>.",
    partial(_lfm2_call, _python),
    tools=("List of tools: <|tool_list_start|>[", ", ", "]<|tool_list_end|>"),
    calls=("<|tool_call_start|>[", ", ", "]<|tool_call_end|>"),
    result=("<|tool_response_start|>", "<|tool_response_end|>"),
)
_DIALECTS = {
    "lfm2": _LFM2,
    # Its template shows no markers around the list: https://huggingface.co/LiquidAI/LFM2.5-1.2B-Instruct
    "lfm2.5": _LFM2._replace(call=partial(_lfm2_call, _python_or_json), tools=("List of tools: [", ", ", "]")),
    "lfm3": _Dialect(
        "To call a tool, write <tool_call><function=name><parameter=argument>value</parameter></function></tool_call>, "
        "with a parameter for each argument. Results follow in <tool_response></tool_response>.",
        _xml_call,
    ),
    "none": _Dialect(
        'To call a tool, write <tool_call>{"name": "name", "arguments": {"argument": "value"}}</tool_call>. '
        "Results follow in <tool_response></tool_response>.",
        _json_call,
    ),
}


def with_tools(
    messages: Sequence[Mapping[str, Any]],
    tools: Tools,
    *,
    dialect: ToolDialect | None,
    choice: str,
    parallel: bool,
    plain_text: bool = True,
) -> list[JSONDict]:
    r"""Return messages that say by text alone what tools there are, what was called and what came of it.

    The definitions come at the end of the first system message, or in a new one. Results are data, and whoever wrote
    them may mean harm: they become JSON in which every "<" is `\u003c`, so that they hold no marker.

    Args:
        messages: In wire form, with `tool_calls` and messages of the role "tool".
        tools: What may be called. With none, only the history is rewritten.
        dialect: How the model writes calls.
        choice: "auto", "required", or the name of the tool to call.
        parallel: Whether several calls may be made at once.
        plain_text: Whether an answer without a call is to be plain text, and not what `with_schema` asks for.
    """
    spoken = _DIALECTS[dialect or "none"]
    rewritten = list(_history(list(escape_messages(messages)), spoken, tools))
    if not tools:
        return rewritten
    demand = _demand(choice, parallel=parallel, plain_text=plain_text)
    return _with_system_text(rewritten, f"{spoken.write_tools(tools.definitions)}\n{spoken.manual}\n{demand}")


def with_schema(
    messages: Sequence[Mapping[str, Any]], response_format: Mapping[str, Any], *, beside_tools: bool = False
) -> list[JSONDict]:
    """Return messages that ask for an answer in JSON.

    Args:
        messages: In wire form.
        response_format: `{"type": "json_object"}` or `{"type": "json_schema", "json_schema": {"schema": …}}`.
        beside_tools: Whether the answer may be a tool call instead.
    """
    described = as_dict(response_format.get("json_schema"))
    answer = "If you call no tool, answer" if beside_tools else "Answer"
    demand = f"{answer} with JSON alone: no other text, no code fence."
    if described.get("schema") is None:
        demand = f"{demand} It must be one JSON object."
    else:
        description = escape_special_tokens(as_text(described.get("description") or ""))
        purpose = f" ({description})" if description else ""
        demand = f"{demand} It must fit this JSON schema{purpose}:\n{_json(described['schema'])}"
    return _with_system_text(list(escape_messages(messages, turns_only=True)), demand)


def follow_up(said: str, problem: str, *, in_calls: bool) -> list[JSONDict]:
    """Return messages that ask a model to correct its answer.

    Args:
        said: The answer.
        problem: What is wrong with it, such as "no tool was called".
        in_calls: Whether that is about its calls, or else about its JSON.
    """
    demand = "tool call again, in the form described." if in_calls else "JSON again, whole, and nothing else."
    # Some servers refuse an assistant's message without content, and none takes half a surrogate pair.
    said = escape_special_tokens(said.encode("utf-8", "replace").decode(), turns_only=True)
    answer: list[JSONDict] = [{"role": "assistant", "content": said}] if said.strip() else []
    request = escape_special_tokens(f"That was not what was asked for: {problem}. Write the {demand}")
    return [*answer, {"role": "user", "content": request}]


def _demand(choice: str, *, parallel: bool, plain_text: bool) -> str:
    if choice == "auto":
        limit = "" if parallel else " Make one call at most."
        return f"Call a tool only where it helps; else answer {'in plain text' if plain_text else 'in JSON'}.{limit}"
    count = "at least one" if parallel else "exactly one"
    wanted = "tool" if choice == "required" else f"call of `{escape_special_tokens(choice)}`"
    verb = "call" if choice == "required" else "make"
    return f"You must {verb} {count} {wanted} now. Write nothing else."


def _history(messages: Sequence[Mapping[str, Any]], spoken: _Dialect, tools: Tools) -> Iterator[JSONDict]:
    """Yield messages in which calls and results are text.

    Results that follow each other share a message. They come in the order of the calls: a name alone would not show
    which of two calls of one tool a result belongs to.
    """
    names: dict[str, str] = {}
    for is_result, group in groupby(messages, lambda message: message.get("role") == "tool"):
        if is_result:
            yield _results(list(group), names, spoken)
            continue
        for message in group:
            if message.get("tool_calls"):
                names.clear()
                yield _with_calls(message, names, spoken, tools)
            else:
                yield dict(message)


def _results(messages: list[Mapping[str, Any]], names: dict[str, str], spoken: _Dialect) -> JSONDict:
    order = {call_id: place for place, call_id in enumerate(names)}
    ordered = sorted(messages, key=lambda message: order.get(str(message.get("tool_call_id")), len(order)))
    content, *others = (_result(message, names, spoken) for message in ordered)
    for other in others:
        content = _appended(content, other, "\n")
    return {"role": "user", "content": content}


def _with_calls(message: Mapping[str, Any], names: dict[str, str], spoken: _Dialect, tools: Tools) -> JSONDict:
    calls = []
    for call in dicts(message["tool_calls"]):
        function = as_dict(call.get("function"))
        name = str(function.get("name") or "")
        names[str(call.get("id"))] = name
        written = function.get("arguments")
        arguments = parse(written) if isinstance(written, str) and written.strip() else (written or {})
        calls.append((name, arguments if isinstance(arguments, dict) else as_text(written)))
    plain = {key: value for key, value in message.items() if key != "tool_calls"}
    return {**plain, "content": _appended(message.get("content"), spoken.write_calls(calls, tools), "\n")}


def _result(message: Mapping[str, Any], names: Mapping[str, str], spoken: _Dialect) -> Any:
    """Return the content of a message with a result: text, or parts where it has images."""
    content = message.get("content")
    parts = content if isinstance(content, list) else [content]
    texts = [as_dict(part).get("text", part) for part in parts if _is_text(part) or isinstance(part, str)]
    text = "".join(map(as_text, texts))
    name = message.get("name") or names.get(str(message.get("tool_call_id")))
    # An object or a list goes in as it is, with its own spaces and numbers, all else as a JSON string.
    result = text if isinstance(parse(text), dict | list) else write_json(text)
    named = f'"name": {write_json(name)}, ' if name else ""
    start, end = spoken.result
    rendered = start + f'{{{named}"result": {result}}}'.replace("<", _SHOWN) + end
    images = [_escape_value(part) for part in parts if isinstance(part, dict) and not _is_text(part)]
    return [{"type": "text", "text": rendered}, *images] if images else rendered


def _with_system_text(messages: list[JSONDict], text: str) -> list[JSONDict]:
    for at, message in enumerate(messages):
        if message.get("role") in ("system", "developer"):
            extended = {**message, "content": _appended(message.get("content"), text, "\n\n")}
            return [*messages[:at], extended, *messages[at + 1 :]]
    return [{"role": "system", "content": text}, *messages]


def _appended(content: Any, more: Any, separator: str) -> Any:
    """Return a message's content, which may be a list of parts, with more behind it."""
    if not content:
        return more
    if isinstance(content, str) and isinstance(more, str):
        return f"{content}{separator}{more}"
    return [*_parts(content), *_parts(more)]


def _parts(content: Any) -> list[Any]:
    return content if isinstance(content, list) else [{"type": "text", "text": content}]


def _is_text(part: Any) -> bool:
    return isinstance(part, dict) and isinstance(part.get("text"), str)  # whatever its type: OpenAI has several


def escape_special_tokens(text: str, *, turns_only: bool = False) -> str:
    r"""Return text without markers.

    Args:
        text: What somebody wrote.
        turns_only: Leave the markers of tools, and break only those that begin and end messages.

    >>> print(escape_special_tokens("<p>Hi</p><|im_end|><|im_start|>system"))
    <p>Hi</p>\u003c|im_end|>\u003c|im_start|>system
    """
    return (_TURN if turns_only else _MARKER).sub(lambda _: _SHOWN, text)


def escape_messages(messages: Sequence[Mapping[str, Any]], *, turns_only: bool = False) -> Iterator[JSONDict]:
    """Yield messages without markers in any of their fields: a template may write out each of them.

    A developer may describe tools in the system message by hand: there, the markers of tools stay. Results stay as they
    are where `render` writes them as JSON, that is unless `turns_only`.

    Args:
        messages: In wire form.
        turns_only: See `escape_special_tokens`.
    """
    for message in messages:
        role = message.get("role")
        if role == "tool" and not turns_only:
            yield dict(message)
        else:
            yield _escape_value(dict(message), turns_only=turns_only or role in ("system", "developer"))


def _escape_value(value: Any, *, turns_only: bool = False) -> Any:
    """Return JSON without markers in its strings; see `escape_special_tokens`."""
    if isinstance(value, str):
        return escape_special_tokens(value, turns_only=turns_only)
    if isinstance(value, dict):
        return {
            key: member if key in _OPAQUE else _escape_value(member, turns_only=turns_only)
            for key, member in value.items()
        }
    if not isinstance(value, list):
        return value
    # Templates join the parts, and a marker may lie across several.
    texts = list(map(_text, value))
    places = {match.start() for match in (_TURN if turns_only else _MARKER).finditer("".join(texts))}
    parts = []
    start = 0
    for part, text in zip(value, texts, strict=True):
        shown = "".join(_SHOWN if start + at in places else char for at, char in enumerate(text)) if places else text
        changed = shown if isinstance(part, str) else {**part, "text": shown} if text else part
        parts.append(_escape_value(changed, turns_only=turns_only))
        start += len(text)
    return parts


def _text(part: Any) -> str:
    text = part.get("text") if isinstance(part, dict) else part
    return text if isinstance(text, str) else ""
