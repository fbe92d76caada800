"""Prompts for using the tools, which assistants offer as slash commands."""

from __future__ import annotations

from dataclasses import dataclass

from mcp.shared.exceptions import MCPError
from mcp.types import (
    INVALID_PARAMS,
    GetPromptResult,
    ListPromptsResult,
    Prompt,
    PromptArgument,
    PromptMessage,
    TextContent,
)


@dataclass(frozen=True, slots=True)
class SlashCommand:
    """One prompt.

    Attributes:
        description: Its entry in the list of commands.
        request: The request to the agent, with `{argument}` for each required argument.
        required: Descriptions of the required arguments, by name.
        optional: The description of the argument `instructions`; "" if there is none.
    """

    description: str
    request: str
    required: dict[str, str]
    optional: str = ""


_COMMANDS = {
    "commit": SlashCommand(
        "Write a commit message for the staged changes",
        "Run `git diff --staged` and pass all of its output as `diff` to the tool `commit_message`. Show me the "
        "message, and correct what is wrong in it. Commit with it once I agree. If nothing is staged, say so.",
        {},
        'Rules or the reason for the change: "Conventional Commits"',
    ),
    "summarize": SlashCommand(
        "Summarize files without reading them into this conversation",
        "Call the tool `summarize` with these `paths`: {paths}. Show me the summary. Do not read the files yourself.",
        {"paths": "Files, relative to a root: docs/a.md, logs/b.txt"},
        'What to look for: "the open tasks"',
    ),
    "extract": SlashCommand(
        "Extract data from files",
        "Extract {fields} from {paths}: write a small JSON schema for it, call the tool `extract` with it once per "
        "file, and show me the results as a table. Do not read the files yourself.",
        {"paths": "Files, relative to a root", "fields": 'What to extract: "name, date and total"'},
        "What else to pay attention to",
    ),
    "classify": SlashCommand(
        "Sort many texts by labels",
        "Collect {texts} and pass all of them as `texts` to the tool `classify`, with these `labels`: {labels}. Show "
        "me each text in a few words with its label, and check those that look wrong.",
        {"texts": 'What to sort: "the open issues"', "labels": "The labels: bug, wish, question"},
        "What the labels mean",
    ),
    "usage": SlashCommand(
        "Show what the small model has cost",
        "Call the tool `usage` and tell me in a sentence or two what was used and what is left.",
        {},
    ),
}


async def list_prompts(_context: object, _params: object) -> ListPromptsResult:
    """Answer `prompts/list`."""
    return ListPromptsResult(
        prompts=[
            Prompt(
                name=name,
                title=command.description,
                description=command.description,
                arguments=[
                    *(
                        PromptArgument(name=key, description=value, required=True)
                        for key, value in command.required.items()
                    ),
                    *[PromptArgument(name="instructions", description=command.optional)] * bool(command.optional),
                ],
            )
            for name, command in _COMMANDS.items()
        ]
    )


def get_prompt(name: str, arguments: dict[str, str]) -> GetPromptResult:
    """Answer `prompts/get`.

    Raises:
        MCPError: There is no such prompt, or an argument is missing.
    """
    command = _COMMANDS.get(name)
    if command is None:
        raise MCPError(
            code=INVALID_PARAMS, message=f"Unknown prompt: {name!r}. The prompts are {', '.join(_COMMANDS)}."
        )
    if missing := [f"`{key}` is missing." for key in command.required if not arguments.get(key)]:
        raise MCPError(code=INVALID_PARAMS, message=" ".join(missing))
    text = command.request.format_map(arguments)
    if instructions := arguments.get("instructions"):
        text += f" Pass on these `instructions`: {instructions}"
    return GetPromptResult(
        description=command.description,
        messages=[PromptMessage(role="user", content=TextContent(type="text", text=text))],
    )
