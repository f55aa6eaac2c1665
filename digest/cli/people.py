"""`digest suppressions`, `subscribers` and `feeds`: who gets a list, and what is taken over from other programs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digest.errors import ConfigError
from digest.members import Standing
from digest.model import Frequency

if TYPE_CHECKING:
    from digest.subscribe.importing import SubscriberRow

from digest.cli import completing
from digest.cli.common import (
    ConfigOption,
    JsonOption,
    NowOption,
    ToOption,
    VerboseOption,
    addresses_of,
    chosen_lists,
    cli,
    clock_at,
    do_all,
    loaded,
    one_list,
    set_up_logging,
    terminal_for,
)
from digest.cli.helping import Commands

suppressions = Commands(
    help="Show and change who gets nothing any more, from no list.",
    no_args_is_help=True,
    rich_markup_mode=None,
    epilog="Example: digest suppressions list --json",
)
cli.add_typer(suppressions, name="suppressions")
AddressesArgument = Annotated[
    list[str],
    typer.Argument(metavar="EMAIL", help="One address or several.", autocompletion=completing.addresses),
]


@suppressions.command("list", epilog="Example: digest suppressions list --json")
def suppressions_list(config: ConfigOption = None, json: JsonOption = False, verbose: VerboseOption = 0) -> None:
    """Show every suppressed address, since when, and why."""
    from digest.commands.receiving import list_suppressions

    raise typer.Exit(list_suppressions(terminal_for(json), loaded(config, verbose)))


@suppressions.command("add", epilog="Example: digest suppressions add ada@example.org --reason 'asked by telephone'")
def suppressions_add(
    email: AddressesArgument,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; `list` shows it.")] = "added by hand",
    config: ConfigOption = None,
    now: NowOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Send to these addresses no more, from any list."""
    from digest.commands.receiving import suppress

    installation = loaded(config, verbose)
    raise typer.Exit(suppress(terminal_for(json), installation, addresses_of(email), reason, clock_at(now)()))


@suppressions.command("remove", epilog="Example: digest suppressions remove ada@example.org")
def suppressions_remove(
    email: AddressesArgument, config: ConfigOption = None, json: JsonOption = False, verbose: VerboseOption = 0
) -> None:
    """Send to these addresses again.

    Lists that they have left stay left. Bounces of the past still count until a message has arrived.
    """
    from digest.commands.receiving import release

    raise typer.Exit(release(terminal_for(json), loaded(config, verbose), addresses_of(email)))


subscribers = Commands(
    help="Show and change who gets a list.",
    no_args_is_help=True,
    rich_markup_mode=None,
    epilog="Example: digest subscribers import members.csv --dry-run",
)
cli.add_typer(subscribers, name="subscribers")
ListOption = Annotated[
    str | None,
    typer.Option("--list", metavar="LIST", help="Only the list with this id.", autocompletion=completing.list_ids),
]
_MANY = "with commas between them"


