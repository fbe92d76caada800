"""The budget of a server holds, whatever runs at the same time or is interrupted, and the ledger has its calls."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from mcp.types import Implementation

from lfm_adapter import AsyncLFMClient
from lfm_adapter._client.metering import max_cost
from lfm_adapter.apps.mcp.server import create_server
from lfm_adapter.apps.mcp.session import Session
from lfm_adapter.catalog import get
from lfm_adapter.errors import LFMError
from lfm_adapter.ledger import Budget, Ledger
from lfm_adapter.testing import Break, completion, error, stream
from lfm_adapter.testing import token_usage as usage
from tests.support.mcp_session import MODEL, MODES, connect, error_of, mcp_server, session_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lfm_adapter.testing import RecordedRequest, ScriptedOpenRouter, ScriptedReply


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.db")


@pytest.fixture
def limited(ledger: Ledger) -> Callable[..., dict[str, Any]]:
    return lambda usd, **options: {"budget": Budget(usd, **options), "ledger": ledger}


async def ask(server: Any, **arguments: Any) -> Any:
    async with connect(server) as client:
        return await client.call_tool("ask", {"prompt": "Hello", **arguments})


async def test_concurrent_calls_stay_within_the_limit(
    server: ScriptedOpenRouter, limited: Callable[..., dict[str, Any]]
):
    charged: list[Decimal] = []

    def charge_the_most(request: RecordedRequest) -> ScriptedReply:
        worst = max_cost(request.content, get(MODEL))
        assert worst is not None
        charged.append(worst)
        return stream(["Hi."], model=MODEL, usage=usage(cost=float(worst)))

    server.default = charge_the_most
    session = session_of(server, **limited("0.003"))
    async with connect(create_server(session)) as client:
        calls = [client.call_tool("ask", {"prompt": "Hello", "max_tokens": 4000}) for _ in range(20)]
        results = await asyncio.gather(*calls)
    # One call costs a bit over US$ 0.0008 at the most, so that 3 of them fit.
    assert len(charged) == len([result for result in results if not result.is_error]) == 3
    assert session.spent_usd == pytest.approx(sum(charged))
    assert session.spent_usd <= Decimal("0.003")


async def test_usage_shows_what_is_left_of_the_limit(
    server: ScriptedOpenRouter, limited: Callable[..., dict[str, Any]]
):
    server.default = lambda _: stream(["Hi."], model=MODEL, usage=usage(cost=0.000001))
    async with connect(mcp_server(server, **limited("0.001"))) as client:
        assert "US$ 0.001" in (client.instructions or "")
        for _ in range(20):
            result = await client.call_tool("ask", {"prompt": "Hello", "max_tokens": 4000})
            assert not result.is_error
        used = (await client.call_tool("usage", {})).structured_content
    assert used["limit_usd"] == 0.001
    assert used["left_usd"] == pytest.approx(0.00098)
    assert used["uncertain_usd"] == 0


async def test_interrupted_answer_counts_with_its_maximum(
    server: ScriptedOpenRouter, limited: Callable[..., dict[str, Any]]
):
    server.add(stream(["Hi", "."]).broken(2, Break.RESET))
    async with connect(mcp_server(server, **limited("0.01"), max_retries=0)) as client:
        result = await client.call_tool("ask", {"prompt": "Hello"})
        used = (await client.call_tool("usage", {})).structured_content
    assert result.is_error
    worst = max_cost(server.requests[0].content, get(MODEL))
    assert used["uncertain_usd"] == pytest.approx(float(worst or 0))
    assert used["cost_usd"] == 0


async def test_refused_request_costs_nothing(server: ScriptedOpenRouter, limited: Callable[..., dict[str, Any]]):
    server.default = lambda _: error(401, "No.")
    session = session_of(server, **limited("0.001"))
    await ask(create_server(session))
    assert session.spent_usd == 0
    assert len(server.requests) == 1


async def test_free_models_answer_when_nothing_is_left(
    server: ScriptedOpenRouter, limited: Callable[..., dict[str, Any]]
):
    server.add(stream(["Hi."], model="liquid/lfm-3-1.7b:free", usage=usage(cost=0)))
    tools = mcp_server(server, **limited(0))
    refused = error_of(await ask(tools))
    assert "free model" in refused
    assert "--max-cost-usd" in refused
    assert not (await ask(tools, model="liquid/lfm-3-1.7b:free")).is_error


@pytest.mark.parametrize("model", ["acme/one", "acme/one:free"])
async def test_a_model_without_a_known_price_is_refused_unless_the_user_allows_it(
    server: ScriptedOpenRouter, limited: Callable[..., dict[str, Any]], model: str
):
    server.add(stream(["Hi."], model=model))
    refused = error_of(await ask(mcp_server(server, model, **limited(1))))
    assert f"price of `{model}` is unknown" in refused
    assert "--allow-unknown-price" in refused
    assert not server.requests
    assert not (await ask(mcp_server(server, model, **limited(1, allow_unknown_price=True)))).is_error


async def test_without_a_limit_nothing_is_refused(server: ScriptedOpenRouter):
    server.add(stream(["Hi."], model="acme/one"))
    assert not (await ask(mcp_server(server, "acme/one"))).is_error


@pytest.mark.parametrize("mode", MODES)
async def test_each_question_is_a_row_of_the_ledger(server: ScriptedOpenRouter, ledger: Ledger, mode: str):
    server.add(stream(["Hi."], model=MODEL, usage=usage(9, 5, cost=0.25)), completion('{"label": "a"}'))
    session = session_of(server, ledger=ledger)
    assistant = Implementation(name="test-assistant", version="1")
    async with connect(create_server(session), mode, client_info=assistant) as client:
        await client.call_tool("ask", {"prompt": "Hello"})
        await client.call_tool("classify", {"text": "Hello", "labels": ["a", "b"]})
    last, first = ledger.calls()
    assert (first.source, first.app, first.model, first.cost) == ("mcp", "test-assistant", MODEL, Decimal("0.25"))
    assert (first.prompt_tokens, first.is_stream, last.is_stream) == (9, True, False)


class Recorder:
    """Stands in for the network to openrouter.ai."""

    def __init__(self) -> None:
        self.bodies: list[Any] = []

    async def send(self, request: Any) -> Any:
        self.bodies.append(json.loads(request.body))
        raise LFMError("That is all.")


async def test_limit_caps_openrouters_prices(limited: Callable[..., dict[str, Any]]):
    network = Recorder()
    for options in (limited(1), {}):
        client = AsyncLFMClient(model=MODEL, api_key="sk-or-v1-x", transport=network)
        await ask(create_server(Session(client, **options)))
    capped, unlimited = network.bodies
    assert capped["provider"] == {"max_price": {"prompt": 0.08, "completion": 0.2}}
    assert "provider" not in unlimited
