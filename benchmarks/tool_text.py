"""How long it takes to look for calls in text, ordinary and made to be slow.

    python benchmarks/tool_text.py

The exponent tells how time grows with size: 1 is linear, 2 quadratic.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from lfm_adapter._toolcalls.call_reader import CallReader
from lfm_adapter._toolcalls.tools import Tools

if TYPE_CHECKING:
    from collections.abc import Callable

MB = 1_000_000
SIZES = (MB // 4, MB // 2, MB)
PIECE_CHARS = 5

TOOLS = Tools.from_openai(
    [
        {
            "type": "function",
            "function": {
                "name": "run",
                "parameters": {
                    "type": "object",
                    "properties": {
                        "text": {"type": "string"},
                        "items": {"type": "array"},
                        "number": {"type": "integer"},
                    },
                },
            },
        }
    ]
)

START = "<|tool_call_start|>"
CALL = f'{START}[run(text="It is sunny, and 25 degrees.", items=[1, 2], number=3)]<|tool_call_end|>'

TEXTS: dict[str, Callable[[int], str]] = {
    "prose": lambda size: repeated("The weather in Paris is [1] sunny, a < b.\n", size),
    "calls": lambda size: repeated(f"{CALL}\n", size),
    "one long string": lambda size: f'{START}[run(text="{repeated("It is sunny. ", size)}")]<|tool_call_end|>',
    "one long list": lambda size: f"{START}[run(items=[{repeated('1, ', size)}])]<|tool_call_end|>",
    "start markers": lambda size: repeated(f"{START}[", size),
    "start markers with a name": lambda size: repeated(f"{START}[run(", size),
    "openings of XML": lambda size: repeated("<tool_call><function=run><parameter=text>", size),
    "less-than signs": lambda size: repeated("<", size),
    "square brackets": lambda size: repeated("[", size),
    "square brackets in a call": lambda size: f"{START}[run(items={repeated('[', size)}",
    "brackets that do not match": lambda size: f"{START}[run(items={'[' * (size // 2)}{')' * (size // 2)}",
    "brackets on lines": lambda size: repeated("[\n", size),
    "quotes": lambda size: repeated("'\"", size),
    "quotes in a call": lambda size: f"{START}[run(text='{repeated(chr(39), size)}",
    "quotes in a list": lambda size: f"{START}[run(items=['{repeated(chr(39), size)}",
    "quotes and commas in a call": lambda size: f"{START}[run(text='{repeated(chr(39) + ', a', size)}",
    "quotes that are not escaped in calls": lambda size: repeated(f"{START}[run(text='a 'b', items=['c 'd", size),
    "quotes that are not escaped in JSON": lambda size: repeated(
        '<tool_call>{"name": "run", "arguments": {"text": "a "b", "items": "c', size
    ),
    "backslashes in a call": lambda size: f"{START}[run(text='{repeated(chr(92), size)}",
    "beginnings of JSON": lambda size: repeated('{"name": "', size),
    "beginnings of JSON on lines": lambda size: repeated('{"name": "\n', size),
    "beginnings of JSON with a name": lambda size: repeated('{"name": "run", "arguments": ', size),
    "spaces": lambda size: repeated(" ", size),
    "spaces in a call": lambda size: f"{START}[run(text=1{repeated(' ', size)}",
    "spaces and markers": lambda size: repeated(f"{START}{' ' * 99}", size),
    "line feeds": lambda size: repeated("\n", size),
    "fences": lambda size: repeated("```json\n", size),
    "zeros": lambda size: f"{START}[run(number={repeated('0', size)}x",
    "arguments": lambda size: f"{START}[run({repeated('a=1, ', size)})]<|tool_call_end|>",
    "keys": lambda size: f"{START}[run({repeated('a', size)}",
}


def repeated(text: str, size: int) -> str:
    return (text * (size // len(text) + 1))[:size]


def read(pieces: list[str]) -> None:
    reader = CallReader(TOOLS, make_id=str)
    for piece in pieces:
        reader.feed(piece)
    reader.close()


def seconds(pieces: list[str]) -> float:
    start = time.process_time()
    read(pieces)
    return time.process_time() - start


def row(name: str, times: list[float]) -> str:
    exponent = math.log(max(times[-1], 1e-9) / max(times[0], 1e-9), SIZES[-1] / SIZES[0])
    return f"{name:<32}" + "".join(f"{time:10.3f}" for time in times) + f"{exponent:10.2f}"


def main() -> None:
    read([CALL])  # loads what is loaded on first use
    for title, chars in (("as a whole", MB), (f"in pieces of {PIECE_CHARS} characters", PIECE_CHARS)):
        print(f"\n{'CPU seconds, ' + title:<32}" + "".join(f"{size / MB:>7.2f} MB" for size in SIZES) + "  exponent")
        for name, make in TEXTS.items():
            texts = [make(size) for size in SIZES]
            print(row(name, [seconds([t[at : at + chars] for at in range(0, len(t), chars)]) for t in texts]))
    prose = [" word"] * (MB // PIECE_CHARS)
    print(f"\nordinary text, streamed: {seconds(prose) / len(prose) * 1e6:.2f} µs a piece of {PIECE_CHARS} characters")


if __name__ == "__main__":
    main()
