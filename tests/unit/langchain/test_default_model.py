"""`ChatLFM()` on OpenRouter: the successor of liquid/lfm-3b answers, however the model is copied."""

from __future__ import annotations

import copy
import pickle
import re
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import langchain_core
import pytest
from langchain_core.load import dumpd, load
from langchain_core.runnables import ConfigurableField
from packaging.version import Version

from lfm_adapter import ChatLFM, catalog
from lfm_adapter.errors import ModelNotFoundError, RetiredModelWarning
from lfm_adapter.testing import completion, error, stream
from tests.support.chat_ways import ALL_WAYS, MODEL, STREAMED, ask, sent

if TYPE_CHECKING:
    from collections.abc import Callable

    from lfm_adapter.testing import ScriptedOpenRouter

SUCCESSOR = catalog.get(MODEL).successors[0]

pytestmark = [
    pytest.mark.usefixtures("openrouter"),
    pytest.mark.filterwarnings("ignore::lfm_adapter.errors.RetiredModelWarning"),
    pytest.mark.filterwarnings("ignore:The function `load:langchain_core._api.LangChainBetaWarning"),
]


def asked(openrouter: ScriptedOpenRouter, model: Any, /, **call: Any) -> str:
    """The model that a call sends."""
    openrouter.add(completion(model=SUCCESSOR))
    model.invoke("Hi", **call)
    return str(sent(openrouter)["model"])


@pytest.mark.parametrize("way", ALL_WAYS)
def test_successor_answers_for_the_default_model(openrouter: ScriptedOpenRouter, way: str):
    openrouter.add(stream(model=SUCCESSOR) if way in STREAMED else completion(model=SUCCESSOR))
    model = ChatLFM()
    answer = ask(model, way)
    assert sent(openrouter)["model"] == SUCCESSOR
    assert answer.response_metadata["model_name"] == SUCCESSOR
    assert model.model == model.model_name == MODEL


@pytest.mark.parametrize("arguments", [{}, {"model": ""}])
def test_empty_name_is_the_default_model(openrouter: ScriptedOpenRouter, monkeypatch: Any, arguments: Any):
    monkeypatch.setenv("LFM_MODEL", "")
    model = ChatLFM(**arguments)
    assert model.model == MODEL
    assert asked(openrouter, model) == SUCCESSOR


def test_default_model_warns(openrouter: ScriptedOpenRouter):
    with pytest.warns(RetiredModelWarning, match="retired"):
        asked(openrouter, ChatLFM())


@pytest.mark.skipif(
    Version(langchain_core.__version__) < Version("1.8.3"),
    reason="langchain-core before 1.8.3 makes Python forget in each call which warnings it has shown",
)
def test_program_shows_one_warning_for_each_of_its_lines(openrouter: ScriptedOpenRouter):
    openrouter.add(completion(), completion(), stream())
    program = textwrap.dedent("""\
        from lfm_adapter import ChatLFM
        llm = ChatLFM()
        for _ in range(2):
            llm.invoke("Hi")
        list(llm.stream("Hi"))
        """)
    ran = subprocess.run(  # noqa: S603  # our own program
        [sys.executable, "-c", program],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert re.findall(r"^(.*): RetiredModelWarning: ", ran.stderr, re.MULTILINE) == ["<string>:4", "<string>:5"]


@pytest.mark.parametrize("options", [{"model": MODEL}, {"model_name": MODEL}, {"when_retired": "raise"}])
def test_named_retired_model_is_asked_and_raises(openrouter: ScriptedOpenRouter, options: dict[str, Any]):
    openrouter.add(error(404, "No endpoints found for liquid/lfm-3b."))
    with pytest.raises(ModelNotFoundError):
        ChatLFM(max_retries=0, **options).invoke("Hi")
    assert sent(openrouter)["model"] == MODEL


def test_when_retired_applies_to_named_models(openrouter: ScriptedOpenRouter):
    assert asked(openrouter, ChatLFM(model=MODEL, when_retired="successor")) == SUCCESSOR
    assert asked(openrouter, ChatLFM(), when_retired="raise") == MODEL


def test_model_of_the_environment_counts_as_named(openrouter: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LFM_MODEL", MODEL)
    assert asked(openrouter, ChatLFM()) == MODEL
    monkeypatch.setenv("LFM_MODEL", "liquid/lfm-40b")
    model = ChatLFM()
    monkeypatch.delenv("LFM_MODEL")
    assert asked(openrouter, model) == "liquid/lfm-40b"


def test_model_of_a_call_counts_as_named(openrouter: ScriptedOpenRouter):
    model = ChatLFM()
    assert asked(openrouter, model, model="liquid/lfm-40b") == "liquid/lfm-40b"
    assert asked(openrouter, model, model=None) == SUCCESSOR
    assert asked(openrouter, model.bind(model=MODEL)) == MODEL


def test_model_that_is_assigned_counts_as_named(openrouter: ScriptedOpenRouter):
    model = ChatLFM()
    model.model = "liquid/lfm-40b"
    assert asked(openrouter, model) == "liquid/lfm-40b"
    assert asked(openrouter, ChatLFM().model_copy(update={"model": "liquid/lfm-40b"})) == "liquid/lfm-40b"


@pytest.mark.parametrize("base_url", ["http://127.0.0.1:9/v1", "https://gateway.example.com/v1"])
def test_other_servers_get_the_default_model_unchanged(base_url: str):
    settings = ChatLFM(base_url=base_url)._settings()
    assert settings.resolve_model() == MODEL


COPIES: dict[str, Callable[[ChatLFM], Any]] = {
    "configurable fields": lambda model: model.configurable_fields(temperature=ConfigurableField(id="t")).with_config(
        configurable={"t": 0.5}
    ),
    "model_copy": lambda model: model.model_copy(update={"temperature": 0.5}),
    "deepcopy": copy.deepcopy,
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),  # noqa: S301  # our own
    "load": lambda model: load(
        dumpd(model),
        allowed_objects=[ChatLFM],
        valid_namespaces=["lfm_adapter"],
        secrets_map={"OPENROUTER_API_KEY": "test-key"},
    ),
}


@pytest.mark.parametrize("copied", COPIES)
def test_copy_of_the_default_model_asks_its_successor(openrouter: ScriptedOpenRouter, copied: str):
    assert asked(openrouter, COPIES[copied](ChatLFM())) == SUCCESSOR


@pytest.mark.parametrize("copied", COPIES)
def test_copy_of_a_named_model_asks_that_model(openrouter: ScriptedOpenRouter, copied: str):
    assert asked(openrouter, COPIES[copied](ChatLFM(model=MODEL))) == MODEL


def test_profile_of_the_default_model_is_its_successors():
    assert ChatLFM().profile == ChatLFM(model=SUCCESSOR).profile
    assert ChatLFM(model=MODEL).profile != ChatLFM().profile
