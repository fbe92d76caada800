"""Ask one question, and print everything that the reply has. Needs OPENROUTER_API_KEY."""

from lfm_adapter import ChatLFM

llm = ChatLFM(model="liquid/lfm-2.5-2.6b:free", temperature=0.1, max_tokens=2_000)
message = llm.invoke([("system", "Answer in one sentence."), ("human", "Why is the sky blue?")])

print(message.text)
print("Reasoning:", message.additional_kwargs.get("reasoning_content"))
print("Tokens:", message.usage_metadata)
for name in ("model_name", "provider", "finish_reason", "cost", "cost_source", "id"):
    print(f"{name}:", message.response_metadata.get(name))
