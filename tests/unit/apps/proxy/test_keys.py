"""The file with the keys of people."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from lfm_adapter.apps.proxy.keys import add_key, key_sha256, read_people
from lfm_adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

HASH = key_sha256("sk-ada")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys.yaml"


def write(file: Path, *people: Any) -> None:
    file.write_text(yaml.safe_dump({"people": list(people)}), encoding="utf-8")


def test_key_is_shown_once_and_kept_as_a_hash(file: Path):
    key = add_key(file, "ada")
    assert key not in file.read_text(encoding="utf-8")
    assert file.stat().st_mode & 0o777 == 0o600
    assert read_people(file)[key_sha256(key)].name == "ada"
    assert repr(read_people(file)).count(key_sha256(key)) == 1  # as the key of the mapping, not within the person


def test_keys_are_added_to_a_file_with_others(file: Path):
    keys = {name: add_key(file, name) for name in ('Ada "A." Łęcka', "bob")}
    assert {person.name for person in read_people(file).values()} == set(keys)
    with pytest.raises(ConfigurationError, match="already has a key for bob"):
        add_key(file, "bob")
    with pytest.raises(ConfigurationError, match="line of text"):
        add_key(file, "two\nlines")
    assert {person.name for person in read_people(file).values()} == set(keys)


def test_limits_and_models_by_any_of_their_names(file: Path):
    write(file, {"name": "ada", "key_sha256": HASH, "models": ["lfm-3-1.7b"], "rpm": 3, "daily_budget_usd": 0.5})
    (ada,) = read_people(file).values()
    assert (ada.rpm, ada.daily_budget_usd) == (3, 0.5)
    assert ada.may_ask("liquid/lfm-3-1.7b")
    assert ada.may_ask("lfm-3-1.7b")
    assert not ada.may_ask("lfm-3-1.7b:free")
    assert not ada.may_ask("acme/other")


def test_person_without_a_list_may_ask_for_every_model(file: Path):
    write(file, {"name": "ada", "key_sha256": HASH})
    assert read_people(file)[HASH].may_ask("acme/other")


def test_changed_file_is_read_again(file: Path):
    write(file, {"name": "ada", "key_sha256": HASH})
    assert HASH in read_people(file)
    write(file)
    assert not read_people(file)


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("ada", "`people.0`: Input should be a valid dictionary"),
        ({"key_sha256": HASH}, "`people.0.name`: Field required"),
        ({"name": "ada", "key": "sk-ada"}, "`people.0.key`: Extra inputs are not permitted"),
        ({"name": "", "key_sha256": HASH}, "`people.0.name`: Value error, must be a line of text"),
        ({"name": "ada\nINFO: bob", "key_sha256": HASH}, "must be a line of text"),
        ({"name": "ada"}, "`people.0.key_sha256`: Field required"),
        ({"name": "ada", "key_sha256": "sk-ada"}, "`people.0.key_sha256`: String should match pattern"),
        ({"name": "ada", "key_sha256": HASH, "models": "lfm-3b"}, "`people.0.models`: Input should be a valid list"),
        ({"name": "ada", "key_sha256": HASH, "rpm": 0}, "`people.0.rpm`: Input should be greater than 0"),
        ({"name": "ada", "key_sha256": HASH, "rpm": 1.5}, "`people.0.rpm`: Input should be a valid integer"),
        ({"name": "ada", "key_sha256": HASH, "rpm": True}, "`people.0.rpm`: Input should be a valid integer"),
        ({"name": "ada", "key_sha256": HASH, "daily_budget_usd": "1"}, "`people.0.daily_budget_usd`: Input should be"),
    ],
)
def test_wrong_entry_is_an_error_that_names_it(file: Path, entry: Any, reason: str):
    write(file, entry)
    with pytest.raises(ConfigurationError, match=re.escape(reason)) as raised:
        read_people(file)
    assert "sk-ada" not in str(raised.value)


@pytest.mark.parametrize("content", ["", "people: 5", "- ada", "people: []\nother: 1", "people: [", "\x00"])
def test_file_of_another_form_is_an_error(file: Path, content: str):
    file.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"keys\.yaml"):
        read_people(file)


def test_names_and_keys_are_unique(file: Path):
    write(file, {"name": "ada", "key_sha256": HASH}, {"name": "bob", "key_sha256": HASH.upper()})
    with pytest.raises(ConfigurationError, match="the same `key_sha256`"):
        read_people(file)


def test_missing_file_is_an_error(file: Path):
    with pytest.raises(ConfigurationError, match="No such file"):
        read_people(file)
