"""The gateway: LiteLLM's Proxy with Liquid's models, as `lfm gateway` starts it."""
