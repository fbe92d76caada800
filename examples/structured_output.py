"""Get answers as objects. Needs OPENROUTER_API_KEY."""

from pydantic import BaseModel, Field

from lfm_adapter import ChatLFM


class Book(BaseModel):
    """A book that is mentioned in a text."""

    title: str
    author: str
    year: int = Field(description="When it was first published")


llm = ChatLFM(model="liquid/lfm-2.5-2.6b:free", max_tokens=2_000)
book = llm.with_structured_output(Book).invoke("I have just finished Dune, which Frank Herbert published in 1965.")
print(book)
