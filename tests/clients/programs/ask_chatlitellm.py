"""LangChain's ChatLiteLLM: an answer, a stream and a tool call."""

import json
import sys

from langchain_litellm import ChatLiteLLM

import lfm_adapter.litellm


def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


lfm_adapter.litellm.register()
model = ChatLiteLLM(model=sys.argv[1])
answer = model.invoke("What is water?")
streamed = None
for chunk in model.stream("What is water?"):
    streamed = chunk if streamed is None else streamed + chunk
called = model.bind_tools([multiply]).invoke("What is 6 times 7?")
print(
    json.dumps(
        {
            "answer": answer.text,
            "tokens": answer.usage_metadata["total_tokens"],
            "streamed": streamed.text,
            "calls": [[call["name"], call["args"]] for call in called.tool_calls],
        }
    )
)
