"""`LFMClient` and `AsyncLFMClient`: protocol, transport, timeouts and retries."""
