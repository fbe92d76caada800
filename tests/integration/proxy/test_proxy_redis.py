"""Two Proxies with one `config.yaml` and one Redis, as on two machines."""

from __future__ import annotations

import itertools
import json
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from lfm_adapter.apps.proxy.keys import add_key
from lfm_adapter.testing import ScriptedOpenRouter, completion, error, token_usage
from tests.support.litellm_proxy import INSTALLED, NOT_INSTALLED, Proxy
from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lfm_adapter.testing import RecordedRequest, ScriptedReply

REDIS = shutil.which("redis-server")

pytestmark = [
    pytest.mark.skipif(not INSTALLED, reason=NOT_INSTALLED),
    pytest.mark.skipif(REDIS is None, reason="needs redis-server on the PATH: apt-get install redis-server"),
]

RPM = 10
ALLOWED_FAILS = 5
NUMBERS = itertools.count()
HELLO = [{"role": "user", "content": "Hello"}]
ALONE = {"disable_fallbacks": True}


def upstream(request: RecordedRequest) -> ScriptedReply:
    """A new answer each time, and LFM-3B retired."""
    model = request.body["model"]
    if model == "liquid/lfm-3b":
        return error(404, "No endpoints found for liquid/lfm-3b.")
    return completion(f"Answer {next(NUMBERS)}", model=model, usage=token_usage(cost=1e-9))


@pytest.fixture(scope="module")
def openrouter() -> Iterator[ScriptedOpenRouter]:
    with ScriptedOpenRouter(default=upstream, path="/api/v1") as server:
        yield server


@contextmanager
def redis(folder: Path) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """Run a Redis; yield its port and process."""
    port = free_port()
    arguments = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    process = subprocess.Popen([str(REDIS), *arguments], cwd=folder, stdout=subprocess.DEVNULL)  # noqa: S603
    try:
        _wait_for(port)
        yield port, process
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def redis_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with redis(tmp_path_factory.mktemp("redis")) as (port, _):
        yield port


def _wait_for(port: int) -> None:
    for _ in range(200):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise AssertionError("redis-server did not start")


@pytest.fixture(scope="module")
def proxies(
    openrouter: ScriptedOpenRouter, redis_port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Proxy, Proxy]]:
    folder = tmp_path_factory.mktemp("proxies")
    options = ("--redis", "--redis-port", str(redis_port), "--rpm", str(RPM))
    with (
        Proxy(openrouter.base_url, folder, options) as first,
        Proxy(openrouter.base_url, folder, config=first.config) as second,
    ):
        yield first, second


@pytest.fixture
def asked(openrouter: ScriptedOpenRouter) -> list[RecordedRequest]:
    """The requests of one test."""
    openrouter.requests.clear()
    return openrouter.requests


def test_limit_a_minute_holds_across_both(proxies: tuple[Proxy, Proxy], asked: list[RecordedRequest]):
    for model in ("lfm-3-1.7b", "lfm-3-1.7b:free"):  # one minute of the clock may end while this asks, and not two
        asked.clear()
        minute = datetime.now(tz=UTC).minute
        refused = [sum(_is_refused(proxy, model) for _ in range(RPM - 1)) for proxy in proxies]
        if datetime.now(tz=UTC).minute == minute:
            break
    assert len(asked) == RPM
    assert refused == [0, RPM - 2]


def _is_refused(proxy: Proxy, model: str) -> bool:
    from openai import RateLimitError

    try:
        proxy.client.chat.completions.create(model=model, messages=HELLO, extra_body=ALONE)
    except RateLimitError as refused:
        assert f"RPM limit={RPM}" in str(refused)  # noqa: PT017
        return True
    return False


def test_model_that_fails_on_one_is_left_alone_by_the_other(proxies: tuple[Proxy, Proxy], asked: list[RecordedRequest]):
    first, second = proxies
    for _ in range(ALLOWED_FAILS + 2):
        _ask_retired(first)
    assert [request.body["model"] for request in asked] == ["liquid/lfm-3b"] * (ALLOWED_FAILS + 1)
    asked.clear()
    # It looks into Redis every few seconds; by its own failures alone it would go on asking.
    while "No deployments available" not in _ask_retired(second):
        assert len(asked) < ALLOWED_FAILS
        time.sleep(1)


def _ask_retired(proxy: Proxy) -> str:
    from openai import APIStatusError

    with pytest.raises(APIStatusError) as failed:
        proxy.client.chat.completions.create(model="lfm-3b", messages=HELLO, extra_body=ALONE)
    return str(failed.value)


def test_answer_is_kept_for_both_where_the_client_asks_for_it(
    proxies: tuple[Proxy, Proxy], asked: list[RecordedRequest]
):
    first, second = proxies
    kept = _ask_free(first, use_cache=True)
    assert _ask_free(second, use_cache=True) == kept
    assert len(asked) == 1
    assert _ask_free(second, use_cache=False) != kept
    assert len(asked) == 2


def _ask_free(proxy: Proxy, *, use_cache: bool) -> str:
    reply = proxy.client.chat.completions.create(
        model="lfm-2.5-2.6b:free", messages=HELLO, extra_body={"cache": {"use-cache": use_cache}} | ALONE
    )
    return reply.choices[0].message.content or ""


def test_limits_of_a_person_hold_across_both_and_readiness_says_when_redis_is_gone(tmp_path: Path):
    keys = tmp_path / "keys.yaml"
    ada, bob = add_key(keys, "ada"), add_key(keys, "bob")
    with keys.open("a", encoding="utf-8") as file:  # to the entry of bob
        file.write("    daily_budget_usd: 1\n")
    keys.write_text(keys.read_text().replace('name: "ada"', 'name: "ada"\n    rpm: 2'))
    usage = token_usage(9, 5, cost=0.5)
    with (
        redis(tmp_path) as (port, process),
        ScriptedOpenRouter(default=lambda _: completion("Hello!", usage=usage), path="/api/v1") as openrouter,
        Proxy(openrouter.base_url, tmp_path, _options(port, keys)) as first,
        Proxy(openrouter.base_url, tmp_path, config=first.config) as second,
    ):
        both = (first, second)
        assert [json.loads(proxy.request("GET", "/health/readiness", key="")[1])["redis"] for proxy in both] == [
            "connected"
        ] * 2
        asked = [both[number % 2].ask(ada, model="lfm-3-1.7b")[0] for number in range(6)]
        assert asked.count(200) <= 4  # two minutes of the clock allow 2 each
        assert asked[:2] == [200, 200]
        while first.ask(bob, model="lfm-3-1.7b")[0] == 200:
            assert len(openrouter.requests) < 20
        assert second.ask(bob, model="lfm-3-1.7b")[0] == 429

        process.terminate()
        process.wait()
        for proxy in both:
            status, text = proxy.request("GET", "/health/readiness", key="")
            assert status == 200
            assert json.loads(text)["status"] == "degraded"
            assert "each Proxy alone" in json.loads(text)["redis"]
        assert first.ask(first.key, model="lfm-3-1.7b")[0] == 200
        assert first.ask(bob, model="lfm-3-1.7b")[0] == 429  # what it has counted itself


def _options(port: int, keys: Path) -> tuple[str, ...]:
    return ("--redis-port", str(port), "--keys", str(keys), "--budget-usd", "1000")
