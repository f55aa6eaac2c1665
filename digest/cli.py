"""The command line. Each command is a few lines over `app.py`; `console.py` does the talking.

Heavy modules are imported inside the commands: `digest --help` must stay quick. Exit codes: 0 done; 1 done in part or
failed; 2 config or usage; 3 nothing to do where something was expected.
"""

from __future__ import annotations

import asyncio
import io
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digest import __version__
from digest.errors import ConfigError, DigestError
from digest.members import Standing
from digest.model import DeliveryStatus, Frequency

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from digest.app import App
    from digest.console import Terminal
    from digest.model import Address
    from digest.settings import Installation, ListConfig
    from digest.subscribe.importing import SubscriberRow
    from digest.web.serving import Pages

WEB_INSTALL = "`pip install 'papers-digest[web]'`"
DONE, PARTLY, USAGE, NOTHING = 0, 1, 2, 3

cli = typer.Typer(
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
        help="A list's TOML file, or a folder of them; may be repeated. Default: $DIGEST_CONFIG, else config.toml.",
    ),
]
NowOption = Annotated[
    str | None, typer.Option("--now", metavar="ISO-8601", help="Act as if this were the time, e.g. 2026-06-09T07:00Z.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]
VerboseOption = Annotated[bool, typer.Option("--verbose", "-v", help="Tell how, not only what.")]
ToOption = Annotated[
    list[str] | None, typer.Option("--to", metavar="EMAIL", help="Only this subscriber; may be repeated.")
]


def main() -> None:
    """Runs the command line; every foreseeable error is a line or two on standard error, never a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that lacks a letter must not break off a send
    try:
        cli()
    except DigestError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)


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


# --- what every command needs ---------------------------------------------------------------------------------------


def _clock(now: str | None) -> Callable[[], datetime]:
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


def _running_clock(now: str | None) -> Callable[[], datetime]:
    """The time, for what runs on: it begins at `now` and goes its way."""
    offset = _clock(now)() - datetime.now(UTC) if now else timedelta()
    return lambda: datetime.now(UTC) + offset


def _load(config: list[Path] | None, verbose: bool) -> Installation:
    import logging

    from digest.console import complain
    from digest.settings import load

    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.WARNING, format="%(name)s: %(message)s", stream=sys.stderr
    )
    for chatty in ("cssutils", "CSSUTILS", "premailer", "httpcore2", "asyncio"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    paths = config or [Path(p) for p in os.environ.get("DIGEST_CONFIG", "config.toml").split(os.pathsep)]
    installation = load(paths)
    for each in installation.lists:
        for warning in each.warnings:
            complain(f"warning: {warning}")
    return installation


def _terminal(as_json: bool) -> Terminal:
    from digest.console import Terminal

    return Terminal(as_json=as_json)


def _each(
    installation: Installation,
    now: str | None,
    work: Callable[[App], int],
    *,
    keep: bool = True,
    only: str | None = None,
) -> None:
    """Does the work for every list, or only for that with the id `only`. Exits with the worst code."""
    from digest.app import App

    chosen, clock = _lists(installation, only), _clock(now)

    def opened(config: ListConfig) -> int:
        with App(config, clock, keep=keep) as app:
            return work(app)

    _all(partial(opened, config) for config in chosen)


def _lists(installation: Installation, only: str | None) -> list[ListConfig]:
    """All lists, or that with the id `only`. Raises ConfigError where there is none."""
    chosen = [c for c in installation.lists if only is None or c.mailing_list.id == only]
    if not chosen:
        known = ", ".join(c.mailing_list.id for c in installation.lists)
        raise ConfigError(f"there is no list {only}; there is {known}")
    return chosen


def _one_list(installation: Installation, only: str | None) -> ListConfig:
    """The list with the id `only`, or the one that there is. Raises ConfigError where it must be named."""
    chosen = _lists(installation, only)
    if len(chosen) > 1:
        raise ConfigError(f"there are several lists: name one, --list {chosen[0].mailing_list.id}")
    return chosen[0]


def _all(works: Iterable[Callable[[], int]]) -> None:
    """Does every work; one's failure never keeps the others from theirs. Exits with the worst of their codes."""
    from digest.console import complain, explained

    codes = []
    for work in works:
        try:
            codes.append(work())
        except DigestError as error:
            complain(explained(error))
            codes.append(error.exit_code)
    worst = next((code for code in (USAGE, PARTLY, NOTHING) if code in codes), DONE)
    raise typer.Exit(worst)


def _heading(terminal: Terminal, app: App) -> None:
    terminal.say(f"{app.list.name} ({app.list.id})", style="bold")


# --- the commands ---------------------------------------------------------------------------------------------------


@cli.command(epilog="Example: digest init lists/video-lab.toml --email ada@example.org --categories cs.CV,cs.LG")
def init(
    path: Annotated[Path, typer.Argument(help="The file to write.")] = Path("config.toml"),
    name: Annotated[str, typer.Option(help="The list's name, as readers see it.")] = "My Papers",
    email: Annotated[
        str, typer.Option(help="The first subscriber, and the sender until you change it.")
    ] = "me@example.org",
    categories: Annotated[str, typer.Option(help="arXiv categories, with commas.")] = "cs.CV,cs.LG",
    topic: Annotated[str, typer.Option(help="What you are looking for, in your own words.")] = (
        "diffusion and autoregressive models that generate or edit video"
    ),
) -> None:
    """Write a commented config for a new list."""
    from digest.starter import write_starter

    write_starter(path, name=name, email=email, categories=categories.split(","), topic=topic)
    typer.echo(f"{path} written. Next: open it, then `digest preview --config {path} --open`.")


@cli.command(epilog="Example: digest pull --config lists/ --json")
def pull(
    config: ConfigOption = None, now: NowOption = None, json: JsonOption = False, verbose: VerboseOption = False
) -> None:
    """Fetch every source now; keep what is new for the next send."""
    from digest.console import show_pulled

    terminal = _terminal(json)

    def work(app: App) -> int:
        _heading(terminal, app)
        pulled = asyncio.run(app.pull())
        show_pulled(terminal, app.list.id, pulled)
        return PARTLY if any(report.error for report in pulled.all_reports) else DONE

    _each(_load(config, verbose), now, work)


@cli.command(epilog="Example: digest rank --to ada@example.org --top 20")
def rank(
    config: ConfigOption = None,
    to: ToOption = None,
    top: Annotated[int, typer.Option(min=0, help="How many papers of each ranking; 0 for all.")] = 20,
    papers: Annotated[Path | None, typer.Option(metavar="FILE.jsonl", help="Rank these documents instead.")] = None,
    profiles: Annotated[Path | None, typer.Option(metavar="FILE.jsonl", help="… for these profiles.")] = None,
    no_semantic: Annotated[
        bool, typer.Option("--no-semantic", help="Rank by words alone, as without the extra `semantic`.")
    ] = False,
    now: NowOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Show the ranking, with reasons; nothing is recorded.

    With --papers and --profiles it ranks any documents, without a config: one JSON object a line in, one a line out.
    """
    from digest.app import Progress
    from digest.console import complain_of_sources, ranked_by, show_ranking

    if papers or profiles:
        _rank_files(papers, profiles, top, json, now, no_semantic)
    terminal = _terminal(json)

    def work(app: App) -> int:
        _heading(terminal, app)
        with terminal.embedding() as embedding:
            proof, rankings = asyncio.run(app.rankings(to or (), top, Progress(on_embedded=embedding.embedded)))
        failed = complain_of_sources(app.list.id, proof.summaries)
        for (subscriber, selection), (_, ranking) in zip(proof.selections, rankings, strict=True):
            show_ranking(terminal, proof, subscriber, selection, ranking)
        if not proof.candidates:
            terminal.say("  nothing to rank: no new paper since the last edition")
            return NOTHING
        terminal.say(f"  {ranked_by(proof.semantic)}")
        return PARTLY if failed else DONE

    installation = _load(config, verbose)
    if no_semantic:
        lists = tuple(replace(each, semantic=False) for each in installation.lists)
        installation = replace(installation, lists=lists)
    _each(installation, now, work, keep=False)


def _rank_files(
    papers: Path | None, profiles: Path | None, top: int, json: bool, now: str | None, no_semantic: bool
) -> None:
    from digest.batch import rank_files, titles
    from digest.console import SMALLEST_WEIGHT, ranked_by
    from digest.meaning import CachedEmbed, InMemory
    from digest.rank.embedding import Embedder, available

    if not papers or not profiles:
        raise ConfigError("--papers and --profiles go together: one file of documents, one of profiles")
    terminal = _terminal(json)
    semantic = available() and not no_semantic
    named = {} if json else titles(papers)
    with terminal.embedding() as embedding:
        embed = CachedEmbed(Embedder().embed, InMemory(), embedding.embedded) if semantic else None
        for ranking in rank_files(papers, profiles, top=top, embed=embed, now=_clock(now)()):
            terminal.emit(ranking)
            terminal.say(str(ranking["profile"]), style="bold")
            for place, pick in enumerate(ranking["ranking"], 1):
                terminal.say(f"  {place:>3}  {pick['score']:.3f}  {named.get(pick['id']) or pick['id']}")
                worth = [r for r in pick["reasons"] if abs(r["weight"]) >= SMALLEST_WEIGHT]
                terminal.say("              " + " · ".join(f"{r['text']} {r['weight']:+.2f}" for r in worth))
    terminal.say(ranked_by(semantic))
    raise typer.Exit(DONE)


@cli.command(epilog="Example: digest preview --to ada@example.org --open")
def preview(
    config: ConfigOption = None,
    to: ToOption = None,
    out: Annotated[Path, typer.Option(help="The folder to write to.")] = Path("preview"),
    open_: Annotated[bool, typer.Option("--open", help="Open the first page in the browser.")] = False,
    now: NowOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Write the next emails as .html, .txt and .eml to look at.

    Nothing is sent, nothing is recorded.
    """
    from digest.app import Progress
    from digest.console import complain_of_sources
    from digest.preview import write_preview

    terminal = _terminal(json)

    def work(app: App) -> int:
        _heading(terminal, app)
        with terminal.embedding() as embedding:
            proof = asyncio.run(app.proof(to or (), Progress(on_embedded=embedding.embedded)))
        failed = complain_of_sources(app.list.id, proof.summaries)
        pages = write_preview(proof, app.list, out, terminal)
        if open_ and pages:
            typer.launch(pages[0].resolve().as_uri())
        if not any(selection.picks for _, selection in proof.selections):
            return NOTHING
        return PARTLY if failed else DONE

    _each(_load(config, verbose), now, work, keep=False)


@cli.command(epilog="Example: digest send video-lab --test me@example.org")
def send(
    list_id: Annotated[str | None, typer.Argument(metavar="[LIST]", help="Only the list with this id.")] = None,
    config: ConfigOption = None,
    to: ToOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show who would get what; send and record nothing.")
    ] = False,
    test: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Send one subscriber's edition here; record nothing.")
    ] = None,
    now: NowOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Pull, rank, render and send today's edition now.

    An unfinished edition is resumed; a finished one is not sent again.
    """
    from digest import sending

    if dry_run and test:
        raise ConfigError("--dry-run sends nothing and --test sends one message: give one of them")
    terminal = _terminal(json)

    def work(app: App) -> int:
        _heading(terminal, app)
        if dry_run:
            return sending.rehearse(terminal, app, to or ())
        if test:
            return sending.send_test(terminal, app, test, to or ())
        return sending.send(terminal, app, to or ())

    _each(_load(config, verbose), now, work, keep=not (dry_run or test), only=list_id)


@cli.command(epilog="Example: digest status --config lists/ --json")
def status(
    config: ConfigOption = None,
    editions: Annotated[int, typer.Option(min=1, help="How many editions of each list.")] = 7,
    now: NowOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Show editions, deliveries by status, sources' health."""
    from digest.console import show_status
    from digest.scheduler import next_run

    terminal = _terminal(json)
    clock = _clock(now)

    def work(app: App) -> int:
        overviews = app.editions.recent(app.list.id, editions)
        health = app.sources.health(app.list.id)
        _heading(terminal, app)
        show_status(terminal, app.list.id, overviews, health, next_run(app.list, clock()), app.pauses.current())
        return DONE if all(o.adds_up or not o.finished_at for o in overviews) else PARTLY

    _each(_load(config, verbose), now, work, keep=False)


EditionArgument = Annotated[
    str | None, typer.Argument(metavar="EDITION", help="Its number, or its day as in 2026-06-09; else the newest.")
]


@cli.command(epilog="Example: digest deliveries 12 --to ada@example.org")
def deliveries(
    edition: EditionArgument = None,
    to: ToOption = None,
    status: Annotated[DeliveryStatus | None, typer.Option(help="Only those of this status.")] = None,
    config: ConfigOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Show who got what of an edition, and what the server said.

    With --to also the papers, and why each was picked.
    """
    from digest.deliveries import edition_of, show

    terminal = _terminal(json)
    _each(
        _load(config, verbose),
        None,
        lambda app: show(terminal, app, edition_of(app, edition), to or (), status),
        keep=False,
    )


@cli.command(epilog="Example: digest retry 12 --to ada@example.org && digest send")
def retry(
    edition: EditionArgument = None,
    to: ToOption = None,
    config: ConfigOption = None,
    now: NowOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Make an edition's failed deliveries due again.

    Those that are deferred, bounced or expired; the next send tries them. Readers who have left, or whose address is
    suppressed, get nothing all the same.
    """
    from digest.deliveries import edition_of, retry

    terminal, clock = _terminal(json), _clock(now)
    only = _addresses(to or [])
    _each(_load(config, verbose), now, lambda app: retry(terminal, app, edition_of(app, edition), only, clock()))


@cli.command(epilog="Example: digest resolve 12 --resend")
def resolve(
    edition: EditionArgument = None,
    resend: Annotated[bool, typer.Option("--resend", help="Send them again; some may arrive twice.")] = False,
    delivered: Annotated[bool, typer.Option("--delivered", help="Take them for delivered.")] = False,
    to: ToOption = None,
    config: ConfigOption = None,
    now: NowOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Show an edition's deliveries in doubt, or decide about them.

    In doubt are messages that left, and that the server never answered for. They are held until somebody decides.
    """
    from digest.deliveries import edition_of, resolve

    if resend and delivered:
        raise ConfigError("--resend and --delivered: it is one or the other")
    how = "resend" if resend else "delivered" if delivered else ""
    terminal, clock = _terminal(json), _clock(now)
    only = _addresses(to or [])
    _each(_load(config, verbose), now, lambda app: resolve(terminal, app, edition_of(app, edition), only, clock(), how))


@cli.command(epilog="Example: digest pause video-lab --reason 'the papers of today are wrong'")
def pause(
    list_id: Annotated[str | None, typer.Argument(metavar="[LIST]", help="Only the list with this id.")] = None,
    reason: Annotated[str, typer.Option(help="Why; `digest status` shows it.")] = "",
    config: ConfigOption = None,
    now: NowOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Send nothing more of a list, until `digest resume`.

    A send that is under way ends within seconds: open conversations are finished, the rest stays queued. Meanwhile
    `digest run` goes on pulling; when the list is resumed, one edition brings all that was new.
    """
    from digest.pausing import pause

    terminal, clock = _terminal(json), _clock(now)

    def work(app: App) -> int:
        _heading(terminal, app)
        return pause(terminal, app, reason, clock())

    _each(_load(config, verbose), now, work, only=list_id)


@cli.command(epilog="Example: digest resume video-lab && digest send video-lab")
def resume(
    list_id: Annotated[str | None, typer.Argument(metavar="[LIST]", help="Only the list with this id.")] = None,
    config: ConfigOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """End the pause of a list.

    What is queued goes out with the next `digest send`, and by itself where `digest run` is running.
    """
    from digest.pausing import resume

    terminal = _terminal(json)

    def work(app: App) -> int:
        _heading(terminal, app)
        return resume(terminal, app)

    _each(_load(config, verbose), None, work, only=list_id)


@cli.command(epilog="Example: digest run --config lists/ --web")
def run(
    config: ConfigOption = None,
    web_: Annotated[bool, typer.Option("--web", help="Serve the pages as well, as `digest web` does.")] = False,
    now: NowOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Send every list by its schedule, until stopped.

    Mailboxes are read, and commands in them answered, as mail comes. Ctrl-C and SIGTERM end it tidily: conversations
    that are open are finished first.
    """
    from digest.scheduler import run_until_stopped

    installation = _load(config, verbose)
    clock = _running_clock(now)
    if not web_:
        asyncio.run(run_until_stopped(installation.lists, clock))
        return
    with _pages(installation, clock, None, None) as pages:
        asyncio.run(run_until_stopped(installation.lists, clock, pages.serve))


@cli.command(epilog="Example: digest web --config lists/ --port 8080")
def web(
    config: ConfigOption = None,
    host: Annotated[str | None, typer.Option(help="Where to listen. Default: `host` of [web], else 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Default: `port` of [web], else 8000.")] = None,
    now: NowOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Serve the pages: papers, sign-up, preferences, votes.

    They belong behind a server that speaks https, at the `base_url` of [list]. Needs the extra `web`.
    """
    installation = _load(config, verbose)
    with _pages(installation, _running_clock(now), host, port) as pages:
        asyncio.run(pages.serve_until_stopped())


def _pages(
    installation: Installation, clock: Callable[[], datetime], host: str | None, port: int | None
) -> AbstractContextManager[Pages]:
    try:
        from digest.web.serving import opened
    except ModuleNotFoundError as error:
        raise ConfigError(f"the pages need an extra that is not installed ({error.name}): {WEB_INSTALL}") from None
    return opened(installation.lists, clock, _terminal(False), host, port)


@cli.command(epilog="Example: digest mailbox --config lists/ --json")
def mailbox(
    config: ConfigOption = None, now: NowOption = None, json: JsonOption = False, verbose: VerboseOption = False
) -> None:
    """Read the mailbox once: commands, votes and bounces.

    Does what was asked by mail, where it is proved who asks, and answers. Suppresses addresses that are gone, and those
    of people who complain. Nothing is deleted; what was dealt with is marked as seen.
    """
    from digest import receiving
    from digest.mailroom import shared

    installation = _load(config, verbose)
    groups = shared(installation.lists)
    if not groups:
        paths = ", ".join(str(each.path) for each in installation.lists)
        raise ConfigError(f"{paths}: there is no [mailbox] with host, username and password")
    terminal, clock = _terminal(json), _clock(now)
    _all(partial(receiving.mailbox, terminal, group, clock) for group in groups)


suppressions = typer.Typer(
    help="Show and change who gets nothing any more, from no list.",
    no_args_is_help=True,
    rich_markup_mode=None,
    epilog="Example: digest suppressions list --json",
)
cli.add_typer(suppressions, name="suppressions")
AddressesArgument = Annotated[list[str], typer.Argument(metavar="EMAIL...", help="One address or several.")]


def _addresses(written: list[str]) -> list[Address]:
    from digest.subscribe.values import WrongValue, email_address

    try:
        return [email_address(address) for address in written]
    except WrongValue as error:
        raise ConfigError(f"{', '.join(written)}: {error.must}") from None


@suppressions.command("list", epilog="Example: digest suppressions list --json")
def suppressions_list(config: ConfigOption = None, json: JsonOption = False) -> None:
    """Show every suppressed address, since when, and why."""
    from digest.receiving import list_suppressions

    raise typer.Exit(list_suppressions(_terminal(json), _load(config, verbose=False)))


@suppressions.command("add", epilog="Example: digest suppressions add ada@example.org --reason 'asked by telephone'")
def suppressions_add(
    email: AddressesArgument,
    reason: Annotated[str, typer.Option(help="Why; `list` shows it.")] = "added by hand",
    config: ConfigOption = None,
    now: NowOption = None,
    json: JsonOption = False,
) -> None:
    """Send to these addresses no more, from any list."""
    from digest.receiving import suppress

    installation = _load(config, verbose=False)
    raise typer.Exit(suppress(_terminal(json), installation, _addresses(email), reason, _clock(now)()))


@suppressions.command("remove", epilog="Example: digest suppressions remove ada@example.org")
def suppressions_remove(email: AddressesArgument, config: ConfigOption = None, json: JsonOption = False) -> None:
    """Send to these addresses again.

    Lists that they have left stay left. Bounces of the past still count until a message has arrived.
    """
    from digest.receiving import release

    raise typer.Exit(release(_terminal(json), _load(config, verbose=False), _addresses(email)))


subscribers = typer.Typer(
    help="Show and change who gets a list.",
    no_args_is_help=True,
    rich_markup_mode=None,
    epilog="Example: digest subscribers import members.csv --dry-run",
)
cli.add_typer(subscribers, name="subscribers")
ListOption = Annotated[str | None, typer.Option("--list", metavar="LIST", help="Only the list with this id.")]
_MANY = "with commas between them"


@subscribers.command("list", epilog="Example: digest subscribers list --status unsubscribed --json")
def subscribers_list(
    status: Annotated[Standing | None, typer.Option(help="Only those who stand so.")] = None,
    list_id: ListOption = None,
    config: ConfigOption = None,
    now: NowOption = None,
    json: JsonOption = False,
) -> None:
    """Show everybody whom a list knows: state, how she came, since when, what she follows.

    People of the config and people who signed up stand side by side. `unlisted` are those who were in the config.
    """
    from digest.people import list_members

    terminal, clock = _terminal(json), _clock(now)
    chosen = _lists(_load(config, verbose=False), list_id)
    _all(partial(list_members, terminal, each, clock, status) for each in chosen)


@subscribers.command("add", epilog="Example: digest subscribers add ada@example.org --name Ada --topics video --ask")
def subscribers_add(
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="Her address.")],
    name: Annotated[str, typer.Option(help="Her name.")] = "",
    topics: Annotated[str, typer.Option(help=f"Topics of the list, by name, {_MANY}.")] = "",
    interests: Annotated[
        str, typer.Option(help="Other interests in her own words, with semicolons between them.")
    ] = "",
    authors: Annotated[str, typer.Option(help=f"Authors to look out for, {_MANY}.")] = "",
    categories: Annotated[str, typer.Option(help=f"arXiv categories to prefer, {_MANY}.")] = "",
    language: Annotated[str, typer.Option(help="Her language, such as de or pt-BR.")] = "",
    timezone: Annotated[str, typer.Option(help="Her time zone, such as Europe/Berlin.")] = "",
    frequency: Annotated[Frequency | None, typer.Option(help="How often.")] = None,
    ask: Annotated[
        bool, typer.Option("--ask", help="Write to her, once; she is subscribed when she confirms.")
    ] = False,
    list_id: ListOption = None,
    config: ConfigOption = None,
    now: NowOption = None,
    json: JsonOption = False,
) -> None:
    """Put somebody on a list: at once, you answer for her consent, or with --ask by her own confirmation.

    Who has unsubscribed or was erased is refused: then only --ask is left. Without topics or anything else to choose
    by, she follows all of the list's topics.
    """
    from digest.people import add

    row = _row(email, name, topics, interests, authors, categories, language, timezone, frequency)
    chosen = _one_list(_load(config, verbose=False), list_id)
    _all([partial(add, _terminal(json), chosen, _clock(now), row, ask=ask)])


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
        address=_addresses([email])[0],
        name=read("--name", name, values.one_line) or "",
        topics=each("--topics", topics, values.one_line),
        authors=each("--authors", authors, values.one_line),
        categories=each("--categories", categories, values.arxiv_category),
        timezone=read("--timezone", timezone, values.time_zone),
        language=read("--language", language, values.language_tag),
        frequency=frequency,
        interests=each("--interests", interests, values.one_line, ";"),
    )


@subscribers.command("remove", epilog="Example: digest subscribers remove ada@example.org")
def subscribers_remove(
    email: AddressesArgument,
    list_id: ListOption = None,
    config: ConfigOption = None,
    now: NowOption = None,
    json: JsonOption = False,
) -> None:
    """Unsubscribe people, for good: neither the config nor an import brings them back, they themselves may come again.

    From all lists of the config, unless --list names one.
    """
    from digest.people import remove

    chosen = _lists(_load(config, verbose=False), list_id)
    _all([partial(remove, _terminal(json), chosen, _clock(now), _addresses(email))])


@subscribers.command("import", epilog="Example: digest subscribers import members.csv --dry-run")
def subscribers_import(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="A header with `email`, then a row a person.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done; change nothing.")] = False,
    list_id: ListOption = None,
    config: ConfigOption = None,
    now: NowOption = None,
    json: JsonOption = False,
) -> None:
    """Put everybody of a CSV on a list; you answer for their consent.

    Every row is checked and every mistake told with its line; unless all are right, nobody is imported. Who is a member
    is left as she is; who has unsubscribed, was erased or is suppressed is left out. All are counted. Other columns
    than `email` may be missing: name, topics (the list's), interests (own words), authors, categories, examples,
    timezone, language, frequency, hour, paused_until, state. In a cell, ; stands between several values.
    """
    from digest.people import import_members

    chosen = _one_list(_load(config, verbose=False), list_id)
    _all([partial(import_members, _terminal(json), chosen, _clock(now), file, keep=not dry_run)])


@subscribers.command("export", epilog="Example: digest subscribers export --to ada@example.org --json")
def subscribers_export(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="Else it is printed.")] = None,
    to: ToOption = None,
    list_id: ListOption = None,
    config: ConfigOption = None,
    now: NowOption = None,
    json: JsonOption = False,
) -> None:
    """Write everybody as CSV, which `import` reads back, or with --json everything that is held about them.

    The CSV escapes what a spreadsheet would compute. JSON, one object a line, has also votes, deliveries, bounces and
    letters: with --to, it is the answer to a person who asks what is kept of her.
    """
    from digest.people import export

    chosen = _one_list(_load(config, verbose=False), list_id)
    _all([partial(export, _terminal(json), chosen, _clock(now), file, _addresses(to or []), as_json=json)])


