"""Typed questions about a state, on every server that answers them. No I/O.

`questions` checks them, `servers` knows how the servers differ, `answers` reads the answers, and `by_chat` asks a chat
model instead.
"""
