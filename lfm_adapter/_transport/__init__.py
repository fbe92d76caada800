"""HTTP transports: `urllib3` for synchronous calls, `aiohttp` for asynchronous ones. Nothing else does network I/O.

They use public names of their libraries only, so that a new release of one breaks nothing here.
"""
