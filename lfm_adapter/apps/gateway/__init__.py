"""The gateway: OpenAI's and Anthropic's APIs on aiohttp's server, in front of `AsyncLFMClient`.

`app` has the routes, `access` the access rules; `call` asks the models in turn; `wire` and `sse` write the answers.
"""
