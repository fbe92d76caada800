"""The tools that summarize a text of any length or write a commit message."""

import asyncio
from typing import Annotated, ClassVar

from pydantic import Field

from lfm_adapter.apps.mcp.documents import DocumentReader
from lfm_adapter.apps.mcp.invocation import ToolInvocation
from lfm_adapter.apps.mcp.result import Result
from lfm_adapter.apps.mcp.tool import MaxTokens, ModelName, Strings, Tool
from lfm_adapter.errors import ConfigurationError

_MAX_FILES = 32


class TextTool(Tool):
    """A tool that reads a text or files."""

    text: Annotated[str, Field(description='The text. "" to read `paths` instead.')] = ""
    paths: Strings = Field(
        [],
        max_length=_MAX_FILES,
        description="UTF-8 text files to read, absolute or relative to a root. They must be inside the roots that you "
        "or the user have opened to this server.",
    )
    instructions: str = ""
    model: ModelName = ""
    max_tokens: MaxTokens = 0

    async def read(self, call: ToolInvocation) -> str:
        """Return the text of a call, or of its files."""
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

    text_field: ClassVar = "summary"

    summary: str = Field(description="The summary.")
    model: str = Field(description="The model that wrote it.")
    parts: int = Field(
        description="How many parts the text was read in; more than 1 if it did not fit into one prompt."
    )
    truncated: bool = Field(description="Whether the summary was cut off.")


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


class WrittenMessage(Result):
    """What `commit_message` returns."""

    text_field: ClassVar = "message"

    message: str = Field(description="The whole message: subject, empty line, body.")
    subject: str = Field(description="Its first line.")
    body: str = Field(description='The rest, or "".')
    model: str = Field(description="The model that wrote it.")
    parts: int = Field(description="How many parts the diff was read in.")
    truncated: bool = Field(description="Whether the message was cut off.")


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
