"""The key that is created once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from lfm_adapter.apps.gateway import key
from lfm_adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[str]) -> Callable[[], str]:
    monkeypatch.setattr(key, "key_file", lambda: tmp_path / "lfm-adapter" / "gateway-key")
    return lambda: key.gateway_key(said.append)


def test_stays_the_same_in_a_file_of_the_user_alone(stored: Callable[[], str], said: list[str]):
    assert stored() == stored()
    assert key.key_file().stat().st_mode & 0o777 == 0o600
    assert said == []


def test_gateways_that_start_at_once_have_one_key(stored: Callable[[], str]):
    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(lambda _: stored(), range(64)))) == 1


@pytest.mark.parametrize("damaged", [b"", b"\n", b"sk-", b"\xff\xfe\x00\x01 garbage"])
def test_damaged_key_file_is_replaced_with_a_warning(stored: Callable[[], str], said: list[str], damaged: bytes):
    key.key_file().parent.mkdir()
    key.key_file().write_bytes(damaged)
    assert stored() == stored()
    assert len(stored()) > 40
    assert len(said) == 1
    assert "did not contain a key" in said[0]


def test_chosen_key_may_be_any_text_of_eight_characters():
    assert key.checked_key("my key ü", "It") == "my key ü"
    for wrong in ("abc123", "line\nbreak and more"):
        with pytest.raises(ConfigurationError):
            key.checked_key(wrong, "It")
