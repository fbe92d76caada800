"""Two Proxies with one `config.yaml` and one Redis, as on two machines."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from litellm_proxy import INSTALLED, NOT_INSTALLED, Proxy, free_port
from openrouter_replies import completion, error, usage_of
from scripted_openrouter import ScriptedOpenRouter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from http_reply import Reply
    from scripted_openrouter import RecordedRequest

REDIS = shutil.which("redis-server")

pytestmark = [
    pytest.mark.skipif(not INSTALLED, reason=NOT_INSTALLED),
    pytest.mark.skipif(REDIS is None, reason="needs redis-server on the PATH: apt-get install redis-server"),
]

RPM = 6
HELLO = [{"role": "user", "content": "Hello"}]
ALONE = {"disable_fallbacks": True}


def cheap(request: RecordedRequest) -> Reply:
    return completion(model=request.json["model"], usage=usage_of(cost=1e-9))


@pytest.fixture(scope="module")
def openrouter() -> Iterator[ScriptedOpenRouter]:
    with ScriptedOpenRouter(default=cheap) as server:
        yield server


@pytest.fixture(scope="module")
def redis_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    port = free_port()
    arguments = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    process = subprocess.Popen(  # noqa: S603
        [str(REDIS), *arguments], cwd=tmp_path_factory.mktemp("redis"), stdout=subprocess.DEVNULL
    )
    try:
        for _ in range(200):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait()


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
    for _ in range(3):  # LiteLLM counts by the minute of the clock, and one may end while this asks
        asked.clear()
        minute = datetime.now(tz=UTC).minute
        refused = [sum(_is_refused(proxy) for _ in range(RPM)) for proxy in (*proxies, *proxies)]
        if datetime.now(tz=UTC).minute == minute:
            break
    assert len(asked) == RPM
    assert sum(refused) == 3 * RPM
    assert refused[2:] == [RPM, RPM]


def _is_refused(proxy: Proxy) -> bool:
    from openai import RateLimitError

    try:
        proxy.client().chat.completions.create(model="lfm-3-1.7b", messages=HELLO, extra_body=ALONE)
    except RateLimitError as refused:
        assert f"RPM limit={RPM}" in str(refused)  # noqa: PT017
        return True
    return False


def test_model_that_fails_on_one_is_left_alone_by_the_other(
    proxies: tuple[Proxy, Proxy], openrouter: ScriptedOpenRouter, asked: list[RecordedRequest]
):
    first, second = proxies
    openrouter.add(error(401, "User not found."))
    ask = first.client().chat.completions.with_raw_response.create
    assert ask(model="lfm-3b", messages=HELLO).headers["x-litellm-model-id"] != "lfm-3b"
    asked.clear()
    ask = second.client().chat.completions.with_raw_response.create
    assert ask(model="lfm-3b", messages=HELLO).headers["x-litellm-model-id"] != "lfm-3b"
    assert [request.json["model"] for request in asked] != ["liquid/lfm-3b"]


def test_answer_is_kept_for_both_where_the_client_asks_for_it(
    proxies: tuple[Proxy, Proxy], asked: list[RecordedRequest]
):
    question = [{"role": "user", "content": "What is water?"}]
    kept = {"cache": {"use-cache": True}}
    for proxy in proxies * 3:  # it is kept a moment after it was given
        proxy.client().chat.completions.create(model="lfm-2.5-2.6b:free", messages=question, extra_body=kept)
    assert len(asked) < 6
    asked.clear()
    for proxy in proxies:
        proxy.client().chat.completions.create(model="lfm-2.5-2.6b:free", messages=question, extra_body=kept)
    assert asked == []
    for proxy in proxies:
        proxy.client().chat.completions.create(model="lfm-2.5-2.6b:free", messages=question)
    assert len(asked) == 2
