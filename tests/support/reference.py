"""The public names, and the list of them in docs/reference.md. `python -m tests.support.reference` writes it."""

from __future__ import annotations

import importlib
import inspect
import os
from pathlib import Path

__all__ = ["MODULES", "PAGE", "entries", "exported"]

MODULES = (
    "lfm_adapter",
    "lfm_adapter.langchain",
    "lfm_adapter.litellm",
    "lfm_adapter.types",
    "lfm_adapter.errors",
    "lfm_adapter.catalog",
    "lfm_adapter.ledger",
    "lfm_adapter.testing",
    "lfm_adapter.local",
)
PAGE = Path(__file__).parents[2] / "docs" / "reference.md"

HEAD = """# Reference

The public names. Semantic versioning applies to them alone: names that begin with an underscore, and those of
`lfm_adapter.apps`, may change at any time.
"""


def exported(module: str) -> list[str]:
    """Return the full names that a module exports, without dunder names and without the public modules themselves."""
    names = [f"{module}.{name}" for name in importlib.import_module(module).__all__ if not name.startswith("__")]
    return [name for name in names if name not in MODULES]


def entries(module: str) -> list[str]:
    """Return a line for each name of a module: the name, and the first line of its docstring."""
    loaded = importlib.import_module(module)
    return [f"- `{name}`: {_summary(getattr(loaded, name.rpartition('.')[2]))}" for name in exported(module)]


def _summary(value: object) -> str:
    if not (inspect.isclass(value) or inspect.isroutine(value)):
        return _type(value)
    lines = (inspect.getdoc(value) or "").splitlines()
    return lines[0] if lines else ""


def _type(value: object) -> str:
    shown = str(value).removeprefix("typing.")
    return f"`{shown}`" if "[" in shown else f"Of type `{type(value).__name__}`."


def _page() -> str:
    parts = [HEAD]
    for module in MODULES:
        first = (importlib.import_module(module).__doc__ or "").splitlines()[0]
        parts.append("\n".join([f"## `{module}`", "", first, "", *entries(module)]))
    return "\n".join([parts[0], "\n\n".join(parts[1:]), ""])


if __name__ == "__main__":
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else LiteLLM fetches a price list
    PAGE.write_text(_page(), encoding="utf-8")
