"""`digest migrate`: the database's tables, brought up to date."""

from __future__ import annotations

from functools import partial

from digest.cli.common import ConfigOption, JsonOption, VerboseOption, cli, do_all, loaded, terminal_for
from digest.errors import DONE


@cli.command(epilog="Example: digest migrate --config lists/", if_stopped="the same command goes on from there")
def migrate(config: ConfigOption = None, json: JsonOption = False, verbose: VerboseOption = 0) -> None:
    """Make or update the tables of a PostgreSQL database.

    Those of its queue too. Stop every other digest first. A file of SQLite needs no command: it is brought up to date
    when it is opened.
    """
    from digest.store import migrate_database

    terminal = terminal_for(json)

    def bring_up(url: str) -> int:
        name, before, now, queue, made = migrate_database(url)
        done = "is up to date" if before == now else f"brought from schema {before} to {now}" if before else "made"
        terminal.say(f"{name}: schema {now} {done}")
        if made:
            terminal.say(f"{name}: made the queue's {made}")
        for each in queue:
            terminal.say(f"{name}: applied {each} to the queue")
        terminal.emit({"database": name, "before": before, "schema": now, "queue": list(queue), "queue_made": made})
        return DONE

    urls = dict.fromkeys(each.store_url for each in loaded(config, verbose).lists)
    do_all(partial(bring_up, url) for url in urls)
