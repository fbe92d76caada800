"""LiteLLM's Proxy for Liquid's models: its configuration, and what it loads from this package."""
