"""The spending limit holds, whatever runs side by side, breaks off, or is asked for again."""

from __future__ import annotations

import asyncio
import json
import socket
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from lfm_adapter import AsyncLFMClient, catalog
from lfm_adapter.apps.mcp.server import create_server
from lfm_adapter.apps.mcp.session import Session
from lfm_adapter.apps.mcp.spending import SpendingLimit, SpendingLimitError, max_cost
from lfm_adapter.testing import Break, completion, error, stream
from lfm_adapter.testing import token_usage as usage
from tests.support.mcp_session import KEY, MODEL, connect, error_of, mcp_server

if TYPE_CHECKING:
    from lfm_adapter.testing import RecordedRequest, ScriptedOpenRouter, ScriptedReply

CARD = catalog.get(MODEL)


def worst_of(request: RecordedRequest) -> Decimal:
    worst = max_cost(request.content, CARD)
    assert worst is not None
    return worst


async def ask(server: Any, **arguments: Any) -> Any:
    async with connect(server) as client:
        return await client.call_tool("ask", {"prompt": "Hello", **arguments})


async def test_concurrent_calls_stay_within_the_limit(server: ScriptedOpenRouter):
    charged: list[Decimal] = []

    def charge_the_most(request: RecordedRequest) -> ScriptedReply:
        charged.append(worst_of(request))
        return stream(["Hi."], model=MODEL, usage=usage(cost=float(charged[-1])))

    server.default = charge_the_most
    spending = SpendingLimit(Decimal("0.003"))
    async with connect(mcp_server(server, spending=spending)) as client:
        calls = [client.call_tool("ask", {"prompt": "Hello", "max_tokens": 4000}) for _ in range(20)]
        results = await asyncio.gather(*calls)
    # One call costs a bit over US$ 0.0008 at the most, so that 3 of them fit.
    assert len(charged) == len([result for result in results if not result.is_error]) == 3
    assert sum(charged) <= Decimal("0.003")
    assert spending.reserved_usd == 0
    assert spending.spent_usd == pytest.approx(sum(charged))


async def test_unused_reservations_are_released(server: ScriptedOpenRouter):
    server.default = lambda _: stream(["Hi."], model=MODEL, usage=usage(cost=0.000001))
    async with connect(mcp_server(server, spending=SpendingLimit(Decimal("0.001")))) as client:
        for _ in range(20):
            result = await client.call_tool("ask", {"prompt": "Hello", "max_tokens": 4000})
            assert not result.is_error
        used = (await client.call_tool("usage", {})).structured_content
    assert used["limit_usd"] == 0.001
    assert used["left_usd"] == pytest.approx(0.00098)


async def test_refused_requests_cost_nothing(server: ScriptedOpenRouter):
    server.default = lambda _: error(401, "No.")
    spending = SpendingLimit(Decimal("0.001"))
    await ask(mcp_server(server, spending=spending))
    assert (spending.spent_usd, spending.reserved_usd) == (0, 0)
    assert len(server.requests) == 1


async def test_unsent_request_costs_nothing(server: ScriptedOpenRouter):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    spending = SpendingLimit(Decimal("0.001"))
    client = AsyncLFMClient(model=MODEL, api_key=KEY, base_url=f"http://127.0.0.1:{port}/v1", max_retries=0)
    assert "refused the connection" in error_of(await ask(create_server(Session(client, spending))))
    assert (spending.spent_usd, spending.reserved_usd) == (0, 0)


async def test_interrupted_second_turn_counts_with_its_maximum_cost(server: ScriptedOpenRouter):
    first = completion("No JSON.", model="liquid/lfm-3b", usage=usage(cost=0.0001))
    server.add(first, completion("{").in_pieces(20).broken(1, Break.RESET))
    spending = SpendingLimit(Decimal("0.01"))
    async with connect(mcp_server(server, spending=spending, max_retries=0)) as client:
        result = await client.call_tool("classify", {"text": "Hello", "labels": ["a", "b"], "model": "liquid/lfm-3b"})
    assert result.is_error
    repair = max_cost(server.requests[1].content, catalog.get("liquid/lfm-3b"))
    assert repair is not None
    assert spending.spent_usd == Decimal("0.0001") + repair


