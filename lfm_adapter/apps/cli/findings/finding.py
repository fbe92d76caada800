"""One line of `lfm doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["Finding", "Level"]

Level: TypeAlias = Literal["ok", "warn", "fail", "skip"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        level: "ok", "warn" for what fails in some uses, "fail" for what has to be mended, "skip" for what could not or
            need not be looked at.
        text: What was found, and what to do about it.
    """

    level: Level
    text: str
