"""`lfm run`, with a stand-in for LiteLLM's registration."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from lfm_adapter import litellm
from lfm_adapter.apps.cli import app

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result

PROGRAM = """
import sys
print(sys.argv[1:], sys.path[0], __name__)
sys.exit(3)
"""


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether `register` was called, and that what a program does to `sys` is undone."""
    calls: list[bool] = []
    monkeypatch.setitem(vars(litellm), "register", lambda: calls.append(True))
    monkeypatch.setattr(sys, "argv", list(sys.argv))
    monkeypatch.setattr(sys, "path", list(sys.path))
    return calls


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["run", *arguments])


@pytest.mark.parametrize("separator", [["--"], []])
def test_file_gets_its_arguments_and_gives_its_exit_code(registered: list, tmp_path: Path, separator: list[str]):
    file = tmp_path / "agent.py"
    file.write_text(PROGRAM)
    result = run(*separator, str(file), "--model", "lfm/lfm-3b", "--help", "-x")
    assert result.stdout == f"['--model', 'lfm/lfm-3b', '--help', '-x'] {tmp_path} __main__\n"
    assert result.exit_code == 3
    assert registered == [True]


def test_module_is_found_in_the_working_directory(registered: list, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "an_agent.py").write_text(PROGRAM)
    monkeypatch.chdir(tmp_path)
    result = run("--", "-m", "an_agent", "--yes")
    assert result.stdout == "['--yes']  __main__\n"
    assert result.exit_code == 3
    assert registered == [True]


@pytest.mark.parametrize("module", ["no_such_agent", "no_such_agent.main", "an_agent.no_such_part", "a_library"])
def test_missing_module_is_a_one_line_error(
    registered: list, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str
):
    (tmp_path / "an_agent.py").write_text(PROGRAM.replace("sys.exit(3)", ""))
    (tmp_path / "a_library").mkdir()
    (tmp_path / "a_library" / "__init__.py").touch()
    monkeypatch.chdir(tmp_path)
    result = run("--", "-m", module)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: No module {module!r} that can be run")
    assert registered == []


def test_error_inside_a_module_is_the_modules_own(registered: list, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "needs_more.py").write_text("import no_such_library")
    monkeypatch.chdir(tmp_path)
    error = run("--", "-m", "needs_more").exception
    assert isinstance(error, ModuleNotFoundError)
    assert error.name == "no_such_library"


def test_command_is_found_by_its_name(registered: list, monkeypatch: pytest.MonkeyPatch):
    found = EntryPoint("an-agent", f"{__name__}:main", "console_scripts")
    monkeypatch.setattr(
        import_module("lfm_adapter.apps.cli.run"),
        "entry_points",
        lambda *, group, name: [found] if name == "an-agent" else [],
    )
    monkeypatch.setattr(EntryPoint, "load", lambda _: main)
    result = run("--", "an-agent", "--model", "lfm/lfm-3b")
    assert (result.stdout, result.exit_code) == ("['an-agent', '--model', 'lfm/lfm-3b']\n", 4)
    assert registered == [True]


def main() -> int:
    print(sys.argv)  # noqa: T201
    return 4


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["no-such-agent"], "No Python command 'no-such-agent' in "),
        (["python"], "Leave `python` out: `lfm run -- agent.py`."),
        (["sh"], "sh is outside of it"),
        (["no_such_agent.py"], "No such file: no_such_agent.py"),
    ],
)
def test_program_that_cannot_run_is_an_error(registered: list, arguments: list[str], told: str):
    result = run("--", *arguments)
    assert result.exit_code == 1
    assert told in result.stderr
    assert registered == []


def test_missing_litellm_is_a_one_line_error(registered: list, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "agent.py"
    file.write_text(PROGRAM)
    monkeypatch.delitem(vars(litellm), "register")
    monkeypatch.delitem(sys.modules, "lfm_adapter.litellm._provider", raising=False)
    monkeypatch.setitem(sys.modules, "litellm", None)
    result = run("--", str(file))
    assert result.exit_code == 1
    assert result.stderr == 'Error: LiteLLM is not installed. Run `pip install "lfm-adapter[litellm]"`.\n'


def test_litellm_import_error_is_a_one_line_error(registered: list, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "agent.py"
    file.write_text(PROGRAM)
    monkeypatch.delitem(vars(litellm), "register")
    monkeypatch.setitem(sys.modules, "lfm_adapter.litellm._provider", None)
    result = run("--", str(file))
    assert result.exit_code == 1
    assert "LiteLLM cannot be imported (" in result.stderr
    assert 'pip install "lfm-adapter[litellm]"' in result.stderr
