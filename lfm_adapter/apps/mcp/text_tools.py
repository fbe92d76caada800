"""The tools that turn a text into a summary, an object, a label or a commit message."""

import asyncio
import json
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from lfm_adapter._toolcalls.coercion import coerced
from lfm_adapter._toolcalls.schema import schema_error
from lfm_adapter.apps.mcp.documents import DocumentReader
from lfm_adapter.apps.mcp.invocation import ToolInvocation
from lfm_adapter.apps.mcp.tool import MaxTokens, ModelName, Result, Tool
from lfm_adapter.errors import ConfigurationError, OutputValidationError
from lfm_adapter.types import Reply

__all__ = ["Classify", "CommitMessage", "Extract", "Summarize"]

_MAX_FILES = 32


def _as_list(paths: Any) -> Any:
    return [paths] * bool(paths) if isinstance(paths, str) else paths


class TextTool(Tool):
    """A tool that reads a text or files."""

    text: Annotated[str, Field(description='The text. "" to read `paths` instead.')] = ""
    paths: Annotated[list[str], BeforeValidator(_as_list)] = Field(
        [],
        max_length=_MAX_FILES,
        description="UTF-8 text files to read, absolute or relative to a root. They must be inside the roots that you "
        "or the user have opened to this server.",
    )
    instructions: str = ""
    model: ModelName = ""
    max_tokens: MaxTokens = 0

    async def read(self, call: ToolInvocation) -> str:
        """Return the text of a call, or that of its files."""
        if bool(self.text.strip()) == bool(self.paths):
            raise ConfigurationError("Pass either `text` or `paths`.")
        if not self.paths:
            return self.text
        texts = [await asyncio.to_thread(call.roots.read, path) for path in self.paths]
        if not "".join(texts).strip():
            raise ConfigurationError("These files contain no text.")
        return texts[0] if len(texts) == 1 else "\n\n".join(map("File {}:\n{}".format, self.paths, texts))


class Summary(Result):
    """What `summarize` returns."""

    summary: str = Field(description="The summary.")
    model: str = Field(description="The model that wrote it.")
    parts: int = Field(
        description="How many parts the text was read in; more than 1 if it did not fit into one prompt."
    )
    truncated: bool = Field(description="Whether the summary was cut off.")

    def __str__(self) -> str:
        return self.summary


class Summarize(TextTool):
    """Summarize a text or files of any length, so that you need not read them.

    Good for logs, transcripts, documents and source files: you get only the summary. Texts longer than the model's
    context are read in parts, and the notes on the parts are combined. Details may be lost or wrong: read the text
    yourself if every word counts.
    """

    title: ClassVar = "Summarize a text or files"
    result: ClassVar = Summary

    instructions: Annotated[
        str, Field(description='What to look for, in which form and length: "the open tasks, as a list".')
    ] = ""

    async def run(self, call: ToolInvocation) -> Summary:
        """See `Tool.run`."""
        wanted = self.instructions or "Keep names, numbers and decisions. Use at most ten sentences."
        reader = DocumentReader(
            call,
            f"Summarize the text. {wanted} Say only what the text says.",
            f"Note what this part of a longer text says, briefly, for a summary of all of it. {wanted}",
            self.max_tokens,
        )
        reply = await reader.read(await self.read(call))
        return Summary(
            summary=reply.text,
            model=call.answered_by(reply),
            parts=reader.parts,
            truncated=reply.finish_reason == "length",
        )


class Extraction(Result):
    """What `extract` returns."""

    data: dict[str, Any] = Field(description="The object, validated against your schema.")
    model: str = Field(description="The model that found it.")


class Extract(TextTool):
    """Extract an object that matches your JSON schema from a text or files.

    Good for turning prose, logs, mails, tables or pages into data. The object is validated against the schema; if
    it does not match, the model gets one retry, and then the call fails. The text must fit the model's context.
    Keep the schema small and flat, and let a property be null if the text may not contain it.
    """

    title: ClassVar = "Extract an object from a text"
    result: ClassVar = Extraction

    json_schema: Annotated[
        dict[str, Any],
        Field(alias="schema", description='A JSON schema with "type": "object". Describe its properties to the model.'),
    ]
    instructions: Annotated[str, Field(description="What else to know or to pay attention to.")] = ""

    async def run(self, call: ToolInvocation) -> Extraction:
        """See `Tool.run`."""
        _check_schema(self.json_schema)
        task = f"Extract from the text what the schema asks for. Invent nothing. {self.instructions}".strip()
        question = f"<text>\n{await self.read(call)}\n</text>\n\n{task}"
        data, reply = await _ask_object(call, question, self.json_schema, max_tokens=self.max_tokens)
        return Extraction(data=data, model=call.answered_by(reply))


