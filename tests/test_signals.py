"""Figures about papers already pulled: GitHub stars and their growth, Hacker News points, citations."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from digest.errors import SourceError
from digest.ids import arxiv_links, doi_link
from digest.model import Link, LinkKind, Paper, PaperId, Signal, SignalSource
from digest.pull.conversation import Ask, Conversation
from digest.pull.http import Response, StatusError
from digest.pull.parsed import Parsed, as_count
from digest.pull.signals import Wanted, citations, converse, github, hackernews

NOW = datetime(2026, 6, 10, 7, tzinfo=UTC)
DAY = timedelta(days=1)
LIMIT = (
    b'{"message": "API rate limit exceeded for 192.0.2.7. (But here\'s the good news: Authenticated requests get a '
    b'higher rate limit. Check out the documentation for more details.)"}'
)
BUSY = "citations: Semantic Scholar has too many requests now"
FEW = "GitHub's limit of 60 requests an hour is reached: with $GITHUB_TOKEN it is 5000"


def paper(number: int, *urls: str, kind: LinkKind = LinkKind.CODE, **others: Any) -> Paper:
    identifier = f"2606.{number:05}"
    links = (*arxiv_links(identifier), *(Link(kind, url) for url in urls))
    return Paper(PaperId(f"arxiv:{identifier}"), f"Paper {number}", links=links, **others)


def held(conversation: Conversation, *answers: object) -> tuple[Parsed, list[Ask]]:
    """Hold a conversation by hand with these answers, faults thrown in; every one must be asked for, and no more."""
    asked: list[Ask] = []
    waiting = list(answers)
    try:
        asked.append(next(conversation))
        while True:
            answer = waiting.pop(0)
            if isinstance(answer, Exception):
                asked.append(conversation.throw(answer))
            else:
                body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                asked.append(conversation.send(Response(asked[-1].url, body)))
    except StopIteration as end:
        parsed: Parsed = end.value
    assert not waiting
    return parsed, asked


def refusal(status: int, body: bytes = b"") -> StatusError:
    return StatusError(f"https://api.example answered {status}", status, body)


def figures(parsed: Parsed) -> dict[tuple[str, str], float]:
    assert {signal.observed_at for signal in parsed.signals} <= {NOW}
    return {(signal.paper_id[-2:], signal.name): signal.value for signal in parsed.signals}


def repo(stars: object = 10, created: str = "2020-01-01T00:00:00Z") -> dict[str, object]:
    return {"id": 1, "full_name": "lab/walk", "stargazers_count": stars, "created_at": created, "private": False}


def stars_of(*papers: Paper, **others: Any) -> Wanted:
    return Wanted(papers, NOW, **others)


# GitHub


@pytest.mark.parametrize(
    ("links", "text", "name"),
    [
        (["https://github.com/Lab/Walk"], "", "lab/walk"),
        (["https://github.com/lab/walk.git"], "", "lab/walk"),
        (["http://www.github.com/lab/walk/tree/main/sub?tab=readme#top"], "", "lab/walk"),
        (["https://github.com/lab/"], "", None),
        (["https://github.com/lab/.."], "", None),
        (["https://github.com.evil.example/lab/walk"], "", None),
        (["https://evil.example/?github.com/lab/walk"], "", None),
        (["https://gitlab.example/lab/walk", "https://github.com/lab/two"], "", "lab/two"),
        ([], "Code: https://github.com/lab/walk.", "lab/walk"),
        ([], "Code at github.com/lab/walk, data at https://github.com/Lab/walk.git .", "lab/walk"),
        ([], "We extend github.com/big/framework. Code: github.com/lab/walk", None),
        ([], "See mygithub.com/lab/walk", None),
        (["https://github.com/lab/one"], "Built on github.com/big/framework", "lab/one"),
    ],
)
def test_which_repository_is_the_papers(links: list[str], text: str, name: str | None) -> None:
    """A link to code comes first, then the only repository named in the text; several are nobody's."""
    assert github.repository(paper(1, *links, abstract=text)) == name
    assert github.repository(paper(1, *links, comment=text)) == name


