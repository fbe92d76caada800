"""An agent with two tools, on a model without native tools. Needs OPENROUTER_API_KEY and `pip install langchain`."""

from langchain.agents import create_agent
from langchain.agents.middleware import ModelCallLimitMiddleware

from lfm_adapter import ChatLFM


def temperature(city: str) -> str:
    """Return the temperature in a city, in degrees Celsius."""
    return {"Oslo": "8", "Rome": "21"}.get(city, "unknown")


def to_fahrenheit(celsius: float) -> float:
    """Convert degrees Celsius to Fahrenheit."""
    return celsius * 9 / 5 + 32


llm = ChatLFM(model="liquid/lfm-3-1.7b", tool_calling="prompted", max_tokens=2_000)
limit = ModelCallLimitMiddleware(run_limit=10)  # a small model may call tools endlessly
agent = create_agent(llm, tools=[temperature, to_fahrenheit], middleware=[limit])
for step in agent.stream({"messages": [("user", "How warm is it in Oslo, in Fahrenheit?")]}, stream_mode="updates"):
    for update in step.values():
        for message in (update or {}).get("messages", []):
            message.pretty_print()
