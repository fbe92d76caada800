"""What the vectors of 10,000 texts cost, here and by `OpenAIEmbeddings`.

    python -m benchmarks.embeddings

Each subject runs in a process of its own, against a server that sends bytes made beforehand: 1,024 numbers a text, as
LFM2.5-Embedding has them, with 8 digits. `OpenAIEmbeddings` gets the settings without which it does not work on
OpenRouter: no token ids, and numbers in place of base64.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import random
import struct
import subprocess
import sys
import time
from functools import lru_cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from benchmarks.server import served_by

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["EmbeddingRow", "measure_embeddings", "table"]

TEXTS, NUMBERS = 10_000, 1_024
MODEL = "liquid/lfm-2.5-embedding-350m:free"
KEY = "test-key"


class EmbeddingRow(SimpleNamespace):
    """What one subject took for `texts` texts: `subject`, `cpu_s` and `clock_s`."""


def lfm(url: str) -> Any:
    from lfm_adapter import LFMEmbeddings

    return LFMEmbeddings(model=MODEL, base_url=url, api_key=KEY)


def openai(url: str, **options: Any) -> Any:
    from langchain_openai import OpenAIEmbeddings

    return OpenAIEmbeddings(model=MODEL, base_url=url, api_key=KEY, check_embedding_ctx_length=False, **options)  # type: ignore[arg-type]


FLOAT = {"encoding_format": "float"}
SUBJECTS: dict[str, tuple[Callable[[str], Any], bool]] = {
    "LFMEmbeddings": (lfm, False),
    "LFMEmbeddings, async": (lfm, True),
    "OpenAIEmbeddings, numbers": (lambda url: openai(url, model_kwargs=FLOAT), False),
    "OpenAIEmbeddings, numbers, async": (lambda url: openai(url, model_kwargs=FLOAT), True),
    "OpenAIEmbeddings, numbers, 64 texts a request": (
        lambda url: openai(url, model_kwargs=FLOAT, chunk_size=64),
        False,
    ),
    "OpenAIEmbeddings, base64": (openai, False),
}
"""How to make each, and whether it is asked asynchronously."""


def measure_embeddings(texts: int = TEXTS) -> list[EmbeddingRow]:
    """Measure each subject once."""
    with _running_server() as url:
        return [_measured(name, url, texts) for name in SUBJECTS]


def table(rows: list[EmbeddingRow]) -> str:
    """Return the rows as Markdown."""
    lines = ["| | CPU a text, in µs | texts a second |", "| --- | ---: | ---: |"]
    lines += [
        f"| {row.subject} | {row.cpu_s / row.texts * 1e6:,.0f} | {row.texts / row.clock_s:,.0f} |" for row in rows
    ]
    return "\n".join(lines)


@contextlib.contextmanager
def _running_server() -> Iterator[str]:
    with served_by("benchmarks.embeddings", "serve") as url:
        yield f"{url}/v1"


def _measured(name: str, url: str, texts: int) -> EmbeddingRow:
    command = [sys.executable, "-m", "benchmarks.embeddings", "ask", name, url, str(texts)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    print(name, done.stdout.strip(), flush=True)
    return EmbeddingRow(subject=name, texts=texts, **json.loads(done.stdout))


async def ask(name: str, url: str, count: int) -> dict[str, float]:
    make, is_async = SUBJECTS[name]
    model = make(url)
    texts = [f"Text {number} of many, about as long as a sentence is." for number in range(count)]

    async def embed(some: list[str]) -> list[list[float]]:
        return await model.aembed_documents(some) if is_async else model.embed_documents(some)

    await embed(texts[:1])  # to load and connect
    clock, cpu = time.perf_counter(), time.process_time()
    vectors = await embed(texts)
    took = {"clock_s": time.perf_counter() - clock, "cpu_s": time.process_time() - cpu}
    assert len(vectors) == count
    assert all(len(vector) == NUMBERS for vector in vectors)
    return took


@lru_cache
def _response(count: int, encoding: str) -> bytes:
    rng = random.Random(0)  # noqa: S311
    vectors = [[round(rng.gauss(0, 0.03), 8) for _ in range(NUMBERS)] for _ in range(64)]
    sent: list[Any] = vectors
    if encoding == "base64":
        sent = [base64.b64encode(struct.pack(f"<{NUMBERS}f", *vector)).decode() for vector in vectors]
    data = [{"object": "embedding", "index": index, "embedding": sent[index % 64]} for index in range(count)]
    usage = {"prompt_tokens": 12 * count, "total_tokens": 12 * count, "cost": 0}
    body = json.dumps({"object": "list", "data": data, "model": MODEL, "usage": usage}, separators=(",", ":")).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
            request = json.loads(await reader.readexactly(length))
            given = request["input"]
            count = 1 if isinstance(given, str) else len(given)
            writer.write(_response(count, request.get("encoding_format", "float")))
            await writer.drain()
    writer.close()


async def serve() -> None:
    for count in (1, 16, 64, 1000):
        for encoding in ("float", "base64"):
            _response(count, encoding)
    server = await asyncio.start_server(_answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["ask", name, url, count]:
            print(json.dumps(asyncio.run(ask(name, url, int(count)))))
        case [] | ["--quick"]:
            print(table(measure_embeddings(640 if "--quick" in sys.argv else TEXTS)))
        case _:
            asyncio.run(serve())
