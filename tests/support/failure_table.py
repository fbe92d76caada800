"""The tables of `docs/failures.md`, from `tests/faults`. `python -m tests.support.failure_table` writes them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.faults.scenario import LANGCHAIN
from tests.faults.table import FAILURES, HARMLESS

if TYPE_CHECKING:
    from tests.faults.scenario import Scenario

__all__ = ["PAGE", "render"]

PAGE = Path(__file__).parents[2] / "docs" / "failures.md"
HEAD = ("Name", "Status", "Retried", "Raises", "LangChain", "LiteLLM", "Kept")


def render() -> str:
    """Return a heading and a table for each theme, and below it what is harmless."""
    return "\n\n".join(map(_theme, FAILURES))


def _theme(theme: str) -> str:
    rows = [HEAD, ("---",) * len(HEAD), *map(_row, FAILURES[theme])]
    parts = [f"## {theme}", "\n".join(f"| {' | '.join(row)} |" for row in rows)]
    if HARMLESS[theme]:
        parts += ["Harmless; the answer is complete:", "\n".join(f"- {scenario.name}" for scenario in HARMLESS[theme])]
    return "\n\n".join(parts)


def _row(scenario: Scenario) -> tuple[str, ...]:
    assert scenario.raises is not None
    return (
        f"`{scenario.name}`",
        str(scenario.status or ""),
        "yes" if scenario.retried else "no",
        f"`{scenario.raises.__name__}`",
        f"`{LANGCHAIN[scenario.raises]}`",
        f"`{scenario.class_of_litellm()}`",
        "yes" if scenario.kept else "",
    )


if __name__ == "__main__":
    head, _, _ = PAGE.read_text("utf-8").partition(f"## {next(iter(FAILURES))}\n")
    PAGE.write_text(f"{head}{render()}\n", "utf-8")
