"""Typed questions about a state, on every server that answers them. No I/O.

`questions` checks them, `servers` knows how the servers differ, and `answers` reads what comes back.
"""
