"""OpenRouter's chat protocol, without I/O."""
