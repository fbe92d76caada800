"""The gateway: OpenAI's and Anthropic's APIs on aiohttp's server, in front of `AsyncLFMClient`.

`app` has the addresses, `access` says who may use them, `call` asks the models in turn, `wire` and `sse` write the
answers.
"""
