"""arXiv's announcement feeds, read."""

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digest.errors import SourceError
from digest.model import AnnounceType, LinkKind, Source, SourceKind
from digest.pull import arxiv
from digest.pull.parsed import Parsed

SOURCE = Source(SourceKind.ARXIV, "arXiv", categories=("cs.CV", "cs.LG"))

RSS = r"""<?xml version='1.0' encoding='UTF-8'?>
<rss xmlns:arxiv="http://arxiv.org/schemas/atom" xmlns:dc="http://purl.org/dc/elements/1.1/" version="2.0">
  <channel>
    <title>cs.CV updates on arXiv.org</title>
    <link>http://rss.arxiv.org/rss/cs.CV</link>
    <pubDate>Tue, 09 Jun 2026 00:00:00 -0400</pubDate>
    <skipDays><day>Saturday</day><day>Sunday</day></skipDays>
    <item>
      <title>Sampling with $\epsilon$-greedy &lt;Walker&gt; models</title>
      <link>https://arxiv.org/abs/2606.00001</link>
      <description>arXiv:2606.00001v1 Announce Type: new 
Abstract: We show that 46.62\% of walks end,
at a cost of $O(n^2)$.</description>
      <guid isPermaLink="false">oai:arXiv.org:2606.00001v1</guid>
      <category>cs.CV</category>
      <category>stat.ML</category>
      <pubDate>Wed, 10 Jun 2026 00:00:00 -0400</pubDate>
      <arxiv:announce_type>new</arxiv:announce_type>
      <dc:creator>Inés Rodr\'iguez, Bo Li (Uppsala, Sweden), Jan King, Jr.</dc:creator>
    </item>
    <item>
      <title>Old strings</title>
      <link>https://arxiv.org/abs/hep-th/9901001</link>
      <description>arXiv:hep-th/9901001v3 Announce Type: replace-cross 
Abstract: Strings again.</description>
      <guid isPermaLink="false">oai:arXiv.org:hep-th/9901001v3</guid>
      <category>hep-th</category>
      <arxiv:announce_type>replace-cross</arxiv:announce_type>
      <arxiv:DOI>10.1000/Strings.1</arxiv:DOI>
      <arxiv:journal_reference>J. Strings 1 (1999) 1--9</arxiv:journal_reference>
      <dc:creator>Ann Lee</dc:creator>
    </item>
  </channel>
</rss>
"""  # noqa: W291  arXiv's own space before the line break

ATOM = """<?xml version="1.0" encoding="UTF-8"?>
<feed xmlns="http://www.w3.org/2005/Atom" xmlns:arxiv="http://arxiv.org/schemas/atom"
      xmlns:dc="http://purl.org/dc/elements/1.1/">
  <id>http://rss.arxiv.org/atom/cs.CV</id><title>cs.CV updates on arXiv.org</title>
  <updated>2026-06-10T04:00:00.000000+00:00</updated>
  <entry>
    <id>oai:arXiv.org:2606.00002v2</id><title>Second thoughts</title>
    <updated>2026-06-10T04:00:00.000000+00:00</updated>
    <link href="https://arxiv.org/abs/2606.00002" rel="alternate" type="text/html"/>
    <summary>arXiv:2606.00002v2 Announce Type: replace Abstract: We think again.</summary>
    <category term="cs.CV"/><published>2026-06-10T00:00:00-04:00</published>
    <arxiv:announce_type>replace</arxiv:announce_type><dc:creator>Ann Lee, Bo Li</dc:creator>
  </entry>
</feed>
"""


def parse(text: str | bytes, day: date | None = None) -> Parsed:
    body = text.encode() if isinstance(text, str) else text
    return arxiv.parse(body, SOURCE, where="feed", day=day)


def test_an_item_is_read_whole() -> None:
    """Id, version, title, abstract, authors, categories, links and day come from where arXiv puts them."""
    first, _ = parse(RSS).announcements
    paper = first.paper
    assert (paper.id, paper.version) == ("arxiv:2606.00001", 1)
    assert paper.title == "Sampling with ε-greedy <Walker> models"
    assert paper.abstract == "We show that 46.62% of walks end, at a cost of O(n²)."
    assert paper.authors == ("Inés Rodríguez", "Bo Li", "Jan King, Jr.")
    assert (paper.categories, paper.primary_category) == (("cs.CV", "stat.ML"), "cs.CV")
    assert {link.kind: link.url for link in paper.links} == {
        LinkKind.ABS: "https://arxiv.org/abs/2606.00001",
        LinkKind.PDF: "https://arxiv.org/pdf/2606.00001",
        LinkKind.HTML: "https://arxiv.org/html/2606.00001",
    }
    assert (first.announce_type, first.announced_on, first.source) == (AnnounceType.NEW, date(2026, 6, 10), "arXiv")


