"""Ask many questions at once, and handle those that fail. Needs OPENROUTER_API_KEY."""

import asyncio

from lfm_adapter import AsyncLFMClient, errors

client = AsyncLFMClient(model="liquid/lfm-2.5-2.6b:free", max_retries=5)


async def capital(country: str) -> str:
    try:
        reply = await client.chat(f"What is the capital of {country}? One word.", max_tokens=2_000)
    except errors.RateLimitError as error:
        return f"asked too often, try again in {error.retry_after} s"
    return f"{reply.text} ({reply.cost.total if reply.cost else '?'} US$)"


async def main() -> None:
    countries = ["France", "Japan", "Peru"]
    for country, answer in zip(countries, await asyncio.gather(*map(capital, countries)), strict=True):
        print(f"{country}: {answer}")


asyncio.run(main())
