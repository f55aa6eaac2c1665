"""`digest deliveries`, `retry` and `resolve`: who got what and why, and what a person decides about it.

Each function shows what it does and returns the exit code. Called by `cli/`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime

from digest.app import App
from digest.console import Terminal, came_back_line, complain, counts_line, pick_json, pick_lines
from digest.dispatch.among_workers import sender_of
from digest.errors import DONE, NOTHING, PARTLY, ConfigError
from digest.model import Address, Bounce, BounceKind, Candidate, Delivery, DeliveryId, DeliveryStatus, Edition, PaperId
from digest.store import EditionOverview

NAMED = 20
"""How many of those whom a decision is about are told by their addresses; as JSON all are."""


def edition_of(app: App, asked: str | None) -> Edition:
    """The list's edition by number or by day, without either the newest one. Raises ConfigError if there is none."""
    if asked is None:
        found = app.editions.latest(app.list.id)
    elif asked.isdecimal():
        found = app.editions.numbered(app.list.id, int(asked))
    else:
        try:
            found = app.editions.on(app.list.id, date.fromisoformat(asked))
        except ValueError:
            raise ConfigError(f"{asked}: an edition goes by its number, or its day as in 2026-06-09") from None
    if found is None:
        raise ConfigError(f"{app.list.id}: there is no edition {asked or 'yet'}; `digest status` shows those there are")
    return found


def show(
    terminal: Terminal, app: App, edition: Edition, to: Collection[str], status: DeliveryStatus | None = None
) -> int:
    """Every delivery with what the server said and what came back; of readers asked for also papers and reasons."""
    if (overview := app.editions.overview(edition)).let_go:
        return _let_go(terminal, app, overview)
    wanted = {address.casefold() for address in to}
    deliveries = [
        delivery
        for delivery in app.editions.deliveries(edition)
        if (not wanted or delivery.address.casefold() in wanted) and status in (None, delivery.status)
    ]
    terminal.say(f"{app.list.name} ({app.list.id}), edition {edition.number} of {edition.due_on}", style="bold")
    candidates = {candidate.paper.id: candidate for candidate in app.editions.candidates(edition)}
    returned = app.bounces.of(edition.id)
    said = {d.id: "; ".join([_due(d) + d.reply, *map(_came_back, returned.get(d.id, ()))]) for d in deliveries}
    if wanted:
        for delivery in deliveries:
            _show_one(terminal, delivery, said[delivery.id], candidates)
    else:
        _show_all(terminal, deliveries, said)
    if not deliveries:
        terminal.say(f"  {f'no delivery is {status}' if status and not wanted else 'no such delivery'}")
    for delivery in deliveries:
        terminal.emit(
            {
                "list": app.list.id,
                "edition": edition.number,
                "address": delivery.address,
                "status": delivery.status,
                "message_id": delivery.message_id,
                "attempts": delivery.attempts,
                "next_attempt_at": delivery.next_attempt_at.isoformat() if delivery.next_attempt_at else None,
                "relay": delivery.relay,
                "reply": delivery.reply,
                "bounces": [
                    {"kind": bounce.kind, "enhanced_code": bounce.enhanced_code, "diagnostic": bounce.diagnostic}
                    for bounce in returned.get(delivery.id, ())
                ],
                "picks": [pick_json(pick) for pick in delivery.picks],
            }
        )
    return DONE if deliveries else NOTHING


def _let_go(terminal: Terminal, app: App, overview: EditionOverview) -> int:
    """Of an edition whose deliveries are gone there is no more to show, nor to decide, than what they came to."""
    edition = overview.edition
    came_back = f"; came back: {came_back_line(overview)}" if overview.came_back else ""
    terminal.say(f"{app.list.name} ({app.list.id}), edition {edition.number} of {edition.due_on}", style="bold")
    terminal.say(f"  {counts_line(overview)}{came_back}")
    terminal.say("  its deliveries were let go of after the time that `deliveries` of [retention] says")
    terminal.say("  which papers a reader had of it: `digest subscribers export --json --to EMAIL`")
    terminal.emit(
        {
            "list": app.list.id,
            "edition": edition.number,
            "let_go": True,
            "counts": dict(overview.counts),
            "came_back": dict(overview.came_back),
        }
    )
    return NOTHING


