"""What is frozen: its text is the same for the same value every time, and older texts are read."""

from __future__ import annotations

from datetime import UTC, date, datetime

import msgspec
import pytest

from digest.model import (
    Change,
    Coverage,
    FollowUp,
    Link,
    LinkKind,
    NearMiss,
    Paper,
    PaperId,
    Pick,
    Profile,
    Reason,
    ReasonKind,
    Remark,
    Says,
    Selection,
    SourceSummary,
    Topic,
    TopicWeek,
    Vote,
)
from digest.store.codec import decode, encode, paper_ids, without_abstract

SEEN = Remark(Says.SENT_BEFORE, ("“Two”",), (), date(2026, 6, 9))
REASONS = (
    Reason(ReasonKind.TOPIC, Remark(Says.TOPIC, ("video", "diffusion")), 0.5),
    Reason(ReasonKind.TREND, Remark(Says.SIGNAL, ("upvotes",), (412.0,)), 0.25),
    Reason(ReasonKind.TOPIC, Remark(Says.NO_TOPICS), 0.0),
)
PICK = Pick(PaperId("arxiv:2606.90001"), 0.75, 0.5, 0.25, REASONS)
PICK_TEXT = (
    '{"paper_id":"arxiv:2606.90001","reasons":[{"kind":"topic","text":["topic",["video","diffusion"]],"weight":0.5},'
    '{"kind":"trend","text":["signal",["upvotes"],[412.0]],"weight":0.25},'
    '{"kind":"topic","text":["no topics"],"weight":0.0}],"relevance":0.5,"score":0.75,"trend":0.25}'
)
BARE = Pick(PaperId("doi:10.1038/é"), 0.5, 0.5, 0.0)
BARE_TEXT = '{"paper_id":"doi:10.1038/é","relevance":0.5,"score":0.5,"trend":0.0}'
PAPER = Paper(
    PaperId("arxiv:2606.90002"),
    "Two",
    version=2,
    published=datetime(2026, 6, 9, 7, 0, 0, 5, tzinfo=UTC),
    links=(Link(LinkKind.PDF, "https://example.org/2"),),
)
PAPER_TEXT = (
    '{"id":"arxiv:2606.90002","links":[{"kind":"pdf","url":"https://example.org/2"}],'
    '"published":"2026-06-09T07:00:00.000005+00:00","title":"Two","version":2}'
)
FROZEN = [
    pytest.param((PICK, BARE), tuple[Pick, ...], f"[{PICK_TEXT},{BARE_TEXT}]", id="picks"),
    pytest.param((), tuple[Pick, ...], "[]", id="no picks"),
    pytest.param(Selection(), Selection, "{}", id="nothing beside"),
    pytest.param(
        Selection(
            near_misses=(NearMiss(BARE, SEEN),),
            trending=(PICK,),
            follow_ups=(FollowUp(PAPER, Change.NEW_VERSION, "2"),),
            week=(TopicWeek("video", (0, 3)),),
        ),
        Selection,
        f'{{"follow_ups":[{{"change":"new version","detail":"2","paper":{PAPER_TEXT}}}],'
        f'"near_misses":[{{"missing":["sent before",["“Two”"],[],"2026-06-09"],"pick":{BARE_TEXT}}}],'
        f'"trending":[{PICK_TEXT}],"week":[{{"name":"video","papers":[0,3]}}]}}',
        id="beside",
    ),
    pytest.param(
        Profile((Topic("video", keywords=("diffusion",)),), liked=(Vote(PAPER.id, PAPER.published),)),
        Profile,
        '{"liked":[{"at":"2026-06-09T07:00:00.000005+00:00","paper_id":"arxiv:2606.90002"}],'
        '"topics":[{"keywords":["diffusion"],"name":"video"}]}',
        id="profile",
    ),
    pytest.param(
        (SourceSummary("arxiv", 9, 8, coverage=(Coverage("cs.CV", 9, None),), announced=(date(2026, 6, 9),)),),
        tuple[SourceSummary, ...],
        '[{"announced":["2026-06-09"],"coverage":[{"expected":null,"part":"cs.CV","received":9}],'
        '"fresh":8,"received":9,"source":"arxiv"}]',
        id="sources",
    ),
]


@pytest.mark.parametrize(("value", "declared", "text"), FROZEN)
def test_a_value_has_one_text(value: object, declared: type[object], text: str) -> None:
    """It is compact, sorted, without what is at its default; and it is read back as the same value."""
    assert encode(value) == text
    assert decode(text, declared) == value


def test_a_text_of_another_version_is_read() -> None:
    """What is not known any more is passed over, what was not there yet is at its default."""
    text = '{"expected":4,"fresh":1,"received":3,"source":"arxiv"}'
    assert decode(text, SourceSummary) == SourceSummary("arxiv", 3, 1)


def test_a_remark_that_was_a_text_is_read_beside_one_that_is_none() -> None:
    """Editions frozen before remarks were data hold English."""
    text = PICK_TEXT.replace('["no topics"]', '"in English"')
    (read,) = decode(f"[{text}]", tuple[Pick, ...])
    assert read.reasons == (*REASONS[:2], Reason(ReasonKind.TOPIC, Remark(Says.WRITTEN, ("in English",)), 0.0))


@pytest.mark.parametrize("text", ['[{"paper_id":"x"}]', "{}", '[{"paper_id":"x","score":"high"}]'])
def test_what_is_no_pick_is_none(text: str) -> None:
    """It is not taken for a pick with something missing."""
    with pytest.raises(msgspec.ValidationError):
        decode(text, tuple[Pick, ...])


def test_picks_are_named_without_being_read() -> None:
    """Whatever stands in their reasons."""
    assert paper_ids(f"[{PICK_TEXT.replace('topic', 'of a kind that is not known')},{BARE_TEXT}]") == [
        PICK.paper_id,
        BARE.paper_id,
    ]


def test_what_is_let_go_of_leaves_the_rest_as_it_was() -> None:
    """The abstract of a paper or of a candidate's."""
    whole = PAPER_TEXT.replace('{"id"', '{"abstract":"It is long.","id"')
    assert without_abstract(whole) == PAPER_TEXT
    assert without_abstract(f'{{"paper":{whole},"sightings":[]}}') == f'{{"paper":{PAPER_TEXT},"sightings":[]}}'
