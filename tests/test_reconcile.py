"""arXiv's feed and its API together: nothing missing, or what is missing named. Every paper here is invented.

Wednesday 10 June 2026 is the day; its feed is out at 04:00 UTC and carries what was submitted from Monday 18:00 UTC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from digest.errors import SourceError
from digest.model import AnnounceType, Coverage, PaperId, Source, SourceKind, Window
from digest.pull import arxiv
from digest.pull.conversation import Ask, Task
from digest.pull.http import StatusError
from digest.pull.parsed import Parsed
from digest.pull.reconcile import missing_announcements
from tests.conversations import hold
from tests.test_arxiv_api import API, answer, entry

TUESDAY, WEDNESDAY = date(2026, 6, 9), date(2026, 6, 10)
NOW = datetime(2026, 6, 10, 7, tzinfo=UTC)
SINCE = datetime(2026, 6, 9, 7, tzinfo=UTC)
SOURCE = Source(SourceKind.ARXIV, "arxiv", categories=("cs.CV", "cs.LG"), api_url=API)
IN_TIME = "2026-06-09T10:00:00Z"
Answers = Mapping[str, bytes | Exception]


def item(number: int, kind: str = "new", categories: Sequence[str] = ("cs.CV",), title: str | None = None) -> str:
    terms = "".join(f"<category>{c}</category>" for c in categories)
    return f"""<item><title>{f"Invented paper {number}" if title is None else title}</title>
      <link>https://arxiv.org/abs/2606.{number:05}</link>
      <description>arXiv:2606.{number:05}v1 Announce Type: {kind} \nAbstract: We invent.</description>
      <guid isPermaLink="false">oai:arXiv.org:2606.{number:05}v1</guid>{terms}
      <arxiv:announce_type>{kind}</arxiv:announce_type><dc:creator>Ada Example</dc:creator></item>"""


def rss(*items: str, day: str = "Wed, 10 Jun 2026", skip: str = "<day>Sunday</day><day>Saturday</day>") -> bytes:
    return f"""<?xml version='1.0' encoding='UTF-8'?>
    <rss xmlns:arxiv="http://arxiv.org/schemas/atom" xmlns:dc="http://purl.org/dc/elements/1.1/" version="2.0"><channel>
    <title>cs.CV, cs.LG updates on arXiv.org</title><pubDate>{day} 00:00:00 -0400</pubDate>
    <skipDays>{skip}</skipDays>{"".join(items)}</channel></rss>""".encode()


def pull(
    answers: Answers, *, now: datetime = NOW, since: datetime | None = SINCE, **task: Any
) -> tuple[Parsed, list[str]]:
    """Hold the conversation: answers by the host's first part and the path's."""
    source = replace(SOURCE, **task.pop("source", {}))
    conversation = arxiv.converse(Task(source, Window(since, now, task.pop("first_days", 1)), now, **task))
    parsed, asked = hold(conversation, lambda wanted: answers[kind_of(wanted)])
    return parsed, [kind_of(wanted) for wanted in asked]


def kind_of(wanted: Ask) -> str:
    return next(kind for kind in ("rss/", "atom/", "id_list", "search_query") if kind in wanted.url).strip("/")


def numbers(parsed: Parsed) -> list[str]:
    return [a.paper.id.removeprefix("arxiv:2606.") for a in parsed.announcements]


def test_a_whole_day_is_confirmed() -> None:
    """Feed and API agree: each category is complete, and nothing needs saying."""
    feed = rss(item(1), item(2, "cross", ("hep-th", "cs.LG")), item(3, "replace"))
    parsed, asked = pull({"rss": feed, "search_query": answer(entry(1))})
    assert asked == ["rss", "search_query"]
    assert numbers(parsed) == ["00001", "00002", "00003"]
    assert parsed.coverage == (Coverage("cs.CV", 1, 1), Coverage("cs.LG", 1, 1))
    assert (parsed.announced, parsed.notes, parsed.error, parsed.look_again_at) == ((WEDNESDAY,), (), None, None)


def test_a_gap_is_filled_from_the_api() -> None:
    """What the feed lacks is announced as new, or as cross where its own category is another's."""
    found = answer(entry(1), entry(2), entry(3, category="stat.ML"), entry(4, submitted="2026-06-09T18:00:00Z"))
    parsed, _ = pull({"rss": rss(item(1)), "search_query": found})
    assert [(a.paper.id[-1], a.announce_type, a.announced_on) for a in parsed.announcements[1:]] == [
        ("2", AnnounceType.NEW, WEDNESDAY),
        ("3", AnnounceType.CROSS, WEDNESDAY),
    ]
    assert parsed.notes == ("the feed was not complete; 2 papers were taken from the search API",)
    assert parsed.coverage == (Coverage("cs.CV", 2, 2), Coverage("cs.LG", 2, 2))


