"""The tools that make something of a text: a summary, an object, a label, a commit message.

Their signatures are their input schemas, which the SDK evaluates: no annotation here is left a string.
"""

import asyncio
from typing import Annotated, Any

from mcp.server.mcpserver import Context, ListRoots, Resolve
from mcp.types import CallToolResult, ListRootsResult
from pydantic import Field

from lfm_adapter.apps.mcp.call import Call
from lfm_adapter.apps.mcp.documents import Reader
from lfm_adapter.apps.mcp.files import Roots
from lfm_adapter.apps.mcp.results import Classification, CommitMessage, Extraction, Summary
from lfm_adapter.apps.mcp.session import Session
from lfm_adapter.apps.mcp.structured import check_schema, object_of
from lfm_adapter.apps.mcp.tools import MaxTokens, ModelName
from lfm_adapter.errors import ConfigurationError

__all__ = ["TextTools"]

_MAX_FILES = 32

Text = Annotated[str, Field(description='The text. "" to read `paths` instead.')]
Paths = Annotated[
    list[str],
    Field(
        max_length=_MAX_FILES,
        description="Files to read, absolute or relative to a root. Only UTF-8 text, and only inside the roots that "
        "you have opened to this server or that its user has named.",
    ),
]


def _client_roots(context: Context, paths: list[str]) -> ListRoots | ListRootsResult:
    """Ask the client for its roots, if it has such and a path is to be looked up."""
    capabilities = context.client_capabilities
    has_roots = capabilities is not None and capabilities.roots is not None
    return ListRoots() if paths and has_roots else ListRootsResult(roots=[])


ClientRoots = Annotated[ListRootsResult, Resolve(_client_roots)]


