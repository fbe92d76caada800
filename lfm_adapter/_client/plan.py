"""Decides how to ask for tools and structured output: natively, or as text in the prompt.

`_toolcalls` is imported on use: it takes as long to load as the rest of a client, and most calls need none of it.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from lfm_adapter._json import as_dict, dicts, is_deeper
from lfm_adapter._masking import shown
from lfm_adapter._openrouter.request import encode
from lfm_adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lfm_adapter._client.settings import Settings
    from lfm_adapter._toolcalls.tools import Tools
    from lfm_adapter.types import ModelCard

# Writing a prompt takes up to three of Python's 1,000 frames for each level.
_MAX_LEVELS = 250

_STRUCTURED = ("json_object", "json_schema")


@dataclass(slots=True)
class Plan:
    """What to send, and what the output must be.

    Attributes:
        messages: The messages to send.
        fields: The other fields of the request.
        tools: The tools whose calls are read from the text; None to leave the text alone.
        is_native: Whether the tools are in the request rather than in the prompt.
        native_parameters: The JSON schema of each native tool's arguments, by the tool's name.
        requires_call: Whether the output must contain a tool call.
        single_call: Whether it may contain one at most.
        response_format: The `response_format` that the text must match, however it was asked for.
        coerces: Whether JSON in the text comes in the types of its schema.
        can_fall_back: Whether to prompt for the tools if the server, which may not support them, returns no call.
        buffers: Whether a stream is held back until no retry can follow. What a server is known to support streams at
            once.
    """

    messages: Sequence[Mapping[str, Any]]
    fields: dict[str, Any]
    tools: Tools | None = None
    is_native: bool = False
    native_parameters: dict[str, Any] = field(default_factory=dict)
    requires_call: bool = False
    single_call: bool = False
    response_format: Mapping[str, Any] | None = None
    coerces: bool = True
    can_fall_back: bool = False
    buffers: bool = False

    @property
    def reads_text(self) -> bool:
        """Whether calls or JSON have to be found in the text."""
        return self.tools is not None or self.response_format is not None

    @property
    def is_validated(self) -> bool:
        """Whether the output can be invalid at all."""
        return self.reads_text or self.is_native


def make_plan(
    messages: Sequence[Mapping[str, Any]],
    parameters: Mapping[str, Any],
    card: ModelCard,
    settings: Settings,
    *,
    refuses_tools: bool = False,
) -> Plan:
    """Decide how to ask: `settings.tool_calling`, then `refuses_tools` (no endpoint takes them), then the model's card.

    Raises:
        ConfigurationError: `tools` or `tool_choice` is invalid, or the schema cannot be written as JSON.
    """
    plan = Plan(messages, dict(parameters), coerces=settings.coerce_output)
    has_tools = bool(plan.fields.get("tools"))
    is_prompted = settings.tool_calling == "prompted" or (
        settings.tool_calling == "auto" and (refuses_tools or card.capabilities.tools is False)
    )
    prompts_schema = False
    if as_dict(plan.fields.get("response_format")).get("type") in _STRUCTURED:
        plan.response_format = plan.fields["response_format"]
        _check_types(plan.fields["response_format"])
        prompts_schema = _prompts_schema(plan, card, settings, may_call_in_text=is_prompted and has_tools)
    if has_tools and not is_prompted:
        _send_tools(plan, card, settings)
    elif is_prompted and (has_tools or _has_calls(messages)):
        _prompt_tools(plan, card, prompts_schema=prompts_schema)
    if plan.requires_call:
        plan.response_format = None  # a required call leaves no room for JSON in the text
    elif prompts_schema and plan.response_format is not None:
        from lfm_adapter._toolcalls.render import with_schema

        plan.messages, wanted = _messages_as_json(plan.messages), _as_json(plan.response_format)
        if "response_format" not in plan.fields:  # no server checks it
            _check_schema(wanted)
        may_call = has_tools and parameters.get("tool_choice") != "none"
        plan.messages = with_schema(plan.messages, wanted, beside_tools=may_call)
        plan.buffers = True
    return plan


def _as_json(value: Any) -> Any:
    """Return a part of the request as a server would read it, or raise for what has no JSON form."""
    read: Any = None
    is_too_deep = True
    with suppress(RecursionError):
        read = json.loads(encode(value))
        is_too_deep = is_deeper(read, _MAX_LEVELS - 2)  # the request and the list in it are two
    if is_too_deep:
        raise ConfigurationError(f"The request is nested in more than {_MAX_LEVELS} levels, too many for a prompt.")
    return read


def _messages_as_json(messages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return messages as a server would read them. Those of plain strings, which most are, stay as they are."""
    return [
        message if all(type(value) is str for value in message.values()) else _as_json(message) for message in messages
    ]


def _check_types(response_format: Mapping[str, Any]) -> None:
    from lfm_adapter._toolcalls.schema_types import response_format_error

    if problem := response_format_error(response_format):
        raise ConfigurationError(f"`response_format` has a wrong type in it: {problem}.")


