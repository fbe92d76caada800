"""The base of the results of tools."""

from __future__ import annotations

import json
from typing import ClassVar

from pydantic import BaseModel


class Result(BaseModel):
    """The result of a tool: an object, and its text for clients that show only text."""

    text_field: ClassVar[str] = ""
    """The field to show as text; "" for the whole object as JSON."""

    def __str__(self) -> str:
        return getattr(self, self.text_field) if self.text_field else json.dumps(self.model_dump(), ensure_ascii=False)
