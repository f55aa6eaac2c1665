"""The table of the ranking bench: means are of whole collections, and no figure stands where nothing was measured."""

from __future__ import annotations

from tests.bench.rank import Row, mean, overview
from tests.bench.rank_data import LIBRARY_SETS, TOPIC_SETS


def row(set_name: str, ndcg10: float, k: int = 0, ranker: str = "digest") -> Row:
    return Row(set_name, k, ranker, 30, ndcg10, 0.02, 0.4, 0.5, 0.6, 1.0)


def test_mean_is_over_all_sets_of_one_kind() -> None:
    """The mean is that of the six topic sets, or of the three library sets at one k, by one ranker."""
    rows = [row(name, number / 10) for number, name in enumerate(TOPIC_SETS)]
    rows += [row(name, number / 10, k) for number, name in enumerate(LIBRARY_SETS) for k in (5, 10)]
    rows += [row(name, 0.9, ranker="other") for name in TOPIC_SETS]
    assert mean(rows, "digest", 0) == sum(range(6)) / 60
    assert round(mean(rows, "digest", 10) or 0, 9) == 0.1
    assert mean(rows, "other", 0) == 0.9


def test_no_mean_where_a_set_is_missing() -> None:
    """A mean over fewer sets would not compare with the others, so there is none."""
    rows = [row(name, 0.5) for name in TOPIC_SETS[1:]]
    assert mean(rows, "digest", 0) is None
    assert mean(rows, "digest", 10) is None


def test_overview_puts_rankers_side_by_side() -> None:
    """Each ranker has one line for free text and one for example papers; what was not measured is a dash."""
    rows = [row("med", 0.7), row("cacm", 0.4), row("med", 0.6, ranker="other")]
    rows += [row("citeulike-t", 0.2, 5), row("citeulike-t", 0.3, 10), row("reviews-cohen", 0.5, 10)]
    lines = [line.split() for line in overview(rows, (5, 10))]
    assert ["med", "cacm", "mean"] in lines
    assert ["digest", "0.700", "0.400", "–"] in lines
    assert ["other", "0.600", "–", "–"] in lines
    assert ["reviews-cohen", "citeulike-t", "mean"] in lines
    assert ["digest", "–/0.500", "0.200/0.300", "–"] in lines
