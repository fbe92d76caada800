"""Objects of Pydantic's classes that are made like one which was validated, without validating each anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["Copies"]

M = TypeVar("M", bound="BaseModel")


class Copies(Generic[M]):
    """Makes copies of an object, with other values in some of its fields.

    The values must be such as validation would leave unchanged. Lists and dicts of the object, all empty, are new in
    each copy. Of what a streamed event costs `ChatLFM`, validation would be a fifth.

    Args:
        example: What the copies are like.
    """

    def __init__(self, example: M) -> None:
        self._class = type(example)
        self._values = dict(example.__dict__)
        self._empty = [
            (name, type(value)) for name, value in self._values.items() if isinstance(value, list | dict) and not value
        ]
        self._set = frozenset(example.model_fields_set)
        self._extra = example.__pydantic_extra__
        self._private = example.__pydantic_private__

    def make(self, **values: Any) -> M:
        """Return a copy with these values."""
        made = object.__new__(self._class)
        fields = {**self._values, **values}
        for name, empty in self._empty:
            if name not in values:
                fields[name] = empty()
        object.__setattr__(made, "__dict__", fields)
        object.__setattr__(made, "__pydantic_fields_set__", {*self._set})
        object.__setattr__(made, "__pydantic_extra__", None if self._extra is None else {})
        object.__setattr__(made, "__pydantic_private__", None if self._private is None else {**self._private})
        return made
