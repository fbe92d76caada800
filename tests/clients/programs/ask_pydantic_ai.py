"""Pydantic AI's model for OpenRouter: one turn with a tool. Arguments: the model, the question."""

import json
import os
import sys

from openai import AsyncOpenAI
from pydantic_ai import Agent
from pydantic_ai.models.openrouter import OpenRouterModel
from pydantic_ai.providers.openrouter import OpenRouterProvider

model, question = sys.argv[1:]
client = AsyncOpenAI(base_url=os.environ["OPENAI_BASE_URL"], api_key=os.environ["OPENAI_API_KEY"], max_retries=0)
agent = Agent(OpenRouterModel(model, provider=OpenRouterProvider(openai_client=client)))


@agent.tool_plain
def get_weather(city: str) -> str:
    """Tell the weather in a city."""
    return f"Rain in {city}."


print(json.dumps({"text": agent.run_sync(question).output}))
