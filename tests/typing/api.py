"""How the public names are used, for the type checkers. Never run."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from typing import assert_type

from langchain_core.messages import AIMessage, AIMessageChunk

from lfm_adapter import AsyncLFMClient, Attribution, ChatLFM, LFMClient, LFMDecisions, LFMEmbeddings, catalog, errors
from lfm_adapter.ledger import Budget, Ledger
from lfm_adapter.types import (
    AsyncStream,
    ChatParameters,
    ChoiceQuestion,
    DecisionReply,
    Delta,
    EmbeddingReply,
    NoulQuestion,
    Reply,
    Stream,
)


def ledgers_and_budgets() -> None:
    ledger = Ledger("calls.db")
    budget = Budget("0.50", per="day", rpm=60, name="agents")
    ChatLFM(ledger=ledger, budget=budget)
    LFMClient(ledger=ledger, budget=budget)
    AsyncLFMClient(budget=1)  # type: ignore[arg-type]  # an amount alone does not tell its period
    Budget(1, per="week")  # type: ignore[arg-type]
    assert_type(ledger.spent(budget), Decimal)
    assert_type(ledger.usage(["day"])[0].cost, Decimal)


async def decisions() -> None:
    team: ChoiceQuestion = {
        "type": "choice",
        "instructions": "Which team?",
        "criteria": {"billing": "x", "other": None},
    }
    noul: NoulQuestion = {"type": "noul", "instructions": "Is it urgent?", "criteria": {"true": "a day or less"}}
    reply = LFMClient().decide("Hi", {"urgent": "Is it urgent?", "team": team, "noul": noul}, user="ada")
    assert_type(reply, DecisionReply)
    assert_type(reply.nouls["urgent"].noul, float | None)
    assert_type(reply.scores["anger"].probabilities, dict[int, float])
    assert_type(await AsyncLFMClient().decide({"mail": "Hi"}, {"team": team}, via="chat"), DecisionReply)
    LFMClient().decide("Hi", {"team": {"type": "choice", "instructions": "?"}})  # type: ignore[dict-item]
    LFMClient().decide("Hi", {"q": "?"}, via="magic")  # type: ignore[arg-type]
    LFMDecisions(temperature=1)  # type: ignore[call-arg]  # decisions have none


async def embeddings() -> None:
    model = LFMEmbeddings(model="lfm-2.5-embedding-350m:free", api_key=lambda: "key", batch_size=8)
    LFMEmbeddings(temperature=1)  # type: ignore[call-arg]  # embeddings have none
    assert_type(model.embed_documents(["a"]), list[list[float]])
    assert_type(await model.aembed_query("a"), list[float])
    assert_type(LFMClient().embed("a", role="query").vectors, list[list[float]])
    assert_type(await AsyncLFMClient().embed(["a"], role=None, provider={"only": ["liquid"]}), EmbeddingReply)
    LFMClient().embed("a", role="passage")  # type: ignore[arg-type]
    LFMClient().embed("a")  # type: ignore[call-arg]  # vectors of queries and of documents differ


def chat_model() -> None:
    llm = ChatLFM(model="liquid/lfm-3-1.7b", api_key=lambda: "key", temperature=0.1, app_categories=["cli-agent"])
    ChatLFM(timeot=3)  # type: ignore[call-arg]  # a typo is refused
    ChatLFM(max_retries="3")  # type: ignore[arg-type]  # and a wrong type, of an inherited field too
    assert_type(llm.invoke("Hello"), AIMessage)
    assert_type(llm.stream("Hello"), Iterator[AIMessageChunk])
    assert_type(llm.astream("Hello"), AsyncIterator[AIMessageChunk])


def client() -> None:
    client = LFMClient("lfm-3b", when_retired="successor", timeout=5)
    assert_type(client.chat("Hello", max_tokens=5), Reply)
    with client.stream("Hello") as stream:
        assert_type(stream, Stream)
        for delta in stream:
            assert_type(delta, Delta)
    client.chat("Hello", max_tokns=5)  # type: ignore[call-arg]
    client.chat("Hello", tool_calling="nativ")  # type: ignore[arg-type]
    parameters: ChatParameters = {"temperature": 0.1, "when_retired": "raise", "extra_body": {"new": 1}}
    assert_type(client.chat("Hello", model="lfm-3b", **parameters), Reply)
    assert_type(dataclasses.replace(client, timeout=5), LFMClient)
    reply = client.chat([{"role": "user", "content": "Hello"}])
    if reply.cost is not None:
        assert_type(reply.cost.total, Decimal)


async def async_client() -> None:
    client = AsyncLFMClient(default_headers={"X-Trace": "1"})
    assert_type(await client.chat("Hello", temperature=0.1), Reply)
    client.stream("Hello", temprature=0.1)  # type: ignore[call-arg]
    async with client.stream("Hello") as stream:
        assert_type(stream, AsyncStream)
        async for delta in stream:
            assert_type(delta.text, str)


def facts() -> None:
    card = catalog.get("lfm-3b")
    assert_type(card.context_length, int | None)
    assert_type(card.pricing.prompt, Decimal | None)
    assert_type(Attribution.from_env("https://example.com").headers(), dict[str, str])


def failures() -> None:
    try:
        LFMClient().chat("Hello")
    except errors.ModelRetiredError as error:
        assert_type(error.successors, tuple[str, ...])
    except errors.RateLimitError as error:
        assert_type(error.retry_after, float | None)
