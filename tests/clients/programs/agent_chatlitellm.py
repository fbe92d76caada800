"""LangChain's agent with two tools, on ChatLiteLLM."""

import json
import sys

from langchain.agents import create_agent
from langchain_litellm import ChatLiteLLM

import lfm_adapter.litellm


def get_weather(city: str) -> str:
    """Tell the weather in a city."""
    return f"Rain in {city}."


def get_time(city: str) -> str:
    """Tell the time in a city."""
    return f"Noon in {city}."


lfm_adapter.litellm.register()
agent = create_agent(ChatLiteLLM(model=sys.argv[1]), tools=[get_weather, get_time])
messages = agent.invoke({"messages": [("user", "Use get_weather and get_time for 'Oslo'.")]})["messages"]
calls = [call["name"] for message in messages for call in getattr(message, "tool_calls", [])]
print(json.dumps({"calls": calls, "answer": messages[-1].text}))
