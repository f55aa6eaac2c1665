"""Which troubles there are, and what is told of them when. Values alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.model import (
    Aside,
    BounceKind,
    DeliveryStatus,
    Edition,
    EditionId,
    ListId,
    ShardState,
    SharedWork,
    SourceHealth,
    SourceSummary,
    Worker,
)
from digest.settings import ListConfig
from digest.settings.installation import Pulling
from digest.status.troubles import Facts, Failing, State, Told, Trouble, due, found, over_line
from digest.store import EditionOverview
from digest.store.pulse import Pulse, Unsent
from tests.factories import mailing_list

MONDAY = datetime(2026, 6, 8, 7, 0, tzinfo=UTC)
"""When the list's run is due."""
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LIST = ListConfig(
    path=Path("lab.toml"),
    mailing_list=mailing_list(),
    sources=(),
    pulling=Pulling(),
    topics=(),
    subscribers=(),
    relays=(),
    outbox=Path("outbox"),
    store_url="sqlite://",
    warnings=(),
)
MADE = Pulse((MONDAY.date(), MONDAY), (), MONDAY, is_paused=False, has_readers=True, relay_days={})
MISSED = replace(MADE, newest=((MONDAY - 3 * DAY).date(), MONDAY - 3 * DAY), done_until=MONDAY - 3 * DAY)
HELD = replace(MADE, unsent=(Unsent(7, MONDAY.date(), MONDAY, is_frozen=True, due_at=None, last_sent_at=None),))


ALONE = SharedWork((), {ShardState.WAITING: 3}, MONDAY, ())
POISONED = SharedWork(
    (Worker("host-a/1", MONDAY, timedelta(seconds=3), ()),), {}, None, (Aside(6, 2, MONDAY), Aside(7, 1, MONDAY + HOUR))
)


def edition(at: datetime = MONDAY, **changes: Any) -> EditionOverview:
    fields: dict[str, Any] = {
        "edition": Edition(EditionId(1), ListId("lab"), 7, at.date(), None, at),
        "sources": (),
        "candidates": 30,
        "recipients": 100,
        "counts": {DeliveryStatus.SENT: 100},
        "finished_at": at,
        "replies": (),
        "next_attempt_at": None,
        "came_back": {},
        "hours": None,
    }
    return EditionOverview(**(fields | changes))


def source(
    name: str, error: str | None = None, *, good: datetime | None = MONDAY, at: datetime = MONDAY
) -> SourceHealth:
    return SourceHealth(SourceSummary(name, 0, 0, (), error), at, good)


def lines(facts: Facts) -> dict[str, str]:
    """The troubles that there are, by name."""
    return {name: trouble.line for name, trouble in found(LIST, facts).items() if trouble}


FINE = Facts(MONDAY + 2 * HOUR, MADE, [edition()], [source("arxiv"), source("journal")], free=10**10)


def test_where_all_is_well_nothing_is_told() -> None:
    """Everything was looked for, and nothing is there."""
    assert lines(FINE) == {}
    assert {"overdue", "sources", "source arxiv", "disk", "bounces"} <= found(LIST, FINE).keys()


def test_what_nobody_works_on_is_told_once() -> None:
    """With the cause an edition is late too: that is not told beside it. Where there are no workers, nothing is."""
    late = replace(FINE, now=MONDAY + 3 * HOUR, pulse=replace(HELD, work=ALONE))
    assert lines(late) == {"unattended": "unattended: shards wait, and no worker of this list lives"}
    assert not {"unattended", "set aside"} & found(LIST, FINE).keys()
    attended = replace(ALONE, workers=POISONED.workers)
    assert found(LIST, replace(FINE, pulse=replace(MADE, work=attended)))["unattended"] is None
    assert over_line("unattended") == "no shard waits for a worker any more"
    assert over_line("set aside") == "no shard is set aside any more"


def test_what_relays_say_to_workers_is_told_after_a_while() -> None:
    """A quarter of an hour after the last message left, as what this process meets; and when it is over."""
    refusing = replace(ALONE, workers=POISONED.workers, trouble="535 5.7.8 Wrong password")
    (waits,) = HELD.unsent
    left = replace(waits, last_sent_at=MONDAY + timedelta(minutes=1))
    late = replace(FINE, now=MONDAY + timedelta(minutes=15), pulse=replace(HELD, work=refusing))
    assert lines(late) == {"sending": "the edition does not go out: 535 5.7.8 Wrong password"}
    assert lines(replace(late, pulse=replace(late.pulse, unsent=(left,)))) == {}
    assert lines(replace(late, pulse=replace(late.pulse, is_paused=True))) == {}
    assert found(LIST, replace(late, pulse=replace(HELD, work=replace(refusing, trouble=""))))["sending"] is None
    assert "sending" not in found(LIST, replace(late, running={"sending": Failing("no pull", late.now)}))


