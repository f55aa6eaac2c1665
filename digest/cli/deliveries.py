"""`digest deliveries`, `retry`, `resolve`, `pause` and `resume`: what became of an edition."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from digest.errors import ConfigError
from digest.model import DeliveryStatus

if TYPE_CHECKING:
    from digest.app import App

from digest.cli import completing
from digest.cli.common import (
    ConfigOption,
    JsonOption,
    ListArgument,
    NowOption,
    ToOption,
    VerboseOption,
    addresses_of,
    cli,
    clock_at,
    each_list,
    heading,
    loaded,
    terminal_for,
)

EditionArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="EDITION",
        help="Its number, or its day as in 2026-06-09; else the newest.",
        autocompletion=completing.editions,
    ),
]


@cli.command(epilog="Example: digest deliveries 12 --to ada@example.org")
def deliveries(
    edition: EditionArgument = None,
    to: ToOption = None,
    status: Annotated[
        DeliveryStatus | None,
        typer.Option(metavar="STATUS", help=f"Only those of this status: {', '.join(DeliveryStatus)}."),
    ] = None,
    config: ConfigOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Show who got what of an edition, and what the server said.

    With --to also the papers, and why each was picked.
    """
    from digest.commands.deliveries import edition_of, show

    terminal = terminal_for(json)
    each_list(
        loaded(config, verbose),
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
    verbose: VerboseOption = 0,
) -> None:
    """Make an edition's failed deliveries due again.

    Those that are deferred, bounced or expired; the next send tries them. Readers who have left, or whose address is
    suppressed, get nothing all the same.
    """
    from digest.commands.deliveries import edition_of, retry

    terminal, clock = terminal_for(json), clock_at(now)
    only = addresses_of(to or [])
    each_list(loaded(config, verbose), now, lambda app: retry(terminal, app, edition_of(app, edition), only, clock()))


@cli.command(epilog="Example: digest resolve 12 --resend")
def resolve(
    edition: EditionArgument = None,
    resend: Annotated[bool, typer.Option("--resend", help="Send them again; some may arrive twice.")] = False,
    delivered: Annotated[bool, typer.Option("--delivered", help="Take them for delivered.")] = False,
    to: ToOption = None,
    config: ConfigOption = None,
    now: NowOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Show an edition's deliveries in doubt, or decide about them.

    In doubt are messages that left, and that the server never answered for. They are held until somebody decides.
    """
    from digest.commands.deliveries import edition_of, resolve

    if resend and delivered:
        raise ConfigError("--resend and --delivered: it is one or the other")
    how = "resend" if resend else "delivered" if delivered else ""
    terminal, clock = terminal_for(json), clock_at(now)
    only = addresses_of(to or [])
    each_list(
        loaded(config, verbose), now, lambda app: resolve(terminal, app, edition_of(app, edition), only, clock(), how)
    )


@cli.command(epilog="Example: digest pause video-lab --reason 'the papers of today are wrong'")
def pause(
    list_id: ListArgument = None,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; `digest status` shows it.")] = "",
    config: ConfigOption = None,
    now: NowOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Send nothing more of a list, until `digest resume`.

    A send that is under way ends within seconds: open conversations are finished, the rest stays queued. Meanwhile
    `digest run` goes on pulling; when the list is resumed, one edition brings all that was new.
    """
    from digest.commands.pausing import pause

    terminal, clock = terminal_for(json), clock_at(now)

    def work(app: App) -> int:
        heading(terminal, app)
        return pause(terminal, app, reason, clock())

    each_list(loaded(config, verbose), now, work, only=list_id)


@cli.command(epilog="Example: digest resume video-lab && digest send video-lab")
def resume(
    list_id: ListArgument = None,
    sent: Annotated[bool, typer.Option("--sent", help="After `digest restore`: what is new was sent already.")] = False,
    unsent: Annotated[bool, typer.Option("--unsent", help="After `digest restore`: nothing was sent since.")] = False,
    config: ConfigOption = None,
    now: NowOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """End the pause of a list.

    What is queued goes out with the next `digest send`, and by itself where `digest run` is running.
    """
    from digest.commands.pausing import resume
    from digest.commands.restoring import Since

    if sent and unsent:
        raise ConfigError("--sent and --unsent: it is one or the other")
    since = Since.SENT if sent else Since.UNSENT if unsent else None
    terminal, clock = terminal_for(json), clock_at(now)

    def work(app: App) -> int:
        heading(terminal, app)
        return resume(terminal, app, since, clock())

    each_list(loaded(config, verbose), now, work, only=list_id)
