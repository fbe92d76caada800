"""Asks a server that misbehaves hundreds of thousands of times, and looks for what grows.

    python benchmarks/soak.py                     # 200,000 requests
    python benchmarks/soak.py --requests 20000

The server runs in a process of its own and does what the prompt says: answers, streams, refuses, breaks off, sends
nonsense, or falls silent until the call is cancelled. Threads ask through `LFMClient` and `ChatLFM`, tasks of one event
loop through `AsyncLFMClient` and `ChatLFM`. Between rounds nothing is in flight: then memory, threads, tasks and
descriptors are counted, in /proc, so on Linux alone. Ends with 1 if a call ended in another way than its fault must, or
if anything grew.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import multiprocessing
import os
import random
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from lfm_adapter import AsyncLFMClient, ChatLFM, LFMClient, errors
from lfm_adapter._transport.aiohttp import aclose_pools
from lfm_adapter._transport.urllib3 import close_pools

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

ROUNDS = 20
THREADS = 16
TASKS = 64
GROWTH_BYTES = 8_000_000
GIVE_UP_S = 0.03

# What is asked for, how often, and how the call must end.
FAULTS: dict[str, tuple[int, type[BaseException] | None]] = {
    "plain": (40, None),
    "stream": (30, None),
    "slow": (3, None),
    "429": (5, errors.RateLimitError),
    "500": (2, errors.ServerError),
    "cut": (4, errors.StreamInterruptedError),
    "cut plain": (2, errors.StreamInterruptedError),
    "malformed": (3, errors.ResponseError),
    "malformed event": (3, errors.ResponseError),
    "closed": (3, errors.APIConnectionError),
    "left": (3, None),  # a stream whose reader goes away
    "silent": (2, TimeoutError),  # cancelled, or out of time
}
STREAMED = {"stream", "cut", "malformed event", "left"}
TEXT = "Hello, world. " * 5


@dataclass
class Count:
    """What may grow, while nothing is in flight."""

    memory_bytes: int
    objects: int
    threads: int
    tasks: int
    descriptors: int


class Server(asyncio.Protocol):
    """One connection of the server."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.received = b""

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, gap, body = self.received.partition(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        if gap and len(body) >= length:
            self.received = b""
            self.answer(json.loads(body)["messages"][-1]["content"])

    def answer(self, kind: str) -> None:
        match kind:
            case "plain" | "slow":
                asyncio.get_running_loop().call_later(0.02 * (kind == "slow"), self.transport.write, PLAIN)
            case "stream":
                self.transport.write(SSE_HEAD + EVENTS + END)
            case "left":
                self.transport.write(SSE_HEAD + EVENTS)
            case "429" | "500":
                self.transport.write(
                    reply(b'{"error": {"code": %s, "message": "No"}}' % kind.encode(), status=int(kind))
                )
            case "cut" | "cut plain":
                self.transport.write(SSE_HEAD + EVENTS if kind == "cut" else PLAIN[:-20])
                self.transport.close()
            case "malformed":
                self.transport.write(reply(b'{"choices": [{'))
            case "malformed event":
                self.transport.write(SSE_HEAD + EVENTS + chunk(b"data: {]}\n\n") + END)
            case "closed":
                self.transport.close()


def reply(body: bytes, status: int = 200) -> bytes:
    head = b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nRetry-After-Ms: 5\r\nContent-Length: %d\r\n\r\n"
    return head % (status, len(body)) + body


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def event(delta: dict[str, Any], **more: Any) -> bytes:
    choices = [{"index": 0, "delta": delta, **more}]
    return chunk(b"data: %s\n\n" % json.dumps({"id": "gen-1", "choices": choices, "usage": None}).encode())


ANSWER = {"choices": [{"message": {"content": TEXT}, "finish_reason": "stop"}], "usage": {"total_tokens": 9}}
PLAIN = reply(json.dumps(ANSWER).encode())
SSE_HEAD = b"HTTP/1.1 200 X\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
EVENTS = b"".join(event({"content": word}) for word in TEXT.split(" ")[:5])
END = event({"content": "."}, finish_reason="stop") + chunk(b"data: [DONE]\n\n") + chunk(b"")


def serve(port: Connection) -> None:
    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0)
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


def ask(clients: dict[str, Any], kind: str, number: int) -> None:
    own_time = {"total_timeout": GIVE_UP_S} if kind == "silent" else {}
    if number % 4 == 0:
        model = clients["chat"].model_copy(update=own_time)
        if kind == "left":
            next(stream := model.stream(kind))
            stream.close()
        else:
            list(model.stream(kind)) if kind in STREAMED else model.invoke(kind)
        return
    client = clients["impatient" if own_time else "sync"]
    if kind not in STREAMED:
        client.chat(kind)
        return
    with client.stream(kind) as deltas:
        for _ in deltas:
            if kind == "left":
                break


async def aask(clients: dict[str, Any], kind: str, number: int) -> None:
    async with asyncio.timeout(GIVE_UP_S if kind == "silent" else None):
        if number % 4 == 0:
            model = clients["chat"]
            if kind not in STREAMED:
                await model.ainvoke(kind)
                return
            stream = model.astream(kind)
            async for _ in stream:
                if kind == "left":
                    break
            await stream.aclose()
            return
        client = clients["async"]
        if kind not in STREAMED:
            await client.chat(kind)
            return
        async with client.stream(kind) as deltas:
            async for _ in deltas:
                if kind == "left":
                    break


