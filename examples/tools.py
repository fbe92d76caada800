"""Let a model call a function and use its result. Needs OPENROUTER_API_KEY."""

from langchain_core.messages import HumanMessage, ToolMessage

from lfm_adapter import ChatLFM


def weather(city: str) -> str:
    """Return the weather in a city."""
    return f"Rain and 8 degrees in {city}."


llm = ChatLFM(model="liquid/lfm-2.5-2.6b:free", max_tokens=2_000).bind_tools([weather])
messages = [HumanMessage("Do I need an umbrella in Oslo?")]
answer = llm.invoke(messages)
while answer.tool_calls:
    messages.append(answer)
    for call in answer.tool_calls:
        print("The model calls", call["name"], call["args"])
        messages.append(ToolMessage(weather(**call["args"]), tool_call_id=call["id"]))
    answer = llm.invoke(messages)
print(answer.text)
