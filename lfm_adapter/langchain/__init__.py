"""`ChatLFM`, the LangChain chat model."""

from lfm_adapter.langchain.chat_model import ChatLFM

__all__ = ["ChatLFM"]
