"""The lists' state for Prometheus. Read from the store when it is asked for: many processes work on one database, and
none of them counts what the others do.

What rises and falls is a gauge, and so is what only seems to rise: `digest retry` makes a bounced delivery due again,
and old editions may be cleared away; as a counter each would pass for a restart, and its whole value for news. Sources:
prometheus.io/docs/practices/naming, /docs/instrumenting/writing_clientlibs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from digest import __version__
from digest.members import Ballot, Standing
from digest.model import BounceKind, DeliveryStatus, ShardState
from digest.status.crew import Crew
from digest.status.lists import ListStatus
from digest.store.figures import SuppressionKind

Sample = tuple[tuple[str, ...], float]


def exposition(statuses: Sequence[ListStatus], accept: str) -> tuple[bytes, str]:
    """The metrics in the form that `accept` asks for, and its media type."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Lists(statuses))
    encode, media_type = choose_encoder(accept)
    return encode(registry), media_type


class _Lists(Collector):
    def __init__(self, statuses: Sequence[ListStatus]):
        self._statuses = statuses

    def collect(self) -> Iterable[Metric]:
        """All of them, at once."""
        return families(self._statuses)


def _gauge(name: str, tells: str, labels: Sequence[str], samples: Iterable[Sample]) -> Metric:
    family = GaugeMetricFamily(name, tells, labels=labels)
    for values, figure in samples:
        family.add_metric(values, figure)
    return family


def families(statuses: Sequence[ListStatus]) -> Iterator[Metric]:
    """Every metric; each kind and status has a figure, also if it is 0, so that an alert has something to see."""
    info = InfoMetricFamily("digest", "The program.")
    info.add_metric((), {"version": __version__})
    yield info
    yield from _of_editions(statuses)
    yield from _of_deliveries(statuses)
    yield from _of_sources(statuses)
    yield from _of_people(statuses)
    if any(status.crew for status in statuses):
        yield from _of_crews([(status.id, status.crew) for status in statuses if status.crew])


def _of_editions(lists: Sequence[ListStatus]) -> Iterator[Metric]:
    one = ("list",)
    late = [((s.id,), (s.now - s.overdue.since).total_seconds() if s.overdue else 0.0) for s in lists]
    yield _gauge("digest_edition_overdue_seconds", "How long an edition has been overdue; 0: none is.", one, late)
    newest = [((s.id,), s.editions[0]) for s in lists if s.editions]
    yield _gauge("digest_editions", "Editions made.", one, [((s.id,), len(s.editions)) for s in lists])
    yield _gauge(
        "digest_edition_cutoff_timestamp_seconds", "When the newest edition was made.", one,
        [(labels, edition.cutoff.timestamp()) for labels, edition in newest],
    )  # fmt: skip
    yield _gauge(
        "digest_edition_finished", "Whether nothing of the newest edition is left to do.", one,
        [(labels, float(edition.finished_at is not None)) for labels, edition in newest],
    )  # fmt: skip
    yield _gauge(
        "digest_edition_recipients", "Recipients of the newest edition, once they are frozen.", one,
        [(labels, edition.recipients) for labels, edition in newest if edition.recipients is not None],
    )  # fmt: skip
    yield _gauge(
        "digest_edition_deliveries", "Deliveries of the newest edition.", ("list", "status"),
        [((*labels, status), edition.counts.get(status, 0)) for labels, edition in newest for status in DeliveryStatus],
    )  # fmt: skip
    yield _gauge(
        "digest_edition_papers", "Papers from which the newest edition was picked.", one,
        [((s.id,), s.candidates) for s in lists if s.candidates is not None],
    )  # fmt: skip
    yield _gauge(
        "digest_next_run_timestamp_seconds", "When the schedule fires next.", one,
        [((s.id,), s.next_run.timestamp()) for s in lists if s.next_run],
    )  # fmt: skip
    yield _gauge(
        "digest_paused", "Whether somebody has paused the list.", one, [((s.id,), float(bool(s.pause))) for s in lists]
    )


def _of_deliveries(lists: Sequence[ListStatus]) -> Iterator[Metric]:
    yield _gauge(
        "digest_deliveries", "Deliveries of all editions.", ("list", "status"),
        [((s.id, status), s.deliveries.get(status, 0)) for s in lists for status in DeliveryStatus],
    )  # fmt: skip
    yield _gauge(
        "digest_bounces", "Deliveries of all editions that came back, or were complained of.", ("list", "kind"),
        [((s.id, kind), s.bounces.get(kind, 0)) for s in lists for kind in BounceKind],
    )  # fmt: skip
    yield _gauge(
        "digest_queue_age_seconds", "For how long something has been waiting to be sent; 0: nothing is.", ("list",),
        [((s.id,), (s.now - s.waits_since).total_seconds() if s.waits_since else 0.0) for s in lists],
    )  # fmt: skip
    yield _gauge(
        "digest_letters_waiting", "Messages to single people that wait to be sent.", ("list",),
        [((s.id,), s.letters) for s in lists],
    )  # fmt: skip
    relays = [(s, relay) for s in lists for relay in s.relays]
    yield _gauge(
        "digest_relay_messages_today", "What a relay with a limit was given today, by all lists.", ("list", "relay"),
        [((s.id, relay.name), relay.messages) for s, relay in relays],
    )  # fmt: skip
    yield _gauge(
        "digest_relay_limit_today", "What it may be given today.", ("list", "relay"),
        [((s.id, relay.name), relay.cap) for s, relay in relays],
    )  # fmt: skip


