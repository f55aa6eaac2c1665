"""arXiv's search API, held by hand: pages, faults and forms. Every paper here is invented."""

from __future__ import annotations

from collections.abc import Callable, Generator
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest

from digest.errors import SourceError
from digest.pull.arxiv_api import PAGE, Found, by_ids, by_submission, parse
from digest.pull.conversation import Ask
from digest.pull.http import Response, StatusError
from tests.conversations import hold

Give = Callable[[dict[str, str]], bytes | Exception]
API = "https://export.arxiv.example/api/query"
WINDOW = (datetime(2026, 6, 8, 18, tzinfo=UTC), datetime(2026, 6, 9, 18, tzinfo=UTC))


def entry(number: int, *, category: str = "cs.CV", submitted: str = "2026-06-09T10:00:00Z", more: str = "") -> str:
    return f"""<entry><id>http://arxiv.org/abs/2606.{number:05}v1</id><title>Invented  paper
      number {number}</title><updated>{submitted}</updated><published>{submitted}</published>
      <summary>We invent $x^2$ for number {number}.</summary><author><name>Ada Example</name></author>
      <author><name>Bo Rodr\u00edguez</name></author><category term="{category}" scheme="http://arxiv.org/schemas/atom"/>
      <category term="cs.LG" scheme="http://arxiv.org/schemas/atom"/>
      <arxiv:primary_category term="{category}"/>{more}</entry>"""


def answer(*entries: str, total: int | None = None) -> bytes:
    return f"""<?xml version='1.0' encoding='UTF-8'?>
    <feed xmlns:opensearch="http://a9.com/-/spec/opensearch/1.1/" xmlns:arxiv="http://arxiv.org/schemas/atom"
      xmlns="http://www.w3.org/2005/Atom"><id>https://arxiv.org/api/x</id><title>arXiv Query</title>
      <opensearch:totalResults>{len(entries) if total is None else total}</opensearch:totalResults>
      {"".join(entries)}</feed>""".encode()


ERROR = answer(
    "<entry><id>https://arxiv.org/api/errors#x</id><title>Error</title>"
    "<summary>start must be an integer</summary></entry>"
)


def ask(conversation: Generator[Ask, Response, Found], give: Give) -> tuple[Found, list[dict[str, str]]]:
    """Hold a conversation with answers made from the parameters asked for."""
    found, asked = hold(conversation, lambda wanted: give(parameters(wanted)))
    assert all(wanted.url.startswith(API) for wanted in asked)
    return found, [parameters(wanted) for wanted in asked]


def parameters(wanted: Ask) -> dict[str, str]:
    return {key: values[0] for key, values in parse_qs(urlsplit(wanted.url).query).items()}


def ids(found: Found) -> list[str]:
    return [paper.id.removeprefix("arxiv:2606.") for paper in found.papers]


def test_a_paper_of_the_api() -> None:
    """Everything that an entry says is read; what is missing is missing."""
    more = """<arxiv:comment>12 pages</arxiv:comment><arxiv:journal_ref>J. Inv. 1</arxiv:journal_ref>
      <arxiv:doi>10.5555/INV.1</arxiv:doi>"""
    page = parse(answer(entry(1, more=more), entry(2), total=70), where="x")
    one, two = page.papers
    assert (page.entries, page.total) == (2, 70)
    assert (one.id, one.version, one.title) == ("arxiv:2606.00001", 1, "Invented paper number 1")
    assert one.abstract == "We invent x\u00b2 for number 1."
    assert one.authors == ("Ada Example", "Bo Rodr\u00edguez")
    assert (one.categories, one.primary_category) == (("cs.CV", "cs.LG"), "cs.CV")
    assert (one.comment, one.journal_ref, one.doi) == ("12 pages", "J. Inv. 1", "10.5555/inv.1")
    assert one.published == datetime(2026, 6, 9, 10, tzinfo=UTC)
    assert (two.comment, two.doi, two.withdrawn) == (None, None, False)


