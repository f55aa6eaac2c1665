"""Which troubles a list has, and what its operator is told of them. Pure: values and a clock in, values out.

`watchman.py` looks, and writes the letters. A trouble is told when it begins, once a day while it lasts, and
when it is over; one that comes and goes is told to begin once an hour at most. What cannot be judged at the moment
neither begins nor ends.

| trouble            | begins                                                                          |
|--------------------|---------------------------------------------------------------------------------|
| `sending`          | an edition could not be made or sent for QUARTER_HOUR, also as relays refuse us |
| `overdue`          | what `lists.py` calls overdue, for every way to ask alike                       |
| `unattended`       | what `lists.py` calls so: no worker of the list lives while shards wait         |
| `set aside`        | what `lists.py` calls so: shards that failed too often                          |
| `sources`          | every source failed when they were last pulled                                  |
| `source NAME`      | that source alone has not worked for SOURCE_DOWN                                |
| `mailbox`          | it could not be read for an hour                                                |
| `config`           | its file has been broken for QUARTER_HOUR, and the config as it was goes on     |
| `disk`             | less than ROOM is free where the database is                                    |
| `certificate FILE` | the authority in it, which relay or mailbox are checked by, expires in EXPIRES  |
| `bounces`          | of the newest edition tried in full, more than BOUNCED_SHARE, at least FEWEST   |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from digest.model import BounceKind, DeliveryStatus, SourceHealth
from digest.settings import ListConfig
from digest.status.lists import Wrong, refused, wrong
from digest.store import EditionOverview
from digest.store.pulse import Pulse

QUARTER_HOUR = timedelta(minutes=15)
PATIENCE = {"sending": QUARTER_HOUR, "mailbox": timedelta(hours=1), "config": QUARTER_HOUR}
"""How long that which mends itself may last before it is told."""
SOURCE_DOWN = timedelta(days=3)
ROOM = 200_000_000
"""Bytes: SQLite needs room beside the file while it writes."""
EXPIRES = timedelta(days=14)
BOUNCED_SHARE, FEWEST = 0.05, 3
AGAIN, DAILY = timedelta(hours=1), timedelta(days=1)


class State(StrEnum):
    """Where a trouble stands."""

    BEGINS = "begins"
    LASTS = "lasts"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that needs a person."""

    line: str
    """The one line that matters: what is wrong."""
    next: str
    """What to do about it."""


@dataclass(frozen=True, slots=True)
class Told:
    """What an operator was told of a trouble last, and when."""

    begun_at: datetime
    """That there is one: when it was told to begin or to last."""
    is_over: bool


@dataclass(frozen=True, slots=True)
class Failing:
    """What a running program has met and not got over: why, and since when."""

    why: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a list at one moment."""

    now: datetime
    pulse: Pulse
    editions: Sequence[EditionOverview] = ()
    """The newest, newest first."""
    sources: Sequence[SourceHealth] = ()
    running: Mapping[str, Failing | None] = field(default_factory=dict)
    """`sending`, `mailbox` and `config`, where this process has tried; None: it went well."""
    free: int | None = None
    """Bytes, where the database is."""
    certificates: Mapping[str, datetime] = field(default_factory=dict)
    """When each file's first certificate expires."""


def found(config: ListConfig, facts: Facts) -> dict[str, Trouble | None]:
    """Each trouble by its name; None where it was looked for and is not there."""
    state: dict[str, Trouble | None] = {}
    for name, failing in facts.running.items():
        if failing is None:
            state[name] = None
        elif facts.now - failing.since >= PATIENCE[name]:
            state[name] = Trouble(f"{_RUNNING[name][0]}: {failing.why}", _RUNNING[name][1])
    if facts.pulse.work is not None and not facts.running.get("sending"):  # its relays are met by workers
        late, (what, advice) = refused(config, facts.pulse, facts.now), _RUNNING["sending"]
        lasts = late if late and facts.now - late.since >= PATIENCE["sending"] else None
        state["sending"] = Trouble(f"{what}: {lasts.why}", advice) if lasts else None
    state |= _sources(facts)
    now_wrong = wrong(config, facts.pulse, facts.now).items()
    told = {what: Trouble(f"{what}: {late.why}", _WRONG[what]) for what, late in now_wrong}
    if facts.pulse.work is not None:
        state |= {what: told.get(what) for what in (Wrong.UNATTENDED, Wrong.ASIDE)}
    if not any(state.get(cause) for cause in ("sending", "sources", Wrong.UNATTENDED)):  # its cause, which is told
        state[Wrong.OVERDUE] = told.get(Wrong.OVERDUE)
    state["bounces"] = _bounces(facts.editions)
    if facts.free is not None:
        line = f"the disk is nearly full: {facts.free / 1e6:,.0f} MB are free where the database is"
        advice = "free some space there: a full disk stops every edition; nothing that was sent is lost"
        state["disk"] = Trouble(line, advice) if facts.free < ROOM else None
    for name, expires in facts.certificates.items():
        said = "has expired" if expires <= facts.now else "expires"
        line = f"the certificate authority in {name} {said} on {expires:%Y-%m-%d}"
        advice = (
            "put the new one into the file that `ca_file` names: the connections that it guards are refused without"
        )
        state[f"certificate {name}"] = Trouble(line, advice) if expires - facts.now < EXPIRES else None
    return state


