"""What every command needs: the program itself, options that many have, the lists of the config, exit codes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digest.cli import completing
from digest.cli.helping import Commands
from digest.errors import DONE, NOTHING, PARTLY, USAGE, ConfigError, DigestError

if TYPE_CHECKING:
    from digest.app import App
    from digest.console import Terminal
    from digest.model import Address
    from digest.settings import Installation, ListConfig


WEB_INSTALL = "`pip install 'papers-digest[web]'`"
GOES_ON = "what is recorded stays, and the same command goes on from there; `digest resolve` shows what is in doubt"
"""Said when a send is broken off."""

cli = Commands(
    name="digest",
    help="Get trending papers in your email inbox: pull new abstracts, rank them against each subscriber's topics, "
    "render one email each and deliver it exactly once.",
    epilog="Start with `digest demo`: the whole way on invented papers, with no network. Then `digest init`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ConfigOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--config",
        "-c",
        metavar="PATH",
        help="A list's TOML file, or a folder of them; may be repeated. Default: $DIGEST_CONFIG, else config.toml.",
    ),
]
NowOption = Annotated[
    str | None, typer.Option("--now", metavar="ISO-8601", help="Act as if this were the time, e.g. 2026-06-09T07:00Z.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]
VerboseOption = Annotated[
    int,
    typer.Option(
        "--verbose",
        "-v",
        count=True,
        help="Tell how, not only what: the log, and where an error arose; -vv tells more.",
        metavar="",
        show_default=False,
    ),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Say only what went wrong.")]
LogJsonOption = Annotated[
    bool, typer.Option("--log-json", help="Say nothing but the log, as JSON. Default: as $DIGEST_LOG_JSON has it.")
]
ToOption = Annotated[
    list[str] | None,
    typer.Option(
        "--to", metavar="EMAIL", help="Only this subscriber; may be repeated.", autocompletion=completing.addresses
    ),
]
ListArgument = Annotated[
    str | None,
    typer.Argument(metavar="LIST", help="Only the list with this id.", autocompletion=completing.list_ids),
]


def clock_at(now: str | None) -> Callable[[], datetime]:
    """The time that `--now` gives, or the real one. Raises ConfigError."""
    if now is None:
        return lambda: datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(now)
    except ValueError:
        raise ConfigError(f"--now {now}: not a time; write it as 2026-06-09T07:00Z") from None
    fixed = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if not 1970 <= fixed.year <= 9000:
        raise ConfigError(f"--now {now}: that is not a time of papers; write it as 2026-06-09T07:00Z")
    return lambda: fixed


def running_clock(now: str | None) -> Callable[[], datetime]:
    """The time, for what runs on: it begins at `now` and goes its way."""
    offset = clock_at(now)() - datetime.now(UTC) if now else timedelta()
    return lambda: datetime.now(UTC) + offset


def config_paths(config: list[Path] | None) -> list[Path]:
    """The files and folders that `--config` names, or the default."""
    return config or [Path(p) for p in os.environ.get("DIGEST_CONFIG", "config.toml").split(os.pathsep)]


def set_up_logging(verbose: int, *, quiet: bool = False, log_json: bool = False) -> None:
    """The log begins, on standard error: as JSON by the option, or by $DIGEST_LOG_JSON."""
    from digest import logs

    wanted = os.environ.get("DIGEST_LOG_JSON", "").casefold() not in ("", "0", "false", "no")
    logs.set_up(verbose=verbose, quiet=quiet, as_json=log_json or wanted)


def loaded(config: list[Path] | None, verbose: int, *, quiet: bool = False, log_json: bool = False) -> Installation:
    """The lists of the config, after its warnings; the log begins with it. Raises ConfigError."""
    from digest.console import complain
    from digest.settings import load

    set_up_logging(verbose, quiet=quiet, log_json=log_json)
    installation = load(config_paths(config))
    for each in installation.lists:
        for warning in each.warnings:
            complain(f"warning: {warning}")
    return installation


def tell(error: Exception) -> int:
    """Says on standard error what went wrong, with `-v` also how; the exit code. The unforeseen is a bug of ours.

    With `--log-json` it is said in the log, as an error: `--quiet` does not swallow it.
    """
    import logging
    import traceback

    from digest.console import complain, explained

    say = partial(complain, level=logging.ERROR)
    verbose = logging.getLogger("digest").isEnabledFor(logging.DEBUG)
    if verbose:
        say("".join(traceback.format_exception(error)))
    if isinstance(error, DigestError):
        say(explained(error))
        return error.exit_code
    last = traceback.extract_tb(error.__traceback__)[-1]
    next_ = "report it with what is above" if verbose else "`-v` tells more: report it with that"
    say(f"a bug in digest, {type(error).__name__} at {Path(last.filename).name}:{last.lineno}: {error}; {next_}")
    return PARTLY


def terminal_for(as_json: bool) -> Terminal:
    """Where a command says what it does."""
    from digest.console import Terminal

    return Terminal(as_json=as_json)


def each_list(
    installation: Installation,
    now: str | None,
    work: Callable[[App], int],
    *,
    keep: bool = True,
    only: str | None = None,
) -> None:
    """Does the work for every list, or only for that with the id `only`. Exits with the worst code."""
    from digest.app import App

    chosen, clock = chosen_lists(installation, only), clock_at(now)

    def opened(config: ListConfig) -> int:
        with App(config, clock, keep=keep) as app:
            return work(app)

    do_all(partial(opened, config) for config in chosen)


def chosen_lists(installation: Installation, only: str | None) -> list[ListConfig]:
    """All lists, or that with the id `only`. Raises ConfigError where there is none."""
    chosen = [c for c in installation.lists if only is None or c.mailing_list.id == only]
    if not chosen:
        known = ", ".join(c.mailing_list.id for c in installation.lists)
        raise ConfigError(f"there is no list {only}; there is {known}")
    return chosen


def one_list(installation: Installation, only: str | None) -> ListConfig:
    """The list with the id `only`, or the one that there is. Raises ConfigError where it must be named."""
    chosen = chosen_lists(installation, only)
    if len(chosen) > 1:
        raise ConfigError(f"there are several lists: name one, --list {chosen[0].mailing_list.id}")
    return chosen[0]


def do_all(works: Iterable[Callable[[], int]]) -> None:
    """Does every work; one's failure never keeps the others from theirs. Exits with the worst of their codes.

    But who has asked to stop has asked it of all: no other work is begun.
    """
    from digest import stopping

    codes: list[int] = []
    for work in works:
        if codes and stopping.was_asked():
            codes.append(PARTLY)
            break
        try:
            codes.append(work())
        except (typer.Exit, typer.Abort):
            raise
        except Exception as error:
            codes.append(tell(error))
    worst = next((code for code in (USAGE, PARTLY, NOTHING) if code in codes), DONE)
    raise typer.Exit(worst)


def heading(terminal: Terminal, app: App) -> None:
    """Says which list it is about."""
    terminal.say(f"{app.list.name} ({app.list.id})", style="bold")


def addresses_of(written: list[str]) -> list[Address]:
    """The addresses as they were written. Raises ConfigError naming one that is none."""
    from digest.subscribe.values import WrongValue, email_address

    try:
        return [email_address(address) for address in written]
    except WrongValue as error:
        raise ConfigError(f"{', '.join(written)}: {error.must}") from None
