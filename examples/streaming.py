"""Read an answer while it is written. Needs OPENROUTER_API_KEY."""

import asyncio

from lfm_adapter import ChatLFM

llm = ChatLFM(model="liquid/lfm-2.5-2.6b:free", max_tokens=2_000)


async def main() -> None:
    whole = None
    async for chunk in llm.astream("Write a haiku about rivers."):
        print(chunk.text, end="", flush=True)
        whole = chunk if whole is None else whole + chunk
    print()
    if whole is not None:
        print(whole.usage_metadata, whole.response_metadata["finish_reason"])


asyncio.run(main())
