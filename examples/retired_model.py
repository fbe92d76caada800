"""Handle a model that is no longer served. Needs OPENROUTER_API_KEY."""

from lfm_adapter import ChatLFM, errors

try:
    print(ChatLFM(model="liquid/lfm-3b").invoke("Are you still there?").text)
except errors.ModelRetiredError as error:
    print(error.message)
    successor = ChatLFM(model=error.successors[0])
    print(successor.invoke("Are you still there?").text)
