"""How to install the parts of this package that need more than the rest."""

from __future__ import annotations

__all__ = ["how_to_install"]


def how_to_install(extra: str) -> str:
    """Return the command that brings one of the extras of pyproject.toml.

    >>> how_to_install("local")
    'pip install "lfm-adapter[local]"'
    """
    return f'pip install "lfm-adapter[{extra}]"'
