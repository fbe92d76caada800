"""Watches the whole run for secrets: in log records at DEBUG, in exceptions of ours and their origins, in warnings.

The keys and account ids of the tests are made up, and look like nothing else. A test in which one of them comes out
fails at its end.
"""

from __future__ import annotations

import logging
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from lfm_adapter.errors import LFMError

if TYPE_CHECKING:
    import warnings
    from collections.abc import Iterator

__all__ = ["SECRET", "Leaks", "told_by"]

SECRET = re.compile(
    r"sk-or-v1-\w{4,}|\btest-key\b|a-key-of-no-usual-form|key-(?:of|from)-the-environment|my-own-gateway-key"
    r"|\b(?:user|org|liquid)_[0-9a-zA-Z]{12,}"
)
LOGGERS = ("lfm_adapter", "urllib3", "aiohttp", "asyncio", "vcr", "langchain_core", "langsmith")
MAX_CHAIN = 10


class Leaks(logging.Handler):
    """The plugin, and the handler that gets all log records."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.found: list[str] = []

    def pytest_sessionstart(self) -> None:
        for name in LOGGERS:
            logger = logging.getLogger(name)
            logger.setLevel(logging.DEBUG)
            logger.addHandler(self)

        def check(error: LFMError) -> None:
            self.found += [f"{type(error).__name__}: {text}" for text in told_by(error) if SECRET.search(text)]

        LFMError.__del__ = check  # type: ignore[attr-defined] # when all that led to it is known

    def pytest_sessionfinish(self) -> None:
        del LFMError.__del__  # type: ignore[attr-defined]
        for name in LOGGERS:
            logging.getLogger(name).removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        text = f"{record.getMessage()} {record.exc_info or ''}"
        if SECRET.search(text):
            self.found.append(f"log of {record.name}: {text}")

    @pytest.hookimpl
    def pytest_warning_recorded(self, warning_message: warnings.WarningMessage, nodeid: str) -> None:
        if SECRET.search(str(warning_message.message)):
            self.found.append(f"warning of {nodeid}: {warning_message.message}")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        result = yield
        found, self.found = self.found, []
        if found:
            pytest.fail(f"secrets came out: {found[:3]}", pytrace=False)
        return result


def told_by(error: BaseException) -> Iterator[str]:
    """Everything that an exception, and those that led to it, would tell a log."""
    chain: list[BaseException] = [error]
    for one in chain:
        with suppress(AttributeError):  # one that a test made without what it is made of
            yield f"{one} {one!r}"
        facts: dict[str, Any] = getattr(one, "__dict__", {})
        yield repr({name: value for name, value in facts.items() if name != "partial"})
        yield " ".join(getattr(one, "__notes__", ()))
        links = [link for link in (one.__cause__, one.__context__) if link is not None and link not in chain]
        chain += links[: MAX_CHAIN - len(chain)]
