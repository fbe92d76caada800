"""The gateway's page in a headless Chromium."""

from __future__ import annotations

import re
import subprocess
import time
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from lfm_adapter.apps.gateway.access import Access
from lfm_adapter.ledger import CallRecord, Ledger
from tests.support.client_programs import CHROMIUM
from tests.support.gateway_thread import KEY, GatewayThread

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("leather", reason="needs the extra `gateway`")
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="needs a Chromium: apt-get install chromium")


@pytest.mark.parametrize("width", [390, 1100])
def test_charts_are_drawn_and_nothing_is_refused(tmp_path: Path, width: int):
    ledger = Ledger(tmp_path / "ledger.db")
    for number in range(200):
        ledger.record(
            CallRecord(
                time=time.time() - number * 3_600, source="gateway", app="Mantella", model="liquid/lfm-3-1.7b",
                prompt_tokens=900, completion_tokens=90, cost=Decimal("0.0001"), first_token_s=0.2, duration_s=2.0,
            )
        )  # fmt: skip
    access = Access(KEY, "it is in this test", is_open=True)
    with GatewayThread("http://127.0.0.1:9/openrouter.ai/api/v1", ledger=ledger, access=access) as gateway:
        seen = subprocess.run(  # noqa: S603
            [
                str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", f"--window-size={width},1000",
                f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr", "--virtual-time-budget=5000",
                "--dump-dom", f"http://127.0.0.1:{gateway.port}/",
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )  # fmt: skip
    assert "CONSOLE" not in seen.stderr, re.findall(".*CONSOLE.*", seen.stderr)
    chart = re.search(r'<svg class="chart".*?</svg>', seen.stdout, re.DOTALL)
    assert chart
    assert chart[0].count("<rect") > 8
    assert re.search(r'<button[^>]* id="pause"[^>]*aria-pressed="false"[^>]*>Pause', seen.stdout)
    assert not re.search(r"<button[^>]* hidden", seen.stdout)  # page.js ran
