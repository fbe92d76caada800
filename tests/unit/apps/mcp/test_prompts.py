"""The prompts that assistants offer as slash commands."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from mcp import MCPError

from tests.support.mcp_session import MODES, connect, mcp_server

if TYPE_CHECKING:
    from lfm_adapter.testing import ScriptedOpenRouter

pytestmark = pytest.mark.parametrize("mode", MODES)


async def test_every_prompt_asks_for_tools_that_exist(server: ScriptedOpenRouter, mode: str):
    async with connect(mcp_server(server), mode) as client:
        tools = {tool.name: set(tool.input_schema["properties"]) for tool in (await client.list_tools()).tools}
        prompts = (await client.list_prompts()).prompts
        assert "commit" in {prompt.name for prompt in prompts}
        for prompt in prompts:
            arguments = {argument.name: f"<{argument.name}>" for argument in prompt.arguments or ()}
            (message,) = (await client.get_prompt(prompt.name, arguments)).messages
            text = message.content.text
            assert all(argument in text for argument in arguments.values()), text
            (tool,) = set(re.findall(r"`(\w+)`", text)) & set(tools)
            assert set(re.findall(r"`(\w+)`", text)) - {tool} <= tools[tool]


async def test_instructions_may_be_left_out(server: ScriptedOpenRouter, mode: str):
    async with connect(mcp_server(server), mode) as client:
        (message,) = (await client.get_prompt("commit")).messages
    assert "git diff --staged" in message.content.text
    assert "instructions" not in message.content.text


@pytest.mark.parametrize(
    ("name", "arguments", "problem"),
    [
        ("summarize", {}, "`paths` is missing."),
        ("summarize", {"paths": ""}, "`paths` is missing."),
        ("x", {}, "Unknown"),
    ],
)
async def test_what_cannot_be_prompted_is_an_error(
    server: ScriptedOpenRouter, mode: str, name: str, arguments: dict[str, str], problem: str
):
    async with connect(mcp_server(server), mode) as client:
        with pytest.raises(MCPError, match=problem) as caught:
            await client.get_prompt(name, arguments)
    assert caught.value.error.code == -32602
