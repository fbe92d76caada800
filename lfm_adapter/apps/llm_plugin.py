"""Liquid's models in Simon Willison's `llm` (https://llm.datasette.io), which finds this module by an entry point.

    llm -m lfm-3-1.7b "What is water?"

Keys: `llm keys set lfm`, `OPENROUTER_API_KEY`, or `lfm keys set`.
"""

# `llm` is not installed where the type checkers run.
# mypy: disable-error-code="misc,untyped-decorator"
# pyright: reportMissingImports=false

from __future__ import annotations

import json
from contextlib import aclosing, closing
from typing import TYPE_CHECKING, Any

import llm
from llm.parts import AttachmentPart, StreamEvent, TextPart, ToolCallPart, ToolResultPart
from pydantic import Field

from lfm_adapter import catalog
from lfm_adapter._client.async_client import AsyncLFMClient
from lfm_adapter._client.sync_client import LFMClient
from lfm_adapter.errors import LFMError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator

    from lfm_adapter.types import Choice, Delta, JSONDict, ModelCard, Reply

KEY_ALIAS = "lfm"


@llm.hookimpl
def register_models(register: Callable[..., None]) -> None:
    """Register the catalogue's chat models. One that is retired is served by its successor, after a warning."""
    for card in catalog.models():
        if card.kind == "chat" and (card.status != "retired" or card.successors):
            register(LiquidModel(card), AsyncLiquidModel(card), aliases=card.aliases)


class LiquidOptions(llm.Options):
    """The options of `llm -o`."""

    temperature: float | None = Field(None, ge=0, le=2, description="Randomness, from 0 to 2.")
    max_tokens: int | None = Field(None, ge=1, description="Maximum tokens of the answer.")
    top_p: float | None = Field(None, gt=0, le=1, description="Only the most likely tokens up to this probability.")
    seed: int | None = Field(None, description="Makes answers repeatable, where the provider can.")


class _Liquid:
    """The common part of both models. Tools and schemas always work: see `tool_calling` of the clients."""

    needs_key = KEY_ALIAS
    key_env_var = "OPENROUTER_API_KEY"
    can_stream = True
    supports_schema = True
    supports_tools = True
    Options = LiquidOptions

    def __init__(self, card: ModelCard) -> None:
        self.model_id = card.id

    def __str__(self) -> str:
        return f"Liquid: {self.model_id}"

    def get_key(self, explicit_key: str | None = None) -> str | None:
        """Return the given key, or the one of `llm`, of the environment, or of `lfm keys`, in this order."""
        key: str | None = llm.get_key(explicit_key=explicit_key, key_alias=KEY_ALIAS, env_var=self.key_env_var)
        if not key:
            from lfm_adapter.apps.cli.keys import stored_key

            key = stored_key()
        if not key:
            raise llm.NeedsKeyException("No API key is set. Run `llm keys set lfm`, or set OPENROUTER_API_KEY.")
        return key


class LiquidModel(_Liquid, llm.KeyModel):
    """A model for `llm`."""

    def execute(
        self, prompt: Any, stream: bool, response: Any, conversation: Any, key: str | None = None
    ) -> Iterator[StreamEvent]:
        """Ask, and yield the events of the answer."""
        try:
            client = LFMClient(self.model_id, api_key=key, when_retired="successor")
            messages, fields = _request(prompt)
            if not stream:
                reply = client.chat(messages, **fields)
                yield from _events(reply.choices[0])
                _report(reply, response)
                return
            with closing(client.stream(messages, **fields)) as deltas:
                for delta in deltas:
                    yield from _events(delta)
                    if delta.reply is not None:
                        _report(delta.reply, response)
        except LFMError as error:
            raise llm.ModelError(str(error)) from error


