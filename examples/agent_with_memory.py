"""A LangGraph agent that remembers the conversation. Needs OPENROUTER_API_KEY and `pip install langchain`."""

from langchain.agents import create_agent
from langgraph.checkpoint.memory import InMemorySaver

from lfm_adapter import ChatLFM

stock = {"apples": 12, "pears": 0}


def in_stock(fruit: str) -> int:
    """Return how many of a fruit there are."""
    return stock.get(fruit, 0)


agent = create_agent(
    ChatLFM(model="liquid/lfm-2.5-2.6b:free", max_tokens=2_000),
    tools=[in_stock],
    system_prompt="You keep a greengrocer's stock. Look before you answer.",
    checkpointer=InMemorySaver(),
)
conversation = {"configurable": {"thread_id": "1"}}
for question in ("Have you any apples?", "I take five. How many are left?"):
    answer = agent.invoke({"messages": [("user", question)]}, conversation)
    print(question, "->", answer["messages"][-1].text)