async def test_interrupted_answer_counts_with_its_maximum_cost(server: ScriptedOpenRouter):
    server.add(stream(["Hi", "."]).broken(2, Break.RESET))
    spending = SpendingLimit(Decimal("0.01"))
    async with connect(mcp_server(server, spending=spending, max_retries=0)) as client:
        result = await client.call_tool("ask", {"prompt": "Hello"})
        used = (await client.call_tool("usage", {})).structured_content
    assert result.is_error
    assert spending.spent_usd == worst_of(server.requests[0])
    assert used["uncertain_usd"] == pytest.approx(float(spending.spent_usd))
    assert used["cost_usd"] == 0


async def test_retries_count_towards_the_limit(server: ScriptedOpenRouter):
    broken = stream(["Hi", "."]).broken(1, Break.RESET)
    server.add(broken, stream(["Hi."], model=MODEL, usage=usage(cost=0.0001)))
    spending = SpendingLimit(Decimal("0.01"))
    await ask(mcp_server(server, spending=spending))
    assert len(server.requests) == 2
    assert spending.spent_usd == worst_of(server.requests[0]) + Decimal("0.0001")


async def test_free_models_answer_when_nothing_is_left(server: ScriptedOpenRouter):
    server.add(stream(["Hi."], model="liquid/lfm-3-1.7b:free", usage=usage(cost=0)))
    tools = mcp_server(server, spending=SpendingLimit(Decimal(0)))
    refused = error_of(await ask(tools))
    assert "free model" in refused
    assert "--max-cost-usd" in refused
    assert not (await ask(tools, model="liquid/lfm-3-1.7b:free")).is_error


async def test_a_model_without_a_known_price_is_refused_unless_the_user_allows_it(server: ScriptedOpenRouter):
    server.add(stream(["Hi."], model="acme/one"))
    refused = await ask(mcp_server(server, "acme/one", spending=SpendingLimit(Decimal(1))))
    assert "price of `acme/one` is not known" in error_of(refused)
    allowed = await ask(mcp_server(server, "acme/one", spending=SpendingLimit(Decimal(1), allow_unknown_price=True)))
    assert not allowed.is_error


async def test_an_unknown_model_is_not_free_because_of_its_name(server: ScriptedOpenRouter):
    refused = await ask(mcp_server(server, "acme/one:free", spending=SpendingLimit(Decimal(1))))
    assert "price of `acme/one:free` is not known" in error_of(refused)
    assert not server.requests


async def test_without_a_limit_nothing_is_refused(server: ScriptedOpenRouter):
    server.add(stream(["Hi."], model="acme/one"))
    assert not (await ask(mcp_server(server, "acme/one"))).is_error


class Recorder:
    """Stands in for the network to openrouter.ai."""

    def __init__(self) -> None:
        self.bodies: list[Any] = []

    async def send(self, request: Any) -> Any:
        self.bodies.append(json.loads(request.body))
        raise SpendingLimitError("That is all.")


async def test_limit_caps_openrouters_prices():
    network = Recorder()
    for spending in (SpendingLimit(Decimal(1)), SpendingLimit()):
        client = AsyncLFMClient(model=MODEL, api_key="sk-or-v1-x", transport=network)
        await ask(create_server(Session(client, spending)))
    limited, unlimited = network.bodies
    assert limited["provider"] == {"max_price": {"prompt": 0.08, "completion": 0.2}}
    assert "provider" not in unlimited


def test_max_cost_is_an_upper_bound():
    body = json.dumps({"messages": [{"role": "user", "content": "x" * 1000}], "max_tokens": 500}).encode()
    worst = max_cost(body, CARD)
    assert worst is not None
    assert worst >= 1000 * Decimal("0.00000008") + 500 * Decimal("0.0000002")
    without_bound = max_cost(b'{"messages": []}', CARD)
    assert without_bound is not None
    assert without_bound > 262_144 * Decimal("0.0000002")
    assert max_cost(body, catalog.get("acme/one")) is None
    assert max_cost(body, catalog.get("liquid/lfm-3-1.7b:free")) == 0