_RUNNING = {
    "sending": (
        "the edition does not go out",
        "nothing is lost and it is tried again by itself; `digest status` shows how far it is",
    ),
    "mailbox": (
        "the mailbox cannot be read",
        "bounces and commands wait in it; look at [mailbox], then `digest mailbox`",
    ),
    "config": ("the config is broken", "the config as it was goes on until the program is restarted: mend the line"),
}


_WRONG = {
    Wrong.OVERDUE: (
        "see whether `digest run` is running; `digest send` makes the edition and sends what is left of it now"
    ),
    Wrong.UNATTENDED: "start `digest worker`, on any host: nothing leaves without; `digest status` shows who lives",
    Wrong.ASIDE: "their readers get nothing: `digest status` has the errors; mend that, then `digest retry EDITION`",
}


def _sources(facts: Facts) -> Iterator[tuple[str, Trouble | None]]:
    failed = [each for each in facts.sources if each.summary.error]
    every = bool(failed) and len(failed) == len(facts.sources)
    named = "; ".join(f"{each.summary.source}: {each.summary.error}" for each in failed)
    advice = "no edition is made of nothing; the next try comes by itself, `digest pull` asks them now"
    yield "sources", Trouble(f"every source failed: {named}", advice) if every else None
    for each in () if every else facts.sources:
        since, name = each.good_at, each.summary.source
        lasting = each.summary.error is not None and (since is None or facts.now - since >= SOURCE_DOWN)
        days = f"for {(facts.now - since).days} days" if since else "since it was added"
        advice = (
            "editions go out without it: look at its `url` in [[sources]], or take it out; `digest pull` asks it now"
        )
        yield (
            f"source {name}",
            Trouble(f"source {name} fails {days}: {each.summary.error}", advice) if lasting else None,
        )


def _bounces(editions: Sequence[EditionOverview]) -> Trouble | None:
    tried = (each for each in editions if each.recipients and not each.counts.get(DeliveryStatus.QUEUED))
    overview = next(tried, None)
    if overview is None or not overview.recipients:
        return None
    back = sum(count for kind, count in overview.came_back.items() if kind is not BounceKind.COMPLAINT)
    back += overview.counts.get(DeliveryStatus.BOUNCED, 0)
    if back < FEWEST or back <= BOUNCED_SHARE * overview.recipients:
        return None
    edition, share = overview.edition, back / overview.recipients
    return Trouble(
        f"{share:.0%} of edition {edition.number} bounced: {back:,} of {overview.recipients:,}",
        f"`digest deliveries {edition.number}` shows what the servers said; many refusals for policy mean that the "
        "sending address or the relay has a bad name, many unknown addresses that the list is old",
    )


OVER = {
    "sending": "editions go out again",
    "overdue": "no edition is overdue any more",
    "unattended": "no shard waits for a worker any more",
    "set aside": "no shard is set aside any more",
    "sources": "the sources work again",
    "mailbox": "the mailbox can be read again",
    "config": "the config can be read again",
    "disk": "the disk has room again",
    "bounces": "the last edition did not bounce",
}


def over_line(name: str) -> str:
    """What is said when a trouble is over."""
    kind, _, what = name.partition(" ")
    return OVER.get(name) or (f"source {what} works again" if kind == "source" else f"{what} is good again")


def due(state: Mapping[str, Trouble | None], told: Mapping[str, Told], now: datetime) -> dict[str, State]:
    """What there is to tell. A source that was told of and is no longer in the config is over."""
    notices: dict[str, State] = {}
    gone = {name: None for name in told if name.startswith(("source ", "certificate ")) and name not in state}
    for name, trouble in {**state, **({} if state.get("sources") else gone)}.items():
        before = told.get(name)
        if trouble is None:
            if before and not before.is_over:
                notices[name] = State.OVER
        elif before is None or (before.is_over and now - before.begun_at >= AGAIN):
            notices[name] = State.BEGINS
        elif not before.is_over and now - before.begun_at >= DAILY:
            notices[name] = State.LASTS
    return notices