def test_a_project_page_on_github_is_a_repository() -> None:
    """Where there is no link to code, the project's page may be one."""
    page = paper(1, "https://github.com/lab/page", kind=LinkKind.PROJECT)
    assert github.repository(page) == "lab/page"


def test_stars_one_request_a_repository() -> None:
    """Without a token each repository is asked for once, whatever number of papers link to it."""
    wanted = stars_of(
        paper(1, "https://github.com/Lab/Walk"),
        paper(2),
        paper(3, "https://github.com/lab/walk"),
        paper(4, "https://github.com/lab/run"),
    )
    parsed, asked = held(github.converse(wanted), repo(10), repo(0))
    assert [ask.url for ask in asked] == [
        "https://api.github.com/repos/lab/walk",
        "https://api.github.com/repos/lab/run",
    ]
    assert all(ask.body is None and "Authorization" not in dict(ask.headers) for ask in asked)
    assert figures(parsed) == {("01", "stars"): 10, ("03", "stars"): 10, ("04", "stars"): 0}
    assert (parsed.notes, parsed.error) == ((), None)


@pytest.mark.parametrize("stars", [None, "12", True, -1, 1.5, 10**12])
def test_what_is_no_count_is_no_signal(stars: object) -> None:
    """Unusable figures are dropped."""
    assert as_count(stars) is None
    parsed, _ = held(github.converse(stars_of(paper(1, "https://github.com/lab/walk"))), repo(stars))
    assert parsed == Parsed()


@pytest.mark.parametrize(
    ("ages", "created", "speed"),
    [
        ([2 * DAY], None, 15),  # (100 - 70) / 2
        ([10 * DAY, 2 * DAY, DAY / 3], None, 15),  # eight hours ago is too short
        ([DAY / 3], None, None),
        ([70 * DAY], None, None),
        ([], NOW - 50 * DAY, 2),
        ([], NOW - DAY / 4, 100),  # the first day counts as a whole one
        ([], NOW - 61 * DAY, None),
        ([], NOW + DAY, None),
        ([2 * DAY], NOW - 50 * DAY, 15),  # an observation tells more than the whole life
        ([DAY / 2], None, 60),
    ],
)
def test_growth(ages: list[timedelta], created: datetime | None, speed: float | None) -> None:
    """Growth is counted from the latest observation of some age, else from the creation of a young repository."""
    earlier = [Signal(PaperId("arxiv:2606.00001"), "stars", 70, NOW - age) for age in ages]
    assert github.growth(100, created, earlier, NOW) == speed


def test_stars_that_become_fewer_are_no_growth() -> None:
    """A loss is told as no growth."""
    earlier = [Signal(PaperId("arxiv:2606.00001"), "stars", 70, NOW - DAY)]
    assert github.growth(60, None, earlier, NOW) == 0


def test_growth_is_a_signal() -> None:
    """The earlier stars of the paper itself are taken, and the creation from GitHub's answer."""
    then = Signal(PaperId("arxiv:2606.00001"), "stars", 4, NOW - 2 * DAY)
    wanted = stars_of(
        paper(1, "https://github.com/lab/walk"),
        paper(2, "https://github.com/lab/run"),
        earlier={(then.paper_id, "stars"): (then,), (then.paper_id, "upvotes"): ()},
    )
    parsed, _ = held(github.converse(wanted), repo(10), repo(30, "2026-05-31T07:00:00Z"))
    assert figures(parsed) == {
        ("01", "stars"): 10,
        ("01", "stars_per_day"): 3,
        ("02", "stars"): 30,
        ("02", "stars_per_day"): 3,
    }


