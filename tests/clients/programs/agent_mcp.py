"""A LangChain agent on ChatLFM, whose tools are those of a running `lfm mcp`: python agent_mcp.py MODEL COMMAND..."""

import asyncio
import json
import os
import sys

from langchain.agents import create_agent
from langchain_mcp_adapters.client import MultiServerMCPClient

from lfm_adapter import ChatLFM


async def main(model: str, command: str, *arguments: str) -> None:
    server = {"transport": "stdio", "command": command, "args": list(arguments), "env": dict(os.environ)}
    tools = await MultiServerMCPClient({"lfm": server}).get_tools()
    agent = create_agent(ChatLFM(model=model), tools)
    result = await agent.ainvoke({"messages": [("human", "Is 'It crashes!' a bug or a wish?")]})
    told = [message for message in result["messages"] if message.type == "tool"]
    print(
        json.dumps(
            {
                "tools": sorted(tool.name for tool in tools),
                "results": [message.text for message in told],
                "structured": [(message.artifact or {}).get("structured_content") for message in told],
                "answer": result["messages"][-1].text,
            }
        )
    )


asyncio.run(main(*sys.argv[1:]))