def _of_sources(lists: Sequence[ListStatus]) -> Iterator[Metric]:
    of = [((s.id, source.name), source) for s in lists for source in s.sources]
    labels = ("list", "source")
    yield _gauge(
        "digest_source_last_pull_timestamp_seconds", "When the source was last pulled.", labels,
        [(label, source.pulled_at.timestamp()) for label, source in of],
    )  # fmt: skip
    yield _gauge(
        "digest_source_last_success_timestamp_seconds", "When it last answered without an error.", labels,
        [(label, source.good_at.timestamp()) for label, source in of if source.good_at],
    )  # fmt: skip
    yield _gauge(
        "digest_source_errors_in_a_row", "In how many editions it has failed by now.", labels,
        [(label, source.errors_in_a_row) for label, source in of],
    )  # fmt: skip
    yield _gauge(
        "digest_source_papers_received", "Announcements read in the last pull.", labels,
        [(label, source.received) for label, source in of],
    )  # fmt: skip
    yield _gauge(
        "digest_source_papers_expected", "How many there should have been, where that is known.", labels,
        [(label, source.expected) for label, source in of if source.expected is not None],
    )  # fmt: skip


def _of_people(lists: Sequence[ListStatus]) -> Iterator[Metric]:
    yield _gauge(
        "digest_subscribers", "Subscribers by how they stand.", ("list", "state"),
        [((s.id, standing), s.subscribers.get(standing, 0)) for s in lists for standing in Standing],
    )  # fmt: skip
    yield _gauge(
        "digest_votes", "The last word of readers on papers.", ("list", "vote"),
        [((s.id, ballot), s.ballots.get(ballot, 0)) for s in lists for ballot in Ballot],
    )  # fmt: skip
    yield _gauge(
        "digest_suppressions", "Addresses that are sent nothing, in the database of the list.", ("list", "kind"),
        [((s.id, kind), s.suppressions.get(kind, 0)) for s in lists for kind in SuppressionKind],
    )  # fmt: skip


def _of_crews(crews: Sequence[tuple[str, Crew]]) -> Iterator[Metric]:
    """Of lists on PostgreSQL alone."""
    one = ("list",)
    yield _gauge(
        "digest_workers", "Workers that live, and have the list in their config.", one,
        [((name,), len(crew.workers)) for name, crew in crews],
    )  # fmt: skip
    yield _gauge(
        "digest_shards", "Shards of editions that are not finished.", ("list", "state"),
        [((name, state), crew.shards.get(state, 0)) for name, crew in crews for state in ShardState],
    )  # fmt: skip
    yield _gauge(
        "digest_shard_lag_seconds", "How late the oldest due shard is that no worker has in hand; 0: none is due.", one,
        [((name,), crew.shard_lag.total_seconds()) for name, crew in crews],
    )  # fmt: skip
    yield _gauge(
        "digest_delivery_lag_seconds", "How late the oldest due delivery is that no relay was given; 0: none is.", one,
        [((name,), crew.delivery_lag.total_seconds()) for name, crew in crews],
    )  # fmt: skip
    yield _gauge(
        "digest_deliveries_per_second", "Deliveries that workers have sent, over the last two minutes.", one,
        [((name,), crew.per_second) for name, crew in crews],
    )  # fmt: skip
    relays = [((name, relay.name), relay) for name, crew in crews for relay in crew.relays]
    yield _gauge(
        "digest_relay_connections_in_use", "Connections to a relay that workers have, of all lists.", ("list", "relay"),
        [(labels, relay.connections) for labels, relay in relays],
    )  # fmt: skip
    yield _gauge(
        "digest_relay_connections_limit", "How many the list allows.", ("list", "relay"),
        [(labels, relay.allowed) for labels, relay in relays],
    )  # fmt: skip
    yield _gauge(
        "digest_relay_turns_taken_seconds", "For how long a relay's turns are taken, by its rate.", ("list", "relay"),
        [(labels, relay.ahead) for labels, relay in relays if relay.ahead is not None],
    )  # fmt: skip