@pytest.mark.parametrize("fault", [refusal(403, LIMIT), refusal(429)])
def test_the_limit_ends_the_asking(fault: StatusError) -> None:
    """At GitHub's limit what was got is kept, and a note says what helps; the words with our address stay out."""
    wanted = stars_of(*(paper(n, f"https://github.com/lab/walk{n}") for n in range(1, 5)))
    parsed, asked = held(github.converse(wanted), repo(10), fault)
    assert len(asked) == 2
    assert figures(parsed) == {("01", "stars"): 10}
    assert (parsed.notes, parsed.error) == ((FEW,), None)


def test_repositories_that_are_not_public() -> None:
    """A repository that is not there, or blocked, is counted in a note."""
    wanted = stars_of(*(paper(n, f"https://github.com/lab/walk{n}") for n in range(1, 5)))
    blocked = b'{"message": "Repository access blocked"}'
    parsed, _ = held(github.converse(wanted), refusal(404), refusal(403, blocked), refusal(451), repo(7))
    assert figures(parsed) == {("04", "stars"): 7}
    assert (parsed.notes, parsed.error) == (("3 linked GitHub repositories are not public",), None)


def test_one_failure_costs_one_repository() -> None:
    """After a fault the next repository is asked for; after three, GitHub is left alone."""
    wanted = stars_of(*(paper(n, f"https://github.com/lab/walk{n}") for n in range(1, 8)))
    down = SourceError("https://api.github.com broke off the connection")
    parsed, asked = held(github.converse(wanted), repo(1), down, b"<html>", repo(4), refusal(502))
    assert len(asked) == 5
    assert figures(parsed) == {("01", "stars"): 1, ("04", "stars"): 4}
    assert parsed.error == (
        "https://api.github.com broke off the connection; "
        "https://api.github.com/repos/lab/walk3 is not JSON, or breaks off; https://api.example answered 502"
    )


def test_requests_to_github_are_bounded() -> None:
    """No more repositories are asked for than requests are allowed, the first papers' first; a note tells the rest."""
    wanted = stars_of(*(paper(n, f"https://github.com/lab/walk{n}") for n in range(1, 6)), max_requests=2)
    parsed, asked = held(github.converse(wanted), repo(1), repo(2))
    assert [ask.url[-5:] for ask in asked] == ["walk1", "walk2"]
    assert parsed.notes == ("GitHub: 3 repositories were not asked about (max_requests)",)


def test_with_a_token_a_hundred_are_one_request() -> None:
    """With a token the repositories are asked for together, and the ones that are not public come back as null."""
    wanted = stars_of(*(paper(n, f"https://github.com/lab/walk{n}") for n in range(1, 103)), token="t0k3n")
    first = {f"r{n}": {"stargazerCount": n, "createdAt": "2020-01-01T00:00:00Z"} for n in range(100)} | {"r1": None}
    fault = {"type": "NOT_FOUND", "path": ["r1"], "message": "Could not resolve to a Repository"}
    second = {"r0": {"stargazerCount": 5, "createdAt": "2026-06-08T07:00:00Z"}, "r1": {"stargazerCount": None}}
    parsed, asked = held(github.converse(wanted), {"data": first, "errors": [fault]}, {"data": second})
    assert [(ask.url, dict(ask.headers)["Authorization"]) for ask in asked] == [(github.GRAPHQL, "Bearer t0k3n")] * 2
    queries = [json.loads(ask.body or b"")["query"] for ask in asked]
    assert [query.count("stargazerCount") for query in queries] == [100, 2]
    assert 'r1: repository(owner: "lab", name: "walk2") { stargazerCount createdAt }' in queries[0]
    values = {(s.paper_id, s.name): s.value for s in parsed.signals}
    assert len(values) == 99 + 2
    assert values[PaperId("arxiv:2606.00003"), "stars"] == 2
    assert values[PaperId("arxiv:2606.00101"), "stars_per_day"] == 2.5
    assert (parsed.notes, parsed.error) == (("1 linked GitHub repository is not public",), None)