def test_a_withdrawn_paper_is_marked() -> None:
    """The author's own word in the comment is read."""
    (one,) = parse(
        answer(entry(1, more="<arxiv:comment>This paper has been withdrawn</arxiv:comment>")), where="x"
    ).papers
    assert one.withdrawn


def test_an_error_in_the_form_of_a_paper_is_none() -> None:
    """The entry called "Error" is told in arXiv's words, with HTTP 200 and with 400."""
    with pytest.raises(SourceError, match=r"^arXiv reports: start must be an integer$"):
        parse(ERROR, where="x")
    refused = StatusError("x answered 400 Bad Request", 400, ERROR)
    for fault in (ERROR, refused):
        found, _ = ask(by_ids(API, ["2606.00001"]), lambda _, fault=fault: fault)  # type: ignore[misc]
        assert "arXiv reports: start must be an integer" in (found.error or "")


def test_the_question() -> None:
    """All categories and spans are asked for at once; an archive stands for its subjects."""
    found, asked = ask(by_submission(API, ["cs.CV", "stat"], [WINDOW, WINDOW]), lambda _: answer(entry(1)))
    span = "submittedDate:[202606081800 TO 202606091800]"
    assert asked == [
        {
            "search_query": f"(cat:cs.CV OR cat:stat OR cat:stat.*) AND ({span} OR {span})",
            "sortBy": "submittedDate",
            "sortOrder": "ascending",
            "start": "0",
            "max_results": str(PAGE),
        }
    ]
    assert (ids(found), found.error) == (["00001"], None)


def test_pages_are_read_to_the_end() -> None:
    """The next page begins after what came, however little that was."""
    pages = {"0": [1, 2], "2": [2, 3], "4": [5]}
    found, asked = ask(
        by_submission(API, ["cs.CV"], [WINDOW]), lambda q: answer(*map(entry, pages[q["start"]]), total=5)
    )
    assert [q["start"] for q in asked] == ["0", "2", "4"]
    assert ids(found) == ["00001", "00002", "00003", "00005"]
    assert found.error is None


def test_an_empty_page_before_the_end_is_asked_for_again() -> None:
    """The API's known fault passes at the second or third try."""
    given = iter([answer(entry(1), total=2), answer(total=2), answer(total=2), answer(entry(2), total=2)])
    found, asked = ask(by_submission(API, ["cs.CV"], [WINDOW]), lambda _: next(given))
    assert [q["start"] for q in asked] == ["0", "1", "1", "1"]
    assert (ids(found), found.error) == (["00001", "00002"], None)


def test_pages_that_stay_empty_are_named() -> None:
    """After three tries what is missing is told, and what came is kept."""
    given = iter([answer(entry(1), total=9), *[answer(total=9)] * 3])
    found, asked = ask(by_submission(API, ["cs.CV"], [WINDOW]), lambda _: next(given))
    assert len(asked) == 4
    assert ids(found) == ["00001"]
    assert found.error == "arXiv's search API gave 1 of 9 papers, then empty pages"


@pytest.mark.parametrize(
    "fault", [StatusError("x answered 429", 429), SourceError("no such host"), b"<html>", b"", answer(entry(2))[:-30]]
)
def test_a_page_that_fails_keeps_those_before(fault: bytes | Exception) -> None:
    """A refusal, a stranger's page and a cut answer end the asking with an error; what came is kept."""
    given = iter([answer(entry(1), total=2), fault])
    found, _ = ask(by_submission(API, ["cs.CV"], [WINDOW]), lambda _: next(given))
    assert ids(found) == ["00001"]
    assert found.error
    assert "\n" not in found.error


def test_papers_by_id() -> None:
    """A hundred ids at a time; ids that arXiv does not know are simply not there."""
    numbers = [f"2606.{n:05}" for n in range(150)]
    found, asked = ask(
        by_ids(API, numbers),
        lambda q: answer(*(entry(int(i[5:])) for i in q["id_list"].split(",") if i.endswith("7"))),
    )
    assert [len(q["id_list"].split(",")) for q in asked] == [100, 50]
    assert (len(found.papers), found.error) == (15, None)
