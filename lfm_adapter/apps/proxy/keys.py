"""The keys of people who share a Proxy: a YAML file with hashes, which may change while Proxies run.

people:
  - name: "ada"
    key_sha256: "5d41…"          # of the key; `lfm proxy-config --keys FILE --new-key ada` makes one
    models: ["lfm-3-1.7b"]       # default: every model
    rpm: 30                      # requests a minute; default: no personal limit
    daily_budget_usd: 0.5        # by the day in UTC; default: no personal budget
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated

import yaml
from pydantic import AfterValidator, BaseModel, Field, PositiveFloat, PositiveInt, StringConstraints, ValidationError

from lfm_adapter import catalog
from lfm_adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_HEADER = """\
# Who may use the Proxies that name this file in `LFM_PROXY_KEYS`, by `lfm proxy-config --keys`. Proxies read it again
# when it changes, so removing an entry revokes the key. The file has only hashes of keys.
people:
"""


def _one_line(text: str) -> str:
    if not (text and text.isprintable()):  # names appear in logs
        raise ValueError("must be a line of text")
    return text


class Person(BaseModel, frozen=True, extra="forbid", strict=True):
    """Somebody with a key.

    Attributes:
        name: Unique; shown in metrics and logs, and what spending is counted under.
        key_sha256: The SHA-256 of the key, in hexadecimal digits.
        models: Ids or aliases of the models that the person may use; None for all.
        rpm: Requests a minute; None for no limit.
        daily_budget_usd: US$ a day, by the day in UTC; None for no budget.
    """

    name: Annotated[str, AfterValidator(_one_line)]
    key_sha256: Annotated[str, StringConstraints(to_lower=True, pattern="(?i)^[0-9a-f]{64}$"), Field(repr=False)]
    models: list[str] | None = None
    rpm: PositiveInt | None = None
    daily_budget_usd: PositiveFloat | None = None

    def may_ask(self, model: str) -> bool:
        """Return whether the person may use a model, by any of its names."""
        return self.models is None or catalog.get(model).id in {catalog.get(name).id for name in self.models}


class _KeysFile(BaseModel, extra="forbid", strict=True):
    people: list[Person] | None  # YAML's empty list is null


def key_sha256(key: str) -> str:
    """Return the hash of a key. Our keys are random and need no salt."""
    return hashlib.sha256(key.encode()).hexdigest()


def read_people(file: Path) -> Mapping[str, Person]:
    """Return the people of a file by the hashes of their keys. The file is read again only after a change.

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
        people = _KeysFile.model_validate(yaml.safe_load(file.read_text(encoding="utf-8"))).people or []
    except ValidationError as error:
        raise ConfigurationError(f"{file} is invalid: {_problems(error)}.") from None  # Pydantic's text shows the input
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigurationError(f"Cannot read {file}: {error}.") from error
    for what in ("name", "key_sha256"):
        if len({getattr(person, what) for person in people}) < len(people):
            raise ConfigurationError(f"{file}: two people have the same `{what}`.")
    return {person.key_sha256: person for person in people}


def _problems(error: ValidationError) -> str:
    """Return the invalid fields and why, without their values: somebody may have written a key instead of its hash."""
    problems = [(".".join(map(str, problem["loc"])), problem["msg"]) for problem in error.errors()]
    return "; ".join(f"`{place}`: {message}" if place else message for place, message in problems)


def add_key(file: Path, name: str) -> str:
    """Add a person to a file, which is created if it is missing, and return the person's key.

    Raises:
        ConfigurationError: The file is invalid or cannot be written, or the name is taken.
    """
    if file.exists() and any(person.name == name for person in read_people(file).values()):
        raise ConfigurationError(f"{file} already has a key for {name}. Remove the entry to replace the key.")
    key = f"sk-{secrets.token_urlsafe(32)}"
    try:
        Person(name=name, key_sha256=key_sha256(key))
    except ValidationError as error:
        raise ConfigurationError(f"{_problems(error)}.") from None
    entry = f'  - name: {json.dumps(name, ensure_ascii=False)}\n    key_sha256: "{key_sha256(key)}"\n'
    try:
        is_new = not file.exists() or not file.stat().st_size
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "w", encoding="utf-8") as opened:
            opened.write(_HEADER + entry if is_new else entry)
    except OSError as error:
        raise ConfigurationError(f"Cannot write {file}: {error.strerror}.") from error
    return key
