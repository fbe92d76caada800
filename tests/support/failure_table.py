"""The tables of `docs/failures.md`, from `tests/faults`. `python tests/failure_table.py` prints them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.faults.scenario import LANGCHAIN
from tests.faults.scenarios import THEMES

if TYPE_CHECKING:
    from tests.faults.scenario import Scenario

__all__ = ["render"]

HEAD = ("What happens", "Retried", "Raises", "LangChain", "LiteLLM", "Kept")


def render() -> str:
    """Return a heading and a table for each theme, and below it what does no harm."""
    return "\n\n".join(map(_theme, THEMES))


def _theme(theme: str) -> str:
    failing = [scenario for scenario in THEMES[theme] if scenario.raises]
    harmless = [scenario for scenario in THEMES[theme] if not scenario.raises]
    rows = [HEAD, ("---",) * len(HEAD), *map(_row, failing)]
    parts = [f"## {theme}", "\n".join(f"| {' | '.join(row)} |" for row in rows)]
    if harmless:
        parts += ["The answer is whole in spite of:", "\n".join(f"- {scenario.name}" for scenario in harmless)]
    return "\n\n".join(parts)


def _row(scenario: Scenario) -> tuple[str, ...]:
    assert scenario.raises is not None
    return (
        scenario.name,
        "yes" if scenario.retried else "no",
        f"`{scenario.raises.__name__}`",
        f"`{LANGCHAIN[scenario.raises]}`",
        f"`{scenario.class_of_litellm()}`",
        "what came" if scenario.kept else "",
    )


if __name__ == "__main__":
    print(render())  # noqa: T201 # its purpose