class AsyncLiquidModel(_Liquid, llm.AsyncKeyModel):
    """A model for `llm` with asyncio."""

    async def execute(
        self, prompt: Any, stream: bool, response: Any, conversation: Any, key: str | None = None
    ) -> AsyncGenerator[StreamEvent]:
        """Ask, and yield the events of the answer."""
        try:
            client = AsyncLFMClient(self.model_id, api_key=key, when_retired="successor")
            messages, fields = _request(prompt)
            if not stream:
                reply = await client.chat(messages, **fields)
                for event in _events(reply.choices[0]):
                    yield event
                _report(reply, response)
                return
            async with aclosing(client.stream(messages, **fields)) as deltas:
                async for delta in deltas:
                    for event in _events(delta):
                        yield event
                    if delta.reply is not None:
                        _report(delta.reply, response)
        except LFMError as error:
            raise llm.ModelError(str(error)) from error


def _request(prompt: Any) -> tuple[list[JSONDict], JSONDict]:
    """Return the messages and the other fields of the request for a prompt of `llm`."""
    fields: JSONDict = {name: value for name, value in prompt.options.model_dump().items() if value is not None}
    if prompt.schema:
        fields["response_format"] = {"type": "json_schema", "json_schema": {"name": "output", "schema": prompt.schema}}
    if prompt.tools:
        fields["tools"] = [
            {
                "type": "function",
                "function": {
                    "name": tool.name,
                    "description": tool.description or "",
                    "parameters": tool.input_schema or {"type": "object", "properties": {}},
                },
            }
            for tool in prompt.tools
        ]
    return [wire for message in prompt.messages for wire in _wire_messages(message)], fields


def _wire_messages(message: Any) -> Iterator[JSONDict]:
    """Yield a message of `llm` in OpenAI's form: one message for each tool result."""
    calls: list[JSONDict] = []
    texts: list[str] = []
    for part in message.parts:
        if isinstance(part, ToolResultPart):
            yield {"role": "tool", "tool_call_id": part.tool_call_id, "content": part.output}
        elif isinstance(part, ToolCallPart):
            function = {"name": part.name, "arguments": json.dumps(part.arguments)}
            calls.append({"id": part.tool_call_id, "type": "function", "function": function})
        elif isinstance(part, TextPart):
            texts.append(part.text)
        elif isinstance(part, AttachmentPart):
            raise llm.ModelError("Liquid's models on OpenRouter do not accept attachments.")
    if message.role != "tool" and (texts or calls):
        wire: JSONDict = {"role": message.role, "content": "".join(texts)}
        yield wire | {"tool_calls": calls} if calls else wire


def _events(part: Delta | Choice) -> Iterator[StreamEvent]:
    if part.reasoning:
        yield StreamEvent(type="reasoning", chunk=part.reasoning)
    if part.text or part.refusal:
        yield StreamEvent(type="text", chunk=part.text + (part.refusal or ""))


def _report(reply: Reply, response: Any) -> None:
    """Report calls, usage and cost to `llm`."""
    for call in reply.tool_calls:
        try:
            arguments = json.loads(call.arguments or "{}", strict=False)
        except ValueError:
            arguments = None
        if call.error or not isinstance(arguments, dict):
            raise llm.ModelError(
                f"The call of `{call.name}` is invalid: {call.error or 'its arguments are not an object'}."
            )
        response.add_tool_call(llm.ToolCall(name=call.name, arguments=arguments, tool_call_id=call.id))
    usage = dict(reply.usage or {})
    details = {
        "cached_tokens": (usage.get("prompt_tokens_details") or {}).get("cached_tokens"),
        "reasoning_tokens": (usage.get("completion_tokens_details") or {}).get("reasoning_tokens"),
        "cost_usd": None if reply.cost is None else float(reply.cost.total),
    }
    response.set_usage(
        input=usage.get("prompt_tokens"),
        output=usage.get("completion_tokens"),
        details={name: value for name, value in details.items() if value} or None,
    )
    if reply.model:
        response.set_resolved_model(reply.model)
    response.response_json = {
        "id": reply.id,
        "model": reply.model,
        "finish_reason": reply.finish_reason,
        "usage": reply.usage,
        **reply.metadata(),
    }