def test_an_old_id_with_a_doi() -> None:
    """A paper of 1999 keeps its slash, has no HTML page, and gives DOI and journal; its day is the channel's."""
    _, old = parse(RSS).announcements
    assert (old.paper.id, old.paper.version) == ("arxiv:hep-th/9901001", 3)
    assert old.paper.doi == "10.1000/strings.1"
    assert old.paper.journal_ref == "J. Strings 1 (1999) 1–9"
    assert [link.kind for link in old.paper.links] == [LinkKind.ABS, LinkKind.PDF, LinkKind.DOI]
    assert (old.announce_type, old.announced_on) == (AnnounceType.REPLACE_CROSS, date(2026, 6, 9))


def test_the_atom_twin_is_read_too() -> None:
    """rss.arxiv.org/atom gives the same announcements."""
    (only,) = parse(ATOM).announcements
    assert (only.paper.id, only.paper.version, only.announce_type) == ("arxiv:2606.00002", 2, AnnounceType.REPLACE)
    assert (only.paper.abstract, only.paper.authors) == ("We think again.", ("Ann Lee", "Bo Li"))
    assert only.announced_on == date(2026, 6, 10)


def test_a_feed_without_a_date_takes_the_day_of_its_file() -> None:
    """Where the feed names no day, the day asked for is the day of announcement."""
    undated = RSS.replace("<pubDate>", "<x>").replace("</pubDate>", "</x>")
    assert {a.announced_on for a in parse(undated, day=date(2026, 6, 11)).announcements} == {date(2026, 6, 11)}


def test_a_weekend_is_a_note() -> None:
    """A feed with no items is no fault."""
    empty = RSS[: RSS.index("<item>")] + "</channel></rss>"
    parsed = parse(empty)
    assert parsed.announcements == ()
    assert parsed.error is None
    assert parsed.notes == ("feed announces nothing (2026-06-09)",)


def test_a_feed_cut_in_mid_entry_keeps_what_came_before() -> None:
    """The entries before the cut are kept, the half one is not, and the report says that something is missing."""
    parsed = parse(RSS[: RSS.index("Strings again")])
    assert [a.paper.id for a in parsed.announcements] == ["arxiv:2606.00001"]
    assert parsed.error is not None
    assert "breaks off after 1 entries" in parsed.error


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"<!DOCTYPE html><html><body>Sign in</body></html>", "is an HTML page"),
        (b'{"error": "rate limit"}', "is JSON"),
        (b"%PDF-1.7", "is a PDF"),
        (b"<?xml version='1.0'?><opml/>", "is some other XML"),
        (b"Rate exceeded.", "is something else"),
    ],
)
def test_what_is_no_feed_is_named(body: bytes, says: str) -> None:
    """A page that is no feed is an error that says what it is and where."""
    with pytest.raises(SourceError, match=f"^feed {says}"):
        parse(body)


def test_arxivs_own_error_is_no_paper() -> None:
    """An error of arXiv comes as a feed with one entry; its text becomes our error."""
    body = """<feed xmlns="http://www.w3.org/2005/Atom"><entry><id>http://arxiv.org/api/errors#bad_id</id>
    <title>Error</title><summary>incorrect id format for abc</summary></entry></feed>"""
    with pytest.raises(SourceError, match="arXiv reports: incorrect id format for abc"):
        parse(body)


def test_entries_that_cannot_be_used_are_named() -> None:
    """An entry without id, title or a known announce type is rejected alone, by name."""
    strange = RSS.replace("oai:arXiv.org:2606.00001v1", "tag:x").replace("arxiv.org/abs/2606.00001", "x.org/1")
    parsed = parse(strange.replace(">replace-cross<", ">withdrawn<"))
    assert parsed.announcements == ()
    assert [(r.entry, r.reason.split(":")[0]) for r in parsed.rejected] == [
        ("tag:x", "has no arXiv id in its guid or link"),
        ("oai:arXiv.org:hep-th/9901001v3", "has an announce type that arXiv does not have"),
    ]


def test_a_title_of_one_zero_is_a_title() -> None:
    """Only an empty title is no title."""
    (first, _) = parse(RSS.replace(r"Sampling with $\epsilon$-greedy &lt;Walker&gt; models", "0")).announcements
    assert first.paper.title == "0"


def test_addresses() -> None:
    """Categories are asked for in one feed; an address of one's own goes before it."""
    assert arxiv.address(SOURCE) == "https://rss.arxiv.org/rss/cs.CV+cs.LG"
    assert arxiv.address(Source(SourceKind.ARXIV, "x", url="https://mirror.example/cs")) == "https://mirror.example/cs"


@settings(deadline=None)
@given(st.integers(0, len(RSS)), st.integers(0, len(RSS)), st.binary(max_size=20))
def test_splices_of_a_feed_are_read_or_refused(start: int, end: int, noise: bytes) -> None:
    """A feed with a piece cut out or replaced by noise is read as far as it goes or refused, never a crash."""
    whole = RSS.encode()
    try:
        parsed = parse(whole[:start] + noise + whole[end:])
    except SourceError:
        return
    assert all(a.paper.title and a.paper.id.startswith("arxiv:") for a in parsed.announcements)
