"""Which records say of their own paper that it is withdrawn."""

import time

import pytest

from digest.pull.withdrawn import is_withdrawn

ABSTRACT = "We walk on graphs. The walks are short."


@pytest.mark.parametrize(
    "comment",
    [
        "Withdrawn",
        "withdrawn.",
        "12 pages, withdrawn",
        "12 pages, 3 figures This paper has been withdrawn by the author",
        "This manuscript is temporarily withdrawn until the proof is mended",
        "Withdrawn (v8) by A. Lee",
        "Withdrawn: the main result is false",
        "5 pages; withdrawn due to an error in Lemma 2",
        "The paper has been withdrawn from arXiv since it is being improved",
        "It did not get in. It has been withdrawn because it was rewritten",
        "This version of the paper is withdrawn by the authors, superseded by arXiv:2606.00002",
        "Admin note: withdrawn by arXiv admin because of the use of a pseudonym",
        "The authors have withdrawn this submission",
        "We withdraw this paper: equation 4 is wrong",
        "The author(s) withdrew their manuscript",
        "This paper (to appear in J. Exam.) has been withdrawn",
        "This paper has been retracted by its authors",
    ],
)
def test_a_comment_that_withdraws_its_paper(comment: str) -> None:
    """A comment that says that the paper is withdrawn, in a sentence or in a word, is believed."""
    assert is_withdrawn("Walking graphs", ABSTRACT, comment)


@pytest.mark.parametrize(
    "comment",
    [
        None,
        "",
        "12 pages",
        "Previous version was withdrawn",
        "An earlier version of this paper was withdrawn by the authors",
        'The v1 version entitled "Walks" has been withdrawn by the author due to an error',
        "v2 withdrawn, v3 corrects it",
        "Some figures are changed and some texts were withdrawn",
        "Section 4 of this paper has been withdrawn",
        "This was first arXiv:2606.00002 (has been submitted to be withdrawn)",
        "Supersedes the withdrawn paper arXiv:2606.00002",
        "Withdrawn from ICLR 2026",
        "This paper was withdrawn from ICLR 2026 and is under review elsewhere",
        "Withdrawn ICLR submission",
        "This paper was withdrawn by the author and has been reinstated",
        "Not withdrawn",
    ],
)
def test_a_comment_about_something_else_that_was_withdrawn(comment: str | None) -> None:
    """Earlier versions, parts, other papers, submissions to conferences and reinstated papers are not withdrawn."""
    assert not is_withdrawn("Walking graphs", ABSTRACT, comment)


@pytest.mark.parametrize(
    ("abstract", "withdrawn"),
    [
        ("This paper has been withdrawn.", True),
        ("Withdrawn.", True),
        ("Withdrawn since order was overlooked. It matters.", True),
        (f"This paper has been withdrawn by the authors. Please see arXiv:2606.00002. {ABSTRACT}", True),
        (f"{ABSTRACT} Update: Manuscript withdrawn, because the walks are long.", True),
        (f"{ABSTRACT} Accordingly, this paper is withdrawn by the authors.", True),
        ("The authors have withdrawn their manuscript while they check its data.", True),
        ("This manuscript has been withdrawn by bioRxiv because it was posted in error.", True),
        ("Withdrawal Statement The authors do not wish this work to be cited.", True),
        ("The above article, published online on 3 June 2026, has been retracted by agreement.", True),
        ("Withdrawn drugs are studied.", False),
        ("Fluid is withdrawn through a tube. When it is withdrawn slowly, the surface rises.", False),
        ("A bidder may withdraw. We ask whether the paper was withdrawn in time.", False),
        ("Samples withdrawn from a lake are compared.", False),
        ("Paper withdrawn from a bath curls as it dries.", False),
        ("Most retracted papers go on being cited. Authors retract their claims seldom.", False),
    ],
)
def test_an_abstract_that_withdraws_its_paper(abstract: str, withdrawn: bool) -> None:
    """In an abstract only a sentence of its own about this paper counts: prose withdraws much."""
    assert is_withdrawn("Walking graphs", abstract, None) is withdrawn


@pytest.mark.parametrize(
    ("title", "withdrawn"),
    [
        ("WITHDRAWN: Walking graphs", True),
        ("RETRACTED ARTICLE: Walking graphs", True),
        ("Retracted: Walking graphs", True),
        ("[Retracted] Walking graphs", True),
        ("Walking graphs (withdrawn)", True),
        ("Withdrawn", True),
        ("REMOVED: Walking graphs", True),
        ("This paper has been withdrawn", True),
        ("Retraction: Walking graphs", False),
        ("Retraction notice to “Walking graphs”", False),
        ("Retraction Note: Walking graphs", False),
        ("Withdrawal notice", False),
        ("Retracted papers: a survey", False),
        ("Withdrawn drugs and graphs", False),
        ("Removed: nodes that walks never see", False),
        ("Bidding with withdrawal", False),
    ],
)
def test_a_title_that_withdraws_its_paper(title: str, withdrawn: bool) -> None:
    """Publishers' marks around a title count; a notice of retraction is another paper."""
    assert is_withdrawn(title, ABSTRACT, None) is withdrawn


def test_a_notice_that_repeats_the_statement_is_not_withdrawn() -> None:
    """The notice of a retraction has the retracted paper's statement for its abstract, and is a paper of its own."""
    assert not is_withdrawn("Retraction notice to: Walking graphs", "This article has been retracted.", None)


@pytest.mark.parametrize(
    "piece", ["this paper ", "withdrawn ", "(", "withdrawn, ", "the authors have ", "this paper(", ". it is "]
)
def test_long_texts_are_judged_in_time_that_grows_with_their_length(piece: str) -> None:
    """A hundred thousand characters of the same words take no more than seconds."""
    start = time.process_time()
    text = piece * (100_000 // len(piece)) + "withdrawn"
    is_withdrawn(text, text, text)
    assert time.process_time() - start < 5
