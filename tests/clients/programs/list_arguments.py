"""The arguments of LangChain's ChatOpenRouter and ChatOpenAI that ChatLFM does not take."""

import json

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_openai import ChatOpenAI
from langchain_openrouter import ChatOpenRouter

from lfm_adapter import ChatLFM


def is_taken(name: str) -> bool:
    try:
        ChatLFM(**{name: "any"})
    except ValueError as error:  # a field of another type is taken all the same
        return f"no argument `{name}`" not in str(error)
    return True


def refused(cls: type[BaseChatModel]) -> list[str]:
    fields = {name: field for name, field in cls.model_fields.items() if name not in BaseChatModel.model_fields}
    names = fields.keys() | {field.alias for field in fields.values() if field.alias}
    return sorted(name for name in names if not is_taken(name))


print(json.dumps({cls.__name__: refused(cls) for cls in (ChatOpenRouter, ChatOpenAI)}))
