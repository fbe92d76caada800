"""Asks the local model 500 times, eight streams at once, and looks for growth of its processes.

    python benchmarks/soak_local.py
    python benchmarks/soak_local.py --requests 100

Prompts differ, so that llama.cpp keeps them for later until its cache is full. Some streams are left, some requests
refused. The memory of the processes is read from /proc, so on Linux alone. Ends with 1 if, after the first fifth of the
requests, it grew beyond the cache's bound.
"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lfm_adapter import LFMClient, errors, local
from lfm_adapter.apps.local.engine import PROMPT_CACHE_MIB

STREAMS = 8
SLACK_MIB = 32


def memory_mib(process_id: int) -> int:
    """Return the memory of a process and its children."""
    status = Path(f"/proc/{process_id}/status").read_text()
    own = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")) // 1024
    children = Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split()
    return own + sum(memory_mib(int(child)) for child in children)


def ask(client: LFMClient, number: int) -> None:
    prompt = f"Request {number}. " + f"The number {number} is one of many. " * (number % 40)
    if number % 10 == 0:
        try:
            client.chat(prompt, extra_body={"json_schema": {"type": "string", "pattern": "unanchored"}})
        except errors.BadRequestError:
            return
        raise AssertionError("the pattern was not refused")
    with client.stream(prompt, max_tokens=16) as stream:
        for _ in stream:
            if number % 7 == 0:
                return


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=500)
    requests = parser.parse_args().requests
    server = local.serve(context_length=2048, parallel=STREAMS)
    client = LFMClient(server.model, base_url=server.base_url, timeout=300)
    first = 0
    with ThreadPoolExecutor(STREAMS) as pool:
        for start in range(0, requests, requests // 5):
            list(pool.map(lambda number: ask(client, number), range(start, start + requests // 5)))
            used = memory_mib(server._process.pid)
            first = first or used
            print(f"{start + requests // 5:5} requests: {used} MiB", flush=True)
    server.close()
    if used > first + PROMPT_CACHE_MIB + SLACK_MIB:
        print(f"The processes grew by {used - first} MiB, beyond the cache's {PROMPT_CACHE_MIB} MiB.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
