"""The keys of people who share a Proxy: a YAML file with hashes, which may change while Proxies run.

people:
  - name: "ada"
    key_sha256: "5d41…"          # of the key; `lfm proxy-config --keys FILE --new-key ada` makes one
    models: ["lfm-3-1.7b"]       # default: every model
    rpm: 30                      # requests a minute; default: no limit of one's own
    daily_budget_usd: 0.5        # by the day in UTC; default: no budget of one's own
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import yaml

from lfm_adapter import catalog
from lfm_adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Person", "add_key", "key_sha256", "read_people"]

_HEADER = """\
# Who may use the Proxies that name this file in `LFM_PROXY_KEYS`, by `lfm proxy-config --keys`. Proxies read it again
# when it changes: an entry that is removed is a key that no longer works. It holds no key, only hashes.
people:
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody with a key.

    Attributes:
        name: Unique; shown in metrics and logs, and what spending is counted under.
        key_sha256: The SHA-256 of the key, in hexadecimal digits.
        models: Ids of the models that may be asked for; None for all.
        rpm: Requests a minute; None for no limit.
        daily_budget_usd: US$ a day, by the day in UTC; None for no budget.

    Raises:
        ConfigurationError: A value has another form.
    """

    name: str
    key_sha256: str = field(repr=False)
    models: frozenset[str] | None = None
    rpm: int | None = None
    daily_budget_usd: float | None = None

    @classmethod
    def from_entry(cls, entry: Any) -> Person:
        """Return the person of an entry of the file."""
        known = {each.name for each in fields(cls)}
        if not isinstance(entry, dict) or not entry.keys() <= known or not isinstance(entry.get("name"), str):
            raise ConfigurationError(
                f"Each entry of `people` must have a `name`, and only the fields {', '.join(sorted(known))}."
            )
        name, models = entry["name"], entry.get("models")
        if not (name and name.isprintable()):  # it stands in logs
            raise ConfigurationError(f"The `name` of a person must be a line of text, got {name!r}.")
        digits = str(entry.get("key_sha256", "")).lower()
        if len(digits) != 64 or not set(digits) <= set("0123456789abcdef"):
            raise ConfigurationError(f"`key_sha256` of {name} must be 64 hexadecimal digits.")
        if models is not None and not (isinstance(models, list) and all(isinstance(model, str) for model in models)):
            raise ConfigurationError(f"`models` of {name} must be a list of names, got {models!r}.")
        for limit, kinds in (("rpm", int), ("daily_budget_usd", int | float)):
            value = entry.get(limit)
            if value is not None and (isinstance(value, bool) or not isinstance(value, kinds) or not value > 0):
                raise ConfigurationError(f"`{limit}` of {name} must be a positive number, got {value!r}.")
        ids = None if models is None else frozenset(catalog.get(model).id for model in models)
        return cls(**entry | {"key_sha256": digits, "models": ids})

    def may_ask(self, model: str) -> bool:
        """Return whether the person may ask for a model, by whatever name."""
        return self.models is None or catalog.get(model).id in self.models


def key_sha256(key: str) -> str:
    """Return the hash of a key. The keys made here are random, so that it needs no salt."""
    return hashlib.sha256(key.encode()).hexdigest()


def read_people(file: Path) -> Mapping[str, Person]:
    """Return the people of a file by the hashes of their keys. It is read again only if it has changed.

    Raises:
        ConfigurationError: The file is missing or invalid.
    """
    try:
        state = file.stat()
    except OSError as error:
        raise ConfigurationError(f"Cannot read {file}: {error.strerror}.") from error
    return _read(file, state.st_mtime_ns, state.st_size, state.st_ino)


@lru_cache(maxsize=1)
def _read(file: Path, *_state: int) -> Mapping[str, Person]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigurationError(f"Cannot read {file}: {error}.") from error
    entries = content.get("people") if isinstance(content, dict) else None
    if not isinstance(entries or [], list) or not isinstance(content, dict) or content.keys() != {"people"}:
        raise ConfigurationError(f"{file} must have a list `people`.")
    people = [Person.from_entry(entry) for entry in entries or []]
    for what in ("name", "key_sha256"):
        if len({getattr(person, what) for person in people}) < len(people):
            raise ConfigurationError(f"{file}: two people have the same `{what}`.")
    return {person.key_sha256: person for person in people}


def add_key(file: Path, name: str) -> str:
    """Add a person to a file, which is created if it is missing, and return the person's key.

    Raises:
        ConfigurationError: The file is invalid or cannot be written, or the name is taken.
    """
    if file.exists() and any(person.name == name for person in read_people(file).values()):
        raise ConfigurationError(f"{file} already has a key for {name}. Remove the entry to replace the key.")
    key = f"sk-{secrets.token_urlsafe(32)}"
    Person.from_entry({"name": name, "key_sha256": key_sha256(key)})
    entry = f'  - name: {json.dumps(name, ensure_ascii=False)}\n    key_sha256: "{key_sha256(key)}"\n'
    try:
        is_new = not file.exists() or not file.stat().st_size
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "w", encoding="utf-8") as opened:
            opened.write(_HEADER + entry if is_new else entry)
    except OSError as error:
        raise ConfigurationError(f"Cannot write {file}: {error.strerror}.") from error
    return key