class Wrong:
    """Gathers the calls that ended in another way than they must."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def check(self, kind: str, error: BaseException | None) -> None:
        expected = FAULTS[kind][1]
        right = error is None if expected is None else isinstance(error, (expected, *ALSO.get(kind, ())))
        if not right:
            self.found.append(f"{kind}: {error!r}")


ALSO: dict[str, tuple[type[BaseException], ...]] = {"silent": (errors.APITimeoutError,)}


def thread_round(pool: ThreadPoolExecutor, clients: dict[str, Any], kinds: list[str], wrong: Wrong) -> None:
    def one(numbered: tuple[int, str]) -> None:
        number, kind = numbered
        try:
            ask(clients, kind, number)
        except Exception as error:  # noqa: BLE001 # judged by its kind
            wrong.check(kind, error)
        else:
            wrong.check(kind, None)

    for _ in pool.map(one, enumerate(kinds)):
        pass


async def task_round(clients: dict[str, Any], kinds: list[str], wrong: Wrong) -> None:
    left = iter(enumerate(kinds))

    async def work() -> None:
        for number, kind in left:
            try:
                await aask(clients, kind, number)
            except Exception as error:  # noqa: BLE001 # judged by its kind
                wrong.check(kind, error)
            else:
                wrong.check(kind, None)

    await asyncio.gather(*(work() for _ in range(TASKS)))
    await asyncio.sleep(0.2)  # connections that were hung up say goodbye


def count(loop: asyncio.AbstractEventLoop) -> Count:
    gc.collect()
    memory_bytes = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGESIZE")
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    return Count(
        memory_bytes, len(gc.get_objects()), threading.active_count(), len(asyncio.all_tasks(loop)), descriptors
    )


def report(done: int, seconds: float, now: Count) -> None:
    print(
        f"{done:>9,} requests {seconds:6.0f} s  {now.memory_bytes / 1e6:7.1f} MB  {now.objects:>8,} objects  "
        f"{now.threads:>3} threads  {now.tasks:>3} tasks  {now.descriptors:>4} descriptors",
        flush=True,
    )


def growth(counts: list[Count], before: Count, after: Count) -> list[str]:
    """What grew: from the second quarter, when all is warm, to the last one, or what was never given back."""
    quarter = len(counts) // 4
    names = list(Count.__dataclass_fields__)
    warm, late = (
        dict(zip(names, map(median, zip(*map(astuple, part), strict=True)), strict=True))
        for part in (counts[quarter : 2 * quarter], counts[-quarter:])
    )
    bounds = {
        "memory_bytes": GROWTH_BYTES,
        "objects": 0.02 * warm["objects"],
        "threads": 0,
        "tasks": 0,
        "descriptors": TASKS,
    }
    found = [
        f"{name} grew from {warm[name]:,} to {late[name]:,}" for name in names if late[name] - warm[name] > bounds[name]
    ]
    if after.descriptors > before.descriptors:
        found.append(f"{after.descriptors - before.descriptors} descriptors are left after the pools are closed")
    if after.tasks > before.tasks:
        found.append(f"{after.tasks - before.tasks} tasks are left")
    return found


def soak(requests: int, port: int) -> int:
    given = {"model": "local", "base_url": f"http://127.0.0.1:{port}/v1", "timeout": 10, "max_retries": 1}
    clients: dict[str, Any] = {
        "sync": LFMClient(**given),
        "async": AsyncLFMClient(**given),
        "chat": ChatLFM(**given),
        "impatient": LFMClient(**given, total_timeout=GIVE_UP_S),
    }
    wrong = Wrong()
    chance = random.Random(1)  # noqa: S311 # the same faults each time
    kinds = chance.choices(list(FAULTS), [weight for weight, _ in FAULTS.values()], k=requests)
    size = requests // ROUNDS
    counts = []
    start = time.monotonic()
    with asyncio.Runner() as runner, ThreadPoolExecutor(THREADS) as pool:
        loop = runner.get_loop()
        list(pool.map(time.sleep, [0.05] * THREADS))
        before = count(loop)
        for number in range(ROUNDS):
            part = kinds[number * size : (number + 1) * size]
            thread_round(pool, clients, part[::2], wrong)
            runner.run(task_round(clients, part[1::2], wrong))
            counts.append(count(loop))
            report((number + 1) * size, time.monotonic() - start, counts[-1])
        close_pools()
        runner.run(closed())
        after = count(loop)
    print(f"after closing the pools: {after.descriptors} descriptors, {before.descriptors} before the first request")
    for line in wrong.found[:10]:
        print("wrong:", line)
    found = growth(counts, before, after)
    print(f"{len(wrong.found)} calls ended wrong; {'; '.join(found) or 'nothing grew'}")
    return int(bool(wrong.found or found))


async def closed() -> None:
    await aclose_pools()
    await asyncio.sleep(0.2)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--requests", type=int, default=200_000)
    requests = parser.parse_args().requests
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    server = context.Process(target=serve, args=(there,), daemon=True)
    server.start()
    try:
        return soak(requests, here.recv())
    finally:
        server.terminate()
        server.join()


if __name__ == "__main__":
    sys.exit(main())
