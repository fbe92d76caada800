"""The gateway's ledger, and the limits that it keeps."""

from __future__ import annotations

import re
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from lfm_adapter.apps.gateway import inquiries
from lfm_adapter.apps.gateway.limits import Limits, parse_limits
from lfm_adapter.apps.gateway.models import CatalogModels
from lfm_adapter.errors import ConfigurationError
from lfm_adapter.ledger import Budget, Ledger, _reservations
from lfm_adapter.testing import Break, completion, error, json_reply, stream, token_usage
from tests.support.gateway_thread import GatewayThread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from lfm_adapter.testing import ScriptedOpenRouter, ScriptedReply

    Start = Callable[..., AbstractContextManager[GatewayThread]]

HALF = token_usage(9, 5, cost=0.5)
MAXIMUM = Decimal("0.0524")  # of a request without `max_tokens`: the whole context
TIMEOUT_S = 30


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.db")


@pytest.fixture
def start(openrouter: ScriptedOpenRouter, ledger: Ledger) -> Start:
    @contextmanager
    def started(
        usd: tuple[str, ...] = (), rpm: tuple[str, ...] = (), *, allow_unknown_price: bool = False
    ) -> Iterator[GatewayThread]:
        models = CatalogModels()
        limits = parse_limits(
            usd, rpm, model_id=models.model_id, ledger=ledger, allow_unknown_price=allow_unknown_price
        )
        with GatewayThread(openrouter.base_url, ledger=ledger, limits=limits) as gateway:
            yield gateway

    return started


def test_each_call_is_a_row(start: Start, openrouter: ScriptedOpenRouter, ledger: Ledger):
    openrouter.add(completion(model="liquid/lfm-3-1.7b", usage=HALF), stream(), *[error(400, "No")] * 1)
    with start() as gateway:
        gateway.chat("lfm-3b", headers={"X-Title": "Mantella"})
        gateway.chat(stream=True, headers={"User-Agent": "RooCode/3.52.1"})
        gateway.chat()
    calls = sorted(ledger.calls(), key=lambda call: call.time)
    assert [call.app for call in calls] == ["Mantella", "RooCode", "unknown"]
    assert [call.status for call in calls] == ["ok", "ok", "bad_request"]
    assert {call.source for call in calls} == {"gateway"}
    assert (calls[0].model, float(calls[0].cost or 0)) == ("liquid/lfm-3-1.7b", 0.5)
    assert calls[1].first_token_s is not None


def test_name_of_an_app_cannot_change_how_the_text_around_it_is_shown(
    start: Start, openrouter: ScriptedOpenRouter, ledger: Ledger
):
    openrouter.add(completion())
    with start() as gateway:
        gateway.chat(headers={"X-Title": "Caf\u00e9 \u202etxt.exe".encode().decode("latin-1")})
    assert [call.app for call in ledger.calls()] == ["Caf\u00e9 txt.exe"]


@pytest.mark.parametrize("limit", ["0.5", "lfm-3-1.7b=0.5", "app:mantella=0.5"])
def test_spent_budget_is_402_with_its_end(start: Start, openrouter: ScriptedOpenRouter, limit: str):
    openrouter.add(completion(usage=HALF))
    headers = {"X-Title": "Mantella"}
    with start(usd=(limit,)) as gateway:
        assert gateway.chat(max_tokens=9, headers=headers).status == 200
        for streams in (False, True):
            refused = gateway.chat(max_tokens=9, headers=headers, stream=streams)
            assert (refused.status, refused.error["code"]) == (402, "budget_exceeded")
            assert "resets at" in refused.error["message"]
            assert int(refused.headers["Retry-After"]) <= 86_400
    with start(usd=(limit,)) as restarted:
        assert restarted.chat(max_tokens=9, headers=headers).status == 402


def test_other_models_and_apps_have_their_own(start: Start, openrouter: ScriptedOpenRouter):
    openrouter.add(completion(), completion())
    with start(usd=("lfm-3-1.7b=0", "app:mantella=0")) as gateway:
        assert gateway.chat("lfm-2.5-2.6b:free").status == 200
        assert gateway.chat(headers={"X-Title": "Mantella"}).status == 402
        assert gateway.chat("lfm-3b").status == 402
        assert gateway.chat("lfm-3-1.7b:free", headers={"X-Title": "Mantella"}).status == 200


def test_too_many_requests_are_429_on_all_gateways_together(start: Start, openrouter: ScriptedOpenRouter):
    openrouter.add(completion(), completion())
    with start(rpm=("2",)) as one, start(rpm=("2",)) as other:
        assert one.chat().status == other.chat().status == 200
        refused = other.chat("lfm-3-1.7b:free")
    assert (refused.status, refused.error["type"]) == (429, "rate_limit_error")
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert re.fullmatch(
        r"The limit of 2 requests per minute is reached\. Another one is allowed in \d+ s\.", refused.error["message"]
    )


