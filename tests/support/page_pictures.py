"""Pictures of the gateway's page, for the docs. `make screenshots` draws them, in a headless Chromium."""

from __future__ import annotations

import random
import subprocess
import tempfile
import time
from decimal import Decimal
from pathlib import Path

from lfm_adapter.apps.gateway.access import Access
from lfm_adapter.apps.gateway.limits import Limits
from lfm_adapter.catalog import get
from lfm_adapter.ledger import Budget, CallRecord, Ledger
from tests.support.client_programs import CHROMIUM
from tests.support.gateway_thread import KEY, GatewayThread

IMAGES = Path(__file__).parents[2] / "docs" / "images"
DAYS, CALLS = 30, 2_700

# How much each is used, in proportion.
MODELS = {"liquid/lfm-3-1.7b": 2, "liquid/lfm-2.5-2.6b:free": 1}
APPS = {
    "Mantella": 40, "Roo Code": 25, "Open WebUI": 11, "claude-cli": 10, "OpenAI": 6, "SillyTavern": 5, "lfm chat": 3,
}  # fmt: skip
STATUSES = {"ok": 95, "rate_limit": 2, "cancelled": 2, "server": 1}

PICTURES = {
    "gateway.png": ["--window-size=1100,1250"],
    "gateway-phone.png": ["--window-size=390,1100", "--blink-settings=preferredColorScheme=0"],  # dark
}


def fill(ledger: Ledger, budget: Budget) -> None:
    """Record a month of calls, more and more of them."""
    chosen = random.Random(1)
    now = time.time()
    today = Decimal(0)

    def one_of(weights: dict[str, int]) -> str:
        return chosen.choices(list(weights), list(weights.values()))[0]

    for _ in range(CALLS):
        ago = chosen.random() ** 2 * DAYS * 86_400
        model, status = one_of(MODELS), one_of(STATUSES)
        prompt, completion = chosen.randint(300, 4_000), chosen.randint(20, 400)
        prices = get(model).pricing
        cost = prompt * (prices.prompt or 0) + completion * (prices.completion or 0)
        first = chosen.uniform(0.15, 0.75)
        answer = {
            "prompt_tokens": prompt, "completion_tokens": completion, "cost": Decimal(cost), "first_token_s": first,
            "duration_s": first + completion / chosen.uniform(42, 75),
        }  # fmt: skip
        ledger.record(
            CallRecord(
                time=now - ago, source="gateway", app=one_of(APPS), model=model, is_stream=True, status=status,
                **answer if status == "ok" else {"duration_s": first},  # type: ignore[arg-type]
            )
        )  # fmt: skip
        if status == "ok" and int((now - ago) / 86_400) == int(now / 86_400):
            today += Decimal(cost)
    ledger.settle(ledger.reserve([budget], today, model="liquid/lfm-3-1.7b"), today)
    assert ledger.flush(60)


def draw() -> None:
    """Draw the pictures."""
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder) / "ledger.db")
        budget = Budget("0.25", per="day", name="gateway")
        fill(ledger, budget)
        access = Access(KEY, "", is_open=True)
        upstream = "http://127.0.0.1:9/openrouter.ai/api/v1"
        with GatewayThread(upstream, ledger=ledger, access=access, limits=Limits(budget, ledger=ledger)) as gateway:
            for name, options in PICTURES.items():
                subprocess.run(  # noqa: S603
                    [
                        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", *options,
                        f"--user-data-dir={folder}/{name}", "--virtual-time-budget=5000",
                        f"--screenshot={IMAGES / name}", f"http://127.0.0.1:{gateway.port}/",
                    ],
                    check=True,
                    capture_output=True,
                )  # fmt: skip


if __name__ == "__main__":
    draw()