def test_what_an_earlier_pull_had_is_no_gap() -> None:
    """Papers of yesterday's pull are not announced again."""
    known = {PaperId("arxiv:2606.00002"): TUESDAY}
    feed = rss(item(1, categories=("cs.CV", "cs.LG")))
    parsed, _ = pull({"rss": feed, "search_query": answer(entry(1), entry(2))}, known=known)
    assert numbers(parsed) == ["00001"]
    assert parsed.notes == ()
    assert parsed.coverage == (Coverage("cs.CV", 2, 2), Coverage("cs.LG", 2, 2))


def test_days_that_were_missed_are_asked_for() -> None:
    """A laptop that slept from Friday on gets Monday, Tuesday and Wednesday, though the feed has only the last."""
    found = answer(entry(1), *(entry(n, submitted=f"2026-06-0{n}T10:00:00Z") for n in (5, 8)))
    parsed, _ = pull({"rss": rss(item(1)), "search_query": found}, since=datetime(2026, 6, 5, 7, tzinfo=UTC))
    assert [(a.paper.id[-1], str(a.announced_on)) for a in parsed.announcements] == [
        ("1", "2026-06-10"), ("5", "2026-06-08"), ("8", "2026-06-09"),
    ]  # fmt: skip
    assert [str(day) for day in parsed.announced] == ["2026-06-08", "2026-06-09", "2026-06-10"]


def test_a_day_of_which_an_earlier_pull_had_nothing_is_asked_for_again() -> None:
    """Tuesday's feed never came before Tuesday's edition: Wednesday's pull brings its papers."""
    known = {PaperId(f"arxiv:2606.1{n:04}"): date(2026, 6, day) for n, day in enumerate((3, 4, 5, 8))}
    found = answer(entry(1), entry(8, submitted="2026-06-08T10:00:00Z"))
    parsed, _ = pull({"rss": rss(item(1)), "search_query": found}, known=known)
    assert [(a.paper.id[-1], a.announced_on) for a in parsed.announcements] == [("1", WEDNESDAY), ("8", TUESDAY)]


def test_the_feed_failed_and_the_api_has_it_all() -> None:
    """Neither RSS nor Atom: the papers come from the API, and the failure is a remark."""
    down = StatusError("rss.arxiv.org answered 503 (3 times)", 503)
    parsed, asked = pull({"rss": down, "atom": down, "search_query": answer(entry(1))})
    assert asked == ["rss", "atom", "search_query"]
    assert (numbers(parsed), parsed.error) == (["00001"], None)
    (note,) = parsed.notes
    assert note == ("the feed failed (rss.arxiv.org answered 503 (3 times)); 1 paper was taken from the search API")


def test_the_atom_twin_stands_in() -> None:
    """Where RSS fails, the Atom feed is read."""
    parsed, asked = pull({"rss": SourceError("broke off"), "atom": rss(item(1)), "search_query": answer(entry(1))})
    assert asked == ["rss", "atom", "search_query"]
    assert (numbers(parsed), parsed.error) == (["00001"], None)
    assert parsed.notes == ("the RSS feed failed; its Atom twin was read",)


def test_the_api_failed_and_the_feed_did_not() -> None:
    """The feed's papers are there; that nobody confirmed them is said, and no figure is made up."""
    parsed, _ = pull({"rss": rss(item(1)), "search_query": SourceError("export.arxiv.org answered 429")})
    assert (numbers(parsed), parsed.error) == (["00001"], None)
    assert parsed.notes == ("not known to be complete: export.arxiv.org answered 429",)
    assert parsed.coverage == (Coverage("cs.CV", 1, None), Coverage("cs.LG", 0, None))


def test_both_failed() -> None:
    """The error names both, and when to look again."""
    parsed, _ = pull(dict.fromkeys(("rss", "atom"), SourceError("no feed")) | {"search_query": SourceError("no API")})
    assert parsed.error == "no feed; no API"
    assert parsed.look_again_at == datetime(2026, 6, 10, 8, tzinfo=UTC)


def test_an_entry_that_cannot_be_read_is_fetched_by_id_or_named() -> None:
    """A paper whose entry lost its title comes by its id; where that fails, it is missing by name and by number."""
    feed = rss(item(1), item(2, title=""))
    older = answer(entry(2, submitted="2026-05-01T10:00:00Z"))
    parsed, asked = pull({"rss": feed, "search_query": answer(entry(1)), "id_list": older})
    assert asked == ["rss", "search_query", "id_list"]
    assert [(a.paper.id[-1], a.announced_on) for a in parsed.announcements] == [("1", WEDNESDAY), ("2", WEDNESDAY)]
    assert parsed.coverage[0] == Coverage("cs.CV", 2, 2)
    parsed, _ = pull({"rss": feed, "search_query": answer(entry(1)), "id_list": SourceError("no API")})
    assert parsed.notes == ("missing: 2606.00002",)
    assert parsed.coverage[0] == Coverage("cs.CV", 1, 2)


