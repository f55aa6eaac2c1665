"""What the editions of a list have brought its readers: no paper comes twice.

An edition brought somebody what her delivery has, or what `received.py` has of it, whatever became of it but that it
never arrived; one that stands in for what a restored ledger has lost brought everybody all its papers. Called by
`editions.py`, inside its transaction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from operator import itemgetter

import sqlalchemy as sa

from digest.ids import keys_of, same
from digest.model import Candidate, DeliveryStatus, Edition, Paper, PaperId, SourceSummary, SubscriberId
from digest.store import schema
from digest.store.codec import encode, paper_ids
from digest.store.damaged import tell
from digest.store.papers import in_groups
from digest.store.pauses import RESTORE
from digest.store.received import Place, had, let_go

NEVER_ARRIVED = (DeliveryStatus.BOUNCED, DeliveryStatus.EXPIRED, DeliveryStatus.CANCELLED)
"""Deliveries whose papers nobody has seen: a later edition may bring them again."""
Wanted = Mapping[PaperId, set[PaperId]]
"""Every id under which an edition may have had a paper, with the papers that it means."""


def wanted_ids(
    connection: sa.Connection, candidates: Sequence[Candidate], duplicates: Mapping[PaperId, Sequence[Paper]]
) -> Wanted:
    """Under which ids the candidates may have come, and their near-duplicates under those that these have."""
    wanted = _known_as(connection, candidates)
    for paper_id in {paper.id for c in candidates for paper in duplicates.get(c.paper.id, ())}:
        wanted.setdefault(paper_id, set()).add(paper_id)
    return wanted


def already_sent(
    connection: sa.Connection,
    subscribers: Sequence[SubscriberId],
    wanted: Wanted,
    until: Edition,
    *,
    in_the_past: bool,
) -> dict[SubscriberId, dict[PaperId, date]]:
    """`Editions.already_sent`, of the papers that are wanted."""
    editions, papers = schema.editions, schema.edition_papers
    others = editions.c.number < until.number if in_the_past else editions.c.id != until.id
    # Only editions that share a paper with this one can have brought it.
    sharing: dict[int, date] = {}
    shared: dict[int, dict[Place, PaperId]] = {}
    gone: set[int] = set()
    to_everybody: dict[PaperId, date] = {}
    for some_ids in in_groups(sorted(wanted)):
        found = connection.execute(
            sa.select(editions.c.id, editions.c.due_on, papers.c.paper_id, papers.c.position)
            .add_columns(_stands_in().label("stands_in"), let_go().label("let_go"))
            .join(papers, editions.c.id == papers.c.edition_id)
            .where(editions.c.list_id == until.list_id, others, papers.c.paper_id.in_(some_ids))
        )
        for row in found:
            sharing[row.id] = row.due_on
            shared.setdefault(row.id, {})[row.position] = PaperId(row.paper_id)
            if row.let_go:
                gone.add(row.id)
            if row.stands_in:
                to_everybody |= dict.fromkeys(wanted[PaperId(row.paper_id)], row.due_on)
    sent = {subscriber: dict(to_everybody) for subscriber in subscribers} if to_everybody else {}
    for some in in_groups(subscribers):
        picked = [*_received(connection, some, gone, shared), *_picked(connection, some, sharing.keys() - gone, shared)]
        for edition_id, subscriber_id, ids in sorted(picked, key=itemgetter(0)):
            for paper_id in ids:
                brought = dict.fromkeys(wanted.get(paper_id, ()), sharing[edition_id])
                sent.setdefault(subscriber_id, {}).update(brought)
    return {subscriber_id: brought for subscriber_id, brought in sent.items() if brought}


Picked = Iterator[tuple[int, SubscriberId, Sequence[PaperId]]]
"""An edition, a reader, and which papers it brought her."""
Shared = Mapping[int, Mapping[Place, PaperId]]
"""The papers of editions that are asked for, by their places."""


def _picked(
    connection: sa.Connection, subscribers: Sequence[SubscriberId], editions: set[int], shared: Shared
) -> Picked:
    """By their deliveries."""
    deliveries = schema.deliveries
    rows = connection.execute(
        sa.select(deliveries.c.subscriber_id, deliveries.c.edition_id, deliveries.c.picks).where(
            deliveries.c.subscriber_id.in_(subscribers),
            deliveries.c.edition_id.in_(sorted(editions)),
            deliveries.c.status.not_in(NEVER_ARRIVED),
        )
    )
    for subscriber_id, edition_id, picks in rows:
        try:
            ids: Sequence[PaperId] = paper_ids(picks)
        except ValueError as error:
            tell(f"what edition {edition_id} brought subscriber {subscriber_id}", "it counts as all it had", error)
            ids = tuple(shared[edition_id].values())
        yield edition_id, SubscriberId(subscriber_id), ids


def _received(
    connection: sa.Connection, subscribers: Sequence[SubscriberId], editions: set[int], shared: Shared
) -> Picked:
    """By what is kept of deliveries that are let go of; where that cannot be read, it counts as all the edition had."""
    for edition_id, subscriber_id, of_her in had(connection, editions, subscribers):
        at = shared[edition_id]
        if of_her is None:
            yield edition_id, subscriber_id, tuple(at.values())
        elif of_her.arrived:
            yield edition_id, subscriber_id, [at.get(place) or PaperId(str(place)) for place in of_her.papers]


def _known_as(connection: sa.Connection, candidates: Sequence[Candidate]) -> dict[PaperId, set[PaperId]]:
    """Every id under which an edition may have had one of the candidates, with the candidates that it means."""
    table = schema.paper_keys
    keys = {c.paper.id: keys_of(c.paper) for c in candidates}
    met: dict[PaperId, set[str]] = {}
    for some in in_groups(sorted(frozenset[str]().union(*keys.values()))):
        shared = sa.select(table.c.paper_id).where(table.c.key.in_(some))
        for row in connection.execute(sa.select(table).where(table.c.paper_id.in_(shared))):
            met.setdefault(PaperId(row.paper_id), set()).add(row.key)
    holders: dict[str, list[PaperId]] = {}
    for paper_id, its_keys in keys.items():
        for key in its_keys:
            holders.setdefault(key, []).append(paper_id)
    known_as = {paper_id: {paper_id} for paper_id in keys}
    for earlier, met_keys in met.items():
        alike = {paper_id for key in met_keys for paper_id in holders.get(key, ())}
        known_as.setdefault(earlier, set()).update(p for p in alike if same(keys[p], met_keys))
    return known_as


def _stands_in() -> sa.ColumnElement[bool]:
    """Whether an edition is one of `take_for_sent`."""
    marked = schema.editions.c.sources.contains(encode(SourceSummary(RESTORE, 0, 0)), autoescape=True)
    return sa.and_(schema.editions.c.recipients == 0, marked)
