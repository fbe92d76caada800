"""What `docs/failures.md` says is so."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from lfm_adapter.testing import error, failure_names
from lfm_adapter.testing._wire import midstream_error
from tests.faults.table import SCENARIOS
from tests.support.failure_table import PAGE, render

if TYPE_CHECKING:
    from lfm_adapter.testing import ScriptedOpenRouter

TEXT = PAGE.read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
SAYS = ["so far: Hel", "so far: Hel", "so far: Hel", "wait 7.0 s"]


def test_tables_equal_the_scenarios() -> None:
    assert TEXT.endswith(f"{render()}\n"), "write the tables with `python -m tests.support.failure_table`"


def test_each_failure_of_the_scripted_server_is_a_scenario() -> None:
    assert set(failure_names()) <= {scenario.name for scenario in SCENARIOS}


@pytest.mark.filterwarnings("ignore:Items? '.*' on TypedDict class:UserWarning")  # pydantic's word on LiteLLM's types
@pytest.mark.parametrize("number", range(len(SAYS)))
def test_examples_handle_what_they_are_for(
    number: int, server: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(BLOCKS) == len(SAYS) + 1
    refuses = "RateLimitError" in BLOCKS[number]
    server.add(*[error(429, "Slow down", headers={"Retry-After": "7"})] * refuses)
    server.add(midstream_error(["Hel"], 502, "Provider disconnected"))
    monkeypatch.setenv("OPENROUTER_BASE_URL", server.base_url)
    monkeypatch.setenv("OPENROUTER_API_KEY", "test-key")
    if "litellm" in BLOCKS[number]:
        pytest.importorskip("litellm", reason="needs `pip install 'lfm-adapter[litellm]'`")
    exec(BLOCKS[number], {})  # noqa: S102 # our own page
    assert SAYS[number] in capsys.readouterr().out
    assert len(server.requests) == 1


def test_example_of_a_test_passes(openrouter: ScriptedOpenRouter) -> None:
    names: dict[str, Any] = {}
    exec(BLOCKS[-1], names)  # noqa: S102 # our own page
    names["test_waits_out_a_rate_limit"](openrouter)
    assert len(openrouter.requests) == 2