class TextTools:
    """The tools of one session that read texts."""

    def __init__(self, session: Session) -> None:
        self.session = session

    async def summarize(
        self,
        *,
        context: Context,
        roots: ClientRoots,
        text: Text = "",
        paths: Paths = [],  # noqa: B006 - the SDK copies it, and the schema shows it
        instructions: Annotated[
            str, Field(description='What to look for, in which form, how long: "the open tasks, as a list".')
        ] = "",
        model: ModelName = "",
        max_tokens: MaxTokens = 0,
    ) -> Annotated[CallToolResult, Summary]:
        """Summarize a text or files of any length, so that you need not read them.

        Good for logs, transcripts, documents and source files: only the summary comes back to you. What is longer than
        the model's context is read in parts, and the notes on these are put together. Details may be lost or wrong:
        read the text itself where every word counts.
        """
        async with Call(self.session, context, model) as call:
            wanted = instructions or "Keep names, numbers and decisions. Use at most ten sentences."
            reader = Reader(
                call,
                f"Summarize the text. {wanted} Say only what the text says.",
                f"Note what this part of a longer text says, briefly, for a summary of all of it. {wanted}",
                max_tokens,
            )
            reply = await reader.read(await self._text(text, paths, roots))
            truncated = reply.finish_reason == "length"
            summary = Summary(summary=reply.text, model=call.named(reply), parts=reader.parts, truncated=truncated)
            call.done(summary, reply.text)
        return call.result

    async def extract(
        self,
        *,
        context: Context,
        roots: ClientRoots,
        schema: Annotated[
            dict[str, Any],
            Field(description='A JSON schema with "type": "object". Describe its properties: the model reads that.'),
        ],
        text: Text = "",
        paths: Paths = [],  # noqa: B006 - as above
        instructions: Annotated[str, Field(description="What else to know or to mind.")] = "",
        model: ModelName = "",
        max_tokens: MaxTokens = 0,
    ) -> Annotated[CallToolResult, Extraction]:
        """Extract an object that fits your JSON schema from a text or files.

        Good for turning prose, logs, mails, tables or pages into data. The object is validated against the schema, and
        asked for again where it does not fit; what still does not is an error. The text has to fit the model's context.
        Keep the schema small and flat, and let a property be null where the text may not tell it.
        """
        async with Call(self.session, context, model) as call:
            check_schema(schema)
            task = f"Extract from the text what the schema asks for. Invent nothing. {instructions}".strip()
            question = f"<text>\n{await self._text(text, paths, roots)}\n</text>\n\n{task}"
            data, reply = await object_of(call, question, schema, max_tokens=max_tokens)
            call.done(Extraction(data=data, model=call.named(reply)))
        return call.result

    async def classify(
        self,
        *,
        context: Context,
        text: Annotated[str, Field(min_length=1, description="What to classify.")],
        labels: Annotated[
            list[str], Field(min_length=2, max_length=100, description="The labels to choose from, each once.")
        ],
        instructions: Annotated[str, Field(description="What the labels mean, or how to decide.")] = "",
        model: ModelName = "",
    ) -> Annotated[CallToolResult, Classification]:
        """Choose the one of your labels that fits a text best.

        Good for sorting many items cheaply: triage, sentiment, language, topic, spam. Add a label such as "other" where
        none may fit, and tell in `instructions` what is not clear from the labels alone.
        """
        async with Call(self.session, context, model) as call:
            if len(set(labels)) < len(labels):
                raise ConfigurationError("`labels` has one twice.")
            choice = {
                "type": "object",
                "properties": {"label": {"type": "string", "enum": labels}},
                "required": ["label"],
            }
            task = f"Which of these labels fits the text best? {'; '.join(labels)}. {instructions}".strip()
            chosen, reply = await object_of(call, f"<text>\n{text}\n</text>\n\n{task}", choice)
            classification = Classification(label=chosen["label"], model=call.named(reply))
            call.done(classification, classification.label)
        return call.result

    async def commit_message(
        self,
        *,
        context: Context,
        diff: Annotated[str, Field(min_length=1, description="The output of `git diff --staged`, of any length.")],
        instructions: Annotated[
            str,
            Field(description='The project\'s rules, or why the change was made: "Conventional Commits, in English".'),
        ] = "",
        model: ModelName = "",
    ) -> Annotated[CallToolResult, CommitMessage]:
        """Write a commit message for a diff.

        It commits nothing. The model sees only the diff: tell in `instructions` why the change was made, and read what
        comes back before you use it.
        """
        async with Call(self.session, context, model) as call:
            reader = Reader(
                call,
                "Write a git commit message for this diff: a subject of at most 72 characters in the imperative, an "
                "empty line, then what changed and why, in a few lines. Write the message and nothing else, as plain "
                "text. "
                f"{instructions}".strip(),
                "Note briefly, file by file, what this part of a diff changes.",
            )
            reply = await reader.read(diff)
            message = _plain(reply.text)
            subject, _, body = message.partition("\n")
            told = CommitMessage(
                message=message,
                subject=subject,
                body=body.strip(),
                model=call.named(reply),
                parts=reader.parts,
                truncated=reply.finish_reason == "length",
            )
            call.done(told, message)
        return call.result

    async def _text(self, text: str, paths: list[str], listed: ListRootsResult) -> str:
        """Return the text that a call is about."""
        if bool(text.strip()) == bool(paths):
            raise ConfigurationError("Pass either `text` or `paths`.")
        if not paths:
            return text
        roots = await asyncio.to_thread(Roots.of, self.session.folders, [str(root.uri) for root in listed.roots])
        texts = [await asyncio.to_thread(roots.read, path) for path in paths]
        if not "".join(texts).strip():
            raise ConfigurationError("There is no text in these files.")
        return texts[0] if len(texts) == 1 else "\n\n".join(map("File {}:\n{}".format, paths, texts))


def _plain(text: str) -> str:
    """Return a message without the fence that a model may have put around it."""
    lines = text.strip().splitlines()
    if len(lines) > 2 and lines[0].startswith("```") and lines[-1].strip() == "```":
        lines = lines[1:-1]
    return "\n".join(lines).strip()
