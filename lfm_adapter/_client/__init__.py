"""`LFMClient` and `AsyncLFMClient`: the protocol, a transport, and the patience between them."""
