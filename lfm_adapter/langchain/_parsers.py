"""LangChain's parsers of structured answers, which here know refusals and answers that were cut off.

LangChain's own complete a JSON object that was cut off, return None where no tool was called, and at the end of a
stream keep silent about what they cannot parse. Here each of these is an `OutputParserException`, streamed or not.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from langchain_core.exceptions import OutputParserException
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.output_parsers import JsonOutputParser, PydanticOutputParser
from langchain_core.output_parsers.openai_tools import JsonOutputKeyToolsParser, PydanticToolsParser
from langchain_core.outputs import ChatGeneration
from pydantic import ValidationError

from lfm_adapter._toolcalls.coercion import coerced

if TYPE_CHECKING:
    from langchain_core.outputs import Generation

__all__ = ["JsonAnswerParser", "JsonCallParser", "PydanticAnswerParser", "PydanticCallParser"]


class _StrictAtTheEnd:
    """Makes a parser look at the end of a stream as at a whole answer, and at both for what went wrong."""

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:
        message = result[0].message if isinstance(result[0], ChatGeneration) else None
        if isinstance(message, AIMessageChunk) and message.chunk_position == "last":
            partial = False
        if isinstance(message, AIMessage) and not partial:
            _check_finish(message)
            self._check(message)
        try:
            parsed = super().parse_result(result, partial=partial)  # type: ignore[misc]  # the parser that follows
        except ValidationError as error:
            raise OutputParserException(f"The answer does not fit the schema: {error}") from error
        return parsed if partial else self._typed(parsed)

    def _typed(self, parsed: Any) -> Any:
        """Return a whole answer in the types of its schema."""
        return parsed

    def _check(self, message: AIMessage) -> None:
        """Raise for an answer that is not whole."""


class _OfText(_StrictAtTheEnd):
    def _check(self, message: AIMessage) -> None:
        if message.response_metadata.get("finish_reason") == "length" and not _is_json(message.text):
            raise _cut_off(message.text)


class _OfCalls(_StrictAtTheEnd):
    def _check(self, message: AIMessage) -> None:
        for call in message.invalid_tool_calls:
            if message.response_metadata.get("finish_reason") == "length":
                raise _cut_off(call["args"])
            raise OutputParserException(
                f"The call of `{call['name']}` is broken: {call['error']}", llm_output=call["args"]
            )
        if not message.tool_calls:
            raise OutputParserException(f"The model called no tool. It said: {message.text}", llm_output=message.text)


class PydanticAnswerParser(_OfText, PydanticOutputParser[Any]):
    """Reads an answer that is JSON into a Pydantic object.

    Attributes:
        json_schema: What the JSON must fit. The class has the first word: only what it does not take as it was written
            is given to it in the types of the schema.
    """

    json_schema: dict[str, Any] | None = None

    def _parse_obj(self, obj: Any) -> Any:
        try:
            return super()._parse_obj(obj)
        except OutputParserException:
            typed = obj if self.json_schema is None else coerced(obj, self.json_schema)
            if typed == obj:
                raise
            return super()._parse_obj(typed)


class JsonAnswerParser(_OfText, JsonOutputParser):
    """Reads an answer that is JSON into a dict.

    Attributes:
        json_schema: What it must fit; of the whole answer, `"36"` becomes 36 where that wants an integer.
    """

    json_schema: dict[str, Any] | None = None

    def _typed(self, parsed: Any) -> Any:
        return parsed if self.json_schema is None else coerced(parsed, self.json_schema)

    def _check(self, message: AIMessage) -> None:
        super()._check(message)
        # A Pydantic class judges by itself; nobody else does here.
        unfit = message.response_metadata.get("validation_error")
        if unfit:
            raise OutputParserException(f"The answer is not what was asked for: {unfit}.", llm_output=message.text)


class PydanticCallParser(_OfCalls, PydanticToolsParser):
    """Reads a tool call into a Pydantic object."""


class JsonCallParser(_OfCalls, JsonOutputKeyToolsParser):
    """Reads a tool call into a dict."""


def _check_finish(message: AIMessage) -> None:
    refusal = message.additional_kwargs.get("refusal")
    if refusal:
        raise OutputParserException(f"The model refused to answer: {refusal}", llm_output=refusal)
    if message.response_metadata.get("finish_reason") == "content_filter":
        raise OutputParserException("The provider's content filter stopped the answer.", llm_output=message.text)


def _cut_off(output: str | None) -> OutputParserException:
    return OutputParserException(
        "The answer was cut off, so there is no whole object. Raise `max_tokens` or ask for less.",
        llm_output=output,
    )


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
