"""The ledger and the budget that `register` takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import litellm
import pytest
from openai import OpenAIError

from lfm_adapter.ledger import Budget, Ledger
from lfm_adapter.litellm import handler, register
from lfm_adapter.testing import completion, token_usage

if TYPE_CHECKING:
    from pathlib import Path

    from lfm_adapter.testing import ScriptedOpenRouter

MODEL = "liquid/lfm-3-1.7b"


def test_registered_budget_ends_calls_before_they_are_sent(
    openrouter: ScriptedOpenRouter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(handler, "ledger", None)
    monkeypatch.setattr(handler, "budget", None)
    ledger = Ledger(tmp_path / "ledger.db")
    register(ledger=ledger, budget=Budget("0.50"))
    openrouter.add(completion("Wet.", model=MODEL, usage=token_usage(cost=0.5)))
    question = {"model": f"lfm/{MODEL}", "messages": [{"role": "user", "content": "?"}], "max_tokens": 10}
    litellm.completion(**question)
    with pytest.raises(OpenAIError, match="budget of US"):
        litellm.completion(**question)
    assert [call.status for call in ledger.calls()] == ["budget_exceeded", "ok"]