@subscribers.command("erase", epilog="Example: digest subscribers erase ada@example.org --yes")
def subscribers_erase(
    email: AddressesArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether it is meant.")] = False,
    config: ConfigOption = None,
    now: NowOption = None,
    json: JsonOption = False,
) -> None:
    """Forget people, on all lists of the config: address, interests, votes, letters, what they were sent.

    A keyed hash of the address is left, so that neither the config nor an import brings them back. It cannot be undone.
    """
    from digest.people import erase

    addresses, chosen = _addresses(email), _lists(_load(config, verbose=False), None)
    if not yes:
        if not sys.stdin.isatty():
            raise ConfigError("erasing cannot be undone: say --yes where nobody can be asked")
        typer.confirm(f"Erase {', '.join(addresses)}? It cannot be undone", abort=True)
    _all([partial(erase, _terminal(json), chosen, _clock(now), addresses)])


@subscribers.command("examples", epilog="Example: digest subscribers examples ada@example.org ada.bib")
def subscribers_examples(
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="A member's address.")],
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE]...", help="BibTeX or BibLaTeX (.bib), or CSL JSON (.json).")
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
) -> None:
    """Add the papers of a library to what a member wants more of.

    Zotero exports BibTeX, BibLaTeX and CSL JSON; or it is asked itself, on its server or, by a whole address, on this
    machine: --zotero http://127.0.0.1:23119/api/users/0. For people of the config, name the file in `library` there.
    """
    from digest.people import examples

    if not files and not zotero:
        raise ConfigError("name a file, or --zotero and a library")
    (address,) = _addresses([email])
    chosen = _one_list(_load(config, verbose=False), list_id)
    _all([partial(examples, _terminal(json), chosen, _clock(now), address, files or (), zotero)])


@cli.command(epilog="Example: digest feeds subscriptions.opml >> config.toml")
def feeds(
    file: Annotated[Path, typer.Argument(metavar="FILE.opml", help="As feed readers export it.")],
    json: JsonOption = False,
) -> None:
    """Print the feeds of an OPML file as `[[sources]]`."""
    from digest.subscribe.opml import as_toml, read_opml

    terminal, found = _terminal(json), read_opml(file)
    terminal.say(as_toml(found).rstrip())
    for feed in found:
        terminal.emit({"name": feed.name, "url": feed.url})


@cli.command(epilog="Example: digest demo --out /tmp/demo")
def demo(
    out: Annotated[Path, typer.Option(help="The demo's folder: its config, database and inbox.")] = Path("digest-demo"),
    restart: Annotated[bool, typer.Option("--restart", help="Forget the days that were sent.")] = False,
    json: JsonOption = False,
) -> None:
    """Show the whole way on invented papers, with no network.

    It starts an SMTP server of its own and sends two days' editions to four readers, one day a run.
    """
    from digest.demo.run import run_demo

    raise typer.Exit(run_demo(out, restart=restart, terminal=_terminal(json)))
