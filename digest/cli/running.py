"""`digest run`, `web` and `mailbox`: what goes on by itself."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from digest import stopping
from digest.errors import ConfigError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from digest.settings import Installation
    from digest.web.serving import Pages

from digest.cli.common import (
    GOES_ON,
    WEB_INSTALL,
    ConfigOption,
    JsonOption,
    LogJsonOption,
    NowOption,
    QuietOption,
    VerboseOption,
    cli,
    clock_at,
    do_all,
    loaded,
    running_clock,
    terminal_for,
)


@cli.command(epilog="Example: digest run --config lists/ --web", if_stopped=GOES_ON)
def run(
    config: ConfigOption = None,
    web_: Annotated[bool, typer.Option("--web", help="Serve the pages as well, as `digest web` does.")] = False,
    now: NowOption = None,
    verbose: VerboseOption = 0,
    quiet: QuietOption = False,
    log_json: LogJsonOption = False,
) -> None:
    """Send every list by its schedule, until stopped.

    Mailboxes are read, and commands in them answered, as mail comes. Ctrl-C and SIGTERM end it tidily: conversations
    that are open are finished first.
    """
    from digest.scheduler import run_until_stopped

    installation = loaded(config, verbose, quiet=quiet, log_json=log_json)
    clock = running_clock(now)
    if not web_:
        stopping.run(run_until_stopped(installation.lists, clock))
        return
    with _pages(installation, clock, None, None) as pages:
        stopping.run(run_until_stopped(installation.lists, clock, pages.serve))


@cli.command(epilog="Example: digest worker --config lists/", if_stopped=GOES_ON)
def worker(config: ConfigOption = None, now: NowOption = None, verbose: VerboseOption = 0) -> None:
    """Rank and send for lists on PostgreSQL, on any host.

    Any number of workers share the work of the editions that `digest run` makes. Ctrl-C and SIGTERM end one tidily:
    conversations that are open are finished first, the rest is left to others.
    """
    from digest.worker import work_until_stopped

    stopping.run(work_until_stopped(loaded(config, verbose).lists, running_clock(now)))


@cli.command(epilog="Example: digest web --config lists/ --port 8080")
def web(
    config: ConfigOption = None,
    host: Annotated[
        str | None, typer.Option(metavar="HOST", help="Where to listen. Default: `host` of [web], else 127.0.0.1.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, metavar="PORT", help="Default: `port` of [web], else 8000.")
    ] = None,
    now: NowOption = None,
    verbose: VerboseOption = 0,
    quiet: QuietOption = False,
    log_json: LogJsonOption = False,
) -> None:
    """Serve the pages: papers, sign-up, preferences, votes.

    They belong behind a server that speaks https, at the `base_url` of [list]. Needs the extra `web`.
    """
    installation = loaded(config, verbose, quiet=quiet, log_json=log_json)
    with _pages(installation, running_clock(now), host, port) as pages:
        stopping.run(pages.serve_until_stopped())


def _pages(
    installation: Installation, clock: Callable[[], datetime], host: str | None, port: int | None
) -> AbstractContextManager[Pages]:
    try:
        from digest.web.serving import opened
    except ModuleNotFoundError as error:
        raise ConfigError(f"the pages need an extra that is not installed ({error.name}): {WEB_INSTALL}") from None
    return opened(installation.lists, clock, terminal_for(False), host, port)


@cli.command(
    epilog="Example: digest mailbox --config lists/ --json",
    if_stopped="messages that were not dealt with are read the next time",
)
def mailbox(
    config: ConfigOption = None,
    now: NowOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = 0,
    quiet: QuietOption = False,
    log_json: LogJsonOption = False,
) -> None:
    """Read the mailbox once: commands, votes and bounces.

    Does what was asked by mail, where it is proved who asks, and answers. Suppresses addresses that are gone, and those
    of people who complain. Nothing is deleted; what was dealt with is marked as seen.
    """
    from digest.commands import receiving
    from digest.mailroom.reading import shared

    installation = loaded(config, verbose, quiet=quiet, log_json=log_json)
    groups = shared(installation.lists)
    if not groups:
        paths = ", ".join(str(each.path) for each in installation.lists)
        raise ConfigError(f"{paths}: there is no [mailbox] with host, username and password")
    terminal, clock = terminal_for(json), clock_at(now)
    do_all(partial(receiving.mailbox, terminal, group, clock) for group in groups)