class Classification(Result):
    """What `classify` returns."""

    label: str = Field(description="One of your labels, spelt as you gave it.")
    model: str = Field(description="The model that chose it.")

    def __str__(self) -> str:
        return self.label


class Classify(Tool):
    """Choose the label that fits a text best.

    Good for sorting many items cheaply: triage, sentiment, language, topic, spam. Add a label such as "other" if
    none may fit, and explain in `instructions` what the labels alone do not make clear.
    """

    title: ClassVar = "Choose a label for a text"
    result: ClassVar = Classification

    text: Annotated[str, Field(min_length=1, description="The text to classify.")]
    labels: Annotated[
        list[str], Field(min_length=2, max_length=100, description="The labels to choose from, without duplicates.")
    ]
    instructions: Annotated[str, Field(description="What the labels mean, or how to decide.")] = ""
    model: ModelName = ""

    async def run(self, call: ToolInvocation) -> Classification:
        """See `Tool.run`."""
        if len(set(self.labels)) < len(self.labels):
            raise ConfigurationError("`labels` contains duplicates.")
        schema = {
            "type": "object",
            "properties": {"label": {"type": "string", "enum": self.labels}},
            "required": ["label"],
        }
        task = f"Which of these labels fits the text best? {'; '.join(self.labels)}. {self.instructions}".strip()
        chosen, reply = await _ask_object(call, f"<text>\n{self.text}\n</text>\n\n{task}", schema)
        return Classification(label=chosen["label"], model=call.answered_by(reply))


class WrittenMessage(Result):
    """What `commit_message` returns."""

    message: str = Field(description="The whole message: subject, empty line, body.")
    subject: str = Field(description="Its first line.")
    body: str = Field(description='The rest, or "".')
    model: str = Field(description="The model that wrote it.")
    parts: int = Field(description="How many parts the diff was read in.")
    truncated: bool = Field(description="Whether the message was cut off.")

    def __str__(self) -> str:
        return self.message


class CommitMessage(Tool):
    """Write a commit message for a diff.

    It does not commit. The model sees only the diff: explain in `instructions` why the change was made, and check
    the message before you use it.
    """

    title: ClassVar = "Write a commit message"
    result: ClassVar = WrittenMessage

    diff: Annotated[str, Field(min_length=1, description="The output of `git diff --staged`, of any length.")]
    instructions: Annotated[
        str,
        Field(description='The project\'s rules, or the reason for the change: "Conventional Commits, in English".'),
    ] = ""
    model: ModelName = ""

    async def run(self, call: ToolInvocation) -> WrittenMessage:
        """See `Tool.run`."""
        reader = DocumentReader(
            call,
            "Write a git commit message for this diff: a subject of at most 72 characters in the imperative, an "
            "empty line, then what changed and why, in a few lines. Write the message and nothing else, as plain "
            f"text. {self.instructions}".strip(),
            "Note briefly, file by file, what this part of a diff changes.",
        )
        reply = await reader.read(self.diff)
        message = _without_fence(reply.text)
        subject, _, body = message.partition("\n")
        return WrittenMessage(
            message=message,
            subject=subject,
            body=body.strip(),
            model=call.answered_by(reply),
            parts=reader.parts,
            truncated=reply.finish_reason == "length",
        )


def _without_fence(text: str) -> str:
    """Remove the Markdown fence that a model may put around a message."""
    lines = text.strip().splitlines()
    if len(lines) > 2 and lines[0].startswith("```") and lines[-1].strip() == "```":
        lines = lines[1:-1]
    return "\n".join(lines).strip()


def _check_schema(schema: dict[str, Any]) -> None:
    if problem := schema_error(schema):
        raise ConfigurationError(f"`schema` is not a valid JSON schema: {problem}")
    if schema.get("type") != "object":
        raise ConfigurationError(
            '`schema` must have "type": "object" at its root. For a list, make it a property: '
            '{"type": "object", "properties": {"items": {"type": "array", "items": …}}, "required": ["items"]}.'
        )


async def _ask_object(
    call: ToolInvocation, question: str, schema: dict[str, Any], *, max_tokens: int = 0
) -> tuple[dict[str, Any], Reply]:
    """Return an object that matches a schema, and the reply that contains it. The client validates it."""
    reply = await call.ask(
        [{"role": "user", "content": question}],
        max_tokens=max_tokens,
        response_format={"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}},
    )
    try:
        return coerced(json.loads(reply.text), schema), reply
    except ValueError:  # the client returns answers that were cut off
        raise OutputValidationError(
            "The answer was cut off before the object was complete. Raise `max_tokens`, or ask for less.",
            model=call.answered_by(reply),
            partial=reply,
        ) from None
