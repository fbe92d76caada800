"""OpenAI's SDK, set up by OPENAI_BASE_URL and OPENAI_API_KEY: one turn with a tool, by both of its APIs.

Arguments: the model, the question.
"""

import json
import sys

from openai import OpenAI

PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FUNCTION = {"name": "get_weather", "description": "Tell the weather in a city.", "parameters": PARAMETERS}

client = OpenAI()
model, question = sys.argv[1:]
QUESTION = {"role": "user", "content": question}


def get_weather(arguments: str) -> str:
    return f"Rain in {json.loads(arguments)['city']}."


def ask_chat() -> str:
    tools = [{"type": "function", "function": FUNCTION}]
    with client.chat.completions.stream(model=model, messages=[QUESTION], tools=tools) as stream:
        message = stream.get_final_completion().choices[0].message
    (call,) = message.tool_calls
    result = {"role": "tool", "tool_call_id": call.id, "content": get_weather(call.function.arguments)}
    called = {"role": "assistant", "tool_calls": [call.model_dump(include={"id", "type", "function"})]}
    completion = client.chat.completions.create(model=model, messages=[QUESTION, called, result], tools=tools)
    return completion.choices[0].message.content


def ask_responses() -> str:
    tools = [{"type": "function", **FUNCTION}]
    with client.responses.create(model=model, input=[QUESTION], tools=tools, stream=True) as stream:
        (response,) = [event.response for event in stream if event.type == "response.completed"]
    (call,) = [item for item in response.output if item.type == "function_call"]
    result = {"type": "function_call_output", "call_id": call.call_id, "output": get_weather(call.arguments)}
    called = {"type": "function_call", "call_id": call.call_id, "name": call.name, "arguments": call.arguments}
    return client.responses.create(model=model, input=[QUESTION, called, result], tools=tools).output_text


print(json.dumps({"chat": ask_chat(), "responses": ask_responses()}))
