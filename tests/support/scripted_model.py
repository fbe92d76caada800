"""A fake model behind a fake OpenRouter: `openrouter_like` answers any chat request, the same way each time.

It understands nothing. It finds numbers, quoted words and tool names in the prompt with regular expressions, and makes
arguments and JSON that fit the schema it is given. That is enough for LangChain's standard integration tests, which ask
whether an adapter carries everything in both directions, and not whether the answer is any good.

It answers as `liquid/lfm-2.5-2.6b:free` does, with native tools, structured output and reasoning that cannot be turned
off, and it refuses what OpenRouter refuses: a missing key, ids that are unknown or retired, messages out of shape,
prompts that do not fit. Where OpenRouter's own words for a refusal are not known, they are made up.
"""

from __future__ import annotations

import json
import re
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lfm_adapter import catalog
from lfm_adapter.testing import completion, error, stream, token_usage, tool_call
from lfm_adapter.testing._wire import CREATED, PADDING
from tests.support.schema_example import PromptWords, example_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lfm_adapter.testing import RecordedRequest, ScriptedReply
    from lfm_adapter.types import ModelCard

__all__ = ["SERVED", "Answer", "openrouter_like", "respond"]

Object = dict[str, Any]
SERVED = {card.id: card for card in catalog.models() if card.kind == "chat" and card.status == "live"}
RETIRED = frozenset(card.id for card in catalog.models() if card.status == "retired")
PARTS = frozenset({"text", "image_url", "input_audio", "video_url", "file"})


@dataclass
class Answer:
    """What the fake model says, as tokens."""

    reasoning: list[str]
    text: list[str]
    calls: list[Object] = field(default_factory=list)
    finish_reason: str = "stop"


def openrouter_like(request: RecordedRequest) -> ScriptedReply:
    """Answer `POST /chat/completions`. For `ScriptedOpenRouter(default=openrouter_like)`."""
    return respond(request, SERVED)


def respond(
    request: RecordedRequest,
    serves: Mapping[str, ModelCard],
    *,
    hears: Callable[[Object], Object] = lambda body: body,
    speaks: Callable[[Answer], Answer] = lambda answer: answer,
) -> ScriptedReply:
    """Answer as a model that may hear and speak otherwise than with native tools.

    Args:
        request: The request.
        serves: The models that there are.
        hears: Turns the body that was sent into the one with native tools that it means.
        speaks: Turns the answer that is meant into the one that is given.
    """
    if not request.headers.get("authorization", "").removeprefix("Bearer").strip():
        return error(401, "No cookie auth credentials found")
    try:
        body: Object = request.body
    except ValueError:
        return error(400, "Input must have at least 1 token.", metadata={"provider_name": None})
    if not body.get("messages"):
        return error(400, 'Input required: specify "prompt" or "messages"')
    asked = [name for name in (body.get("model"), *body.get("models", [])) if name]
    served = next((serves[name] for name in asked if name in serves), None)
    if served is None:
        return _no_such_model(asked)
    heard = hears(body)
    refusal = _complaint(heard, served)
    if refusal is not None:
        return error(400, refusal)
    return _reply(body, served, speaks(_answer(heard, served)), zlib.crc32(request.content))


def _no_such_model(asked: list[str]) -> ScriptedReply:
    name = asked[0] if asked else "undefined"
    if name in RETIRED:
        return error(404, f"No endpoints found for {name}.")
    return error(400, f"{name} is not a valid model ID")


def _complaint(body: Object, model: ModelCard) -> str | None:
    """Why the request is refused, or None."""
    effort = (body.get("reasoning") or {}).get("effort", body.get("reasoning_effort"))
    if model.capabilities.reasoning_mandatory and effort == "none":
        return "Reasoning is mandatory for this endpoint and cannot be disabled."
    wanted = _prompt_tokens(body) + (_token_limit(body) or 0)
    if wanted > model.context_length:
        return (
            f"This endpoint's maximum context length is {model.context_length} tokens. However, you requested about "
            f"{wanted} tokens. Please reduce the length of either one."
        )
    choice = body.get("tool_choice")
    if isinstance(choice, dict) and choice["function"]["name"] not in _tools(body):
        return "`tool_choice` names a tool that is not in `tools`."
    open_calls: set[str] = set()
    for number, message in enumerate(body["messages"]):
        wrong = _wrong_in_message(message, open_calls)
        if wrong:
            return f"messages[{number}]: {wrong}"
    return None


def _wrong_in_message(message: Object, open_calls: set[str]) -> str | None:
    """What is out of shape. Keeps in `open_calls` the ids of the tool calls that wait for a result."""
    role, content = message.get("role"), message.get("content")
    if role not in {"system", "developer", "user", "assistant", "tool"}:
        return f"unknown role {role!r}"
    if isinstance(content, list):
        unknown = {part.get("type") for part in content} - PARTS
        if unknown:
            return f"unknown content parts {sorted(map(str, unknown))}"
    elif not isinstance(content, str) and not (role == "assistant" and content is None):
        return "no content"
    for call in message.get("tool_calls") or []:
        if not _is_object(call["function"]["arguments"]):
            return "a tool call's arguments are no JSON object"
        open_calls.add(call["id"])
    if role == "tool" and message.get("tool_call_id") not in open_calls:
        return "`tool_call_id` answers no tool call"
    return None


