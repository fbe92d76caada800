"""What the package shows to those who import it."""

from __future__ import annotations

import importlib
import importlib.abc
import inspect
import json
import pkgutil
import re
import subprocess
import sys
import typing

import pytest

import lfm_adapter
import lfm_adapter.litellm
from tests.support import reference

HEAVY = {
    "aiohttp",
    "httpx",
    "jsonschema",
    "langchain_core",
    "litellm",
    "mcp",
    "pydantic",
    "rich",
    "typer",
    "urllib3",
    "xllamacpp",
}
MODULES = [
    module.name
    for module in pkgutil.walk_packages(lfm_adapter.__path__, "lfm_adapter.")
    if not module.name.endswith("__main__")
]
# Rooms that need an extra (`pip install lfm-adapter[...]`), and what it brings.
EXTRAS = {"fastapi", "litellm", "llm", "mcp", "opentelemetry", "redis", "xllamacpp"}


def loaded_by(statement: str) -> set[str]:
    """The packages that a fresh interpreter has loaded after `statement`."""
    program = (
        f"{statement}\nimport json, sys\nprint(json.dumps(sorted({{name.split('.')[0] for name in sys.modules}})))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)  # noqa: S603 # our own program
    assert not done.stderr
    return set(json.loads(done.stdout))


def imported(name: str):
    try:
        module = importlib.import_module(name)
        for public in getattr(module, "__all__", []):
            getattr(module, public)  # what is loaded on first use
    except ModuleNotFoundError as error:
        if error.name in EXTRAS:
            pytest.skip(f"needs {error.name}")
        raise
    return module


def order(name: str) -> tuple[int, str]:
    """Constants, then classes, then functions, each by name, as ruff's RUF022 sorts them."""
    return (0 if name.isupper() else 1 if name.lstrip("_")[:1].isupper() else 2, name)


@pytest.mark.parametrize(
    "statement",
    [
        "import lfm_adapter",
        "import lfm_adapter.errors, lfm_adapter.catalog",
        "from lfm_adapter import Attribution, catalog, errors",
        "import lfm_adapter._openrouter.response, lfm_adapter._openrouter.request",
    ],
)
def test_it_is_light_until_something_heavy_is_asked_for(statement):
    assert not HEAVY & loaded_by(statement)


def test_a_client_brings_its_transport_alone():
    assert HEAVY & loaded_by("from lfm_adapter import LFMClient") <= {"urllib3"}
    assert HEAVY & loaded_by("from lfm_adapter import AsyncLFMClient") <= {"aiohttp"}


def test_all_public_names_are_there():
    assert {"AsyncLFMClient", "Attribution", "ChatLFM", "LFMClient", "catalog", "errors"} <= set(lfm_adapter.__all__)
    assert lfm_adapter.__all__ == sorted(lfm_adapter.__all__)
    for name in lfm_adapter.__all__:
        assert getattr(lfm_adapter, name) is getattr(lfm_adapter, name)


@pytest.mark.parametrize("module", [lfm_adapter, lfm_adapter.litellm], ids=lambda module: module.__name__)
def test_completion_offers_the_public_names_alone(module):
    assert dir(module) == sorted(module.__all__)


class NoLiteLLM(importlib.abc.MetaPathFinder):
    """Makes `import litellm` fail as where it is not installed."""

    def find_spec(self, fullname, path, target=None):
        if fullname == "litellm":
            raise ModuleNotFoundError("No module named 'litellm'", name=fullname)


@pytest.mark.parametrize("name", lfm_adapter.litellm.__all__)
def test_litellm_that_is_not_installed_is_told_with_what_installs_it(name, monkeypatch):
    monkeypatch.delitem(vars(lfm_adapter.litellm), name, raising=False)
    for module in [module for module in sys.modules if module.startswith(("lfm_adapter.litellm.", "litellm"))]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr(sys, "meta_path", [NoLiteLLM(), *sys.meta_path])
    with pytest.raises(ModuleNotFoundError) as raised:
        getattr(lfm_adapter.litellm, name)
    assert raised.value.name == "litellm"
    assert 'pip install "lfm-adapter[litellm]"' in str(raised.value)


def test_a_star_import_brings_them_all():
    names: dict[str, object] = {}
    exec("from lfm_adapter import *", names)  # noqa: S102 # a star is not allowed inside a function
    assert set(lfm_adapter.__all__) <= names.keys()


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'ChatGPT'"):
        lfm_adapter.ChatGPT  # noqa: B018 # the look-up is what fails


@pytest.mark.parametrize("name", ["lfm_adapter", "lfm_adapter.langchain"])
def test_type_hints_of_public_classes_can_be_read_at_run_time(name):
    """LangChain reads those of a model's methods: `llm.with_fallbacks([...]).bind_tools([...])`."""
    module = imported(name)
    for cls in [value for public in module.__all__ if inspect.isclass(value := getattr(module, public))]:
        own = [base for base in cls.__mro__ if base.__module__.startswith("lfm_adapter")]
        for base in own:
            for method, member in list(vars(base).items()):  # Pydantic adds to it what it builds when asked for
                function = getattr(member, "fget", None) or getattr(member, "__func__", member)
                if inspect.isfunction(function) and not method.startswith("_"):
                    typing.get_type_hints(function)


@pytest.mark.parametrize("name", MODULES)
def test_a_module_lists_what_it_offers_in_order(name):
    module = imported(name)
    listed = getattr(module, "__all__", [])
    assert listed == sorted(listed, key=order)
    assert len(set(listed)) == len(listed)
    for public in listed:
        assert hasattr(module, public)


@pytest.mark.parametrize("name", reference.MODULES)
def test_public_module_exports_all_that_it_holds(name):
    module = imported(name)
    held = {
        public
        for public in dir(module)
        if not public.startswith("_")
        and str(getattr(getattr(module, public), "__module__", "")).startswith("lfm_adapter")
    }
    assert held <= set(module.__all__)


@pytest.mark.parametrize("name", reference.MODULES)
def test_reference_page_names_all_that_a_public_module_exports(name):
    imported(name)
    documented = set(re.findall(r"`(lfm_adapter\.[\w.]+)`", reference.PAGE.read_text("utf-8")))
    assert set(reference.exported(name)) <= documented


def test_reference_page_names_nothing_else_of_these_modules():
    public = {name for module in reference.MODULES if imported(module) for name in reference.exported(module)}
    modules = "|".join(re.escape(name.partition(".")[2]) for name in reference.MODULES[1:])
    documented = set(re.findall(rf"`(lfm_adapter\.(?:{modules})\.\w+)`", reference.PAGE.read_text("utf-8")))
    assert documented <= public