def test_workers_may_be_away_for_two_minutes() -> None:
    """As while all are upgraded; and a list that is paused needs none."""
    pulse = replace(MADE, work=ALONE)
    assert lines(replace(FINE, now=MONDAY + timedelta(seconds=119), pulse=pulse)) == {}
    assert "unattended" in lines(replace(FINE, now=MONDAY + timedelta(seconds=120), pulse=pulse))
    assert lines(replace(FINE, pulse=replace(pulse, is_paused=True))) == {}


@pytest.mark.parametrize(
    ("facts", "name", "line"),
    [
        (
            replace(FINE, pulse=MISSED),
            "overdue", "overdue: no edition was made of the run of Monday 2026-06-08 07:00 UTC",
        ),
        (
            replace(FINE, now=MONDAY + 3 * HOUR, pulse=HELD),
            "overdue", "overdue: edition 7 of 2026-06-08 is not sent: messages wait, and nothing happens",
        ),
        (
            replace(FINE, pulse=replace(MADE, work=ALONE)),
            "unattended", "unattended: shards wait, and no worker of this list lives",
        ),
        (
            replace(FINE, pulse=replace(MADE, work=POISONED)),
            "set aside",
            "set aside: 2 shards of edition 6, 1 shard of edition 7 failed again and again: `digest status` says why",
        ),
        (
            replace(FINE, sources=[source("arxiv", "HTTP 503"), source("journal", "no feed")]),
            "sources", "every source failed: arxiv: HTTP 503; journal: no feed",
        ),
        (
            replace(FINE, sources=[source("arxiv"), source("journal", "no feed", good=MONDAY - 4 * DAY)]),
            "source journal", "source journal fails for 4 days: no feed",
        ),
        (
            replace(FINE, sources=[source("arxiv"), source("journal", "no feed", good=None)]),
            "source journal", "source journal fails since it was added: no feed",
        ),
        (replace(FINE, free=20_000_000), "disk", "the disk is nearly full: 20 MB are free where the database is"),
        (
            replace(FINE, certificates={"lab-ca.pem": datetime(2026, 6, 1, tzinfo=UTC)}),
            "certificate lab-ca.pem", "the certificate authority in lab-ca.pem has expired on 2026-06-01",
        ),
        (
            replace(FINE, certificates={"lab-ca.pem": datetime(2026, 6, 20, tzinfo=UTC)}),
            "certificate lab-ca.pem", "the certificate authority in lab-ca.pem expires on 2026-06-20",
        ),
        (
            replace(FINE, editions=[edition(counts={DeliveryStatus.SENT: 97, DeliveryStatus.BOUNCED: 3},
                                            came_back={BounceKind.HARD: 2, BounceKind.SOFT: 1})]),
            "bounces", "6% of edition 7 bounced: 6 of 100",
        ),
        (
            replace(FINE, running={"sending": Failing("535 wrong password", MONDAY)}),
            "sending", "the edition does not go out: 535 wrong password",
        ),
        (
            replace(FINE, running={"mailbox": Failing("login refused", MONDAY)}),
            "mailbox", "the mailbox cannot be read: login refused",
        ),
        (
            replace(FINE, running={"config": Failing("config.toml:3: `papres` is not a key", MONDAY)}),
            "config", "the config is broken: config.toml:3: `papres` is not a key",
        ),
    ],
)  # fmt: skip
def test_each_trouble_has_its_line(facts: Facts, name: str, line: str) -> None:
    """It alone is told, in one line that says what is wrong."""
    assert lines(facts) == {name: line}