def test_other_models_are_priced_as_openrouter_lists_them(openrouter: ScriptedOpenRouter, ledger: Ledger):
    listed = {"id": "qwen/qwen9", "pricing": {"prompt": "0.001", "completion": "0.001"}, "context_length": 1000}
    openrouter.add(json_reply({"data": [listed]}), path="/models")
    openrouter.add(completion(model="qwen/qwen9", usage=token_usage(cost=0.4)))
    limits = Limits(Budget(1, per="day", name="gateway"), ledger=ledger)
    with GatewayThread(openrouter.base_url, any_model=True, ledger=ledger, limits=limits) as gateway:
        assert gateway.chat("qwen/qwen9", max_tokens=100).status == 200
        assert gateway.chat("qwen/qwen9", max_tokens=900).error["code"] == "budget_exceeded"
        refused = gateway.chat("not/listed", max_tokens=100)
    assert (refused.status, "price of `not/listed` is unknown" in refused.error["message"]) == (402, True)
    assert ledger.spent(Budget(1, per="day", name="gateway")) == Decimal("0.4")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"usd": ["much"]}, "`--budget-usd` must be a number"),
        ({"usd": ["lfm-3-1.7b=-1"]}, "`--budget-usd` must be a number"),
        ({"usd": ["inf"]}, "`--budget-usd` must be a number"),
        ({"usd": ["app:=1"]}, "app:NAME=NUMBER; got 'app:=1'"),
        ({"usd": ["1", "2"]}, "`--budget-usd` sets the limit of all calls twice"),
        ({"rpm": ["app:Mantella=1", "app:mantella=2"]}, "`--rpm` sets the limit of app:mantella twice"),
        ({"rpm": ["1.5"]}, "`--rpm` must be a whole number"),
        ({"rpm": ["0"]}, "`--rpm` must be a whole number"),
    ],
)
def test_malformed_limits_are_errors(options: dict[str, Any], told: str):
    with pytest.raises(ConfigurationError, match=told):
        parse_limits(options.get("usd", ()), options.get("rpm", ()), model_id=str, ledger=Ledger())


@pytest.mark.parametrize("limit", ["lfm-3-1.7b=0.000001", "lfm-3-1.7b:nitro=0.000001"])
@pytest.mark.parametrize("name", ["lfm-3-1.7b", "liquid/lfm-3-1.7b:nitro", "lfm-3-1.7b:floor"])
def test_budget_of_a_model_holds_however_its_endpoints_are_chosen(
    start: Start, openrouter: ScriptedOpenRouter, limit: str, name: str
):
    openrouter.add(completion())
    with start(usd=(limit,)) as gateway:
        assert gateway.chat(name).status == 402
        assert gateway.chat("lfm-3-1.7b:free").status == 200


@pytest.mark.parametrize(
    ("extra", "named"),
    [
        ({"plugins": [{"id": "response-healing"}, {"id": "web", "max_results": 5}]}, "the plugin 'web'"),
        ({"tools": [{"type": "openrouter:web_search"}]}, "the tool 'openrouter:web_search'"),
        ({"web_search_options": {"search_context_size": "high"}}, "`web_search_options`"),
        ({"model": "lfm-3-1.7b:online"}, "the web search of 'liquid/lfm-3-1.7b:online'"),
        ({"model": "lfm-3-1.7b:free", "plugins": [{"id": "file-parser"}]}, "the plugin 'file-parser'"),
    ],
)
def test_what_openrouter_charges_beside_the_model_is_refused_within_a_budget(
    start: Start, openrouter: ScriptedOpenRouter, extra: dict[str, Any], named: str
):
    with start(usd=("1",)) as gateway:
        refused = gateway.chat(**extra)
    assert (refused.status, refused.error["code"]) == (402, "budget_exceeded")
    assert named in refused.error["message"]
    assert openrouter.requests == []
    openrouter.add(completion())
    with start() as unlimited:
        assert unlimited.chat(**extra).status == 200


