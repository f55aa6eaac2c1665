"""News of papers that a profile names."""

from __future__ import annotations

from dataclasses import replace

import pytest

from digest.followups import SHOWN, chosen, follow_ups
from digest.model import Announcement, AnnounceType, Change, FollowUp, Link, LinkKind, Paper, PaperId
from tests.factories import TODAY, paper

NEW, REPLACE = AnnounceType.NEW, AnnounceType.REPLACE
OLD = replace(paper(1), version=1)
CODE = Link(LinkKind.CODE, "https://example.org/code")


def announced(one: Paper, kind: AnnounceType = REPLACE) -> Announcement:
    return Announcement(one, kind, TODAY, "arxiv")


def news(now: Paper, *before: Paper, kind: AnnounceType = REPLACE) -> FollowUp | None:
    return follow_ups({OLD.id}, [announced(one, NEW) for one in before], [announced(now, kind)]).get(OLD.id)


@pytest.mark.parametrize(
    ("now", "change", "detail"),
    [
        ({"version": 3}, Change.NEW_VERSION, "3"),
        ({"version": 2, "journal_ref": "Invented Letters 7"}, Change.PUBLISHED, "Invented Letters 7"),
        ({"doi": "10.5555/x"}, Change.PUBLISHED, "10.5555/x"),
        ({"version": 2, "withdrawn": True, "doi": "10.5555/x"}, Change.WITHDRAWN, ""),
        ({"links": (*OLD.links, CODE)}, Change.CODE, CODE.url),
    ],
)
def test_the_weightiest_news_is_told(now: dict[str, object], change: Change, detail: str) -> None:
    """Withdrawn, published, a new version, code: each with what names it, and the paper as it is now."""
    after = replace(OLD, **now)  # type: ignore[arg-type]
    assert news(after, OLD) == FollowUp(after, change, detail)


@pytest.mark.parametrize("kind", [NEW, AnnounceType.CROSS])
def test_what_is_new_as_a_whole_is_no_news(kind: AnnounceType) -> None:
    """A paper that was never announced before has no follow-up, however much it brings."""
    assert news(replace(OLD, version=1, doi="10.5555/x", links=(CODE,)), kind=kind) is None


def test_a_replacement_is_news_although_the_paper_was_never_announced_here() -> None:
    """An example paper of long ago gets a new version; that it has a DOI by now may be old."""
    assert news(replace(OLD, version=4, doi="10.5555/x")) == FollowUp(
        replace(OLD, version=4, doi="10.5555/x"), Change.NEW_VERSION, "4"
    )


def test_what_was_known_is_no_news() -> None:
    """Announced again as it was, by the same source or another."""
    known = replace(OLD, version=2, doi="10.5555/x", links=(CODE,))
    assert news(known, OLD, known) is None
    assert news(replace(known, version=None), known) is None
    assert follow_ups({PaperId("other")}, [announced(OLD)], [announced(replace(OLD, version=3))]) == {}


def test_one_subscriber_gets_hers_in_the_order_of_weight() -> None:
    """Withdrawals first, then as her profile names the papers; not more than some."""
    told = {
        paper(n).id: FollowUp(paper(n), Change.WITHDRAWN if n == 3 else Change.NEW_VERSION, str(n)) for n in range(9)
    }
    named = [paper(n).id for n in (5, 4, 3, 5, 20, 0, 1, 2)]
    assert [int(news.detail) for news in chosen(told, named)] == [3, 5, 4, 0, 1]
    assert SHOWN == 5