@pytest.mark.parametrize(
    ("answer", "notes", "error"),
    [
        (refusal(401), (), "https://api.example answered 401: check the token in $GITHUB_TOKEN"),
        (refusal(403, LIMIT), ("GitHub's limit of requests is reached: there is more within the hour",), None),
        (
            {"errors": [{"type": "RATE_LIMITED", "message": "API rate limit exceeded for user ID 1."}]},
            ("GitHub's limit of requests is reached: there is more within the hour",),
            None,
        ),
        (
            {"data": {"r0": None}, "errors": [{"type": "RATE_LIMIT", "path": ["r0"]}]},
            ("GitHub's limit of requests is reached: there is more within the hour",),
            None,
        ),
        ({"errors": [{"message": "Something\nwent wrong"}]}, (), "GitHub's answer holds no data: Something went wrong"),
        ({"data": None}, (), "GitHub's answer holds no data: it says nothing of why"),
        ([], (), "GitHub's answer is not an object"),
    ],
)
def test_what_can_go_wrong_with_a_token(answer: object, notes: tuple[str, ...], error: str | None) -> None:
    """A refused token, a limit and an answer without data are each named on one line."""
    wanted = stars_of(paper(1, "https://github.com/lab/walk"), token="t0k3n")
    parsed, _ = held(github.converse(wanted), answer)
    assert (parsed.signals, parsed.notes, parsed.error) == ((), notes, error)


# Hacker News


def story(url: str | None, points: object, age: timedelta = DAY) -> dict[str, object]:
    at = NOW - age
    return {
        "objectID": "1",
        "title": "A story",
        "url": url,
        "points": points,
        "num_comments": 3,
        "created_at": at.isoformat(),
        "created_at_i": int(at.timestamp()),
    }


def hits(*stories: Mapping[str, object]) -> dict[str, object]:
    return {"hits": list(stories), "nbHits": len(stories), "page": 0, "nbPages": 1, "hitsPerPage": 1000}


def query(ask: Ask) -> dict[str, str]:
    assert ask.url.partition("?")[0] == "https://hn.algolia.com/api/v1/search_by_date"
    return {name: value for name, (value,) in parse_qs(urlsplit(ask.url).query).items()}


def test_points_of_stories_are_matched_here() -> None:
    """One request finds the stories of all arXiv papers; a paper has the points of its best one."""
    answer = hits(
        story("https://arxiv.org/abs/2606.00001v2", 12),
        story("http://www.arxiv.org/pdf/2606.00001.pdf", 30),
        story("https://arxiv.org/abs/2606.00001", 4),
        story("https://arxiv.org/abs/2606.00009", 500),
        story("https://arxiv.org/abs/2606.00002", None),
        story(None, 9),
        story("https://arxiv.org/html/2606.00003", 0),
    )
    parsed, asked = held(hackernews.converse(stars_of(paper(1), paper(2), paper(3))), answer)
    assert figures(parsed) == {("01", "points"): 30, ("03", "points"): 0}
    assert (parsed.notes, parsed.error) == ((), None)
    month_ago = int((NOW - 30 * DAY).timestamp())
    assert [query(ask) for ask in asked] == [
        {
            "query": "arxiv.org",
            "restrictSearchableAttributes": "url",
            "tags": "story",
            "numericFilters": f"created_at_i>{month_ago},created_at_i<={int(NOW.timestamp())}",
            "hitsPerPage": "1000",
        }
    ]


