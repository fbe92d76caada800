"""The example that needs a model on this machine."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "local_model.py"


@pytest.mark.local_model
def test_local_model_answers(local_model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(sys, "argv", [str(EXAMPLE)])
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    # What so small a model says is not always right; that it says something is.
    assert len(capsys.readouterr().out.split()) > 5
