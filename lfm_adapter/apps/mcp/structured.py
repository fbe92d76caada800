"""Objects that fit a JSON schema, from any model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lfm_adapter._json import parse
from lfm_adapter._toolcalls.coercion import coerced
from lfm_adapter._toolcalls.json_answer import read_json
from lfm_adapter._toolcalls.render import repair_schema
from lfm_adapter._toolcalls.schema import Checker, schema_error
from lfm_adapter.errors import ConfigurationError, OutputValidationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lfm_adapter.apps.mcp.call import Call
    from lfm_adapter.types import Reply

__all__ = ["check_schema", "object_of"]


def check_schema(schema: Mapping[str, Any]) -> None:
    """Raise `ConfigurationError` for what is no JSON schema of an object."""
    problem = schema_error(schema)
    if problem is not None:
        raise ConfigurationError(f"`schema` is no valid JSON schema: {problem}")
    if schema.get("type") != "object":
        raise ConfigurationError(
            '`schema` must have "type": "object" at its root. For a list, make it a property: '
            '{"type": "object", "properties": {"items": {"type": "array", "items": …}}, "required": ["items"]}.'
        )


async def object_of(
    call: Call, question: str, schema: Mapping[str, Any], *, max_tokens: int = 0
) -> tuple[dict[str, Any], Reply]:
    """Ask for an object, and once more if what comes does not fit.

    Returns:
        The object, which fits, and the reply that had it.

    Raises:
        OutputValidationError: It does not fit the second time either, was refused, or was cut off.
    """
    response_format = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    messages: list[dict[str, Any]] = [{"role": "user", "content": question}]
    # The client streams, for the sake of progress, and so could not retry what it has passed on.
    settings = {"max_output_retries": 0, "on_invalid_output": "return"}
    for is_last in (False, True):
        reply = await call.ask(messages, max_tokens=max_tokens, response_format=response_format, **settings)
        _check_whole(reply, call)
        found = coerced(parse(read_json(reply.text) or ""), schema)
        problem = "the answer is no JSON object"
        if isinstance(found, dict):
            unfit = Checker(schema).problem(found)
            if unfit is None:
                return found, reply
            problem = f"the JSON does not fit the schema: {unfit}"
        if not is_last:
            messages = [*messages, *repair_schema(reply.text, problem)]
    raise OutputValidationError(f"The model was told so once, and still {problem}.", model=call.named(reply))


def _check_whole(reply: Reply, call: Call) -> None:
    if reply.finish_reason == "length" and parse(reply.text) is None:
        raise OutputValidationError(
            "The answer was cut off before the object was whole. Raise `max_tokens`, or ask for less.",
            model=call.named(reply),
        )
