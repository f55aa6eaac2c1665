"""`digest pull`, `rank`, `preview`, `send` and `status`: an edition, by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digest import stopping
from digest.errors import DONE, NOTHING, PARTLY, ConfigError

if TYPE_CHECKING:
    from digest.app import App

from digest.cli.common import (
    GOES_ON,
    ConfigOption,
    JsonOption,
    ListArgument,
    LogJsonOption,
    NowOption,
    QuietOption,
    ToOption,
    VerboseOption,
    cli,
    clock_at,
    each_list,
    heading,
    loaded,
    set_up_logging,
    terminal_for,
)


@cli.command(
    epilog="Example: digest pull --config lists/ --json",
    if_stopped="of the list under way nothing new is kept; the next pull asks its sources again",
)
def pull(
    config: ConfigOption = None,
    now: NowOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = 0,
    quiet: QuietOption = False,
    log_json: LogJsonOption = False,
) -> None:
    """Fetch every source now; keep what is new for the next send."""
    from digest.console import show_pulled

    terminal = terminal_for(json)

    def work(app: App) -> int:
        heading(terminal, app)
        pulled = stopping.run(app.pull())
        show_pulled(terminal, app.list.id, pulled)
        return PARTLY if any(report.error for report in pulled.all_reports) else DONE

    each_list(loaded(config, verbose, quiet=quiet, log_json=log_json), now, work)


@cli.command(epilog="Example: digest rank --to ada@example.org --top 20", if_stopped="nothing is recorded")
def rank(
    config: ConfigOption = None,
    to: ToOption = None,
    top: Annotated[int, typer.Option(min=0, metavar="N", help="How many papers of each ranking; 0 for all.")] = 20,
    papers: Annotated[Path | None, typer.Option(metavar="FILE.jsonl", help="Rank these documents instead.")] = None,
    profiles: Annotated[Path | None, typer.Option(metavar="FILE.jsonl", help="… for these profiles.")] = None,
    no_semantic: Annotated[
        bool, typer.Option("--no-semantic", help="Rank by words alone, as without the extra `semantic`.")
    ] = False,
    now: NowOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Show the ranking, with reasons; nothing is recorded.

    With --papers and --profiles it ranks any documents, without a config: one JSON object a line in, one a line out.
    """
    from digest.commands.proofing import proofs_of, rankings_of
    from digest.console import complain_of_sources, ranked_by, show_ranking
    from digest.results import Progress

    set_up_logging(verbose)
    if papers or profiles:
        _rank_files(papers, profiles, top, json, now, no_semantic)
    terminal = terminal_for(json)

    def work(app: App) -> int:
        heading(terminal, app)
        with terminal.embedding() as embedding:
            progress = Progress(on_embedded=embedding.embedded)
            proofs = proofs_of(app, to or (), progress)
            ranked = [(proof, rankings_of(app, proof, top, progress)) for proof in proofs]
        failed = complain_of_sources(app.list.id, proofs[0].summaries)
        for proof, rankings in ranked:
            for (subscriber, selection), (_, ranking) in zip(proof.selections, rankings, strict=True):
                show_ranking(terminal, proof, subscriber, selection, ranking, app.list.min_relevance)
        if not any(proof.candidates for proof in proofs):
            why = "a source failed, and there was" if failed else "there was"
            terminal.say(f"  nothing to rank: {why} no new paper since the last edition")
            return NOTHING
        terminal.say(f"  {ranked_by(app.semantic)}")
        return PARTLY if failed else DONE

    installation = loaded(config, verbose)
    if no_semantic:
        lists = tuple(replace(each, semantic=False) for each in installation.lists)
        installation = replace(installation, lists=lists)
    each_list(installation, now, work, keep=False)


def _rank_files(
    papers: Path | None, profiles: Path | None, top: int, json: bool, now: str | None, no_semantic: bool
) -> None:
    from digest.commands.batch import rank_files, titles
    from digest.console import SMALLEST_WEIGHT, ranked_by
    from digest.meaning import CachedEmbed, InMemory
    from digest.rank.embedding import Embedder, available

    if not papers or not profiles:
        raise ConfigError("--papers and --profiles go together: one file of documents, one of profiles")
    terminal = terminal_for(json)
    semantic = available() and not no_semantic
    named = {} if json else titles(papers)
    with terminal.embedding() as embedding:
        embed = CachedEmbed(Embedder().embed, InMemory(), embedding.embedded) if semantic else None
        for ranking in rank_files(papers, profiles, top=top, embed=embed, now=clock_at(now)()):
            terminal.emit(ranking)
            terminal.say(str(ranking["profile"]), style="bold")
            for place, pick in enumerate(ranking["ranking"], 1):
                terminal.say(f"  {place:>3}  {pick['score']:.3f}  {named.get(pick['id']) or pick['id']}")
                worth = [r for r in pick["reasons"] if abs(r["weight"]) >= SMALLEST_WEIGHT]
                terminal.say("              " + " · ".join(f"{r['text']} {r['weight']:+.2f}" for r in worth))
    terminal.say(ranked_by(semantic))
    raise typer.Exit(DONE)


