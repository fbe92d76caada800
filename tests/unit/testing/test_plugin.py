"""The fixture `openrouter`, as the tests of another project use it."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

PLUGINS = ("-p", "lfm_adapter._pytest_plugin", "-p", "no:cacheprovider")


@pytest.fixture
def run(pytester, monkeypatch):
    """Run a test module with no other plugin than ours."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")

    def run(source):
        pytester.makepyfile(source)
        return pytester.runpytest_subprocess("-W", "error", *PLUGINS)

    return run


def test_fixture_is_taken_for_openrouter(run):
    outcome = run("""
        from lfm_adapter import ChatLFM
        from lfm_adapter.testing import completion, failure

        def test_mine(openrouter):
            openrouter.add(failure("rate limit per minute"), completion("Paris."))
            assert ChatLFM(model="liquid/lfm-3-1.7b").invoke("?").text == "Paris."
            assert openrouter.requests[1].body["model"] == "liquid/lfm-3-1.7b"

        def test_other(openrouter):
            assert "/openrouter.ai/api/v1" in openrouter.base_url
    """)
    outcome.assert_outcomes(passed=2)


def test_request_without_a_reply_and_reply_without_a_request_fail_at_teardown(run):
    outcome = run("""
        import pytest
        from lfm_adapter import LFMClient, errors
        from lfm_adapter.testing import completion

        def test_asks_too_much(openrouter):
            with pytest.raises(errors.ServerError):
                LFMClient("liquid/lfm-3-1.7b").chat("Anyone?")
            assert len(openrouter.requests) == 1

        def test_asks_too_little(openrouter):
            openrouter.add(completion())
    """)
    outcome.assert_outcomes(passed=2, errors=2)
    outcome.stdout.fnmatch_lines(["*The script has no reply for:*", "*POST /chat/completions *Anyone?*"])
    outcome.stdout.fnmatch_lines(["*1 scripted replies were not requested.*"])


def test_plugin_costs_other_projects_nothing(run):
    heavy = "aiohttp, jsonschema, langchain_core, lfm_adapter.testing._server, pydantic, urllib3"
    outcome = run(f"""
        import sys

        def test_nothing():
            assert "lfm_adapter._pytest_plugin" in sys.modules
            assert not set({heavy.split(", ")!r}) & set(sys.modules)
    """)
    outcome.assert_outcomes(passed=1)
    assert "warning" not in outcome.stdout.str().lower()
