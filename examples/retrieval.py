"""Answer a question from your own notes: find the nearest ones, and let a model read them.

Needs OPENROUTER_API_KEY, and numpy for LangChain's vector store.
"""

from langchain_core.vectorstores import InMemoryVectorStore

from lfm_adapter import ChatLFM, LFMEmbeddings

NOTES = [
    "Lamps may be returned within 30 days, with the receipt.",
    "The shop in Oslo is open from 10 to 18, on Saturdays from 11 to 16.",
    "Repairs of radios take two weeks and cost 40 euros.",
    "Orders above 50 euros are sent free of charge.",
]
QUESTION = "How long do repairs of a radio take?"

store = InMemoryVectorStore.from_texts(NOTES, LFMEmbeddings())
found = [document.page_content for document in store.similarity_search(QUESTION, k=2)]
print("Found:", *found, sep="\n- ")

notes = "\n".join(found)
prompt = f"Answer in one sentence, from these notes alone:\n\n{notes}\n\n{QUESTION}"
print(ChatLFM(model="liquid/lfm-2.5-2.6b:free", max_tokens=2_000).invoke(prompt).text)