@pytest.mark.parametrize(
    ("feed", "found", "said", "again"),
    [
        (rss(), answer(), "nothing was announced on Wednesday", None),
        (
            rss(), answer(entry(1)),
            "the feed of Wednesday is empty though there were papers; 1 paper was taken from the search API", None,
        ),
        (rss(), SourceError("no API"), "the feed of Wednesday is empty though arXiv announces on that day", "08:00"),
        (rss(skip="<day>Wednesday</day>"), SourceError("no API"), "arXiv announces nothing on Wednesday", None),
        (
            rss(item(7), day="Tue, 09 Jun 2026"), answer(),
            "the feed is still of Tuesday; that of Wednesday is late", "08:00",
        ),
    ],
)  # fmt: skip
def test_a_quiet_day_is_told_from_a_fault(feed: bytes, found: bytes | Exception, said: str, again: str | None) -> None:
    """Empty because nothing was there, empty by a fault, silent by the feed's own word, and late are four days."""
    parsed, _ = pull({"rss": feed, "search_query": found})
    assert parsed.notes[0] == said
    assert parsed.look_again_at == (again and datetime.fromisoformat(f"2026-06-10T{again}:00+00:00"))


def test_a_feed_that_repeats_yesterdays() -> None:
    """A new date over papers that were all known yesterday is noticed; a few known ones are chance."""
    known = {PaperId(f"arxiv:2606.{n:05}"): TUESDAY for n in range(1, 5)}
    parsed, _ = pull({"rss": rss(*map(item, range(1, 5))), "search_query": answer()}, known=known)
    assert parsed.notes == ("the feed of Wednesday repeats that of Tuesday",)
    assert parsed.look_again_at
    for some in (rss(item(1), item(2)), rss(*map(item, range(1, 6)))):
        parsed, _ = pull({"rss": some, "search_query": answer()}, known=known)
        assert parsed.notes == ()


def test_a_weekend_is_quiet_and_asks_nobody() -> None:
    """On Saturday there is nothing to reconcile, and no alarm."""
    saturday = datetime(2026, 6, 13, 7, tzinfo=UTC)
    parsed, asked = pull({"rss": rss(day="Sat, 13 Jun 2026")}, now=saturday, since=datetime(2026, 6, 12, 7, tzinfo=UTC))
    assert asked == ["rss"]
    assert parsed.notes == ("arXiv announces nothing on Saturday",)
    assert (parsed.error, parsed.coverage, parsed.look_again_at) == (None, (), None)


def test_a_deferral_day_is_quiet() -> None:
    """On a holiday that the config names, Tuesday's feed is the last one, and rightly so."""
    feed = rss(item(7), day="Tue, 09 Jun 2026")
    parsed, asked = pull({"rss": feed}, source={"deferral_days": (date(2026, 6, 9),)})
    assert (asked, parsed.notes, parsed.look_again_at) == (["rss"], (), None)


def test_before_the_hour_a_feed_is_not_late() -> None:
    """Half an hour after midnight Eastern yesterday's feed is no alarm: it says when to look again."""
    feed = rss(item(7), day="Tue, 09 Jun 2026")
    parsed, _ = pull({"rss": feed, "search_query": answer()}, now=datetime(2026, 6, 10, 4, 30, tzinfo=UTC))
    assert parsed.notes == ("the feed of Wednesday has not come yet",)
    assert parsed.look_again_at == datetime(2026, 6, 10, 5, 30, tzinfo=UTC)


def test_a_first_edition_takes_one_announcement() -> None:
    """Without an earlier edition the latest announcement is reconciled, or those of the days it looks back."""
    windows: list[str] = []

    def asked_for(first_days: int) -> int:
        task = Task(SOURCE, Window(None, NOW, first_days), NOW)
        windows[:] = [str(a.day) for a in missing_announcements(task)]
        return len(windows)

    assert asked_for(1) == 1
    assert windows == ["2026-06-10"]
    assert asked_for(7) == 5


def test_a_mirror_is_believed() -> None:
    """Without an API the feed alone counts, and nothing is claimed of its completeness."""
    parsed, asked = pull({"rss": rss(item(1))}, source={"api_url": None})
    assert asked == ["rss"]
    assert (parsed.coverage, parsed.error) == ((), None)


def test_an_archive_covers_its_subjects() -> None:
    """`stat` counts the papers of stat.ML and stat.ME."""
    feed = rss(item(1, categories=("stat.ML",)), item(2, "cross", ("cs.CV", "stat.ME")))
    parsed, _ = pull({"rss": feed, "search_query": answer()}, source={"categories": ("stat",)})
    assert parsed.coverage == (Coverage("stat", 2, 2),)
