"""The ledger and the budgets of a client: what each call reports, however it ends."""

from __future__ import annotations

import asyncio
import pickle
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from lfm_adapter import AsyncLFMClient, ChatLFM, LFMClient
from lfm_adapter.errors import APIError, BudgetExceededError
from lfm_adapter.ledger import Budget, Ledger
from lfm_adapter.testing import Break, completion, error, stream, token_usage

if TYPE_CHECKING:
    from pathlib import Path

    from lfm_adapter.testing import ScriptedOpenRouter

MODEL = "liquid/lfm-3-1.7b"
COSTS = token_usage(cost=0.5)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.db")


def ask(kind: str, **options: Any) -> None:
    """Ask one question, by each of the surfaces."""
    client = LFMClient(MODEL, max_retries=0, app_title="My app", **options)
    match kind:
        case "chat":
            client.chat("?", max_tokens=10)
        case "stream":
            list(client.stream("?", max_tokens=10))
        case "async":
            asyncio.run(AsyncLFMClient(MODEL, max_retries=0, app_title="My app", **options).chat("?", max_tokens=10))
        case "langchain":
            ChatLFM(model=MODEL, max_retries=0, max_tokens=10, app_title="My app", **options).invoke("?")


@pytest.mark.parametrize("kind", ["chat", "stream", "async", "langchain"])
def test_each_call_is_a_row(openrouter: ScriptedOpenRouter, ledger: Ledger, kind: str):
    reply = stream if kind == "stream" else completion
    openrouter.add(reply("Wet.", model=MODEL, usage=token_usage(9, 5, cost=2.8e-07, reasoning_tokens=2)))
    ask(kind, ledger=ledger)
    (call,) = ledger.calls()
    assert (call.app, call.source, call.model, call.served_model) == ("My app", "python", MODEL, MODEL)
    assert (call.provider, call.status, call.cost) == ("Liquid", "ok", Decimal("2.8E-7"))
    assert (call.prompt_tokens, call.completion_tokens, call.reasoning_tokens) == (9, 5, 2)
    assert (call.first_token_s is not None) == (kind == "stream")
    assert 0 < call.duration_s < 60


@pytest.mark.parametrize(
    ("reply", "status", "http_status"),
    [
        (error(429, "Slow down"), "rate_limit", 429),
        (error(503, "Down"), "server", 503),
        (completion().broken(0), "stream_interrupted", None),
    ],
)
def test_failed_call_is_a_row_too(
    openrouter: ScriptedOpenRouter, ledger: Ledger, reply: Any, status: str, http_status: int | None
):
    openrouter.add(reply)
    with pytest.raises(APIError):
        ask("chat", ledger=ledger)
    (call,) = ledger.calls()
    assert (call.status, call.http_status) in ((status, http_status), ("connection", http_status))


def test_stream_that_is_left_is_cancelled(openrouter: ScriptedOpenRouter, ledger: Ledger):
    openrouter.add(stream(["One", "Two"]).broken(2, Break.SILENCE))
    with LFMClient(MODEL, ledger=ledger).stream("?") as deltas:
        next(deltas)
    assert [call.status for call in ledger.calls()] == ["cancelled"]


def test_variable_turns_the_ledger_on(openrouter: ScriptedOpenRouter, ledger: Ledger, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LFM_LEDGER", str(ledger.path))
    openrouter.add(completion())
    ask("langchain")
    assert len(ledger.calls()) == 1


@pytest.mark.parametrize("kind", ["chat", "stream", "async", "langchain"])
def test_budget_ends_a_loop_before_the_next_request(openrouter: ScriptedOpenRouter, ledger: Ledger, kind: str):
    reply = stream if kind == "stream" else completion
    openrouter.add(reply("Wet.", model=MODEL, usage=COSTS))
    budget = Budget("0.50")
    ask(kind, budget=budget, ledger=ledger)
    with pytest.raises(BudgetExceededError):
        ask(kind, budget=budget, ledger=ledger)
    assert len(openrouter.requests) == 1
    assert ledger.spent(budget) == Decimal("0.5")


def test_refused_request_costs_nothing(openrouter: ScriptedOpenRouter, ledger: Ledger):
    openrouter.add(error(503, "Down"))
    budget = Budget("0.50")
    with pytest.raises(APIError):
        ask("chat", budget=budget, ledger=ledger)
    assert ledger.spent(budget) == 0
    ledger.reserve([budget], Decimal("0.5"), model=MODEL)


def test_interrupted_request_counts_with_its_maximum(openrouter: ScriptedOpenRouter, ledger: Ledger):
    openrouter.add(stream(["One", "Two"]).broken(2))
    budget = Budget("0.50")
    with pytest.raises(APIError):
        ask("stream", budget=budget, ledger=ledger)
    assert 0 < ledger.spent(budget) < Decimal("0.001")


@pytest.mark.parametrize("options", [{"budget": Budget("0.50", name="agents")}, {}])
def test_users_ledger_is_found_once_for_all_calls_of_a_client(
    openrouter: ScriptedOpenRouter, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
):
    monkeypatch.setenv("LFM_LEDGER", str(ledger.path))
    client = LFMClient(MODEL, **options)
    openrouter.add(*[completion("Wet.", model=MODEL)] * 3)
    client.chat("?")
    with monkeypatch.context() as unavailable:
        unavailable.setattr(Ledger, "__init__", None)
        client.chat("?")
    pickle.loads(pickle.dumps(client)).chat("?")  # noqa: S301 # made here
    assert len(ledger.calls()) == 3
