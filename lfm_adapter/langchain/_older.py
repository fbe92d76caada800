"""LangChain's names for decision models where langchain-core is older than 1.8 and has none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import langchain_core
from pydantic import BaseModel

__all__ = ["BaseDecisionModel", "ClassifierResponse"]

if TYPE_CHECKING:
    from langchain_core.decisions import BaseDecisionModel, ClassifierResponse
else:
    ClassifierResponse = BaseModel

    class BaseDecisionModel(BaseModel):
        """Raises an error that names the release that is needed."""

        def __init__(self, **_: Any) -> None:
            raise ImportError(
                "`LFMDecisions` needs langchain-core 1.8 or newer; "
                f'{langchain_core.__version__} is installed. Run `pip install -U "langchain-core>=1.8"`.'
            )
