"""The page of the user's own calls."""

from __future__ import annotations

import time
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from lfm_adapter.apps.gateway.access import Access
from lfm_adapter.apps.gateway.limits import Limits
from lfm_adapter.ledger import Budget, CallRecord, Ledger, _file
from tests.support.gateway_thread import KEY, GatewayThread

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

pytest.importorskip("jinja2", reason="needs the extra `gateway`")
pytest.importorskip("leather", reason="needs the extra `gateway`")

NOWHERE = "http://127.0.0.1:9/openrouter.ai/api/v1"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.db")


@contextmanager
def started(ledger: Ledger | None = None, *, is_open: bool = False) -> Iterator[GatewayThread]:
    limits = Limits(Budget(1, per="day", name="gateway"), **({"ledger": ledger} if ledger else {}))
    access = Access(KEY, "it is in this test", is_open=is_open)
    with GatewayThread(NOWHERE, ledger=ledger, limits=limits, access=access) as gateway:
        yield gateway


def cookie(gateway: GatewayThread) -> dict[str, str]:
    answer = gateway.request("GET", f"/?token={gateway.sessions.token}", key="")
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    return {"Cookie": answer.headers["Set-Cookie"].partition(";")[0]}


class TestAccess:
    def test_link_of_the_start_works_once(self):
        with started() as gateway:
            link = f"/?token={gateway.sessions.token}"
            assert gateway.request("HEAD", link, key="").status == 401  # as programs ask that show links
            answer = gateway.request("GET", link, key="")
            assert answer.status == 303
            assert "HttpOnly" in answer.headers["Set-Cookie"]
            assert "SameSite=Strict" in answer.headers["Set-Cookie"]
            again = gateway.request("GET", link, key="")
            assert (again.status, "already been used" in again.text) == (401, True)
            seen = gateway.request(
                "GET", "/", key="", headers={"Cookie": answer.headers["Set-Cookie"].partition(";")[0]}
            )
            assert seen.status == 200

    @pytest.mark.parametrize("path", ["/", "/?token=guess", "/calls"])
    def test_others_see_nothing(self, path: str):
        with started() as gateway:
            answer = gateway.request("GET", path, key="", headers={"Cookie": f"lfm_gateway_{gateway.port}=guess"})
            assert answer.status == 401
            assert "Last 100 calls" not in answer.text

    def test_key_signs_in(self):
        with started() as gateway:
            assert gateway.request("POST", "/login", b"key=wrong", key="", headers=FORM).status == 401
            assert gateway.request("POST", "/login", f"key={KEY}".encode(), key="", headers=FORM).status == 303

    def test_cookie_opens_no_api(self):
        with started() as gateway:
            assert gateway.request("GET", "/v1/models", key="", headers=cookie(gateway)).status == 401

    def test_open_gateway_shows_it_to_this_machine_alone(self):
        with started(is_open=True) as gateway:
            assert gateway.request("GET", "/", key="").status == 200
            assert gateway.request("GET", "/", key="", headers={"Host": "rebind.example.com"}).status == 403


def test_content_security_policy_allows_only_its_own_files(ledger: Ledger):
    with started(ledger) as gateway:
        page = gateway.request("GET", "/", headers=cookie(gateway))
        policy = page.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert " style=" not in page.text
        assert "<style" not in page.text
        assert "http" not in page.text.replace("http://www.w3.org/2000/svg", "")
        for file in ("/page.css", "/page.js"):
            assert gateway.request("GET", file, key="").status == 200