class TestInterruptedStreams:
    """They are often: each time that a user stops an answer."""

    BUDGET = Budget(1, per="day", name="gateway")

    @staticmethod
    def interrupt(gateway: GatewayThread, openrouter: ScriptedOpenRouter) -> None:
        """Hang up after the first token."""
        openrouter.add(stream(["One", "Two"], comments=0).broken(1, Break.SILENCE))
        body = {"model": "lfm-3-1.7b", "stream": True, "messages": [{"role": "user", "content": "?"}]}
        with gateway.begin("POST", "/v1/chat/completions", body) as connection:
            assert connection.recv(1)
        assert openrouter.requests[0].abandoned.wait(TIMEOUT_S)

    @pytest.mark.parametrize(
        ("replies", "spent"),
        [
            ([error(404, "Not found"), json_reply({"data": {"total_cost": 0.0003}})], Decimal("0.0003")),
            ([error(404, "Not found")] * 2, MAXIMUM),
            ([error(401, "No such key")], MAXIMUM),
        ],
    )
    def test_budget_counts_what_openrouter_charged_if_it_tells(
        self,
        openrouter: ScriptedOpenRouter,
        start: Start,
        ledger: Ledger,
        monkeypatch: pytest.MonkeyPatch,
        *,
        replies: list[ScriptedReply],
        spent: Decimal,
    ):
        monkeypatch.setattr(inquiries, "WAITS_S", (0, 0))
        openrouter.add(*replies, path="/generation")
        with start(usd=("1",)) as gateway:
            self.interrupt(gateway, openrouter)
            deadline = time.monotonic() + TIMEOUT_S
            while not ledger.spent(self.BUDGET) and time.monotonic() < deadline:
                time.sleep(0.01)
            assert round(ledger.spent(self.BUDGET), 4) == spent

    def test_budget_counts_the_maximum_if_the_gateway_ends_before(
        self, openrouter: ScriptedOpenRouter, start: Start, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(inquiries, "WAITS_S", (3600,))
        with start(usd=("1",)) as gateway:
            self.interrupt(gateway, openrouter)
        assert ledger.flush(TIMEOUT_S)
        assert round(ledger.spent(self.BUDGET), 4) == MAXIMUM


@pytest.mark.parametrize("extra", [{"model": "lfm-3-1.7b:nitro"}, {"plugins": [{"id": "web"}]}])
def test_unknown_prices_may_be_allowed_until_the_budget_is_spent(
    start: Start, openrouter: ScriptedOpenRouter, extra: dict[str, Any]
):
    openrouter.add(completion(usage=token_usage(cost=1)))
    with start(usd=("1",)) as gateway:
        assert gateway.chat(**extra).status == 402
    with start(usd=("1",), allow_unknown_price=True) as gateway:
        assert [gateway.chat(**extra).status for _ in range(2)] == [200, 402]


def test_questions_in_a_chat_do_not_lower_its_cost(start: Start, openrouter: ScriptedOpenRouter):
    with start(usd=("0.0001",)) as gateway:
        assert gateway.chat(questions=["?"], max_tokens=100_000).status == 402
    assert openrouter.requests == []


def test_plugins_without_a_price_pass_within_a_budget(start: Start, openrouter: ScriptedOpenRouter):
    openrouter.add(completion())
    with start(usd=("1",)) as gateway:
        answer = gateway.chat(plugins=[{"id": "context-compression"}, {"id": "web", "enabled": False}])
    assert answer.status == 200
    assert len(openrouter.requests[0].body["plugins"]) == 2


def test_a_locked_ledger_holds_up_only_who_has_to_wait_for_it(
    start: Start, openrouter: ScriptedOpenRouter, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(_reservations, "RESERVE_TIMEOUT_S", 3600)
    openrouter.add(completion(), completion())
    assert ledger.calls() == []  # there is a file
    with ExitStack() as stack:
        gateway = stack.enter_context(start(usd=("1",)))
        other = stack.enter_context(closing(sqlite3.connect(ledger.path, isolation_level=None)))
        pool = stack.enter_context(ThreadPoolExecutor())
        other.execute("BEGIN EXCLUSIVE")
        waiting = [pool.submit(gateway.chat) for _ in range(2)]
        assert gateway.request("GET", "/health").status == gateway.request("GET", "/v1/key").status == 200
        assert not any(answer.done() for answer in waiting)
        other.execute("COMMIT")
        assert [answer.result().status for answer in waiting] == [200, 200]


class TestFallbacksThatOpenRouterChooses:
    def test_models_that_are_not_served_are_refused(self, gateway: GatewayThread, openrouter: ScriptedOpenRouter):
        answer = gateway.chat(models=["someone/expensive"])
        assert (answer.status, answer.error["code"]) == (404, "model_not_found")
        assert gateway.chat(models="lfm-3-1.7b").status == gateway.chat(models=[1]).status == 400
        assert openrouter.requests == []

    def test_budget_counts_with_the_most_expensive(self, openrouter: ScriptedOpenRouter, tmp_path: Path):
        limits = Limits(Budget("0.000001", per="day", name="gateway"), ledger=Ledger(tmp_path / "ledger.db"))
        with GatewayThread(openrouter.base_url, limits=limits) as gateway:
            answer = gateway.chat("lfm-2.5-2.6b:free", models=["liquid/lfm-3-1.7b"])
        assert (answer.status, answer.error["code"]) == (402, "budget_exceeded")
        assert openrouter.requests == []

    @pytest.mark.parametrize("other", ["liquid/lfm-3-1.7b", "lfm-3-1.7b", "liquid/lfm-3-1.7b:nitro"])
    def test_budget_of_each_counts(self, start: Start, openrouter: ScriptedOpenRouter, other: str):
        with start(usd=("lfm-3-1.7b=0.000001",)) as gateway:
            assert gateway.chat("lfm-2.5-2.6b:free", models=[other]).status == 402
            assert openrouter.requests == []
            openrouter.add(completion())
            assert gateway.chat("lfm-2.5-2.6b:free").status == 200

    def test_budget_refuses_one_of_unknown_price(self, openrouter: ScriptedOpenRouter, tmp_path: Path):
        limits = Limits(Budget(1, per="day", name="gateway"), ledger=Ledger(tmp_path / "ledger.db"))
        with GatewayThread(openrouter.base_url, any_model=True, limits=limits) as gateway:
            assert gateway.chat("lfm-2.5-2.6b:free", models=["someone/expensive"]).status == 402
        assert openrouter.requests == []
