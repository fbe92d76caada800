"""smolagents: an agent that calls a tool and answers with what it gave."""

import json
import sys

from smolagents import LiteLLMModel, ToolCallingAgent, tool

import lfm_adapter.litellm


@tool
def multiply(a: int, b: int) -> int:
    """Multiply two numbers.

    Args:
        a: One.
        b: The other.
    """
    return a * b


lfm_adapter.litellm.register()
agent = ToolCallingAgent(tools=[multiply], model=LiteLLMModel(model_id=sys.argv[1]), verbosity_level=0)
answer = agent.run("What is 6 times 7?")
usage = agent.monitor.get_total_token_counts()
print(json.dumps({"answer": int(answer), "tokens": usage.input_tokens + usage.output_tokens}))
