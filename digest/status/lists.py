"""How a list stands, decided purely from what the store counted, the config and the time.

`store/figures.py` counts; this says what it means: what waits and why, what is overdue, how sources do, what there was
on each day. It opens nothing and prints nothing. `digest status`, the page /status, /metrics and /healthz show it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import TypeVar

from digest.holding import closed_line
from digest.members import Ballot, Standing
from digest.model import BounceKind, DeliveryStatus, MailingList, Pause, Relay, SourceHealth, SourceSummary
from digest.schedule import read_schedule, window_of
from digest.send.routes import cap, is_limited
from digest.settings import ListConfig
from digest.status.crew import Crew, crew_of
from digest.store.editions import UNSETTLED
from digest.store.figures import EditionFigures, ListFigures, Snapshot, SuppressionKind
from digest.store.pulse import Pulse, Unsent
from digest.timing import due, is_overdue, local_day, overdue_line

Kind = TypeVar("Kind", bound=StrEnum)

MADE_WITHIN = timedelta(minutes=30)
"""How long after its time an edition may still be in the making: sources are slow, and asked again."""
STALLED_AFTER = timedelta(hours=2)
"""An edition of which nothing has left for so long, although something is to leave, is overdue: longer than the longest
pause between two tries."""
UNATTENDED_AFTER = timedelta(minutes=2)
"""For so long shards may wait while no worker lives: one is started again, or all are upgraded."""
FAILED = (DeliveryStatus.BOUNCED, DeliveryStatus.EXPIRED)
EDITIONS_JUDGED = 30
"""Errors in a row are counted in so many editions at most."""


class Wrong(StrEnum):
    """What a list may need a person for, the worst first."""

    OVERDUE = "overdue"
    UNATTENDED = "unattended"
    """Shards wait, and no worker of this list lives."""
    ASIDE = "set aside"
    """Shards have failed too often: some readers get nothing until somebody decides."""


@dataclass(frozen=True, slots=True)
class Overdue:
    """What should have happened, and since when it is late."""

    since: datetime
    why: str


@dataclass(frozen=True, slots=True)
class SourceState:
    """How a source does."""

    name: str
    pulled_at: datetime
    good_at: datetime | None
    error: str | None
    errors_in_a_row: int
    """Of the last pull and the editions before it."""
    received: int
    """What of the announced papers we hold, where that is known, else how many announcements were read."""
    expected: int | None
    """How many were announced; None: nobody could say."""
    figures: int
    """Signals observed."""


@dataclass(frozen=True, slots=True)
class RelayDay:
    """A relay that has a limit, on the list's present day."""

    name: str
    day: date
    messages: int
    cap: int

    @property
    def is_full(self) -> bool:
        """It takes no more today."""
        return self.messages >= self.cap


@dataclass(frozen=True, slots=True)
class Day:
    """What happened on a day on which there was an edition, or votes."""

    on: date
    edition: EditionFigures | None = None
    votes: int = 0
    papers: Mapping[str, int] = field(default_factory=dict)
    """What each source gave that had not been seen before."""


@dataclass(frozen=True, slots=True)
class ListStatus:
    """One list, as operators see it."""

    id: str
    name: str
    now: datetime
    next_run: datetime | None
    """In the list's own time."""
    pause: Pause | None
    closed: str | None
    """When the hours begin in which messages leave; None: they may leave now."""
    wrong: Mapping[Wrong, Overdue]
    crew: Crew | None
    """None on SQLite."""
    editions: tuple[EditionFigures, ...]
    """All, newest first."""
    candidates: int | None
    """Papers of the newest edition."""
    deliveries: Mapping[DeliveryStatus, int]
    """Of all editions."""
    bounces: Mapping[BounceKind, int]
    waiting: tuple[str, ...]
    """What waits, and why, a line each."""
    waits_since: datetime | None
    """Since when there has been something to send."""
    letters: int
    sources: tuple[SourceState, ...]
    relays: tuple[RelayDay, ...]
    subscribers: Mapping[Standing, int]
    suppressions: Mapping[SuppressionKind, int]
    """Of the whole database: they hold for all its lists."""
    ballots: Mapping[Ballot, int]
    days: tuple[Day, ...]
    """Oldest first, without a gap."""

    @property
    def overdue(self) -> Overdue | None:
        """An edition that is late."""
        return self.wrong.get(Wrong.OVERDUE)


