"""`docs/mcp.md` and `examples/mcp/` say what is so."""

from __future__ import annotations

import json
import re
import shutil
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from mcp import Client, StdioServerParameters
from typer.main import get_command

from lfm_adapter.apps.cli import app
from tests.support.mcp_session import connect, environment_of, mcp_server

if TYPE_CHECKING:
    from lfm_adapter.testing import ScriptedOpenRouter

ROOT = Path(__file__).parents[4]
PAGE = (ROOT / "docs" / "mcp.md").read_text(encoding="utf-8")
EXAMPLES = {
    path.name: json.loads(path.read_text(encoding="utf-8"))["mcpServers"]["lfm"]
    for path in sorted((ROOT / "examples" / "mcp").glob("*.json"))
}
LFM = Path(sys.executable).with_name("lfm")


def table() -> dict[str, tuple[set[str], set[str]]]:
    """The arguments and the results of each tool, as the page has them."""
    lines = PAGE.partition("<!-- tools:")[2].partition("\n\n- ")[0].splitlines()
    rows = [line.strip("|").split("|") for line in lines if line.startswith("| `")]
    names = [[set(re.findall(r"`(\w+)`", cell)) for cell in row] for row in rows]
    return {tool.pop(): (arguments, results) for tool, arguments, results in names}


def entries_of(value: Any) -> list[Any]:
    """All entries called "lfm" in a configuration."""
    if not isinstance(value, dict):
        return []
    below = [entry for item in value.values() for entry in entries_of(item)]
    return [*below, *([value["lfm"]] if "lfm" in value else [])]


def test_every_configuration_of_the_page_starts_the_server():
    blocks = re.findall(r"```(json|toml)\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 6
    for language, block in blocks:
        (entry,) = entries_of(json.loads(block) if language == "json" else tomllib.loads(block))
        command = entry["command"] if isinstance(entry["command"], list) else [entry["command"], *entry["args"]]
        if command[0] == "uvx":
            assert command[1:3] == ["--from", "lfm-adapter[mcp]"]
            command = command[3:]
        assert command[:2] == ["lfm", "mcp"]
        command_line: Any = get_command(app)
        command_line.commands["mcp"].make_context("mcp", command[2:])  # fails on an unknown option
        assert "OPENROUTER_API_KEY" in str(entry)


async def test_the_page_has_every_prompt_with_its_arguments(server: ScriptedOpenRouter):
    async with connect(mcp_server(server)) as client:
        prompts = (await client.list_prompts()).prompts
    rows = [row.strip("|").split("|") for row in PAGE.partition("| Prompt |")[2].splitlines() if row.startswith("| `")]
    listed = {prompt.name: {argument.name for argument in prompt.arguments or ()} for prompt in prompts}
    assert {row[0].strip(" `"): set(re.findall(r"`(\w+)`", row[1])) for row in rows if "`" in row[0]} == listed


async def test_the_table_has_every_tool_with_its_arguments_and_results(server: ScriptedOpenRouter):
    async with connect(mcp_server(server)) as client:
        tools = (await client.list_tools()).tools
    listed = {
        tool.name: (set(tool.input_schema["properties"]), set(tool.output_schema["properties"])) for tool in tools
    }
    assert table() == listed


def test_every_option_that_the_page_names_exists():
    command: Any = get_command(app)
    known = {option for parameter in command.commands["mcp"].params for option in parameter.opts}
    assert known
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE)) - {"--from", "--by"} <= known  # of uvx, of lfm usage


def test_every_file_that_the_page_names_exists():
    for path in re.findall(r"\]\((\.\./[^)]+)\)", PAGE):
        assert (ROOT / "docs" / path).is_file(), path
    assert len(EXAMPLES) == 3
    assert all(f"examples/mcp/{name}" in PAGE for name in EXAMPLES)


@pytest.mark.skipif(not LFM.exists(), reason="the command lfm is not installed beside this Python")
@pytest.mark.parametrize("entry", EXAMPLES.values(), ids=EXAMPLES)
async def test_the_command_of_each_example_starts_and_lists_the_tools(entry: Any, server: ScriptedOpenRouter):
    assert set(entry["env"]) == {"OPENROUTER_API_KEY"}
    environment = environment_of(server)
    command = shutil.which(entry["command"], path=str(LFM.parent))
    assert command
    parameters = StdioServerParameters(command=command, args=entry["args"], env=environment)
    async with Client(parameters, mode="legacy", read_timeout_seconds=180) as client:
        assert {tool.name for tool in (await client.list_tools()).tools} == set(table())
        assert "US$ 1" in (client.instructions or "")


@pytest.mark.parametrize("entry", EXAMPLES.values(), ids=EXAMPLES)
def test_examples_auto_approve_only_free_tools(entry: Any):
    assert {*entry.get("alwaysAllow", ()), *entry.get("autoApprove", ())} <= {"models", "usage"}