@subscribers.command("list", epilog="Example: digest subscribers list --status unsubscribed --json")
def subscribers_list(
    status: Annotated[
        Standing | None, typer.Option(metavar="STATUS", help=f"Only those who stand so: {', '.join(Standing)}.")
    ] = None,
    list_id: ListOption = None,
    config: ConfigOption = None,
    now: NowOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Show everybody whom a list knows, and how each stands.

    Also how she came, since when, and what she follows. People of the config and people who signed up stand side by
    side. `unlisted` are those who were in the config.
    """
    from digest.commands.people import list_members

    terminal, clock = terminal_for(json), clock_at(now)
    chosen = chosen_lists(loaded(config, verbose), list_id)
    do_all(partial(list_members, terminal, each, clock, status) for each in chosen)


@subscribers.command("add", epilog="Example: digest subscribers add ada@example.org --name Ada --topics video --ask")
def subscribers_add(
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="Her address.")],
    name: Annotated[str, typer.Option(metavar="TEXT", help="Her name.")] = "",
    topics: Annotated[str, typer.Option(metavar="NAMES", help=f"Topics of the list, by name, {_MANY}.")] = "",
    interests: Annotated[
        str, typer.Option(metavar="TEXT", help="Other interests in her own words, with semicolons between them.")
    ] = "",
    authors: Annotated[str, typer.Option(metavar="NAMES", help=f"Authors to look out for, {_MANY}.")] = "",
    categories: Annotated[str, typer.Option(metavar="NAMES", help=f"arXiv categories to prefer, {_MANY}.")] = "",
    language: Annotated[str, typer.Option(metavar="TAG", help="Her language, such as de or pt-BR.")] = "",
    timezone: Annotated[str, typer.Option(metavar="ZONE", help="Her time zone, such as Europe/Berlin.")] = "",
    frequency: Annotated[
        Frequency | None,
        typer.Option(metavar="HOW_OFTEN", help="daily, weekly or monthly, if less than the list comes out."),
    ] = None,
    hour: Annotated[
        int | None, typer.Option(min=0, max=23, metavar="HOUR", help="The hour of her day at which it comes.")
    ] = None,
    ask: Annotated[
        bool, typer.Option("--ask", help="Write to her, once; she is subscribed when she confirms.")
    ] = False,
    list_id: ListOption = None,
    config: ConfigOption = None,
    now: NowOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Put somebody on a list.

    At once, and you answer for her consent; or with --ask by her own confirmation. Who has unsubscribed or was erased
    is refused: then only --ask is left. Without topics or anything else to choose by, she follows all of the list's
    topics.
    """
    from digest.commands.people import add

    row = _row(email, name, topics, interests, authors, categories, language, timezone, frequency, hour)
    chosen = one_list(loaded(config, verbose), list_id)
    do_all([partial(add, terminal_for(json), chosen, clock_at(now), row, ask=ask)])


def _row(
    email: str,
    name: str,
    topics: str,
    interests: str,
    authors: str,
    categories: str,
    language: str,
    timezone: str,
    frequency: Frequency | None,
    hour: int | None,
) -> SubscriberRow:
    """The options of `add` as a row of a CSV. Raises ConfigError."""
    from digest.subscribe import values
    from digest.subscribe.importing import SubscriberRow

    def read(option: str, text: str, reader: Callable[[str], str]) -> str | None:
        try:
            return reader(text) if text.strip() else None
        except values.WrongValue as error:
            raise ConfigError(error.about(option, text)) from None

    def each(option: str, text: str, reader: Callable[[str], str], between: str = ",") -> tuple[str, ...]:
        found = (read(option, part.strip(), reader) for part in text.split(between))
        return tuple(value for value in found if value)

    return SubscriberRow(
        line=0,
        address=addresses_of([email])[0],
        name=read("--name", name, values.one_line) or "",
        topics=each("--topics", topics, values.one_line),
        authors=each("--authors", authors, values.one_line),
        categories=each("--categories", categories, values.arxiv_category),
        timezone=read("--timezone", timezone, values.time_zone),
        language=read("--language", language, values.language_tag),
        frequency=frequency,
        hour=hour,
        interests=each("--interests", interests, values.one_line, ";"),
    )


@subscribers.command("remove", epilog="Example: digest subscribers remove ada@example.org")
def subscribers_remove(
    email: AddressesArgument,
    list_id: ListOption = None,
    config: ConfigOption = None,
    now: NowOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Unsubscribe people, for good.

    Neither the config nor an import brings them back; they themselves may come again. From all lists of the config,
    unless --list names one.
    """
    from digest.commands.people import remove

    chosen = chosen_lists(loaded(config, verbose), list_id)
    do_all([partial(remove, terminal_for(json), chosen, clock_at(now), addresses_of(email))])


@subscribers.command(
    "import", epilog="Example: digest subscribers import members.csv --dry-run", if_stopped="nobody was imported"
)
def subscribers_import(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="A header with `email`, then a row a person.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done; change nothing.")] = False,
    list_id: ListOption = None,
    config: ConfigOption = None,
    now: NowOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Put everybody of a CSV on a list; you answer for their consent.

    Every row is checked and every mistake told with its line; unless all are right, nobody is imported. Who is a member
    is left as she is; who has unsubscribed, was erased or is suppressed is left out. All are counted. Other columns
    than `email` may be missing: name, topics (the list's), interests (own words), authors, categories, examples,
    timezone, language, frequency, hour, paused_until, state. In a cell, ; stands between several values.
    """
    from digest.commands.people import import_members

    chosen = one_list(loaded(config, verbose), list_id)
    do_all([partial(import_members, terminal_for(json), chosen, clock_at(now), file, keep=not dry_run)])


@subscribers.command(
    "export",
    epilog="Example: digest subscribers export --to ada@example.org --json",
    if_stopped="not everybody was written; a file is left as it was",
)
def subscribers_export(
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="The file to write; else it is printed.")] = None,
    to: ToOption = None,
    list_id: ListOption = None,
    config: ConfigOption = None,
    now: NowOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Write everybody as CSV, or with --json all that is held of them.

    `import` reads the CSV back; it escapes what a spreadsheet would compute. JSON, one object a line, has also votes,
    deliveries, bounces and letters: with --to, it is the answer to a person who asks what is kept of her.
    """
    from digest.commands.people import export

    chosen = one_list(loaded(config, verbose), list_id)
    do_all([partial(export, terminal_for(json), chosen, clock_at(now), file, addresses_of(to or []), as_json=json)])


@subscribers.command(
    "erase",
    epilog="Example: digest subscribers erase ada@example.org --yes",
    if_stopped="not all may be erased: give the same command again",
)
def subscribers_erase(
    email: AddressesArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether it is meant.")] = False,
    config: ConfigOption = None,
    now: NowOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Forget people, on all lists of the config.

    Their addresses, interests, votes, letters and what they were sent. A keyed hash of each address is left, so that
    neither the config nor an import brings them back. It cannot be undone.
    """
    from digest.commands.people import erase

    addresses, chosen = addresses_of(email), chosen_lists(loaded(config, verbose), None)
    if not yes:
        if not sys.stdin.isatty():
            raise ConfigError("erasing cannot be undone: say --yes where nobody can be asked")
        typer.confirm(f"Erase {', '.join(addresses)}? It cannot be undone", abort=True)
    do_all([partial(erase, terminal_for(json), chosen, clock_at(now), addresses)])


@subscribers.command(
    "examples", epilog="Example: digest subscribers examples ada@example.org ada.bib", if_stopped="nothing was added"
)
def subscribers_examples(
    email: Annotated[
        str, typer.Argument(metavar="EMAIL", help="A member's address.", autocompletion=completing.addresses)
    ],
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="FILE", help="BibTeX or BibLaTeX (.bib), or CSL JSON (.json).")
    ] = None,
    zotero: Annotated[
        str | None,
        typer.Option(
            metavar="LIBRARY",
            help="Zotero's users/NUMBER or groups/NUMBER, with /collections/KEY for a part; key in $ZOTERO_API_KEY.",
        ),
    ] = None,
    list_id: ListOption = None,
    config: ConfigOption = None,
    now: NowOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Add the papers of a library to what a member wants more of.

    Zotero exports BibTeX, BibLaTeX and CSL JSON; or it is asked itself, on its server or, by a whole address, on this
    machine: --zotero http://127.0.0.1:23119/api/users/0. For people of the config, name the file in `library` there.
    """
    from digest.commands.people import examples

    if not files and not zotero:
        raise ConfigError("name a file, or --zotero and a library")
    (address,) = addresses_of([email])
    chosen = one_list(loaded(config, verbose), list_id)
    do_all([partial(examples, terminal_for(json), chosen, clock_at(now), address, files or (), zotero)])


@cli.command(epilog="Example: digest feeds subscriptions.opml >> config.toml")
def feeds(
    file: Annotated[Path, typer.Argument(metavar="FILE.opml", help="As feed readers export it.")],
    json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Print the feeds of an OPML file as `[[sources]]`."""
    from digest.subscribe.opml import as_toml, read_opml

    set_up_logging(verbose)
    terminal, found = terminal_for(json), read_opml(file)
    terminal.say(as_toml(found).rstrip())
    for feed in found:
        terminal.emit({"name": feed.name, "url": feed.url})
