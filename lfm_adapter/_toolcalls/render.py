"""Writes tools, calls, results and schemas as text, for models without a native form for them."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from lfm_adapter._json import as_dict, as_text, dicts, parse
from lfm_adapter._toolcalls.dialects import dialect_of, escaped
from lfm_adapter._toolcalls.escape import escape_messages, escape_special_tokens
from lfm_adapter._toolcalls.loose_tokens import write_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lfm_adapter._toolcalls.dialects import Dialect
    from lfm_adapter._toolcalls.tools import Tools
    from lfm_adapter.types import JSONDict, ToolDialect

__all__ = ["repair_calls", "repair_schema", "with_schema", "with_tools"]


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
    spoken = dialect_of(dialect)
    rewritten = list(_history(list(escape_messages(messages)), spoken))
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
        purpose = f" ({described['description']})" if described.get("description") else ""
        demand = f"{demand} It must fit this JSON schema{purpose}:\n{escaped(write_json(described['schema']))}"
    return _with_system_text(list(escape_messages(messages, turns_only=True)), demand)


def repair_calls(said: str, problem: str) -> list[JSONDict]:
    """Return messages that tell a model the `problem` with the calls in its answer, such as "no tool was called"."""
    return _repair(said, problem, "Write the tool call again, in the form described.")


def repair_schema(said: str, problem: str) -> list[JSONDict]:
    """Return messages that tell a model the `problem` with its JSON, such as "the answer is not JSON"."""
    return _repair(said, problem, "Write the JSON again, whole, and nothing else.")


def _repair(said: str, problem: str, demand: str) -> list[JSONDict]:
    # Some servers refuse an assistant's message without content, and none takes half a surrogate pair.
    said = escape_special_tokens(said.encode("utf-8", "replace").decode(), turns_only=True)
    answer: list[JSONDict] = [{"role": "assistant", "content": said}] if said.strip() else []
    request = escape_special_tokens(f"That was not what was asked for: {problem}. {demand}")
    return [*answer, {"role": "user", "content": request}]


def _demand(choice: str, *, parallel: bool, plain_text: bool) -> str:
    if choice == "auto":
        limit = "" if parallel else " Make one call at most."
        return f"Call a tool only where it helps; else answer {'in plain text' if plain_text else 'in JSON'}.{limit}"
    count = "at least one" if parallel else "exactly one"
    wanted = "tool" if choice == "required" else f"call of `{choice}`"
    verb = "call" if choice == "required" else "make"
    return f"You must {verb} {count} {wanted} now. Write nothing else."


def _history(messages: Sequence[Mapping[str, Any]], spoken: Dialect) -> Iterator[JSONDict]:
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
                yield _with_calls(message, names, spoken)
            else:
                yield dict(message)


def _results(messages: list[Mapping[str, Any]], names: dict[str, str], spoken: Dialect) -> JSONDict:
    order = {call_id: place for place, call_id in enumerate(names)}
    ordered = sorted(messages, key=lambda message: order.get(str(message.get("tool_call_id")), len(order)))
    content, *others = (_result(message, names, spoken) for message in ordered)
    for other in others:
        content = _appended(content, other, "\n")
    return {"role": "user", "content": content}


def _with_calls(message: Mapping[str, Any], names: dict[str, str], spoken: Dialect) -> JSONDict:
    calls = []
    for call in dicts(message["tool_calls"]):
        function = as_dict(call.get("function"))
        name = str(function.get("name") or "")
        names[str(call.get("id"))] = name
        written = function.get("arguments")
        arguments = parse(written) if isinstance(written, str) and written.strip() else (written or {})
        calls.append((name, arguments if isinstance(arguments, dict) else as_text(written)))
    plain = {key: value for key, value in message.items() if key != "tool_calls"}
    return {**plain, "content": _appended(message.get("content"), spoken.write_calls(calls), "\n")}


def _result(message: Mapping[str, Any], names: Mapping[str, str], spoken: Dialect) -> Any:
    """Return the content of a message that tells a result: text, or parts where it has images."""
    content = message.get("content")
    parts = content if isinstance(content, list) else [content]
    texts = [as_dict(part).get("text", part) for part in parts if _is_text(part) or isinstance(part, str)]
    text = "".join(map(as_text, texts))
    name = message.get("name") or names.get(str(message.get("tool_call_id")))
    # An object or a list goes in as it is, with its own spaces and numbers, all else as a JSON string.
    result = text if isinstance(parse(text), dict | list) else write_json(text)
    named = f'"name": {write_json(name)}, ' if name else ""
    start, end = spoken.result
    rendered = start + escaped(f'{{{named}"result": {result}}}') + end
    images = [part for part in parts if isinstance(part, dict) and not _is_text(part)]
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
    return isinstance(part, dict) and part.get("type") == "text"