def _show_all(terminal: Terminal, deliveries: Sequence[Delivery], said: Mapping[DeliveryId, str]) -> None:
    several = len({delivery.relay for delivery in deliveries if delivery.relay}) > 1
    columns = ["  address", "status", "papers", "tries", *(["relay"] if several else []), "reply"]
    rows = []
    for d in deliveries:
        relay = [d.relay] if several else []
        rows.append([f"  {d.address}", d.status, f"{len(d.picks)}", f"{d.attempts}", *relay, said[d.id]])
    terminal.table(columns, rows)


def _show_one(terminal: Terminal, delivery: Delivery, said: str, candidates: Mapping[PaperId, Candidate]) -> None:
    tries = f"{delivery.attempts} {'try' if delivery.attempts == 1 else 'tries'}"
    through = f" through {delivery.relay}" if delivery.relay else ""
    terminal.say(f"  {delivery.address}  {delivery.status}, {tries}{through}  {delivery.message_id}")
    if said:
        terminal.say(f"    {said}")
    for place, pick in enumerate(delivery.picks, 1):
        if pick.paper_id not in candidates:
            terminal.say(f"  {place:>3}  {pick.paper_id}, which cannot be read any more")
            continue
        for line in pick_lines(pick, candidates[pick.paper_id], str(place)):
            terminal.say(line)


def _due(delivery: Delivery) -> str:
    due = delivery.next_attempt_at
    return f"due {due:%Y-%m-%d %H:%M} UTC: " if due and delivery.status is DeliveryStatus.DEFERRED else ""


def _came_back(bounce: Bounce) -> str:
    told = "complained of" if bounce.kind is BounceKind.COMPLAINT else f"came back ({bounce.kind})"
    return f"{told}: {bounce.diagnostic}"


def retry(terminal: Terminal, app: App, edition: Edition, to: Collection[Address], now: datetime) -> int:
    """Makes due what failed; nothing is sent yet."""
    changed = app.decisions(edition, to).retry(now)
    if (overview := app.editions.overview(edition)).let_go:
        return _let_go(terminal, app, overview)
    _tell(terminal, app, edition, changed, "due again")
    held = overview.counts.get(DeliveryStatus.UNKNOWN, 0)
    if held:
        terminal.say(f"  {held:,} may have arrived and are left alone: `digest resolve {edition.number}`")
    return DONE if changed else NOTHING


def resolve(terminal: Terminal, app: App, edition: Edition, to: Collection[Address], now: datetime, how: str) -> int:
    """Decides about deliveries in doubt: `resend` or `delivered`; else they are shown, with what to look for."""
    if how and not app.editions.overview(edition).let_go:
        decisions = app.decisions(edition, to)
        decide: Callable[[datetime], Sequence[Address]] = decisions.resend if how == "resend" else decisions.delivered
        changed = decide(now)
        _tell(terminal, app, edition, changed, "due again" if how == "resend" else "taken for delivered")
        return DONE if changed else NOTHING
    code = show(terminal, app, edition, to, DeliveryStatus.UNKNOWN)
    if code == DONE:
        terminal.say("  look for their Message-IDs (--to EMAIL or --json shows them) in the log of your mail server:")
        terminal.say("  then `--delivered` if they are there, `--resend` if not; sent again, they may arrive twice")
        complain(f"{app.list.id}: edition {edition.number} has deliveries in doubt")
        return PARTLY
    return code


def _tell(terminal: Terminal, app: App, edition: Edition, changed: Sequence[Address], words: str) -> None:
    for address in changed[:NAMED]:
        terminal.say(f"  {address}: {words}")
    if len(changed) > NAMED:
        terminal.say(f"  … and {len(changed) - NAMED:,} more: {words}")
    if not changed:
        terminal.say(f"  edition {edition.number}: no such delivery")
    elif words == "due again":
        by_itself = sender_of(app.config.store_url)
        terminal.say(f"  `digest send` sends what is due ({len(changed):,} now), and so does `digest {by_itself}`")
    terminal.emit({"list": app.list.id, "edition": edition.number, "changed": list(changed), "now": words})