@cli.command(
    epilog="Example: digest preview --to ada@example.org --open",
    if_stopped="nothing is recorded; pages that are written stay",
)
def preview(
    config: ConfigOption = None,
    to: ToOption = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder to write to.")] = Path("preview"),
    open_: Annotated[bool, typer.Option("--open", help="Open the first page in the browser.")] = False,
    now: NowOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Write the next emails as .html, .txt and .eml to look at.

    Nothing is sent, nothing is recorded.
    """
    from digest.commands.preview import write_preview
    from digest.commands.proofing import proofs_of
    from digest.console import complain_of_sources, ranked_by
    from digest.results import Progress

    terminal = terminal_for(json)

    def work(app: App) -> int:
        heading(terminal, app)
        with terminal.embedding() as embedding:
            proofs = proofs_of(app, to or (), Progress(on_embedded=embedding.embedded))
        failed = complain_of_sources(app.list.id, proofs[0].summaries)
        pages = [page for proof in proofs for page in write_preview(proof, app.list, out, terminal)]
        terminal.say(f"  {ranked_by(app.semantic)}")
        if open_ and pages:
            typer.launch(pages[0].resolve().as_uri())
        if not any(selection.picks for proof in proofs for _, selection in proof.selections):
            return NOTHING
        return PARTLY if failed else DONE

    each_list(loaded(config, verbose), now, work, keep=False)


@cli.command(epilog="Example: digest send video-lab --test me@example.org", if_stopped=GOES_ON)
def send(
    list_id: ListArgument = None,
    config: ConfigOption = None,
    to: ToOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show who would get what; send and record nothing.")
    ] = False,
    test: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Send one subscriber's edition here; record nothing.")
    ] = None,
    at_their_hour: Annotated[
        bool, typer.Option("--at-their-hour", help="Send each reader's email at her own hour, not at once.")
    ] = False,
    now: NowOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = 0,
    quiet: QuietOption = False,
    log_json: LogJsonOption = False,
) -> None:
    """Pull, rank, render and send today's edition now.

    An unfinished edition is resumed; a finished one is not sent again. Everybody's email leaves at once, also what
    waits for its reader's own hour; with --at-their-hour each waits for it, and `digest run`, or the same command
    again, sends it then. A run that is too late to be made by itself (`max_lateness`) is made by this command.
    """
    from digest.commands import sending

    if dry_run and test:
        raise ConfigError("--dry-run sends nothing and --test sends one message: give one of them")
    terminal = terminal_for(json)

    def work(app: App) -> int:
        heading(terminal, app)
        if dry_run:
            return sending.rehearse(terminal, app, to or ())
        if test:
            return sending.send_test(terminal, app, test, to or ())
        return sending.send(terminal, app, to or (), at_once=not at_their_hour)

    installation = loaded(config, verbose, quiet=quiet, log_json=log_json)
    each_list(installation, now, work, keep=not (dry_run or test), only=list_id)


@cli.command(epilog="Example: digest status --config lists/ --plot --days 90")
def status(
    config: ConfigOption = None,
    editions: Annotated[int, typer.Option(min=1, metavar="N", help="How many editions of each list.")] = 7,
    plot: Annotated[bool, typer.Option("--plot", help="Show instead what there was over time.")] = False,
    days: Annotated[int, typer.Option(min=2, max=3660, metavar="N", help="How many days --plot looks back.")] = 56,
    check: Annotated[
        bool, typer.Option("--check", help="Only say whether a list needs somebody; exit code 1 if one does.")
    ] = False,
    now: NowOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Show editions, what waits and why, how sources do.

    A list is overdue if no edition was made half an hour after its time, or if one is not sent and nothing has left for
    two hours; not while it is paused, out of its hours, or at the limit of its relays. On PostgreSQL it may also be
    unattended, when shards have waited for two minutes and no worker of the list lives; or have some set aside, that
    failed too often.
    """
    from digest.console import status as shown

    terminal = terminal_for(json)

    def work(app: App) -> int:
        if check:
            return shown.check(terminal, app)
        return shown.show(terminal, app, editions, days, plot=plot)

    each_list(loaded(config, verbose), now, work, keep=False)
