"""How like candidates are to other papers, and what an index knows of papers outside it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digest.model import Paper, PaperId
from digest.rank import likeness
from digest.rank.index import Floats32, Index
from digest.rank.likeness import RIDGE, TERMS, WORDS, Likeness

FIELD = "We measure the flow of water through soil and report on rivers"
TEXTS = (
    f"{FIELD} where lichens grow on basalt columns near a waterfall",
    f"{FIELD} with basalt columns and lichens beside a waterfall",
    f"{FIELD} after storms in autumn, with gauges along the banks",
    f"{FIELD} before a dam was built upstream of the old town",
    "Prime gaps and the zeros of a function on the critical line",
)
VOCABULARY = ("soil", "river", "lichen", "basalt", "flow", "prime", "gap", "zero", "of", "the")
WORDS_DRAWN = st.lists(st.sampled_from(VOCABULARY), max_size=12)


def papers(*texts: str) -> list[Paper]:
    return [Paper(PaperId(f"p{n}"), "", text) for n, text in enumerate(texts)]


def rows(texts: tuple[str, ...], size: int, numbers: list[int]) -> Floats32:
    index = Index(papers(*texts))
    return Likeness(index.papers, size, np.arange(len(texts))).rows(np.array(numbers))


def test_shared_rare_words_make_papers_alike_and_shared_common_ones_hardly() -> None:
    """Two papers on lichens are far more alike than two that share what the whole field says."""
    like = rows(TEXTS, len(TEXTS), [0])[0]
    assert like[0] > like[1] > 2 * max(like[2], like[3])
    assert like[4] == 0


@pytest.mark.parametrize("at_once", [1, 2, likeness.GRAM_ROWS])
def test_the_closed_form_is_the_documented_formula(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    """Each part worked out alone, with plain matrices; the archive is held against itself in parts, or at once."""
    monkeypatch.setattr(likeness, "GRAM_ROWS", at_once)
    index = Index(papers(*TEXTS))
    archive, known = np.array([1, 2, 4]), index.papers
    k = (known.vectors @ known.vectors.T).toarray().astype(np.float64)
    inner = np.linalg.inv(k[np.ix_(archive, archive)] + RIDGE * np.eye(3))
    unexpected = k - k[:, archive] @ inner @ k[archive]
    terms = (known.terms @ known.terms.T).toarray()
    width = known.terms.shape[1]
    bm25 = ((known.terms > 0) @ known.bm25[:, :width].T).toarray() / known.worth[archive].mean()
    expected = np.maximum(unexpected + TERMS * terms**2 + WORDS * bm25**1.5, 0)[:, :4]
    assert Likeness(known, 4, archive).rows(np.arange(5)) == pytest.approx(expected, abs=1e-5)


def test_what_is_kept_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for one row, or in chunks of two, all rows are as with room for all."""
    wanted = [3, 0, 3, 4, 1, 2, 0]
    whole = rows(TEXTS, 4, wanted)
    monkeypatch.setattr(likeness, "BYTES_KEPT", 16)
    monkeypatch.setattr("digest.rank.sparse.CHUNK", 2)
    scarce = Likeness(Index(papers(*TEXTS)).papers, 4, np.arange(5))
    assert scarce.rows(np.array(wanted)) == pytest.approx(whole)
    for number in (4, 0, 2):
        assert scarce.rows(np.array([number]))[0] == pytest.approx(rows(TEXTS, 4, [number])[0])


def test_copies_crowd_each_other_and_strangers_do_not() -> None:
    """The crowding of one paper alone is nothing, of two copies as much as a paper is like itself."""
    found = Likeness(Index(papers(*TEXTS, TEXTS[0])).papers, 3, np.arange(6))
    alone, strangers, copies, none = found.crowding([np.array(group, np.int64) for group in ([0], [0, 4], [0, 5], [])])
    assert alone == pytest.approx([0])
    assert strangers == pytest.approx([0, 0], abs=0.01)
    assert copies == pytest.approx([1 + TERMS] * 2, abs=1e-5)
    assert len(none) == 0


@settings(max_examples=60, deadline=None)
@given(st.lists(WORDS_DRAWN, min_size=1, max_size=6), st.integers(0, 6))
def test_likeness_is_never_negative_and_never_undefined(texts: list[list[str]], size: int) -> None:
    """For any texts, empty ones included."""
    found = rows(tuple(map(" ".join, texts)), min(size, len(texts)), list(range(len(texts))))
    assert np.isfinite(found).all()
    assert (found >= 0).all()


def test_a_paper_outside_the_index_is_read_as_one_inside() -> None:
    """The same text has the same features, whether the index was built of it or asked for it."""
    index = Index(papers(*TEXTS))
    again = index.features(papers(*TEXTS))
    for name in ("bm25", "vectors", "terms"):
        ours, theirs = getattr(index.papers, name), getattr(again, name)
        assert ours.toarray() == pytest.approx(theirs.toarray())
    assert index.papers.worth == pytest.approx(again.worth)


def test_unknown_words_of_an_outside_paper_count_for_nothing() -> None:
    """They make no pair of the words beside them either, and leave the index as it was."""
    index = Index(papers(*TEXTS))
    words = len(index.vocabulary)
    plain = index.features(papers("basalt columns"))
    mixed = index.features(papers("basalt xylophone columns zither"))
    assert len(index.vocabulary) == words
    assert plain.bm25.nnz == 3
    assert mixed.bm25.nnz == 2
    assert mixed.worth == pytest.approx(plain.worth)


@pytest.mark.parametrize("kept", [1, 3, 100])
def test_crowding_is_the_same_however_it_is_asked_for(monkeypatch: pytest.MonkeyPatch, kept: int) -> None:
    """One group after another, or all at once; with room for few papers, or for all."""
    monkeypatch.setattr(likeness, "PAPERS_KEPT", kept)
    groups = [np.array(group) for group in ([0, 1], [1, 2, 3], [4], [0, 3], [2, 0, 1, 5])]
    known = Index(papers(*TEXTS, TEXTS[0])).papers
    one_by_one, at_once = Likeness(known, 3, np.arange(6)), Likeness(known, 3, np.arange(6))
    alike = (known.vectors @ known.vectors.T).toarray() + TERMS * (known.terms @ known.terms.T).toarray() ** 2
    np.fill_diagonal(alike, 0)
    for group, found in zip(groups, at_once.crowding(groups), strict=True):
        assert found == pytest.approx(alike[np.ix_(group, group)].sum(axis=1), abs=1e-5)
        assert one_by_one.crowding([group])[0] == pytest.approx(found, abs=1e-6)
