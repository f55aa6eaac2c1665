"""`digest replay`: past editions under the present config."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from digest.cli.common import (
    ConfigOption,
    JsonOption,
    ListArgument,
    NowOption,
    ToOption,
    VerboseOption,
    chosen_lists,
    cli,
    clock_at,
    do_all,
    loaded,
    terminal_for,
)
from digest.errors import ConfigError


@cli.command(
    epilog="Example: digest replay --since 2026-06-01 --against quieter.toml", if_stopped="nothing is recorded"
)
def replay(
    list_id: ListArgument = None,
    since: Annotated[str | None, typer.Option(metavar="DATE", help="The first day, e.g. 2026-06-01.")] = None,
    until: Annotated[str | None, typer.Option(metavar="DATE", help="The last day. Default: today.")] = None,
    to: ToOption = None,
    against: Annotated[
        Path | None, typer.Option(metavar="FILE.toml", help="Another config of the same list, to compare with.")
    ] = None,
    config: ConfigOption = None,
    now: NowOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Show past editions as the present config would make them.

    Each edition that was sent is selected again, from the papers and votes of its day, for every reader: what comes,
    what goes, what moves, and precision and nDCG by the votes that came after it. With --against, the same under a
    second config, side by side; with --to, paper by paper. Nothing is sent, nothing is recorded.
    """
    from digest.commands.replaying import replay as replay_list
    from digest.settings import load

    clock = clock_at(now)
    first, last = _day("--since", since), _day("--until", until) if until else clock().date()
    if last < first:
        raise ConfigError(f"--since {first} is after --until {last}: give the earlier day first")
    configs = chosen_lists(loaded(config, verbose), list_id)
    if against and len(configs) > 1:
        raise ConfigError(f"--against compares one list: name it, digest replay {configs[0].mailing_list.id} …")
    other = load([against]).lists if against else ()
    if len(other) > 1:
        raise ConfigError(f"--against {against}: is {len(other)} lists; give one list's file")
    terminal = terminal_for(json)

    def work(number: int) -> int:
        one = configs[number]
        compared = [one, *(replace(each, store_url=one.store_url) for each in other)]
        terminal.say(f"{one.mailing_list.name} ({one.mailing_list.id})", style="bold")
        return replay_list(terminal, compared, first, last, to or (), clock)

    do_all(partial(work, number) for number in range(len(configs)))


def _day(option: str, written: str | None) -> date:
    if written is None:
        raise ConfigError(f"{option} is missing: from which day on? Write {option} 2026-06-01")
    try:
        return date.fromisoformat(written)
    except ValueError:
        raise ConfigError(f"{option} {written}: not a day; write it as 2026-06-01") from None
