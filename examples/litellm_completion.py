"""Ask an LFM model through LiteLLM, whole and streamed. Needs OPENROUTER_API_KEY."""

import litellm

import lfm_adapter.litellm

lfm_adapter.litellm.register()
MODEL = "lfm/lfm-2.5-2.6b:free"
messages = [{"role": "user", "content": "Why is the sky blue? One sentence."}]

response = litellm.completion(model=MODEL, messages=messages, max_tokens=1_000)
print(response.choices[0].message.content)
print("cost:", response._hidden_params["response_cost"])

for chunk in litellm.completion(model=MODEL, messages=messages, max_tokens=1_000, stream=True):
    print(chunk.choices[0].delta.content or "", end="")