def status_of(config: ListConfig, snapshot: Snapshot, pulse: Pulse, now: datetime, days: int) -> ListStatus:
    """The list's state, with what there was on the last `days` days."""
    mailing_list = config.mailing_list
    figures = snapshot.lists.get(mailing_list.id, ListFigures())
    closed = closed_line(window_of(mailing_list), now)
    relays = relay_days(config.relays, mailing_list, snapshot.relay_days, now)
    unfinished = tuple(edition for edition in figures.editions if edition.finished_at is None)
    waits = _waits_since(unfinished, figures)
    return ListStatus(
        id=mailing_list.id,
        name=mailing_list.name,
        now=now,
        next_run=read_schedule(mailing_list.schedule, mailing_list.timezone).after(now),
        pause=figures.pause,
        closed=closed,
        wrong=wrong(config, pulse, now),
        crew=crew_of(config, snapshot, pulse, now, may_send=not (figures.pause or closed)),
        editions=figures.editions,
        candidates=figures.pulls[0].candidates if figures.pulls else None,
        deliveries=added(DeliveryStatus, [edition.counts for edition in figures.editions]),
        bounces=added(BounceKind, [edition.came_back for edition in figures.editions]),
        waiting=tuple(_waiting(figures, closed, relays, "worker" if pulse.work else "run")),
        waits_since=waits,
        letters=figures.letters,
        sources=tuple(source_state(health, figures) for health in figures.health),
        relays=relays,
        subscribers={
            standing: figures.subscribers[standing] for standing in Standing if standing in figures.subscribers
        },
        suppressions=snapshot.suppressions,
        ballots=figures.ballots,
        days=by_day(figures, first_day(mailing_list, now, days), local_day(mailing_list, now)),
    )


def first_day(mailing_list: MailingList, now: datetime, days: int) -> date:
    """The first of the last `days` days, today being the last."""
    return local_day(mailing_list, now) - timedelta(days=days - 1)


def wrong(config: ListConfig, pulse: Pulse, now: datetime) -> dict[Wrong, Overdue]:
    """All that a person is needed for, by the database: decided here for every way to ask."""
    looked = {
        Wrong.OVERDUE: overdue(config, pulse, now),
        Wrong.UNATTENDED: _unattended(pulse, now),
        Wrong.ASIDE: _set_aside(pulse),
    }
    return {what: late for what, late in looked.items() if late}


def _unattended(pulse: Pulse, now: datetime) -> Overdue | None:
    work = pulse.work
    if work is None or work.workers or work.due_since is None or pulse.is_paused:
        return None
    late = now - work.due_since >= UNATTENDED_AFTER
    return Overdue(work.due_since, "shards wait, and no worker of this list lives") if late else None


def _set_aside(pulse: Pulse) -> Overdue | None:
    if pulse.work is None or not pulse.work.aside:
        return None
    told = ", ".join(
        f"{each.count:,} {'shard' if each.count == 1 else 'shards'} of edition {each.edition}"
        for each in pulse.work.aside
    )
    return Overdue(
        min(each.since for each in pulse.work.aside), f"{told} failed again and again: `digest status` says why"
    )


def overdue(config: ListConfig, pulse: Pulse, now: datetime) -> Overdue | None:
    """What the list should have done by now; None for one that is paused, has no reader, or has no past yet."""
    # The config's readers come into the store with the first edition.
    if pulse.is_paused or not (pulse.has_readers or (pulse.newest is None and config.subscribers)):
        return None
    mailing_list = config.mailing_list
    newest_day, cutoff = pulse.newest or (None, None)
    run = due(mailing_list, pulse.done_until or cutoff, now)
    if run and not (newest_day and run.day <= newest_day):
        if is_overdue(mailing_list, run, now):
            return Overdue(run.run.astimezone(UTC), overdue_line(mailing_list, run, now))
        if now - (run.closes_at or run.run) > MADE_WITHIN:
            return Overdue(run.run.astimezone(UTC), f"no edition was made of the run of {run.run:%A %Y-%m-%d %H:%M %Z}")
    return _stalled(config, pulse, now)


def _stalled(config: ListConfig, pulse: Pulse, now: datetime) -> Overdue | None:
    window = window_of(config.mailing_list)
    opens = window.at(now)[0].astimezone(UTC) if window else None
    relays = relay_days(config.relays, config.mailing_list, pulse.relay_days, now)
    if relays and len(relays) == len(config.relays) and all(r.is_full for r in relays):
        return None
    for edition in pulse.unsent:
        since = _idle_since(edition, opens)
        if now - since > STALLED_AFTER:
            what = "messages wait" if edition.is_frozen else "its recipients are not all chosen"
            why = f"edition {edition.number} of {edition.due_on} is not sent: {what}, and nothing happens"
            return Overdue(since, why)
    return None


def _idle_since(edition: Unsent, opens: datetime | None) -> datetime:
    """Since when something of the edition could have left, and has not."""
    return max([edition.cutoff, *filter(None, (opens, edition.due_at, edition.last_sent_at))])


def refused(config: ListConfig, pulse: Pulse, now: datetime) -> Overdue | None:
    """What workers meet that keeps them from sending, since the last message left; None where nothing is to leave."""
    if pulse.work is None or not pulse.work.trouble or not pulse.unsent or pulse.is_paused:
        return None
    window = window_of(config.mailing_list)
    opens = window.at(now)[0].astimezone(UTC) if window else None
    return Overdue(min(_idle_since(edition, opens) for edition in pulse.unsent), pulse.work.trouble)


def relay_days(
    relays: Sequence[Relay], mailing_list: MailingList, counted: Mapping[tuple[str, date], int], now: datetime
) -> tuple[RelayDay, ...]:
    """What the relays with a limit were given today."""
    day = local_day(mailing_list, now)
    limited = [relay for relay in relays if is_limited(relay)]
    return tuple(RelayDay(r.name, day, counted.get((r.name, day), 0), cap(r, day)) for r in limited)


