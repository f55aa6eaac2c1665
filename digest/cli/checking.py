"""`digest check`: the doctor."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digest import stopping
from digest.cli.common import (
    ConfigOption,
    JsonOption,
    NowOption,
    VerboseOption,
    cli,
    clock_at,
    config_paths,
    set_up_logging,
    terminal_for,
)
from digest.errors import DONE, PARTLY, USAGE, ConfigError, Problem

if TYPE_CHECKING:
    from digest.check.findings import Finding
    from digest.console import Terminal
    from digest.settings import ListConfig


@cli.command(
    epilog="Example: digest check --config lists/ --fix",
    if_stopped="what is shown above holds, the rest was not looked at",
)
def check(
    config: ConfigOption = None,
    fix: Annotated[
        bool,
        typer.Option("--fix", help="First do what is safe: make missing folders and keys, migrate a file of SQLite."),
    ] = False,
    resolver: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Ask this DNS server, e.g. 1.1.1.1 or 127.0.0.1:5300.")
    ] = None,
    now: NowOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Look at everything that an email depends on.

    Config, templates, every source, relays, mailbox, DNS (SPF, DKIM, DMARC, MX, PTR), links, database, disk, clock, and
    on PostgreSQL the queue: a line each, ok or what to do. Sends nothing. Exits with 1 if anything has failed; warnings
    are none.
    """
    from digest.check.findings import Level, worst

    set_up_logging(verbose)
    terminal = terminal_for(json)
    paths = config_paths(config)
    mended = _fix(paths) if fix else []
    lists, mistakes = _lists(paths)
    _show(terminal, None, mended + mistakes)
    found = [finding for findings in _examined(terminal, lists, now, resolver) for finding in findings]
    level = worst(mended + found)
    raise typer.Exit(USAGE if mistakes else PARTLY if level is Level.FAILED else DONE)


def _fix(paths: list[Path]) -> list[Finding]:
    from digest.check.fixing import fix
    from digest.settings.document import config_files

    found = []
    for path in config_files(paths)[0]:
        try:
            found += fix(path, os.environ)
        except ConfigError:
            continue  # it is told of in a moment
    return found


def _advice(problem: Problem | str) -> str:
    """Each mistake says itself what to write; this says what can be made."""
    makes = isinstance(problem, Problem) and problem.key.rpartition(".")[2] in ("templates", "key_file", "secret_file")
    return "where it is not there, `digest check --fix` makes it" if makes else ""


def _lists(paths: list[Path]) -> tuple[list[ListConfig], list[Finding]]:
    """The lists that can be used, and every mistake of those that cannot."""
    from digest.check.findings import failed
    from digest.settings import load
    from digest.settings.document import config_files

    try:
        return list(load(paths).lists), []
    except ConfigError as error:
        mistakes = [failed("config", str(problem), _advice(problem)) for problem in error.problems]
    lists: list[ListConfig] = []
    for path in config_files(paths)[0]:
        try:
            lists += load([path]).lists
        except ConfigError:
            continue
    return lists, mistakes


def _examined(
    terminal: Terminal, lists: list[ListConfig], now: str | None, resolver: str | None
) -> list[list[Finding]]:
    """Every list's findings, shown in order as each list is done."""
    from digest.check.doctor import Doctor, number_of_checks
    from digest.check.findings import ok, warning
    from digest.check.resolver import Resolver, own_address

    look_up, clock = Resolver(resolver), clock_at(now)
    doctors = [Doctor(each, clock(), look_up, os.environ) for each in lists]
    own = own_address()

    async def all_of_them() -> list[list[Finding]]:
        with terminal.steps("check", sum(map(number_of_checks, doctors))) as steps:
            return list(await asyncio.gather(*(doctor.examine(own, steps.done) for doctor in doctors)))

    found = []
    for each, findings in zip(lists, stopping.run(all_of_them()), strict=True):
        config = [warning("config", w, "change it, or leave it if it is meant") for w in each.warnings]
        said = config or [ok("config", f"{each.path}: no mistake")]
        found.append([*said, *findings])
        _show(terminal, each, found[-1])
    return found


_STYLES = {"failed": "red", "warning": "yellow", "ok": None}


def _show(terminal: Terminal, config: ListConfig | None, findings: list[Finding]) -> None:
    if config:
        terminal.say(f"{config.mailing_list.name} ({config.mailing_list.id})", style="bold")
    for finding in findings:
        todo = f"; {finding.todo}" if finding.todo else ""
        records = ":" if finding.publish else ""
        line = f"  {finding.level:<8} {finding.subject}: {finding.says}{todo}{records}"
        terminal.say(line, style=_STYLES[finding.level])
        for record in finding.publish:
            terminal.say(f"             {record}")
        terminal.emit({"list": config.mailing_list.id if config else None, **finding.json()})
