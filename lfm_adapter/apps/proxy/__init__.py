"""LiteLLM's Proxy for Liquid's models: its configuration, and the code that it loads from this package."""
