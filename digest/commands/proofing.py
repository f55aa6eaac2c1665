"""Editions as they would be made, or were: what `digest rank`, `preview`, `send --dry-run` and `send --test` show.

Over an `App`, which is asked and told nothing that it would keep. Values are in `results.py`; `console` shows them.
What computes runs outside of any event loop: there Ctrl-C would be heard only when it is done.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from dataclasses import replace

from digest import edition as life
from digest import stopping
from digest.app import App
from digest.edition import Draft
from digest.errors import SendError
from digest.model import NOBODY, Address, Envelope, Frequency, Outcome, PaperId, Pick, Subscriber
from digest.results import QUIET, Progress, Proof, Pulled
from digest.roundup import coarser
from digest.timing import local_day


def proofs_of(app: App, only: Collection[str] = (), progress: Progress = QUIET) -> tuple[Proof, ...]:
    """Today's editions, each with the readers who get it: as frozen, else as it would be made now. Nothing is kept.

    The list's own comes first, with nobody where nobody is subscribed; then the round-ups of the readers' choice.
    """
    people = app.membership.people(only)
    apart = coarser(app.list.frequency)
    often: dict[Frequency | None, list[Subscriber]] = {None: [s for s in people if s.frequency not in apart]}
    often |= {frequency: [s for s in people if s.frequency is frequency] for frequency in apart}
    day = local_day(app.list, app.now())
    pulled: Pulled | None = None
    proofs = []
    for frequency, readers in often.items():
        if not readers and (people or frequency):
            continue
        if frozen := app.editions.on(app.list.id, day, frequency):
            candidates, sources = app.editions.candidates(frozen), app.editions.sources(frozen)
            made = Draft(frozen, candidates, sources, parts=app.editions.parts(frozen))
        else:
            if not (pulled or app.editions.on(app.list.id, day)):
                pulled = stopping.run(app.fetch(progress))
            made = app.making.draft(pulled or Pulled((), ()), day, frequency)
        proofs.append(_proof(app, made, frozen is not None, readers, progress))
    return tuple(proofs)


def _proof(app: App, made: Draft, is_frozen: bool, people: Sequence[Subscriber], progress: Progress) -> Proof:
    by_id = {candidate.paper.id: candidate for candidate in made.candidates}
    library = app.making.library
    duplicates = life.duplicates_for(app.papers, made.candidates, made.edition.cutoff, library)
    sent = app.editions.already_sent(people, made.candidates, duplicates, made.edition)
    ranker = app.making.ranker(made.candidates, people, made.edition.cutoff, progress)
    profiles = [person.profile for person in people]
    news = life.news_for(app.papers, app.list.id, made.parts, profiles, made.announcements)
    chosen = life.select_for(app.list, made.edition, ranker, by_id, people, sent, duplicates, news)
    selections = tuple(chosen)
    if is_frozen:
        kept = {d.address: d for d in app.editions.deliveries(made.edition)}
        selections = tuple(
            (who, kept[who.address].selection if who.address in kept else selection) for who, selection in selections
        )
    named = frozenset[PaperId]().union(*(life.named_papers(s.profile) for s in people))
    unknown = named - app.papers.known(named).keys() - by_id.keys() - library.keys()
    renderer = app.making.rendering(made.edition, by_id, made.summaries)
    return Proof(made.edition, is_frozen, by_id, made.summaries, selections, renderer, app.semantic, unknown)


def rankings_of(
    app: App, proof: Proof, top: int, progress: Progress = QUIET
) -> tuple[tuple[Subscriber, tuple[Pick, ...]], ...]:
    """Beside each selection of a proof the ranking that it was made from."""
    people = [subscriber for subscriber, _ in proof.selections]
    ranker = app.making.ranker(tuple(proof.candidates.values()), people, proof.edition.cutoff, progress)
    rankings = ranker.rank([s.profile for s in people], top)
    return tuple(zip(people, rankings, strict=True))


def send_test(app: App, address: Address, to: Collection[str], progress: Progress = QUIET) -> Outcome:
    """Sends one subscriber's edition to another address through the first real way out; records nothing."""
    proofs = proofs_of(app, to, progress)
    for proof, subscriber, selection in [(p, *selected) for p in proofs for selected in p.selections]:
        # Nobody's id: whoever gets the test must not unsubscribe her, or vote for her, with its links.
        addressed = replace(subscriber, id=NOBODY, address=address)
        message = proof.compose(addressed, selection, app.list, salt=secrets.token_hex(8))
        return stopping.run(_submit(app, app.making.envelope(address), message))
    raise SendError(f"{app.config.path}: there is no subscriber whose edition could be sent")


async def _submit(app: App, envelope: Envelope, message: bytes) -> Outcome:
    transport = app.outbox.routes()[0].new_transport()
    try:
        return await transport.submit(envelope, message, _no_intent)
    finally:
        await transport.close()


async def _no_intent() -> None:
    """What is recorded before a test leaves."""
