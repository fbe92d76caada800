"""The command `lfm`."""

from __future__ import annotations

from typing import Annotated

import typer

from lfm_adapter._version import __version__
from lfm_adapter.apps.cli.chat import chat
from lfm_adapter.apps.cli.config import config, use_configured_model
from lfm_adapter.apps.cli.console import Commands
from lfm_adapter.apps.cli.decide import decide
from lfm_adapter.apps.cli.doctor import doctor
from lfm_adapter.apps.cli.gateway import gateway
from lfm_adapter.apps.cli.keys import keys, use_stored_key
from lfm_adapter.apps.cli.local import local
from lfm_adapter.apps.cli.log import log
from lfm_adapter.apps.cli.mcp import PlaceholderCommand, mcp
from lfm_adapter.apps.cli.models import models
from lfm_adapter.apps.cli.proxy_config import proxy_config
from lfm_adapter.apps.cli.run import run
from lfm_adapter.apps.cli.usage import usage

__all__ = ["app"]

app = typer.Typer(
    cls=Commands,
    help="Chat with Liquid AI's LFM models and connect programs to them, through OpenRouter or on your machine.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,  # boxes leave the text a third of the width
    pretty_exceptions_enable=False,
)
for _command in (chat, decide, models, local, gateway, usage, proxy_config, doctor, config):
    app.command()(_command)
app.command(cls=PlaceholderCommand)(mcp)
app.command(context_settings={"allow_interspersed_args": False, "ignore_unknown_options": True})(run)
app.add_typer(keys, name="keys")
app.add_typer(log, name="log")


@app.command("help")
def show_help(
    context: typer.Context,
    command: Annotated[
        list[str] | None, typer.Argument(metavar="COMMAND", help="Command to explain. Default: all.")
    ] = None,
) -> None:
    """Show help for a command."""
    app([*(command or []), "--help"], prog_name=context.find_root().info_name)


def _print_version(is_given: bool) -> None:
    if is_given:
        typer.echo(f"lfm-adapter {__version__}")
        raise typer.Exit


@app.callback()
def _lfm(
    context: typer.Context,
    *,
    version: Annotated[  # noqa: ARG001 - its callback prints it
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    if context.invoked_subcommand not in ("config", "help", "keys"):  # these must work where a file is damaged
        use_configured_model()
        use_stored_key()
