"""`digest demo`: the real pipeline over feeds that ship with the program. The papers are invented, the rest is not.

The first run sends the first day, the second run the second day; the demo's folder remembers, in an ordinary database.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

from digest import stopping
from digest.app import App
from digest.commands.sending import exit_code
from digest.console import Terminal, overview_json, report_line, why
from digest.demo.inbox import Inbox, open_inbox
from digest.errors import DONE, ConfigError
from digest.model import Edition, Relay, Security
from digest.settings import ListConfig, load

DAYS = (datetime(2026, 6, 9, 6, tzinfo=UTC), datetime(2026, 6, 10, 6, tzinfo=UTC))
"""When the demo's two editions are due: eight in the morning in Berlin."""
SHIPPED = Path(__file__).parent
MARKER = ".digest-demo"
STATE = ("config.toml", "feeds", "digest.db", "digest.db-wal", "digest.db-shm", "inbox")
"""All that the demo ever puts into its folder."""


def run_demo(out: Path, *, restart: bool, terminal: Terminal) -> int:
    """Sends the demo's next day into `out/inbox`; the exit code. Raises ConfigError if `out` cannot be used."""
    try:
        _prepare(out, restart)
    except OSError as error:
        raise ConfigError(f"{out}: {error.strerror}: choose another folder with --out") from error
    return stopping.run(_run(out, load([out / "config.toml"], {}).lists[0], terminal))


def _prepare(out: Path, restart: bool) -> None:
    if out.exists() and any(out.iterdir()) and not (out / MARKER).exists():
        raise ConfigError(f"{out} is not empty and not a demo's folder: choose another with --out")
    if restart:
        for name in STATE:
            path = out / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    (out / MARKER).touch()
    shutil.copyfile(SHIPPED / "config.toml", out / "config.toml")
    shutil.copytree(SHIPPED / "feeds", out / "feeds", dirs_exist_ok=True)


async def _run(out: Path, config: ListConfig, terminal: Terminal) -> int:
    now = _next_day(config)
    if now is None:
        terminal.say(f"Both days of the demo are sent: the messages lie in {out / 'inbox'}.")
        terminal.say(f"Start again with: digest demo --out {out} --restart")
        return DONE
    folder = out / "inbox" / f"{now:%Y-%m-%d}"
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    async with open_inbox(folder) as inbox:
        relay = Relay("127.0.0.1", inbox.port, Security.NONE, connections=2, name="demo")
        with App(replace(config, relays=(relay,)), lambda: now) as app:
            terminal.say(f"{app.list.name}, {now:%A %d %B %Y}", style="bold")
            terminal.say("\nPull: what the sources announced")
            sent = await app.send(at_once=True)
            if sent.pulled:
                for report, summary in zip(sent.pulled.reports, sent.pulled.summaries, strict=True):
                    terminal.say(report_line(report, summary.fresh))
            edition = app.editions.latest(app.list.id)
            if edition:
                _show_picks(terminal, app, edition)
                _show_messages(terminal, out, inbox, edition, last=now == DAYS[-1])
            terminal.emit(
                {
                    "editions": [overview_json(overview) for overview in sent.overviews],
                    "messages": [str(path) for path in inbox.received],
                }
            )
    return exit_code(sent)


def _next_day(config: ListConfig) -> datetime | None:
    with App(config, lambda: DAYS[0]) as app:
        return next((day for day in DAYS if not _finished(app, day.date())), None)


def _finished(app: App, day: date) -> bool:
    edition = app.editions.on(app.list.id, day)
    return edition is not None and app.editions.overview(edition).finished_at is not None


def _show_picks(terminal: Terminal, app: App, edition: Edition) -> None:
    titles = {c.paper.id: c.paper.title for c in app.editions.candidates(edition)}
    names = {s.address: s.name for s in app.config.subscribers}
    terminal.say(f"\nRank: {len(titles)} candidates, {len(names)} subscribers")
    for delivery in app.editions.deliveries(edition):
        terminal.say(f"\n  {names[delivery.address]} <{delivery.address}>", style="bold")
        for place, pick in enumerate(delivery.picks, 1):
            terminal.say(f"  {place}. {titles[pick.paper_id]}")
            terminal.say(f"       {pick.score:.2f} = {why(pick)}", style="dim")
        if not delivery.picks:
            terminal.say(f"  {delivery.reply}")


def _show_messages(terminal: Terminal, out: Path, inbox: Inbox, edition: Edition, *, last: bool) -> None:
    terminal.say(f"\nSend: {len(inbox.received)} messages over SMTP to 127.0.0.1:{inbox.port}")
    for path in inbox.received:
        terminal.say(f"  {path.with_suffix('.html')}")
    terminal.say("\nOpen one of them in a browser, or the .eml beside it in a mail program:")
    if inbox.received:
        terminal.say(f"  {_opener()} {inbox.received[0].with_suffix('.html')}")
    again = f"`digest demo --out {out} --restart` starts again" if last else "run it again: the second day is sent"
    terminal.say(f"\nThis was day {edition.number} of 2; {again}. Your own list: `digest init`.")


def _opener() -> str:
    return {"darwin": "open", "win32": "start"}.get(sys.platform, "xdg-open")
