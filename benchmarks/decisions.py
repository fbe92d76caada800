"""What a decision costs beside others: three questions about a mail, one call after the other and 100 at once.

python -m benchmarks.decisions            writes `benchmarks/DECISIONS.md`
python -m benchmarks.decisions --quick    prints a short run

Each subject runs in a process of its own, and asks a server in another that answers with bytes made beforehand.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.server import served_by

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["DecisionRow", "measure_decisions", "table"]

FILE = Path(__file__).with_name("DECISIONS.md")
NOTE = """\
# Decisions

What a call with three questions takes, in microseconds of CPU of all threads, with a server in another process
that answers at once: the best of three rounds of 400 calls. `python -m benchmarks.decisions` writes this file. The
load of the machine was {load:.1f} when it began; a quiet one is faster, and the ratios are what counts. A call of
`LFMClient.decide` should take 350 at most, and at 400 at once not more than at 100.

{table}
"""

KEY = "test-key"
MAIL = "I was charged twice for my order last week, and nobody has replied. Please refund me. " * 5
TEAMS = {"billing": "payments and refunds", "shipping": None, "technical": "bugs"}
LEVELS = ["calm", "annoyed", "furious"]
QUESTIONS: dict[str, Any] = {
    "refund": {"type": "noul", "instructions": "Is the customer asking for a refund?"},
    "team": {"type": "choice", "instructions": "Which team?", "criteria": TEAMS},
    "anger": {"type": "score", "instructions": "How angry is the customer?", "criteria": LEVELS},
}
USAGE = {"input_tokens": 147, "output_tokens": 0, "cost": 2.94e-06}
SYSTEM_ONE = {
    "id": "gen-dec-1",
    "model": "liquid/d1.2",
    "provider": "Liquid",
    "answers": {
        "refund": {"type": "noul", "noul": 0.97},
        "team": {"type": "choice", "choice": "billing", "confidence": 0.85,
                 "probabilities": {"billing": 0.9, "shipping": 0.02, "technical": 0.08}},
        "anger": {"type": "score", "score": 1.2, "confidence": 0.4, "probabilities": {"0": 0.1, "1": 0.6, "2": 0.3},
                  "legend": {"0": "calm", "1": "annoyed", "2": "furious"}},
    },
    "usage": USAGE,
}  # fmt: skip
# OpenAI's own form: https://platform.openai.com/docs/api-reference/decisions, read 2026-11-28.
LISTED = {
    "id": "dec_1",
    "object": "decision",
    "created_at": 1790000000,
    "model": "gpt-6-luna",
    "answers": [
        {"type": "predicate", "name": "refund", "probability": 0.97},
        {"type": "choice", "name": "team", "choice": "billing", "confidence": 0.85, "probabilities": [
            {"value": "billing", "probability": 0.9}, {"value": "shipping", "probability": 0.02},
            {"value": "technical", "probability": 0.08}]},
        {"type": "score", "name": "anger", "score": 1.2, "confidence": 0.4, "probabilities": [
            {"value": level, "label": LEVELS[level], "probability": p} for level, p in enumerate((0.1, 0.6, 0.3))]},
    ],
    "usage": {"input_tokens": 147, "output_tokens": 0, "total_tokens": 147},
}  # fmt: skip


class DecisionRow(NamedTuple):
    """What a call took.

    Attributes:
        subject: Who asked.
        one_us: Microseconds of CPU for a call, one after the other; None if it has no such way.
        many_us: The same with 100 at once.
        more_us: The same with 400 at once.
    """

    subject: str
    one_us: float | None
    many_us: float | None
    more_us: float | None


def _client(url: str) -> tuple[Callable[[], Any], Callable[[], Any]]:
    from lfm_adapter import AsyncLFMClient, LFMClient

    facts: dict[str, Any] = {"model": "liquid/d1.2", "base_url": url, "api_key": KEY}
    one, many = LFMClient(**facts), AsyncLFMClient(**facts)
    return lambda: one.decide(MAIL, QUESTIONS), lambda: many.decide(MAIL, QUESTIONS)


def _langchain(url: str) -> tuple[Callable[[], Any], Callable[[], Any]]:
    from langchain_core.decisions import Choice, Noul, Score

    from lfm_adapter import LFMDecisions

    model = LFMDecisions(base_url=url, api_key=KEY)  # type: ignore[arg-type]
    questions = {
        "refund": Noul(instructions=QUESTIONS["refund"]["instructions"]),
        "team": Choice(instructions=QUESTIONS["team"]["instructions"], criteria=TEAMS),  # type: ignore[arg-type]
        "anger": Score(instructions=QUESTIONS["anger"]["instructions"], criteria=LEVELS),  # type: ignore[arg-type]
    }
    request: Any = {"state": MAIL, "questions": questions}
    return lambda: model.invoke(request), lambda: model.ainvoke(request)


def _floor(_: str) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """What LangChain itself costs: a model that answers from memory."""
    from langchain_core.decisions import BaseDecisionModel, ClassifierResponse

    answer = ClassifierResponse.model_validate({key: SYSTEM_ONE[key] for key in ("model", "answers")})

    class Empty(BaseDecisionModel):
        @property
        def _provider(self) -> str:
            return "none"

        def _classify(self, state: Any, questions: Any) -> ClassifierResponse:
            return answer

        async def _aclassify(self, state: Any, questions: Any) -> ClassifierResponse:
            return answer

    model = Empty(model="none")
    request: Any = {"state": MAIL, "questions": QUESTIONS}
    return lambda: model.invoke(request), lambda: model.ainvoke(request)


def _openai(url: str) -> tuple[Callable[[], Any], Callable[[], Any]]:
    from langchain_openai.decisions import Choice, OpenAIDecisions, Predicate, Score  # type: ignore[import-not-found]

    model = OpenAIDecisions(model="gpt-6-luna", base_url=url, api_key=KEY)
    questions = {
        "refund": Predicate(instructions=QUESTIONS["refund"]["instructions"]),
        "team": Choice(
            instructions=QUESTIONS["team"]["instructions"],
            choices={name: text or name for name, text in TEAMS.items()},
        ),
        "anger": Score(instructions=QUESTIONS["anger"]["instructions"], levels=LEVELS),
    }
    request = {"input": MAIL, "questions": questions}
    return lambda: model.invoke(request), lambda: model.ainvoke(request)


def _litellm(url: str) -> tuple[Callable[[], Any], Callable[[], Any]]:
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import litellm

    asked = {"model": "openrouter/liquid/d1.2", "state": MAIL, "questions": QUESTIONS, "api_key": KEY, "api_base": url}
    return lambda: litellm.systemone(**asked), lambda: litellm.asystemone(**asked)


SUBJECTS: dict[str, Callable[[str], tuple[Callable[[], Any], Callable[[], Any]]]] = {
    "LFMClient.decide": _client,
    "LFMDecisions": _langchain,
    "floor: an empty decision model": _floor,
    "OpenAIDecisions": _openai,
    "LiteLLM, systemone openrouter/": _litellm,
}


def measure_decisions(calls: int = 400, subjects: Iterable[str] = SUBJECTS) -> list[DecisionRow]:
    """Return what a call took each of `subjects` that is installed."""
    with _served() as url:
        rows = []
        for subject in subjects:
            command = [sys.executable, "-m", "benchmarks.decisions", "worker", subject, url, str(calls)]
            done = subprocess.run(command, check=False, capture_output=True, text=True)
            if done.returncode == 0:
                rows.append(DecisionRow(subject, *json.loads(done.stdout.splitlines()[-1])))
            else:
                print(f"{subject}: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return rows


def table(rows: list[DecisionRow]) -> str:
    """Return the rows as Markdown."""
    lines = ["| | one by one, µs | 100 at once, µs | 400 at once, µs |", "| --- | --- | --- | --- |"]
    for row in rows:
        cells = ("-" if us is None else f"{us:,.0f}" for us in row[1:])
        lines.append(f"| {row.subject} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _work(subject: str, url: str, calls: int) -> list[float]:
    one, many = SUBJECTS[subject](url)
    one()

    def cpu_us(work: Callable[[], object], count: int) -> float:
        best = float("inf")
        for _ in range(3):
            began = time.process_time()
            work()
            best = min(best, (time.process_time() - began) / count * 1e6)
        return best

    async def at_once(number: int, each: int) -> None:
        async def some() -> None:
            for _ in range(each):
                await many()

        await asyncio.gather(*(some() for _ in range(number)))

    with asyncio.Runner() as runner:
        runner.run(at_once(1, 1))
        singly = cpu_us(lambda: [one() for _ in range(calls)], calls)
        hundred = cpu_us(lambda: runner.run(at_once(100, max(1, calls // 100))), 100 * max(1, calls // 100))
        more = cpu_us(lambda: runner.run(at_once(400, max(1, calls // 400))), 400 * max(1, calls // 400))
    return [singly, hundred, more]


async def _serve() -> None:
    replies = {
        kind: b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        for kind, body in (("one", json.dumps(SYSTEM_ONE).encode()), ("listed", json.dumps(LISTED).encode()))
    }

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                await reader.readexactly(int(head.partition(b"content-length: ")[2].split(b"\r\n")[0]))
                is_openais = head.split(b" ")[1] == b"/openrouter.ai/api/v1/decisions"
                writer.write(replies["listed" if is_openais else "one"])

    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextlib.contextmanager
def _served() -> Iterator[str]:
    with served_by("benchmarks.decisions", "serve") as url:
        yield f"{url}/openrouter.ai/api/v1"  # which clients take for OpenRouter


def main() -> None:
    """Do what the command line says."""
    match sys.argv[1:]:
        case ["serve"]:
            asyncio.run(_serve())
        case ["worker", subject, url, calls]:
            print(json.dumps(_work(subject, url, int(calls))))
        case ["--quick"]:
            print(table(measure_decisions(100)))
        case _:
            FILE.write_text(NOTE.format(load=os.getloadavg()[0], table=table(measure_decisions())), encoding="utf-8")
            print(FILE.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
