"""Where this package's errors leave for LangChain's callers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfm_adapter.errors import APIError

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["langchain_errors"]


class _LangChainErrors:
    """Raises the twin of an API error that passes through the `with` block."""

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not isinstance(error, APIError):
            return
        from lfm_adapter.langchain._errors import twin  # two dozen classes that most programs never need

        double = twin(error)
        if double is not error:
            raise double.with_traceback(traceback) from error.__cause__


langchain_errors = _LangChainErrors()
