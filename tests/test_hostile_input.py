"""Every reader of feeds on input that nobody meant to be read: noise, truncations, splices of feeds of each kind.

The feeds are invented, in the true forms. What the readers do with real feeds treated likewise is tested in
`tests/recorded/test_pull_recorded.py`.
"""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from digest.errors import SourceError
from digest.model import Source, SourceKind
from digest.pull import arxiv, feeds, huggingface
from digest.pull.parsed import Parsed
from digest.pull.syndication import read_feed
from tests.conftest import examples

NOW = datetime(2026, 6, 10, 7, tzinfo=UTC)
FEED = Source(SourceKind.FEED, "feed", skip=("^editorial",))
ARXIV = Source(SourceKind.ARXIV, "arXiv", categories=("cs.LG",))
DAILY = Source(SourceKind.HUGGINGFACE, "Daily Papers")

ARXIV_RSS = """<?xml version='1.0' encoding='UTF-8'?>
<rss xmlns:arxiv="http://arxiv.org/schemas/atom" xmlns:dc="http://purl.org/dc/elements/1.1/" version="2.0">
<channel><title>cs.LG updates on arXiv.org</title><pubDate>Wed, 10 Jun 2026 00:00:00 -0400</pubDate>
<skipDays><day>Sunday</day></skipDays>
<item><title>Walks on $\\alpha$-graphs</title><link>https://arxiv.org/abs/2606.00001</link>
<description>arXiv:2606.00001v1 Announce Type: new
Abstract: We walk.</description><guid isPermaLink="false">oai:arXiv.org:2606.00001v1</guid>
<category>cs.LG</category><arxiv:announce_type>new</arxiv:announce_type>
<dc:creator>Ann Lee, Bj\\"orn Li (Exam Institute)</dc:creator></item>
<item><title>Older walks</title><guid isPermaLink="false">oai:arXiv.org:2605.00002v3</guid>
<arxiv:announce_type>replace</arxiv:announce_type><dc:creator>Jo Day</dc:creator></item>
</channel></rss>"""
ARXIV_ATOM = """<?xml version='1.0' encoding='UTF-8'?>
<feed xmlns:arxiv="http://arxiv.org/schemas/atom" xmlns="http://www.w3.org/2005/Atom">
<id>https://arxiv.org/api/x</id><title>arXiv Query</title><updated>2026-06-10T00:00:00Z</updated>
<entry><id>http://arxiv.org/abs/2606.00001v1</id><title>Walks on graphs</title><updated>2026-06-09T17:59:59Z</updated>
<link href="https://arxiv.org/abs/2606.00001v1" rel="alternate" type="text/html"/><summary>We walk.</summary>
<category term="cs.LG" scheme="http://arxiv.org/schemas/atom"/><published>2026-06-09T17:59:59Z</published>
<arxiv:comment>Withdrawn</arxiv:comment><author><name>Ann Lee</name></author></entry></feed>"""
JOURNAL_RDF = """<?xml version="1.0" encoding="UTF-8"?>
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"
 xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:prism="http://prismstandard.org/namespaces/basic/2.0/"
 xmlns:content="http://purl.org/rss/1.0/modules/content/"><channel rdf:about="https://journal.example/rss">
<title>Journal</title></channel>
<item rdf:about="https://journal.example/1"><title><![CDATA[On <i>E. coli</i> & walks]]></title>
<link>https://journal.example/1</link><content:encoded><![CDATA[<p>Journal, Published online: 10 June 2026;
<a href="https://journal.example/1">doi:10.1234/1</a></p><p>Author(s): Ann Lee; Li, Bo</p><p>It walks.</p>]]>
</content:encoded><dc:creator>Lee, A., Li, B.</dc:creator><dc:date>2026-06-10</dc:date>
<prism:doi>10.1234/1</prism:doi></item>
<item rdf:about="https://journal.example/2"><title>Editorial</title><prism:section>EDITORIAL</prism:section></item>
</rdf:RDF>"""
DAILY_JSON = json.dumps(
    [
        {
            "paper": {
                "id": "2606.00001",
                "authors": [{"name": "Ann Lee", "hidden": False}, {"name": "Bo Li", "hidden": True}],
                "publishedAt": "2026-06-08T00:00:00.000Z",
                "title": "Walks on graphs",
                "summary": "We walk.",
                "upvotes": 12,
                "githubRepo": "https://github.com/example/walk",
                "ai_keywords": ["walks"],
            },
            "publishedAt": "2026-06-10T04:00:00.000Z",
            "title": "Walks on graphs",
            "numComments": 2,
            "thumbnail": "https://cdn.example/1.png",
        }
    ]
)
WHOLE = [ARXIV_RSS, ARXIV_ATOM, JOURNAL_RDF, DAILY_JSON]
READERS: dict[str, Callable[[bytes], object]] = {
    "syndication": lambda body: read_feed(body, "input"),
    "feeds": lambda body: feeds.parse(body, FEED, where="input"),
    "arxiv": lambda body: arxiv.parse(body, ARXIV, where="input"),
    "huggingface": lambda body: huggingface.parse(body, DAILY, where="input", now=NOW),
}
BODIES = [body.encode(code) for body in WHOLE for code in ("utf-8", "utf-16")]
MARKS = [b"<![CDATA[", b"]]>", b"&#0;", b"&#xD800;", b"<!--", b"\xff", b"null", b'"', b"<item>", b"</item>"]
CUTS = st.integers(0, 5000)
HOSTILE = st.one_of(
    st.binary(max_size=300),
    st.builds(lambda body, cut: body[:cut], st.sampled_from(BODIES), CUTS),
    st.builds(
        lambda one, other, at, to: one[:at] + other[to:], st.sampled_from(BODIES), st.sampled_from(BODIES), CUTS, CUTS
    ),
    st.builds(
        lambda body, noise, at, to: body[:at] + noise + body[at + to :],
        st.sampled_from(BODIES),
        st.binary(max_size=20) | st.sampled_from(MARKS),
        CUTS,
        st.integers(0, 40),
    ),
)


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
@settings(deadline=None, max_examples=examples(400), suppress_health_check=[HealthCheck.too_slow])
@given(HOSTILE)
def test_whatever_comes_in_is_read_or_refused_in_one_line(reader: Callable[[bytes], object], body: bytes) -> None:
    """The only error is a `SourceError` of one line; what is read is named, dated and of the kind that was promised."""
    try:
        result = reader(body)
    except SourceError as error:
        result = str(error)
    if isinstance(result, str):
        assert result.startswith("input ")
        assert len(result.splitlines()) == 1
    if isinstance(result, Parsed):
        assert all(a.paper.title and a.paper.id for a in result.announcements)
        assert all(rejection.entry and rejection.reason for rejection in result.rejected)