@pytest.mark.parametrize(
    "facts",
    [
        replace(FINE, now=MONDAY + timedelta(minutes=29), pulse=MISSED),
        replace(FINE, pulse=replace(MISSED, done_until=MONDAY)),
        replace(FINE, pulse=replace(MISSED, newest=None, done_until=None), editions=[], sources=[]),
        replace(FINE, pulse=replace(MISSED, is_paused=True)),
        replace(FINE, pulse=HELD),
        replace(FINE, sources=[source("arxiv"), source("journal", "no feed", good=MONDAY - DAY)]),
        replace(FINE, editions=[edition(recipients=10, counts={DeliveryStatus.BOUNCED: 2, DeliveryStatus.SENT: 8})]),
        replace(FINE, editions=[edition(came_back={BounceKind.HARD: 5})]),
        replace(FINE, editions=[edition(came_back={BounceKind.COMPLAINT: 9})]),
        replace(FINE, running={"sending": Failing("greylisted", MONDAY + 2 * HOUR - timedelta(minutes=14))}),
        replace(FINE, running={"mailbox": Failing("a moment", MONDAY + HOUR + timedelta(minutes=1))}),
        replace(FINE, certificates={"lab-ca.pem": MONDAY + 15 * DAY}),
    ],
    ids=[
        *("not yet late", "pulled and nothing new", "no past", "paused by a person", "just begun"),
        *("one bad day", "two of ten", "5 of 100", "complaints", "a quarter of an hour", "an hour", "two weeks"),
    ],
)  # fmt: skip
def test_what_is_no_trouble(facts: Facts) -> None:
    """What mends itself, what somebody wanted, and what is so few that it says nothing."""
    assert lines(facts) == {}


def test_a_cause_is_told_once() -> None:
    """An edition that is late because every source failed, or because the relay refuses it, is not told as late too."""
    late = replace(FINE, pulse=MISSED)
    assert lines(late).keys() == {"overdue"}
    assert lines(replace(late, sources=[source("arxiv", "gone", good=None)])).keys() == {"sources"}
    refused = {"sending": Failing("535", MONDAY)}
    assert lines(replace(late, running=refused)).keys() == {"sending"}


BAD, GOOD = Trouble("bad", "mend it"), None


def test_a_trouble_is_told_when_it_begins_daily_and_when_it_is_over() -> None:
    """Looked at every five minutes for three days: four mails."""
    told: dict[str, Told] = {}
    notices = []
    for minutes in range(0, 3 * 24 * 60, 5):
        now = MONDAY + timedelta(minutes=minutes)
        state: Mapping[str, Trouble | None] = {"disk": BAD if minutes < 2.5 * 24 * 60 else GOOD}
        for name, what in due(state, told, now).items():
            notices.append((minutes // 60, what))
            over = what is State.OVER
            told[name] = Told(told[name].begun_at if over else now, over)
    assert notices == [(0, State.BEGINS), (24, State.LASTS), (48, State.LASTS), (60, State.OVER)]


def test_what_cannot_be_judged_neither_begins_nor_ends() -> None:
    """A program that was just started does not know whether the mailbox can be read."""
    assert due({}, {"mailbox": Told(MONDAY, is_over=False)}, MONDAY + 9 * DAY) == {}


def test_a_source_that_is_no_longer_there_is_over() -> None:
    """It was taken out of the config, as the mail had advised; while every source fails nobody knows."""
    told = {"source journal": Told(MONDAY, is_over=False)}
    assert due({"sources": None}, told, MONDAY + HOUR) == {"source journal": State.OVER}
    assert due({"sources": BAD}, {**told, "sources": Told(MONDAY, is_over=False)}, MONDAY + HOUR) == {}


@given(st.lists(st.booleans(), min_size=1, max_size=300))
def test_a_trouble_that_comes_and_goes_is_told_once_an_hour(looks: list[bool]) -> None:
    """However it flickers at each look: at most one beginning an hour, and never an end without one."""
    told: dict[str, Told] = {}
    begun, open_ = [], False
    for n, bad in enumerate(looks):
        now = MONDAY + timedelta(minutes=5 * n)
        for name, what in due({"mailbox": BAD if bad else GOOD}, told, now).items():
            assert open_ is (what is not State.BEGINS)
            open_ = what is not State.OVER
            begun += [now] if what is State.BEGINS else []
            told[name] = Told(told[name].begun_at if what is State.OVER else now, what is State.OVER)
    assert all(later - earlier >= HOUR for earlier, later in pairwise(begun))


@pytest.mark.parametrize("name", ["sending", "overdue", "sources", "source x", "mailbox", "config", "disk", "bounces",
                                  "certificate ca.pem"])  # fmt: skip
def test_every_end_has_words(name: str) -> None:
    """Of every trouble it can be said that it is over."""
    assert re_words(over_line(name))


def re_words(line: str) -> bool:
    return len(line.split()) >= 4 and date.today().isoformat() not in line
