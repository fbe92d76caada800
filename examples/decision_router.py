"""A router: easy turns go to a small model of Liquid's, the others to a larger one.

Needs OPENROUTER_API_KEY and `pip install "langchain>=1.5"`. Decisions are an alpha API, the middleware is in beta.
"""

from langchain.agents import create_agent
from langchain.agents.middleware import ModelChoice, ModelRouterMiddleware

from lfm_adapter import ChatLFM, LFMDecisions

easy = ChatLFM(model="liquid/lfm-2.5-2.6b:free", max_tokens=2_000)
hard = ChatLFM(model="openai/gpt-6-luna", max_tokens=2_000)
router = ModelRouterMiddleware(
    choices={
        "easy": ModelChoice(easy, "Small talk, facts that everybody knows, rewording."),
        "hard": ModelChoice(hard, "Proofs, code, plans, anything with several steps."),
    },
    instructions="Which model can do what the user asks?",
    classifier=LFMDecisions(model="liquid/d1.2"),
)
agent = create_agent(easy, middleware=[router])
for question in ("Say hello in French.", "Prove that there are infinitely many primes."):
    done = agent.invoke({"messages": [("user", question)]})
    route, answer = done["model_route"], done["messages"][-1]
    model = answer.response_metadata["model_name"]
    print(f"{route.choice} ({route.probabilities[route.choice]:.0%}) -> {model}: {answer.text}")