@pytest.mark.parametrize(
    ("reader", "body", "titles"),
    [
        ("arxiv", ARXIV_RSS, ["Walks on α-graphs", "Older walks"]),
        ("feeds", ARXIV_ATOM, ["Walks on graphs"]),
        ("feeds", JOURNAL_RDF, ["On E. coli & walks"]),
        ("huggingface", DAILY_JSON, ["Walks on graphs"]),
    ],
)
def test_the_feeds_that_are_mangled_here_are_read_when_whole(reader: str, body: str, titles: list[str]) -> None:
    """Unharmed, each feed gives its papers: the tests above start from what can be read."""
    result = READERS[reader](body.encode())
    assert isinstance(result, Parsed)
    assert [a.paper.title for a in result.announcements] == titles
    assert not result.error


@pytest.mark.parametrize("unit", ["a.", "a-", ";", "; ", ", ", "et al ", "(", "<a ", "<!--", "&lt;", "$", "{"])
def test_no_author_costs_more_than_its_length(unit: str) -> None:
    """Three times as long takes about three times as long, in the library too: a square of it would be minutes."""

    def seconds(length: int) -> float:
        text = (unit * length)[:length]
        feed = f"""<rss version="2.0" xmlns:dc="http://purl.org/dc/elements/1.1/"><channel><item><title>T</title>
            <dc:creator><![CDATA[{text}]]></dc:creator></item></channel></rss>""".encode()
        start = time.process_time()
        (announcement,) = feeds.parse(feed, FEED, where="input").announcements
        assert announcement.paper.title == "T"
        return time.process_time() - start

    assert seconds(90_000) < 6 * seconds(30_000) + 0.5