def _check_schema(response_format: Mapping[str, Any]) -> None:
    from lfm_adapter._toolcalls.json_answer import answer_schema
    from lfm_adapter._toolcalls.json_schema import schema_error

    schema = answer_schema(response_format)
    if schema is not None and (problem := schema_error(schema)):
        raise ConfigurationError(f"The schema of `response_format` is not a valid JSON schema: {problem}.")


def _prompts_schema(plan: Plan, card: ModelCard, settings: Settings, *, may_call_in_text: bool) -> bool:
    """Return whether the prompt has to describe the schema; leave `response_format` in the request where it can help.

    A server that enforces `response_format` would prevent a call written as text.
    """
    can = card.capabilities
    is_supported = can.structured_outputs
    if plan.fields["response_format"]["type"] == "json_object" and can.response_format is not None:
        is_supported = can.response_format
    if may_call_in_text or is_supported is False:
        del plan.fields["response_format"]
        return True
    # A Liquid model with unknown support is asked both ways: OpenRouter silently drops what an endpoint does not
    # support (https://openrouter.ai/docs/api-reference/parameters).
    return not is_supported and settings.is_openrouter and card.id.startswith("liquid/")


def _send_tools(plan: Plan, card: ModelCard, settings: Settings) -> None:
    """Leave the tools in the request."""
    from lfm_adapter._toolcalls.tools import Tools

    fields = plan.fields
    choice, name = _parse_tool_choice(fields.get("tool_choice"))
    offered = Tools.from_openai(fields["tools"], check_schemas=False)
    if name:
        offered = offered.only(name)
    if settings.recover_tool_calls and choice != "none":
        plan.tools = offered
    plan.is_native = True
    functions = [as_dict(tool.get("function")) for tool in dicts(fields["tools"])]
    plan.native_parameters = {
        function["name"]: function.get("parameters") for function in functions if function.get("name") in offered.names
    }
    plan.single_call = fields.get("parallel_tool_calls") is False
    # A tool that the server runs itself satisfies "required" without a call in the output.
    plan.requires_call = choice == "required" and bool(offered) and not offered.server_tools
    # Servers silently drop tools if the model's chat template has none, llama.cpp among them.
    is_uncertain = not card.capabilities.tools
    plan.can_fall_back = is_uncertain and settings.tool_calling == "auto"
    plan.buffers = plan.requires_call and is_uncertain
    if name and not settings.is_openrouter:
        # llama.cpp takes an object for "auto" (https://github.com/ggml-org/llama.cpp/issues/26535). "required" with
        # this tool alone means the same to every server.
        fields["tools"] = [tool for tool in fields["tools"] if as_dict(tool.get("function")).get("name") == name]
        fields["tool_choice"] = "required"
    elif fields.get("tool_choice") == "any":
        fields["tool_choice"] = "required"  # "any" is LangChain's word


def _prompt_tools(plan: Plan, card: ModelCard, *, prompts_schema: bool) -> None:
    """Move the tools from the request into the prompt."""
    from lfm_adapter._toolcalls.render import with_tools
    from lfm_adapter._toolcalls.tools import Tools

    fields = plan.fields
    plan.messages = _messages_as_json(plan.messages)
    offered = Tools.from_openai(_as_json(fields.pop("tools", None)) or ())
    choice, name = _parse_tool_choice(fields.pop("tool_choice", None))
    plan.single_call = fields.pop("parallel_tool_calls", None) is False and bool(offered)
    if offered.server_tools:
        fields["tools"] = list(offered.server_tools)
    if choice == "none":
        offered = Tools.from_openai(())
    elif name:
        offered = offered.only(name)
    plan.requires_call = choice == "required" and bool(offered)
    plan.messages = with_tools(
        plan.messages,
        offered,
        dialect=card.tool_dialect,
        choice=name or ("required" if plan.requires_call else "auto"),
        parallel=not plan.single_call,
        plain_text=not prompts_schema,
    )
    plan.tools = offered or None
    plan.buffers = plan.requires_call or plan.single_call


def _parse_tool_choice(choice: object) -> tuple[Literal["auto", "none", "required"], str]:
    """Return the mode of a `tool_choice`, and the name of the tool if it names one."""
    match choice:
        case None | "auto":
            return "auto", ""
        case "none":
            return "none", ""
        case "required" | "any":
            return "required", ""
        case {"type": "function", "function": {"name": str(name)}}:
            return "required", name
        case {"type": str(kind)} if kind.startswith("openrouter:"):  # a tool that OpenRouter runs
            return "auto", ""
    raise ConfigurationError(
        "`tool_choice` must be 'auto', 'none', 'required' or "
        f'{{"type": "function", "function": {{"name": "…"}}}}, got {shown(choice)}.'
    )


def _has_calls(messages: Sequence[Mapping[str, Any]]) -> bool:
    return any(message.get("tool_calls") or message.get("role") == "tool" for message in messages)