def source_state(health: SourceHealth, figures: ListFigures) -> SourceState:
    """How a source does, by its last pull and by the editions before it."""
    summary = health.summary
    received, expected = coverage(summary)
    return SourceState(
        name=summary.source,
        pulled_at=health.pulled_at,
        good_at=health.good_at,
        error=summary.error,
        errors_in_a_row=_errors_in_a_row(health, figures),
        received=received,
        expected=expected,
        figures=summary.figures,
    )


def coverage(summary: SourceSummary) -> tuple[int, int | None]:
    """How many papers we hold of how many that were announced; None where a part of the source could not say."""
    if not summary.coverage:
        return summary.received, None
    received = sum(part.received for part in summary.coverage)
    known = [part.expected for part in summary.coverage if part.expected is not None]
    return received, sum(known) if len(known) == len(summary.coverage) else None


def _errors_in_a_row(health: SourceHealth, figures: ListFigures) -> int:
    if health.summary.error is None:
        return 0
    newest = figures.editions[0].cutoff if figures.editions else None
    is_own = newest is None or health.pulled_at > newest  # a pull of which no edition was made
    errors = int(is_own)
    for pull in figures.pulls[:EDITIONS_JUDGED]:
        summary = next((each for each in pull.sources if each.source == health.summary.source), None)
        if summary is None or summary.error is None:
            break
        errors += 1
    return max(errors, 1)


def _waiting(figures: ListFigures, closed: str | None, relays: Sequence[RelayDay], sender: str) -> list[str]:
    """What waits, and why; `digest SENDER` would send it."""
    lines = []
    full = ", ".join(relay.name for relay in relays if relay.is_full)
    because = (
        (figures.pause and "the list is paused")
        or closed
        or (full and f"{full} has had its messages of the day")
        or f"to be sent by `digest {sender}`, or by `digest send`"
    )
    counts = added(DeliveryStatus, [edition.counts for edition in figures.editions])
    later, first = figures.hours or (0, None)
    if later and first:
        verb, noun = ("waits for its", "it") if later == 1 else ("wait for their", "the first")
        lines.append(f"{later:,} {verb} reader's hour; {noun} leaves on {first:%Y-%m-%d at %H:%M} UTC")
    queued = counts.get(DeliveryStatus.QUEUED, 0) - later
    if queued:
        lines.append(f"{queued:,} queued: {because}")
    busy = counts.get(DeliveryStatus.ACTIVE, 0) + counts.get(DeliveryStatus.SENDING, 0)
    if busy:
        lines.append(f"{busy:,} in conversation: being sent now, or left by a run that broke off")
    if deferred := counts.get(DeliveryStatus.DEFERRED, 0):
        lines.append(f"{deferred:,} deferred: to be tried again at their time; `digest deliveries` says when and why")
    if unknown := counts.get(DeliveryStatus.UNKNOWN, 0):
        lines.append(f"{unknown:,} unknown: they may have arrived; `digest resolve EDITION` decides")
    lines += [
        f"edition {edition.number} of {edition.due_on}: its recipients are not all chosen yet"
        for edition in figures.editions
        if edition.recipients is None
    ]
    if figures.letters:
        noun = "letter" if figures.letters == 1 else "letters"
        lines.append(f"{figures.letters:,} {noun} to single people: confirmations and answers")
    return lines


def _waits_since(unfinished: Sequence[EditionFigures], figures: ListFigures) -> datetime | None:
    since = [e.cutoff for e in unfinished if e.recipients is None or any(e.counts.get(s) for s in UNSETTLED)]
    return min([*since, *([figures.oldest_letter] if figures.oldest_letter else [])], default=None)


def by_day(figures: ListFigures, first: date, last: date) -> tuple[Day, ...]:
    """Every day from `first` to `last` with what happened on it."""
    pulls = {pull.due_on: pull for pull in figures.pulls}
    made = {edition.due_on: edition for edition in figures.editions if edition.due_on >= first}
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    return tuple(
        Day(
            on=day,
            edition=made.get(day),
            votes=figures.votes.get(day, 0),
            papers={summary.source: summary.fresh for summary in pulls[day].sources} if day in pulls else {},
        )
        for day in days
    )


def added(kinds: type[Kind], counted: Iterable[Mapping[Kind, int]]) -> dict[Kind, int]:
    """Counts of the same kinds together, in the order of the kinds; without zeros."""
    sums = Counter[Kind]()
    for counts in counted:
        sums.update(counts)
    return {kind: sums[kind] for kind in kinds if sums[kind]}


def ago(time: timedelta) -> str:
    """A time for a person: "40 s", "25 min", "3 h", "12 days"."""
    seconds = max(int(time.total_seconds()), 0)
    for unit, size, upto in (("s", 1, 120), ("min", 60, 120), ("h", 3600, 48)):
        if seconds < size * upto:
            return f"{seconds // size} {unit}"
    return f"{seconds // 86400} days"