def test_shows_what_the_ledger_knows(ledger: Ledger):
    now = time.time()
    for number in range(20):
        ledger.record(
            CallRecord(
                time=now - 1, source="gateway", app="Mantella <b>", model="liquid/lfm-3-1.7b", provider="Liquid",
                is_stream=True, prompt_tokens=1000, completion_tokens=100, cost=Decimal("0.01"),
                first_token_s=0.1 + number / 100, duration_s=1.1 + number / 100,
            )
        )  # fmt: skip
    for status in ("rate_limit", "cancelled"):
        ledger.record(CallRecord(time=now - 1, source="gateway", app="Roo", model="liquid/lfm-3-1.7b", status=status))
    with started(ledger) as gateway:
        page = gateway.request("GET", "/?days=7").text
    assert "Mantella &lt;b&gt;" in page
    assert "<dd>US$ 0.2</dd>" in page
    assert "US$ 0 of 1 spent" in page
    assert "262,144" in page
    assert "US$ 0.08" in page
    assert "0.20 s / 0.28 s" in page
    assert "100 / 100" in page
    assert "95.2 %" in page
    assert "rate_limit 1" in page
    assert 'aria-label="Tokens of LiquidAI: LFM3-1.7B a day' in page
    assert page.count("<svg") == 1
    assert "retired; liquid/lfm-3-1.7b answers" in page


def test_new_calls_come_without_a_reload(ledger: Ledger):
    with started(ledger) as gateway:
        assert "No calls yet" in gateway.request("GET", "/calls").text
        ledger.record(CallRecord(time=time.time(), source="gateway", app="Roo", model="liquid/lfm-3-1.7b"))
        assert ">Roo</td>" in gateway.request("GET", "/calls").text


class TestMalformedRequests:
    @pytest.mark.parametrize(
        ("content_type", "body"),
        [
            ("application/x-www-form-urlencoded", b"key=\xff"),
            ("application/x-www-form-urlencoded; charset=nope", b"key=a"),
            ("multipart/form-data", b"key=a"),
            ("multipart/form-data; boundary=x", b"--x\r\n"),
        ],
    )
    def test_malformed_form_is_400(self, content_type: str, body: bytes):
        with started() as gateway:
            answer = gateway.request("POST", "/login", body, key="", headers={"Content-Type": content_type})
        assert (answer.status, answer.error["type"]) == (400, "invalid_request_error")

    @pytest.mark.parametrize("days", ["9" * 5000, "-1", "%C2%B2", ""])
    def test_other_periods_show_the_usual_one(self, ledger: Ledger, days: str):
        with started(ledger) as gateway:
            answer = gateway.request("GET", f"/?days={days}")
        assert answer.status == 200
        assert '<a href="/?days=30" aria-current="page">' in answer.text

    def test_link_works_whatever_port_the_host_names(self):
        with started() as gateway:
            answer = gateway.request("GET", f"/?token={gateway.sessions.token}", key="", headers={"Host": "a:b;c"})
        assert (answer.status, answer.headers["Location"]) == (303, "/")


def test_unreadable_ledger_is_reported_on_a_page(ledger: Ledger):
    ledger.path.write_text("This is no database, however long it may be. " * 30)
    with started(ledger) as gateway:
        page = gateway.request("GET", "/")
        assert (page.status, page.headers["Content-Type"]) == (503, "text/html; charset=utf-8")
        assert f"The ledger {ledger.path} cannot be read: file is not a database." in page.text
        calls = gateway.request("GET", "/calls")
        assert (calls.status, "cannot be read" in calls.error["message"]) == (503, True)


def test_a_large_ledger_is_read_a_fixed_number_of_times(ledger: Ledger, monkeypatch: pytest.MonkeyPatch):
    """100,000 calls take 0.3 s. SQLite's own count of its steps, some 125 a call, shows whether that stays so."""
    rows = 20_000
    for number in range(rows):
        ledger.record(CallRecord(
            time=time.time() - number, source="gateway", app=f"app {number % 30}", model="liquid/lfm-3-1.7b",
            prompt_tokens=900, completion_tokens=90, first_token_s=0.2, duration_s=2.0,
        ))  # fmt: skip
    assert ledger.flush(60)
    thousands: list[None] = []
    connect = _file.connect

    def counting(path: Path, *, timeout: float) -> sqlite3.Connection:
        connection = connect(path, timeout=timeout)
        connection.set_progress_handler(lambda: thousands.append(None), 1_000)
        return connection

    monkeypatch.setattr(_file, "connect", counting)
    with started(ledger) as gateway:
        assert gateway.request("GET", "/").status == 200
    steps = len(thousands) * 1_000 / rows
    assert 0 < steps < 200
