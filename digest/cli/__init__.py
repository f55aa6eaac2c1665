"""The command line. Each command is a few lines over `app.py`; `console/` does the talking.

Heavy modules are imported inside the commands: `digest --help` must stay quick. Exit codes: 0 done; 1 done in part or
failed; 2 config or usage; 3 nothing to do where something was expected. The modules register their commands with `cli`
when they are imported, in the order in which `--help` shows them.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Annotated

import typer

from digest import __version__
from digest.cli.common import JsonOption, VerboseOption, cli, set_up_logging, tell, terminal_for

# Each adds its commands to `cli`, which shows them in this order.
from digest.cli import starting, checking, editions, replaying, deliveries, running, people, keeping, migrating  # isort: skip

__all__ = [
    "checking",
    "cli",
    "deliveries",
    "editions",
    "keeping",
    "main",
    "migrating",
    "people",
    "replaying",
    "running",
    "starting",
]


def main() -> None:
    """Runs the command line; every error is a line or two on standard error, a traceback only with `-v`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that lacks a letter must not break off a send
    try:
        cli()
    except Exception as error:
        sys.exit(tell(error))


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"digest {__version__}")
        raise typer.Exit


@cli.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@cli.command(epilog="Example: digest demo --out /tmp/demo", if_stopped="the same command goes on from there")
def demo(
    out: Annotated[Path, typer.Option(metavar="DIR", help="The demo's folder: its config, database and inbox.")] = Path(
        "digest-demo"
    ),
    restart: Annotated[bool, typer.Option("--restart", help="Forget the days that were sent.")] = False,
    json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Show the whole way on invented papers, with no network.

    It starts an SMTP server of its own and sends two days' editions to four readers, one day a run.
    """
    from digest.demo.run import run_demo

    set_up_logging(verbose)

    raise typer.Exit(run_demo(out, restart=restart, terminal=terminal_for(json)))
