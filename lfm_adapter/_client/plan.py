"""How tools and schemas are asked for: natively, or as text in the prompt, for models that know no other way.

`toolcalls` is imported where it is needed: it takes as long to load as the rest of a client, and most calls need none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from lfm_adapter._json import as_dict
from lfm_adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lfm_adapter._client.settings import Settings
    from lfm_adapter._toolcalls.tools import Tools
    from lfm_adapter.types import JSONDict, ModelCard

__all__ = ["Plan", "plan_of"]

_WITH_SCHEMA = ("json_object", "json_schema")


@dataclass(slots=True)
class Plan:
    """What is sent, and what is to be made of the answer.

    Attributes:
        messages: As they go out.
        fields: The other fields of the request.
        tools: The tools whose calls are looked for in the text of the answer; None for none.
        demands_call: Whether the answer must hold a call, where the model is not known to keep to that by itself.
        single: Whether it may hold one call at most, where that was asked for by prompt.
        response_format: What its text must fit, likewise.
        is_native: Whether tools were handed to the server.
    """

    messages: Sequence[Mapping[str, Any]]
    fields: dict[str, Any]
    tools: Tools | None = None
    demands_call: bool = False
    single: bool = False
    response_format: Mapping[str, Any] | None = None
    is_native: bool = False

    @property
    def reads_text(self) -> bool:
        """Whether the answer is more than text, to be taken as it is."""
        return self.tools is not None or self.response_format is not None or self.demands_call

    @property
    def may_be_repaired(self) -> bool:
        """Whether an answer may be asked for again, so that nothing of it is handed on before that is settled."""
        return self.demands_call or self.single or self.response_format is not None

    @property
    def holds_all(self) -> bool:
        """Whether only the whole answer shows what may be handed on."""
        return self.single or (self.tools is not None and self.response_format is not None)


def plan_of(
    messages: Sequence[Mapping[str, Any]],
    parameters: Mapping[str, Any],
    model: str,
    settings: Settings,
    *,
    refuses_tools: bool = False,
) -> Plan:
    """Decide how to ask.

    Args:
        messages: In wire form.
        parameters: The request's other fields, as the user gave them.
        model: The model that will be asked.
        settings: The client's settings; `tool_calling` is the user's own decision.
        refuses_tools: The model is known to be served without tools.

    Raises:
        ConfigurationError: The tools or `tool_choice` cannot be meant.
    """
    plan = Plan(messages, dict(parameters))
    wants_tools = bool(plan.fields.get("tools"))
    wants_schema = as_dict(plan.fields.get("response_format")).get("type") in _WITH_SCHEMA
    card = settings.card(model)
    mode = settings.tool_calling
    by_prompt = mode == "prompted" or (mode == "auto" and (refuses_tools or card.capabilities.tools is False))
    if wants_schema:
        _choose_way_of_schema(plan, card, settings, free_text=by_prompt and wants_tools)
    if wants_tools and not by_prompt:
        _hand_over_tools(plan, card, settings)
    elif by_prompt and (wants_tools or _has_calls(messages)):
        _write_tools(plan, card)
    if plan.demands_call:
        plan.response_format = None  # an answer that must be a call is no JSON
    if plan.response_format is not None:
        from lfm_adapter._toolcalls.render import with_schema

        may_call = wants_tools and parameters.get("tool_choice") != "none"
        plan.messages = with_schema(plan.messages, plan.response_format, beside_tools=may_call)
    return plan


def _choose_way_of_schema(plan: Plan, card: ModelCard, settings: Settings, *, free_text: bool) -> None:
    """Leave `response_format` to the server, or plan to ask for it by prompt.

    Args:
        plan: The plan so far.
        card: The model.
        settings: The client's settings.
        free_text: The answer may be a call in text, from which a server that knows `response_format` would keep it.
    """
    response_format = plan.fields["response_format"]
    can = card.capabilities
    supported = can.structured_outputs
    if response_format["type"] == "json_object" and can.response_format is not None:
        supported = can.response_format
    if free_text or supported is False:
        plan.response_format = plan.fields.pop("response_format")
    elif not supported and settings.is_openrouter and card.id.startswith("liquid/"):
        # A Liquid model of which it is not known is asked both ways: OpenRouter drops what an endpoint does not know
        # without a word (https://openrouter.ai/docs/api-reference/parameters).
        plan.response_format = response_format


def _hand_over_tools(plan: Plan, card: ModelCard, settings: Settings) -> None:
    plan.is_native = True
    fields = plan.fields
    choice, name = _choice(fields.get("tool_choice"))
    from lfm_adapter._toolcalls.tools import Tools

    offered = Tools.from_openai(fields["tools"], check_schemas=False)
    if name:
        offered = offered.only(name)
    if settings.recover_tool_calls and choice != "none":
        plan.tools = offered
    # A server whose template for the model has no tools drops them without a word, llama.cpp's among them.
    plan.demands_call = choice == "required" and bool(offered) and not card.capabilities.tools
    if name and not settings.is_openrouter:
        # llama.cpp takes an object for "auto" (https://github.com/ggml-org/llama.cpp/issues/26535); with one tool alone
        # "required" says the same, to every server.
        fields["tools"] = [tool for tool in fields["tools"] if _name(tool) == name]
        fields["tool_choice"] = "required"


def _write_tools(plan: Plan, card: ModelCard) -> None:
    from lfm_adapter._toolcalls.render import with_tools
    from lfm_adapter._toolcalls.tools import Tools

    fields = plan.fields
    offered = Tools.from_openai(fields.pop("tools", None) or ())
    choice, name = _choice(fields.pop("tool_choice", None))
    plan.single = fields.pop("parallel_tool_calls", None) is False and bool(offered)
    if offered.server_tools:
        fields["tools"] = list(offered.server_tools)
    if choice == "none":
        offered = Tools.from_openai(())
    elif name:
        offered = offered.only(name)
    plan.demands_call = choice == "required" and bool(offered)
    plan.messages = with_tools(
        plan.messages,
        offered,
        dialect=card.tool_dialect,
        choice=name or ("required" if plan.demands_call else "auto"),
        parallel=not plan.single,
        plain_text=plan.response_format is None,
    )
    plan.tools = offered or None


def _choice(choice: object) -> tuple[Literal["auto", "none", "required"], str]:
    """Return what a `tool_choice` asks for, and the name of the tool if it asks for one."""
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
        "`tool_choice` is 'auto', 'none', 'required' or "
        f'{{"type": "function", "function": {{"name": "…"}}}}, not {choice!r}.'
    )


def _name(described: JSONDict) -> str:
    return str(as_dict(described.get("function")).get("name") or "")


def _has_calls(messages: Sequence[Mapping[str, Any]]) -> bool:
    return any(message.get("tool_calls") or message.get("role") == "tool" for message in messages)
