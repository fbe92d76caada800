"""Let LiteLLM's Router fall back to a live model if the first one is retired. Needs OPENROUTER_API_KEY."""

from litellm import Router

import lfm_adapter.litellm

lfm_adapter.litellm.register()
router = Router(
    model_list=[
        {"model_name": "first", "litellm_params": {"model": "lfm/lfm-3b"}},
        {"model_name": "second", "litellm_params": {"model": "lfm/lfm-3-1.7b"}},
    ],
    fallbacks=[{"first": ["second"]}],
    num_retries=0,
)
response = router.completion("first", [{"role": "user", "content": "Are you still there?"}])
print(response.model, "says:", response.choices[0].message.content)
