"""Writes tools and schemas into prompts, and reads tool calls and JSON out of text."""
