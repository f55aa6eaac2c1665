"""`digest backup`, `restore` and `prune`: the database, kept safe and small."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from digest.cli.common import (
    ConfigOption,
    JsonOption,
    NowOption,
    VerboseOption,
    chosen_lists,
    cli,
    clock_at,
    loaded,
    terminal_for,
)
from digest.errors import ConfigError


@cli.command(
    epilog="Example: digest backup /var/backups/digest --keep 14",
    if_stopped="a copy that is not complete is removed; the database is as it was",
)
def backup(
    place: Annotated[
        Path | None,
        typer.Argument(metavar="DIR|FILE.db", help="Where to. Default: `backups` beside the database."),
    ] = None,
    keep: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Remove older ones in that folder, but for the newest N.")
    ] = None,
    config: ConfigOption = None,
    now: NowOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Copy the database, also while digest runs.

    The copy is as the database was at one moment, is read through, and appears when it is complete. It holds addresses
    and secrets: keep it as safe as the database. Lists that share one are copied once.
    """
    from digest.commands.backups import backup, stores

    installation, moment = loaded(config, verbose), clock_at(now)()
    raise typer.Exit(backup(terminal_for(json), stores(installation.lists), place, keep, moment))


@cli.command(
    epilog="Example: digest restore backups/digest-20260609T070000Z.db",
    if_stopped="unless `digest status` shows all lists as paused, nothing was restored",
)
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A backup.")],
    list_id: Annotated[
        str | None, typer.Option("--list", metavar="LIST", help="Whose database, where lists have several.")
    ] = None,
    config: ConfigOption = None,
    now: NowOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Put a backup in the database's place.

    Nothing of digest may run meanwhile, and the database as it is now is kept beside. A backup does not know what was
    sent after it: deliveries that were not settled are held, and every list is paused until `digest resume` is told
    what became of the editions since.
    """
    from digest.commands.backups import restore, stores

    installation = loaded(config, verbose)
    urls = {each.store_url for each in chosen_lists(installation, list_id)}
    if len(urls) > 1:
        names = ", ".join(each.mailing_list.id for each in installation.lists)
        raise ConfigError(f"these lists have several databases, name one of them: --list {names}")
    (store,) = stores([each for each in installation.lists if each.store_url in urls])
    raise typer.Exit(restore(terminal_for(json), store, file, clock_at(now)()))


@cli.command(
    epilog="Example: digest prune --dry-run", if_stopped="what is gone is gone, and the next one goes on from there"
)
def prune(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would go.")] = False,
    vacuum: Annotated[
        bool,
        typer.Option("--vacuum", help="Make the file smaller after it: needs its size in room, and holds up a send."),
    ] = False,
    config: ConfigOption = None,
    now: NowOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Let go of what is older than [retention] says.

    `digest run` does it once a day. Nothing of an edition that is not finished goes, nor what is needed to send no
    paper twice, to learn from votes, or to show past editions; they lose their abstracts.
    """
    from digest.commands.backups import stores
    from digest.commands.pruning import prune

    installation, moment = loaded(config, verbose), clock_at(now)()
    found = stores(installation.lists)
    raise typer.Exit(prune(terminal_for(json), found, moment, dry_run=dry_run, vacuum=vacuum))