def test_stories_are_searched_for_by_the_papers_hosts() -> None:
    """Journals, resolvers, repositories and paper pages are searched for too, each host once, the commonest first."""
    journal = Paper(
        PaperId("doi:10.5555/ab.1"),
        "Journal paper 21",
        links=(Link(LinkKind.ABS, "https://www.journal.example/articles/ab1/"), doi_link("10.5555/ab.1")),
    )
    coded = paper(22, "https://github.com/Lab/Walk")
    listed = paper(23, "https://huggingface.co/papers/2606.00023", kind=LinkKind.HUGGINGFACE, doi="10.5555/AB.3")
    wanted = stars_of(coded, listed, journal)
    assert hackernews.hosts(wanted.papers)[0] == "arxiv.org"
    by_host = {
        "arxiv.org": hits(),
        "github.com": hits(story("https://github.com/lab/walk", 5), story("https://github.com/lab/walk/issues/1", 90)),
        "huggingface.co/papers": hits(story("https://huggingface.co/papers/2606.00023", 7)),
        "journal.example": hits(story("http://journal.example/articles/ab1#top", 3)),
        "doi.org": hits(story("https://doi.org/10.5555/AB.1", 6), story("https://journal.example/doi/10.5555/ab.3", 8)),
    }
    parsed, asked = held(hackernews.converse(wanted), *(by_host[host] for host in hackernews.hosts(wanted.papers)))
    assert {query(ask)["query"] for ask in asked} == set(by_host)
    points = {signal.paper_id: signal.value for signal in parsed.signals}
    assert points == {coded.id: 5, listed.id: 8, journal.id: 6}


def test_more_stories_than_one_answer_holds() -> None:
    """After a full answer the stories before its oldest are asked for."""
    full = hits(*(story("https://arxiv.org/abs/2606.00009", 1, DAY * n / 100) for n in range(1000)))
    rest = hits(story("https://arxiv.org/abs/2606.00001", 40, 11 * DAY))
    parsed, asked = held(hackernews.converse(stars_of(paper(1))), full, rest)
    assert figures(parsed) == {("01", "points"): 40}
    oldest = int((NOW - DAY * 999 / 100).timestamp())
    assert query(asked[1])["numericFilters"].endswith(f"created_at_i<={oldest - 1}")


def test_requests_to_hacker_news_are_bounded() -> None:
    """Hosts that are left when the requests run out are named, also the one that was not read to its end."""
    full = hits(*(story("https://arxiv.org/abs/2606.00001", 1) for _ in range(1000)))
    wanted = stars_of(paper(1), paper(2, "https://github.com/lab/walk"), max_requests=2)
    parsed, _ = held(hackernews.converse(wanted), full, full)
    assert figures(parsed) == {("01", "points"): 1}
    assert parsed.notes == ("Hacker News: not all stories of arxiv.org, github.com were read (max_requests)",)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (SourceError("hn.algolia.com answered nothing"), "hn.algolia.com answered nothing"),
        (b"<html>", ".* is not JSON, or breaks off"),
        ({"message": "invalid filter", "status": 400}, "Hacker News' search answered without a list of stories"),
    ],
)
def test_a_failure_of_hacker_news_keeps_what_was_got(answer: object, error: str) -> None:
    """What was read before a fault is kept."""
    wanted = stars_of(paper(1), paper(2, "https://github.com/lab/walk"))
    parsed, _ = held(hackernews.converse(wanted), hits(story("https://arxiv.org/abs/2606.00001", 5)), answer)
    assert figures(parsed) == {("01", "points"): 5}
    assert re.fullmatch(error, parsed.error or "")
    assert parsed.notes == ()


def test_odd_stories_are_passed_over() -> None:
    """A story that is no object, or whose address is broken, costs nothing."""
    answer = {"hits": [None, 7, {}, story("http://[broken", 4), story("https://arxiv.org/abs/2606.00001", 2)]}
    parsed, _ = held(hackernews.converse(stars_of(paper(1))), answer)
    assert figures(parsed) == {("01", "points"): 2}


# Citations


def journal_paper(number: int) -> Paper:
    return Paper(PaperId(f"doi:10.5555/{number}"), "P")


def test_citations_in_one_batch() -> None:
    """Papers are asked for by arXiv id or DOI; null is a paper that the service does not know."""
    title = Paper(PaperId("title:0123456789abcdef"), "Known by title", doi=None)
    old = Paper(PaperId("arxiv:hep-th/9901001"), "Old", doi="10.5555/old")
    wanted = stars_of(paper(1, version=2), title, journal_paper(12), old)
    answer = [{"paperId": "a", "citationCount": 3}, None, {"paperId": "b", "citationCount": 0}]
    parsed, (asked, *_) = held(citations.converse(wanted), answer)
    assert asked.url == "https://api.semanticscholar.org/graph/v1/paper/batch?fields=citationCount"
    assert asked.headers == ()
    assert json.loads(asked.body or b"") == {"ids": ["ARXIV:2606.00001", "DOI:10.5555/12", "ARXIV:hep-th/9901001"]}
    assert parsed.signals == (Signal(wanted.papers[0].id, "citations", 3, NOW), Signal(old.id, "citations", 0, NOW))


