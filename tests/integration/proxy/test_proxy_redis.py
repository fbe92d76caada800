"""Two Proxies with one `config.yaml` and one Redis, as on two machines."""

from __future__ import annotations

import itertools
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from lfm_adapter.testing import ScriptedOpenRouter, completion, error, token_usage
from tests.support.litellm_proxy import INSTALLED, NOT_INSTALLED, Proxy

if TYPE_CHECKING:
    from collections.abc import Iterator

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


@pytest.fixture(scope="module")
def redis_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    arguments = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    folder = tmp_path_factory.mktemp("redis")
    process = subprocess.Popen([str(REDIS), *arguments], cwd=folder, stdout=subprocess.DEVNULL)  # noqa: S603
    try:
        _wait_for(port)
        yield port
    finally:
        process.terminate()
        process.wait()


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