def _answer(body: Object, model: ModelCard) -> Answer:
    last = body["messages"][-1]
    users = [message for message in body["messages"] if message["role"] == "user"]
    prompt = PromptWords(_text_of(users[-1]) if users else "")
    reasoning = _tokens(f"The user says: {prompt.text[:40]}") if model.capabilities.reasoning_mandatory else []
    calls = _calls(body, prompt)
    if calls:
        return Answer(reasoning, [], calls, "tool_calls")
    wanted = (body.get("response_format") or {}).get("type", "text")
    if wanted == "json_schema":
        text = _json(example_of(body["response_format"]["json_schema"]["schema"], prompt))
    elif wanted == "json_object":
        text = _json(_some_object(body, prompt))
    elif last["role"] == "tool":
        text = f"The tool says: {_text_of(last)}"
    else:
        text = f"Thank you for your message: {prompt.text}"
    return _within_limits(Answer(reasoning, _tokens(text)), body, model)


def _calls(body: Object, prompt: PromptWords) -> list[Object]:
    """The tool calls: those that are demanded, else those that the prompt names or touches on."""
    tools = _tools(body)
    choice = body.get("tool_choice") or "auto"
    named = [name for name in tools if re.search(rf"\b{re.escape(name)}\b", prompt.text)]
    touched = [name for name in tools if set(name.split("_")) & set(re.findall(r"[a-z]{4,}", prompt.text.lower()))]
    if isinstance(choice, dict):
        chosen = [choice["function"]["name"]]
    elif choice == "required":
        chosen = named or touched[:1] or list(tools)[:1]
    elif choice == "none" or body["messages"][-1]["role"] == "tool":
        chosen = []
    else:
        chosen = named or touched[:1]
    if body.get("parallel_tool_calls") is False:
        chosen = chosen[:1]
    return [
        tool_call(
            name, example_of(tools[name].get("parameters") or {"type": "object"}, prompt), call_id=f"call_{index}"
        )
        for index, name in enumerate(chosen)
    ]


def _some_object(body: Object, prompt: PromptWords) -> Object:
    """JSON mode names no schema; the prompt does, as a schema in its text or by the keys that it quotes."""
    text = "\n".join(_text_of(message) for message in body["messages"])
    for match in re.finditer(r"\{", text):
        try:
            found, _ = json.JSONDecoder().raw_decode(text, match.start())
        except ValueError:
            continue
        if "properties" in found:
            return dict(example_of(found, prompt))
    keys = re.findall(r"['\"`](\w+)['\"`]", text) or ["answer"]
    return {key: f"the {key}" for key in keys}


def _within_limits(answer: Answer, body: Object, model: ModelCard) -> Answer:
    """`stop` ends the text before the first of its sequences; reasoning uses up `max_tokens` before the text does."""
    stop = body.get("stop") or []
    text = "".join(answer.text)
    ends = [text.find(sequence) for sequence in ([stop] if isinstance(stop, str) else stop)]
    text = text[: min((end for end in ends if end >= 0), default=None)]
    most = model.max_output_tokens or model.context_length or 0
    limit = min(_token_limit(body) or most, most)
    reasoning, tokens = answer.reasoning[:limit], _tokens(text)
    kept = tokens[: limit - len(reasoning)]
    cut = len(reasoning) + len(kept) < len(answer.reasoning) + len(tokens)
    return Answer(reasoning, kept, finish_reason="length" if cut else "stop")


def _reply(body: Object, model: ModelCard, answer: Answer, seed: int) -> ScriptedReply:
    prompt_tokens = _prompt_tokens(body)
    completion_tokens = (
        len(answer.reasoning) + len(answer.text) + len(_tokens(_json(answer.calls) * bool(answer.calls)))
    )
    cost = prompt_tokens * model.pricing.prompt + completion_tokens * model.pricing.completion
    usage = token_usage(prompt_tokens, completion_tokens, cost=float(cost), reasoning_tokens=len(answer.reasoning))
    shown = body.get("include_reasoning") is not False and not (body.get("reasoning") or {}).get("exclude")
    reasoning = answer.reasoning if shown else []
    same: Object = {
        "model": model.id,
        "usage": usage,
        "finish_reason": answer.finish_reason,
        "tool_calls": answer.calls,
        "id": f"gen-{CREATED}-{seed:020d}",
    }
    if body.get("stream"):
        return stream(answer.text, reasoning=reasoning, **same)
    text = "".join(answer.text) if answer.text or not answer.calls else None
    return completion(text, reasoning="".join(reasoning) or None, padding=PADDING * 2, **same)


def _tools(body: Object) -> dict[str, Object]:
    functions = [tool["function"] for tool in body.get("tools") or [] if tool["type"] == "function"]
    return {function["name"]: function for function in functions}


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def _text_of(message: Object) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else "\n".join(part.get("text", "") for part in content)


def _token_limit(body: Object) -> int | None:
    limit: int | None = body.get("max_tokens") or body.get("max_completion_tokens")
    return limit


def _prompt_tokens(body: Object) -> int:
    texts = [_text_of(message) for message in body["messages"]]
    return sum(len(_tokens(text)) + 3 for text in texts) + len(_tokens(_json(body.get("tools") or "")))


def _tokens(text: str) -> list[str]:
    """Pieces of up to four characters, that give the text again when joined. No real tokenizer splits so."""
    return re.findall(r"\s*\S{1,4}|\s+", text)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
