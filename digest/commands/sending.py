"""`digest send` in its three forms: for real, as a rehearsal, and as one message to a test address.

Each form shows what it does and returns the exit code. Called by `cli/` and `demo/`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from digest import stopping, ways_out
from digest.app import App
from digest.commands import proofing
from digest.console import (
    Terminal,
    complain,
    complain_of_sources,
    edition_json,
    edition_name,
    pick_lines,
    ranked_by,
    rejection_lines,
    report_line,
    show_sent,
)
from digest.errors import DONE, NOTHING, PARTLY, ConfigError
from digest.model import Address, DeliveryStatus, Edition, SourceReport
from digest.results import Progress, Proof, Sent
from digest.status.watchman import Watchman

TROUBLE = (DeliveryStatus.DEFERRED, DeliveryStatus.BOUNCED, DeliveryStatus.EXPIRED, DeliveryStatus.UNKNOWN)
"""With one of these, an edition that was worked on is not all that it should be."""


def send(terminal: Terminal, app: App, to: Collection[str], *, at_once: bool) -> int:
    """Makes and sends today's edition, or resumes it; `at_once`: whatever a reader's hour. Raises DigestError."""
    try:
        sent = stopping.run(_send(terminal, app, to, at_once))
    finally:
        _tell_operator(app)
    way_out = ", ".join(ways_out.names(app.config))
    show_sent(terminal, app.list.id, sent, way_out, app.now())
    complain_of_sources(app.list.id, sent.pulled.summaries if sent.pulled else ())
    if sent.drained and sent.drained.paused:
        complain(f"{app.list.id}: paused, {way_out}: {sent.drained.paused}; run the same command again to go on")
    return exit_code(sent)


def _tell_operator(app: App) -> None:
    """Writes to the list's operator where there is trouble, and sends what was written; other letters go with it."""
    if app.list.operator:
        Watchman(lambda: [app.config], app.now).look()
        if trouble := stopping.run(app.post()).trouble:
            complain(f"{app.list.id}: a mail to the operator waits: {trouble}")


def exit_code(sent: Sent) -> int:
    """0 when all went well, 1 when anything did not, 3 when nothing was done though something was expected."""
    if sent.pulled and any(summary.error for summary in sent.pulled.summaries):
        return PARTLY
    if sent.drained:
        troubled = any(overview.counts.get(status) for overview in sent.overviews for status in TROUBLE)
        if sent.drained.paused or sent.drained.held or troubled:
            return PARTLY
    if sent.stopped or any(not overview.adds_up for overview in sent.overviews):
        return PARTLY
    return NOTHING if sent.expected_something else DONE


async def _send(terminal: Terminal, app: App, to: Collection[str], at_once: bool) -> Sent:
    stop = asyncio.Event()

    def reported(report: SourceReport) -> None:
        terminal.say(report_line(report), style="red" if report.error else None)
        for line in rejection_lines(report):
            terminal.say(line)

    def edition_made(edition: Edition) -> None:
        terminal.say(f"  {edition_name(edition)} of {edition.due_on}")

    # Those whom the config names may not be in the store yet, and those who were imported are only there.
    expected = max(len(app.config.subscribers), app.subscribers.how_many(app.list.id))
    with (
        terminal.progress(expected) as shown,
        terminal.embedding() as embedding,
        stopping.stop_on_signals(stop, complain),
    ):
        progress = Progress(reported, edition_made, shown.result, embedding.embedded)
        return await app.send(to, at_once=at_once, stop=stop, progress=progress)


def rehearse(terminal: Terminal, app: App, to: Collection[str]) -> int:
    """Shows who would get what. Nothing is sent, nothing is recorded. Raises DigestError."""
    with terminal.embedding() as embedding:
        proofs = proofing.proofs_of(app, to, Progress(on_embedded=embedding.embedded))
    failed = complain_of_sources(app.list.id, proofs[0].summaries)
    for proof in proofs:
        _rehearse(terminal, app, proof)
    if not any(selection.picks for proof in proofs for _, selection in proof.selections):
        return NOTHING
    return PARTLY if failed else DONE


def _rehearse(terminal: Terminal, app: App, proof: Proof) -> None:
    rows = []
    for subscriber, selection in proof.selections:
        rendered = proof.render(subscriber, selection)
        terminal.say(f"  {subscriber.address}  {len(selection.picks)} papers  “{rendered.subject}”", style="bold")
        for place, pick in enumerate(selection.picks, 1):
            for line in pick_lines(pick, proof.candidates[pick.paper_id], str(place)):
                terminal.say(line)
        rows.append(
            {"to": subscriber.address, "subject": rendered.subject, "picks": [p.paper_id for p in selection.picks]}
        )
    terminal.say(f"  {ranked_by(proof.semantic)}")
    terminal.say(f"  dry run of {edition_name(proof.edition)}: nothing was sent, nothing was recorded")
    terminal.emit(
        {
            "list": app.list.id,
            "edition": edition_json(proof.edition),
            "semantic": proof.semantic,
            "would_send": rows,
        }
    )


def send_test(terminal: Terminal, app: App, address: str, to: Collection[str]) -> int:
    """Sends one subscriber's edition to the address; nothing is recorded. Raises DigestError."""
    if "@" not in address:
        raise ConfigError(f"--test {address}: not an email address")
    with terminal.embedding() as embedding:
        outcome = proofing.send_test(app, Address(address), to, Progress(on_embedded=embedding.embedded))
    good = outcome.status is DeliveryStatus.SENT
    if good:
        terminal.say(
            f"  test message to {address} {outcome.status} through {ways_out.names(app.config)[0]}: {outcome.reply}"
        )
    else:
        became = "not sent, by the relay's own trouble" if outcome.relay_trouble else outcome.status
        complain(f"{app.list.id}: test message to {address} {became}: {outcome.reply}")
    terminal.emit({"list": app.list.id, "test": address, "status": outcome.status, "reply": outcome.reply})
    return DONE if good else PARTLY
