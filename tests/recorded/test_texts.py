"""Calls and objects as text, from other projects' tests and from reports: how many are read right.

`LFM_RECORDINGS` names the folder whose `texts` hold them. See its README for the keys.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections import Counter
from typing import Any

import pytest
from pydantic import SecretStr

from lfm_adapter import ChatLFM, LFMClient
from lfm_adapter.testing import ScriptedOpenRouter, completion
from tests.support import corpus

FILES = [] if corpus.FOLDER is None else sorted((corpus.FOLDER / "texts").glob("*.jsonl.gz"))
if not FILES:
    pytest.skip(corpus.WHY_NOT, allow_module_level=True)

TEXTS = [json.loads(line) for file in FILES for line in gzip.decompress(file.read_bytes()).decode().splitlines()]
# For all but the soft ones, on which others disagree, or which are in a form of another family.
AIMS = {"calls": 0.97, "json": 0.9}
MAX_SILENTLY_WRONG = 2


def calls_in(row: dict[str, Any], server: ScriptedOpenRouter) -> str:
    client = LFMClient(
        model="liquid/lfm-2-24b-a2b", base_url=server.base_url, api_key="test-key", tool_calling="prompted"
    )
    reply = client.chat("Hi", tools=row["tools"], max_output_retries=0, on_invalid_output="return")
    found = [[call.name, json.loads(call.arguments)] for call in reply.tool_calls if call.error is None]
    if found != row["expected_calls"]:
        return "silently wrong" if found else "refused"
    is_left = row["expected_text"] in ("?", None) or reply.text.split() == row["expected_text"].split()
    return "right" if is_left or "<think>" in row["text"] else "other text left"


def object_in(row: dict[str, Any], server: ScriptedOpenRouter) -> str:
    model = ChatLFM(
        model="liquid/lfm-3b", base_url=server.base_url, api_key=SecretStr("test-key"), max_output_retries=0
    )
    result: Any = model.with_structured_output(row["schema"], include_raw=True).invoke("Hi")
    found = result["parsed"]
    wanted = [row["expected_object"], *row["expected_also"]] if "expected_object" in row else [None]
    if isinstance(found, dict):
        found = {key: value for key, value in found.items() if key in row["schema"]["properties"] and value is not None}
    return "right" if found in wanted else "refused" if found is None else "silently wrong"


@pytest.mark.parametrize("suite", ["calls", "json"])
def test_texts_are_read_right_or_refused(suite: str, openrouter: ScriptedOpenRouter):
    counts: Counter[tuple[str, bool]] = Counter()
    wrong = []
    for row in TEXTS:
        if row["suite"] != suite:
            continue
        openrouter.add(completion(row["text"]))
        verdict = (calls_in if suite == "calls" else object_in)(row, openrouter)
        counts[verdict, bool(row.get("soft") or row.get("differs"))] += 1
        if verdict != "right":
            wrong.append(f"{verdict}: {row['text'][:200]!r}")
    total, firm = counts.total(), sum(count for (_, is_soft), count in counts.items() if not is_soft)
    right = counts["right", False] + counts["right", True]
    silent = counts["silently wrong", False] + counts["silently wrong", True]
    report = f"{suite}: {right} of {total} right, {silent} silently wrong, {total - right - silent} refused or left"
    sys.stdout.write(f"{report}\n")
    assert counts["right", False] >= AIMS[suite] * firm, "\n".join([report, *wrong])
    assert silent <= MAX_SILENTLY_WRONG, "\n".join([report, *wrong])