def test_batches_of_five_hundred() -> None:
    """More papers than one request may name are asked for in several, up to the bound; a note tells the rest."""
    papers = tuple(journal_paper(number) for number in range(1201))
    parsed, asked = held(
        citations.converse(Wanted(papers, NOW, max_requests=2, token="k3y")),
        [{"citationCount": 1}] * 500,
        [{"citationCount": "many"}] * 499 + [{"citationCount": 2}],
    )
    assert [len(json.loads(ask.body or b"")["ids"]) for ask in asked] == [500, 500]
    assert {ask.headers for ask in asked} == {(("x-api-key", "k3y"),)}
    assert len(parsed.signals) == 501
    assert parsed.notes == ("citations: 201 papers were not asked about (max_requests)",)


@pytest.mark.parametrize(
    ("answer", "notes", "error"),
    [
        (refusal(400, b'{"error":"No valid paper ids given"}\n'), (), None),
        (refusal(400, b'{"error":"Unrecognized field"}'), (), "https://api.example answered 400"),
        ({"error": "oops"}, (), "Semantic Scholar's answer is not the list of papers that were asked about"),
        ([None], (), "Semantic Scholar's answer is not the list of papers that were asked about"),
        (b"[null,", (), f"{citations.ADDRESS} is not JSON, or breaks off"),
        (SourceError("no network"), (), "no network"),
    ],
)
def test_a_batch_that_fails_costs_its_own_papers(answer: object, notes: Sequence[str], error: str | None) -> None:
    """The next batch is asked for after a fault; that none of a batch is known is no fault."""
    papers = tuple(journal_paper(number) for number in range(502))
    parsed, _ = held(citations.converse(Wanted(papers, NOW)), answer, [{"citationCount": 1}] * 2)
    assert len(parsed.signals) == 2
    assert (parsed.notes, parsed.error) == (notes, error)


@pytest.mark.parametrize(
    ("status", "token", "note", "error"),
    [
        (
            429,
            None,
            f"{BUSY}: a key in $SEMANTIC_SCHOLAR_API_KEY has a limit of its own",
            None,
        ),
        (429, "k3y", BUSY, None),
        (403, "k3y", None, "https://api.example answered 403: check the key in $SEMANTIC_SCHOLAR_API_KEY"),
        (403, None, None, "https://api.example answered 403"),
    ],
)
def test_a_refusal_ends_the_asking(status: int, token: str | None, note: str | None, error: str | None) -> None:
    """At a limit, or with a key that is no good, no further batch is asked for."""
    papers = tuple(journal_paper(number) for number in range(1200))
    wanted = Wanted(papers, NOW, token=token)
    parsed, asked = held(citations.converse(wanted), [{"citationCount": 1}] * 500, refusal(status))
    assert len(asked) == 2
    assert len(parsed.signals) == 500
    assert (parsed.notes, parsed.error) == ((note,) if note else (), error)


# All of them


@pytest.mark.parametrize("kind", SignalSource)
def test_nobody_is_asked_about_nothing(kind: SignalSource) -> None:
    """Without papers, without addresses and without requests there is nothing to ask."""
    nameless = Paper(PaperId("title:0123456789abcdef"), "Known by title")
    for wanted in (Wanted((), NOW), Wanted((nameless,), NOW)):
        assert held(converse(kind, wanted)) == (Parsed(), [])
    bounded, asked = held(converse(kind, stars_of(paper(1, "https://github.com/lab/walk"), max_requests=0)))
    assert asked == []
    assert len(bounded.notes) == 1
